/* egress: who may send, in which order it is asked, and that what leaves opens on the other side. */
#include "egress.h"

#include "support/media.h"

static void refusals_come_in_one_order(void)
{
    static const struct {
        bool is_admitted, has_keys, has_path, is_full;
        tr_drop media, rtcp;
    } rows[] = {
        {true, true, true, false, TR_DROP_NONE, TR_DROP_NONE},
        {false, true, true, false, TR_DROP_NOT_ADMITTED, TR_DROP_NONE},
        {false, false, false, true, TR_DROP_NOT_ADMITTED, TR_DROP_SRTP_NO_KEYS},
        {true, false, false, true, TR_DROP_SRTP_NO_KEYS, TR_DROP_SRTP_NO_KEYS},
        {true, true, false, true, TR_DROP_NO_PATH, TR_DROP_NO_PATH},
        {true, true, true, true, TR_DROP_OUTBOX_FULL, TR_DROP_OUTBOX_FULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig r;
        rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
        r.egress.is_admitted = rows[i].is_admitted;
        r.egress.has_path = rows[i].has_path;
        if (!rows[i].has_keys) r.egress.srtp = NULL;
        if (rows[i].is_full) r.outbox.count = r.outbox.capacity;
        uint8_t *slot;
        CHECK_EQ(rows[i].media, tr__egress_reserve_media(&r.egress, &slot));
        CHECK_EQ(rows[i].media == TR_DROP_NONE, slot != NULL);
        CHECK_EQ(rows[i].rtcp, tr__egress_reserve_rtcp(&r.egress, &slot));
        CHECK_EQ(rows[i].rtcp == TR_DROP_NONE, slot != NULL);
        CHECK_EQ(0, r.egress.tx_packets);
        rig_dispose(&r);
    }
}

static void what_leaves_opens_on_the_other_side(void)
{
    static const tr_srtp_profile profiles[] = {TR_SRTP_AEAD_AES_128_GCM, TR_SRTP_AEAD_AES_256_GCM,
                                               TR_SRTP_AES128_CM_SHA1_80};
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        rig r;
        rig_init(&r, profiles[i]);
        packet p = make_vp8(500, 17, 3000, true, true, true, 900), out;
        uint8_t *slot;
        CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_media(&r.egress, &slot));
        memcpy(slot, p.data, p.size);
        CHECK_EQ(TR_DROP_NONE, tr__egress_seal_media(&r.egress, slot, p.size, 17));
        CHECK_EQ(1, r.egress.tx_packets);
        CHECK_EQ(1, r.tally.tx_rtp_packets);
        CHECK_EQ(p.size + tr__srtp_rtp_overhead(profiles[i]), r.egress.tx_bytes);
        CHECK_EQ(7, r.outbox.items[0].owner);
        tr_rtp rtp;
        CHECK(rig_take(&r, &out, &rtp));
        CHECK_EQ(p.size, out.size);
        CHECK_BYTES(p.data, out.data, p.size);

        CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_rtcp(&r.egress, &slot));
        tr_pen pen = tr__pen(slot, 100);
        tr__rtcp_put_rr(&pen, 77, NULL, 0);
        uint8_t plain[8];
        memcpy(plain, slot, 8);
        CHECK_EQ(TR_DROP_NONE, tr__egress_seal_rtcp(&r.egress, slot, 8));
        size_t size = r.outbox.items[1].size;
        CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(r.theirs, r.outbox.items[1].data, &size));
        CHECK_EQ(8, size);
        CHECK_BYTES(plain, r.outbox.items[1].data, 8);
        CHECK_EQ(1, r.tally.tx_rtp_packets);
        CHECK_EQ(2, r.egress.tx_packets);
        rig_dispose(&r);
    }
}

/* What is told of a tap, by type and size; the ring has 64 KiB. */
static void a_tap_tells_what_leaves_until_half_the_ring_waits(void)
{
    static _Alignas(64) uint8_t memory[65536 + 4096];
    tr_ring ring;
    tr__ring_create(&ring, memory, 65536);
    rig r;
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    r.egress.srtp = NULL;
    r.egress.tap = &ring;
    r.egress.id = 0x10007;
    CHECK(tr__egress_is_open(&r.egress));
    packet p = make_vp8(500, 17, 3000, true, true, true, 900);
    uint8_t *slot;
    tr_tapped told;
    uint16_t type;
    uint64_t tag;
    size_t size;

    r.egress.is_admitted = false;
    CHECK_EQ(TR_DROP_NOT_ADMITTED, tr__egress_reserve_media(&r.egress, &slot));
    r.egress.is_admitted = true;
    CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_media(&r.egress, &slot));
    memcpy(slot, p.data, p.size);
    CHECK_EQ(TR_DROP_NONE, tr__egress_seal_media(&r.egress, slot, p.size, 17));
    CHECK_EQ(0, r.outbox.count);
    CHECK_EQ(0, r.tally.tx_rtp_packets); /* nothing left */
    CHECK_EQ(1, tr__ring_pop(&ring, &type, &tag, &told, sizeof told, &size));
    CHECK_EQ(TR_EVENT_TAPPED, type);
    CHECK_EQ(0x10007, told.transport);
    CHECK_EQ(0, told.is_rtcp);
    CHECK_EQ(p.size, told.size);
    CHECK_BYTES(p.data, told.bytes, p.size);

    CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_rtcp(&r.egress, &slot));
    tr_pen pen = tr__pen(slot, 100);
    tr__rtcp_put_rr(&pen, 77, NULL, 0);
    CHECK_EQ(TR_DROP_NONE, tr__egress_seal_rtcp(&r.egress, slot, 8));
    CHECK_EQ(1, tr__ring_pop(&ring, &type, &tag, &told, sizeof told, &size));
    CHECK_EQ(1, told.is_rtcp);
    CHECK_EQ(8, told.size);

    uint32_t count = 0;
    tr_drop drop = TR_DROP_NONE;
    while (drop == TR_DROP_NONE && count < 1000) {
        CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_media(&r.egress, &slot));
        memcpy(slot, p.data, p.size);
        drop = tr__egress_seal_media(&r.egress, slot, p.size, 18 + count);
        if (drop == TR_DROP_NONE) count++;
    }
    CHECK_EQ(TR_DROP_EVENTS_FULL, drop);
    CHECK(count > 20 && count < 40); /* of some 960 bytes each: half */
    rig_dispose(&r);
}

static void what_cannot_be_sealed_does_not_leave(void)
{
    rig r;
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    uint8_t *slot;
    CHECK_EQ(TR_DROP_NONE, tr__egress_reserve_media(&r.egress, &slot));
    memset(slot, 0, TR_OUTBOX_SLOT);
    CHECK_EQ(TR_DROP_TOO_LARGE, tr__egress_seal_media(&r.egress, slot, TR_OUTBOX_SLOT - TR_SRTP_MAX_OVERHEAD + 1, 1));
    CHECK_EQ(TR_DROP_TOO_LARGE, tr__egress_seal_rtcp(&r.egress, slot, TR_OUTBOX_SLOT));
    CHECK_EQ(TR_DROP_RTP_MALFORMED, tr__egress_seal_media(&r.egress, slot, 5, 1));
    CHECK_EQ(TR_DROP_RTCP_MALFORMED, tr__egress_seal_rtcp(&r.egress, slot, 3));
    CHECK_EQ(0, r.outbox.count);
    CHECK_EQ(0, r.egress.tx_packets);
    rig_dispose(&r);
}

static const check_test tests[] = {
    TEST(refusals_come_in_one_order),
    TEST(what_leaves_opens_on_the_other_side),
    TEST(a_tap_tells_what_leaves_until_half_the_ring_waits),
    TEST(what_cannot_be_sealed_does_not_leave),
};
CHECK_MAIN("test_egress", tests)
