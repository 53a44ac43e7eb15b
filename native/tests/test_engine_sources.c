/* engine: whose an SSRC is: learned from MID and RID (RFC 8843, 9.2; RFC 8852), changed in the middle, or nobody's. */
#include "seq.h"
#include "support/peer.h"

enum { MID = 1, RID = 2, REPAIRED = 3 };

/* A VP8 frame of one packet with these elements; NULL: without. */
static tr_drop say(world *w, peer *p, uint32_t ssrc, uint8_t pt, uint64_t index, bool is_key, const char *mid,
                   const char *rid, uint8_t rid_id)
{
    uint8_t packet[TR_OUTBOX_SLOT] = {0};
    tr_pen pen = tr__pen(packet, 600);
    tr__rtp_put_header(&pen, true, true, pt, (uint16_t)index, (uint32_t)index * 3000, ssrc);
    tr_rtp_block block = tr__rtp_begin_block(&pen, false);
    if (mid) tr__rtp_put_element(&pen, &block, MID, mid, (uint8_t)strlen(mid));
    if (rid) tr__rtp_put_element(&pen, &block, rid_id, rid, (uint8_t)strlen(rid));
    tr__rtp_end_block(&pen, &block, 0);
    uint8_t *payload = tr__put(&pen, 100);
    memset(payload, (int)index, 100);
    payload[0] = pt == PEER_RTX_PT ? 0 : 0x10;
    payload[1] = pt == PEER_RTX_PT ? (uint8_t)(index - 1) : is_key ? 0 : 1;
    return peer_send_rtp(w, p, packet, tr__pen_size(&pen), index);
}

static tr_drop plain(world *w, peer *p, uint32_t ssrc, uint64_t index)
{
    return say(w, p, ssrc, PEER_VP8_PT, index, true, NULL, NULL, 0);
}

/* A publisher with MID "1" (and RIDs, if so many), and a subscriber of it. */
static void begin(world *w, peer **a, peer **b, uint8_t rids)
{
    world_init(w, 70 + rids, TR_CRYPTO_OPENSSL);
    *a = world_add_peer(w, 0x10001, 1, true);
    *b = world_add_peer(w, 0x10002, 1, true);
    CHECK(world_connect(w, *a));
    CHECK(world_connect(w, *b));
    tr_add_receiver add = peer_receiver(1, 0x10001, TR_VIDEO, 0);
    add.encodings[0].rtx_ssrc = 0;
    add.extensions[TR_EXT_TWCC] = 0;
    if (rids) {
        add.extensions[TR_EXT_RID] = RID;
        add.extensions[TR_EXT_REPAIRED_RID] = REPAIRED;
        add.encoding_count = rids;
        for (uint8_t i = 0; i < rids; i++) add.encodings[i].rid[0] = (char)('a' + i);
    }
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
    tr_add_sender sender = peer_sender(1, 0x10002, TR_VIDEO, 7000);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    tr_bind_sender bind = peer_bind(1, 1, 120, 121);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
}

/* The latest RTP packet a peer got. */
static bool latest(peer *p, tr_rtp *rtp)
{
    for (uint64_t i = p->got_count; i-- > 0 && i + 256 > p->got_count;)
        if (!p->got[i % 256].is_rtcp)
            return tr__rtp_parse(rtp, p->got[i % 256].data, p->got[i % 256].size) == TR_DROP_NONE;
    return false;
}

static void layers_and_their_resends_are_known_by_rid(void)
{
    world w;
    peer *a, *b;
    begin(&w, &a, &b, 2);
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 50, PEER_VP8_PT, 10, true, "1", NULL, 0)); /* which layer? */
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 50, PEER_VP8_PT, 11, true, "1", "c", RID));
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 50, PEER_VP8_PT, 12, true, "9", "a", RID));
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 50, PEER_VP8_PT, 13, true, "1", "a", RID)); /* late, but there */
    CHECK_EQ(TR_DROP_NONE, plain(&w, a, 50, 14));                                 /* known from now on */
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 60, PEER_VP8_PT, 20, true, "1", "b", RID));
    CHECK_EQ(TR_DROP_NONE, plain(&w, a, 60, 22));
    /* Resends are on SSRCs of their own, and say whose they are. */
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 61, PEER_RTX_PT, 21, false, "1", NULL, 0));
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 61, PEER_RTX_PT, 22, false, "1", "b", REPAIRED));
    CHECK_EQ(TR_DROP_RTX_UNWANTED, say(&w, a, 51, PEER_RTX_PT, 14, false, "1", "a", REPAIRED)); /* not missing */
    CHECK_EQ(4, w.tally.drops[TR_DROP_RTP_UNKNOWN_SSRC]);
    world_dispose(&w);
}

static void a_source_that_changes_in_the_middle_is_followed_by_its_mid(void)
{
    world w;
    peer *a, *b;
    begin(&w, &a, &b, 0);
    tr_rtp before, after;
    for (uint64_t i = 40000; i < 40010; i++) CHECK_EQ(TR_DROP_NONE, say(&w, a, 50, PEER_VP8_PT, i, true, "1", NULL, 0));
    world_deliver(&w);
    CHECK(latest(b, &before));
    /* Two at once are not one that changed. */
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 90, PEER_VP8_PT, 5, true, "1", NULL, 0));
    world_run(&w, TR_STREAM_IDLE_US);
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 90, PEER_VP8_PT, 6, true, "1", NULL, 0));
    world_deliver(&w);
    CHECK(latest(b, &after));
    CHECK_EQ(before.ssrc, after.ssrc);
    CHECK_EQ((uint16_t)(before.seq + 1), after.seq);
    CHECK(tr__ts_diff(after.ts, before.ts) >= 90000 && tr__ts_diff(after.ts, before.ts) < 91000);
    /* The old one is nobody's now. */
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 50, PEER_VP8_PT, 40010, true, "1", NULL, 0));
    /* A hundred changes fill no table. */
    for (uint32_t i = 0; i < 100; i++) {
        world_run(&w, TR_STREAM_IDLE_US);
        peer_check(&w, a);
        peer_check(&w, b);
        CHECK_EQ(TR_DROP_NONE, say(&w, a, 100 + i, PEER_VP8_PT, 7, true, "1", NULL, 0));
    }
    CHECK_EQ(0, b->auth_failures);
    world_dispose(&w);
}

static void strangers_are_counted_before_they_cost_anything(void)
{
    world w;
    peer *a, *b;
    begin(&w, &a, &b, 0);
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 50, PEER_VP8_PT, 1, true, "1", NULL, 0));
    /* What is forged is not the peer's to answer for. */
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t forged[64] = {0x80, PEER_VP8_PT};
        tr__store32(forged + 8, 5000 + i);
        CHECK_EQ(TR_DROP_SRTP_AUTH, peer_send(&w, a, forged, sizeof forged));
    }
    for (uint32_t i = 0; i < 100; i++) {
        tr_drop expected = i < TR_STRANGERS_MAX ? TR_DROP_RTP_UNKNOWN_SSRC : TR_DROP_SRTP_SSRC_LIMIT;
        CHECK_EQ(expected, say(&w, a, 1000 + i, PEER_VP8_PT, 1, true, "9", NULL, 0));
    }
    /* Known ones are looked at on: one of them may yet say whose it is. */
    CHECK_EQ(TR_DROP_RTP_UNKNOWN_SSRC, say(&w, a, 1000, PEER_VP8_PT, 2, true, "9", NULL, 0));
    /* Two new ones a second. */
    for (uint32_t second = 0; second < 5; second++) {
        world_run(&w, 1000000);
        uint32_t taken = 0;
        for (uint32_t i = 0; i < 10; i++)
            taken += say(&w, a, 2000 + 10 * second + i, PEER_VP8_PT, 1, true, "9", NULL, 0) == TR_DROP_RTP_UNKNOWN_SSRC;
        CHECK_EQ(2, taken);
    }
    /* What was declared, and what is declared now, is heard. */
    CHECK_EQ(TR_DROP_NONE, plain(&w, a, 50, 2));
    tr_add_receiver add = peer_receiver(2, 0x10001, TR_AUDIO, 9000);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, say(&w, a, 9000, PEER_OPUS_PT, 1, true, NULL, NULL, 0));
    world_dispose(&w);
}

/* The same extension under another id in another section (RFC 8285 forbids one id for two, not two for one). */
static void each_section_is_read_by_its_own_ids(void)
{
    world w;
    peer *a, *b;
    begin(&w, &a, &b, 0);
    tr_add_receiver add = peer_receiver(2, 0x10001, TR_AUDIO, 9000);
    add.extensions[TR_EXT_MID] = 9;
    add.extensions[TR_EXT_TWCC] = 0;
    add.extensions[TR_EXT_AUDIO_LEVEL] = MID; /* what is MID in the other */
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
    tr_add_sender sender = peer_sender(2, 0x10002, TR_AUDIO, 7100);
    sender.extensions[TR_EXT_AUDIO_LEVEL] = 5;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    tr_bind_sender bind = peer_bind(2, 2, 111, TR_NO_PT);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    CHECK_EQ(TR_DROP_NONE, say(&w, a, 9000, PEER_OPUS_PT, 1, true, "\x2a", NULL, 0));
    world_deliver(&w);
    tr_rtp rtp;
    tr_rtp_extensions found;
    CHECK(latest(b, &rtp));
    CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, sender.extensions, &found));
    CHECK_EQ(1, found.of[TR_EXT_AUDIO_LEVEL].size);
    CHECK_EQ(0x2a, rtp.data[found.of[TR_EXT_AUDIO_LEVEL].at]);
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(layers_and_their_resends_are_known_by_rid),
    TEST(a_source_that_changes_in_the_middle_is_followed_by_its_mid),
    TEST(strangers_are_counted_before_they_cost_anything),
    TEST(each_section_is_read_by_its_own_ids),
};
CHECK_MAIN("test_engine_sources", tests)
