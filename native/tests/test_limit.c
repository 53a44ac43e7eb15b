/* reports: what a publisher may send in all, told by REMB. */
#include "support/peer.h"

static void set_limit(world *w, const peer *p, uint32_t bps)
{
    tr_set_limit limit = {.transport = p->transport, .bps = bps};
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_SET_LIMIT, &limit, sizeof limit));
}

static void add_video(world *w, const peer *p, uint32_t receiver, uint32_t ssrc, bool has_remb)
{
    tr_add_receiver add = peer_receiver(receiver, p->transport, TR_VIDEO, ssrc);
    snprintf(add.mid, sizeof add.mid, "%u", receiver);
    add.codecs[0].has_remb = has_remb;
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
}

/* REMBs of what the peer got since *from, which moves on; the latest one's rate and SSRCs. */
static int rembs(const peer *p, uint64_t *from, uint64_t *bps, uint32_t ssrcs[8], uint8_t *ssrc_count)
{
    int found = 0;
    for (; *from < p->got_count; ++*from) {
        if (!p->got[*from % 256].is_rtcp) continue;
        const uint8_t *data = p->got[*from % 256].data;
        size_t size = p->got[*from % 256].size, at = 0;
        CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, size));
        CHECK_EQ(TR_RTCP_RR, data[1]); /* each compound begins with a report */
        tr_rtcp_part part;
        while (tr__rtcp_next(data, size, &at, &part)) {
            if (part.type != TR_RTCP_PSFB || !tr__rtcp_read_remb(&part, bps)) continue;
            found++;
            *ssrc_count = part.body[12];
            for (uint8_t i = 0; i < *ssrc_count && i < 8; i++) ssrcs[i] = tr__load32(part.body + 16 + 4 * i);
        }
    }
    return found;
}

static void a_limit_is_told_at_once_and_each_second_and_its_end_too(void)
{
    world w;
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true);
    CHECK(world_connect(&w, a));
    add_video(&w, a, 7, 5000, true);
    add_video(&w, a, 8, 6000, false);
    uint64_t from = 0, bps = 0;
    uint32_t ssrcs[8];
    uint8_t count = 0;
    world_run(&w, 3000000);
    CHECK_EQ(0, rembs(a, &from, &bps, ssrcs, &count));

    set_limit(&w, a, 300000);
    world_run(&w, 5000);
    CHECK_EQ(1, rembs(a, &from, &bps, ssrcs, &count));
    CHECK(bps <= 300000 && bps >= 299000); /* 18 bits and an exponent */
    CHECK_EQ(1, count);
    CHECK_EQ(5000, ssrcs[0]); /* neither its resends nor who did not negotiate it */
    set_limit(&w, a, 300000);
    world_run(&w, 100000);
    CHECK_EQ(0, rembs(a, &from, &bps, ssrcs, &count));
    world_run(&w, 3000000);
    CHECK_EQ(3, rembs(a, &from, &bps, ssrcs, &count));

    set_limit(&w, a, 0);
    world_run(&w, 5000);
    CHECK_EQ(1, rembs(a, &from, &bps, ssrcs, &count));
    CHECK(bps > 1000000000);
    world_run(&w, 20000000);
    CHECK_EQ(4, rembs(a, &from, &bps, ssrcs, &count));
    set_limit(&w, a, 0);
    world_run(&w, 2000000);
    CHECK_EQ(0, rembs(a, &from, &bps, ssrcs, &count));
    world_dispose(&w);
}

static void without_remb_nothing_is_told(void)
{
    world w;
    world_init(&w, 2, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true);
    CHECK(world_connect(&w, a));
    add_video(&w, a, 7, 5000, false);
    uint64_t from = 0, bps = 0;
    uint32_t ssrcs[8];
    uint8_t count = 0;
    set_limit(&w, a, 300000);
    world_run(&w, 3000000);
    CHECK_EQ(0, rembs(a, &from, &bps, ssrcs, &count));
    /* A stream that has it comes: it hears of the limit that is there. */
    add_video(&w, a, 8, 6000, true);
    world_run(&w, 1100000);
    CHECK(rembs(a, &from, &bps, ssrcs, &count) >= 1);
    CHECK_EQ(6000, ssrcs[0]);
    world_dispose(&w);
}

static void of_no_transport_it_is_refused(void)
{
    world w;
    world_init(&w, 3, TR_CRYPTO_OPENSSL);
    tr_set_limit limit = {.transport = 0x10005, .bps = 1};
    CHECK_EQ(TR_ERR_NOT_FOUND, world_command(&w, TR_CMD_SET_LIMIT, &limit, sizeof limit));
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_SET_LIMIT, &limit, sizeof limit - 1));
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(a_limit_is_told_at_once_and_each_second_and_its_end_too),
    TEST(without_remb_nothing_is_told),
    TEST(of_no_transport_it_is_refused),
};
CHECK_MAIN("test_limit", tests)
