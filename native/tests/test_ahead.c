/* ahead: whatever a batch holds, fetching ahead of it changes nothing, and what is fetched for is still there. */
#include "ahead.h"
#include "support/peer.h"

static uint8_t rtp[TR_AHEAD][TR_OUTBOX_SLOT];
static tr_incoming batch[TR_AHEAD];

static void put(uint32_t i, const tr_path *path, uint32_t ssrc, size_t size)
{
    peer_write_rtp(rtp[i], sizeof rtp[i], PEER_VP8_PT, 100 + i, 0, ssrc, false, true, (uint16_t)i, 60);
    batch[i] = (tr_incoming){.path = *path, .data = rtp[i], .size = (uint32_t)size};
}

/* Counters, and what would leave. */
static void ahead_of(world *w, uint32_t count)
{
    tr_tally before = w->tally;
    uint32_t waiting = tr__engine_outbox(w->engine)->count;
    tr__ahead(w->engine, batch, count);
    CHECK_BYTES(&before, &w->tally, sizeof before);
    CHECK_EQ(waiting, tr__engine_outbox(w->engine)->count);
}

static void nothing_is_changed_at_any_stage_of_a_call(void)
{
    world w;
    world_init(&w, 1, TR_CRYPTO_AUTO);
    peer *a = world_add_peer(&w, 0x10001, 1, true), *b = world_add_peer(&w, 0x10002, 1, true);
    for (uint32_t i = 0; i < TR_AHEAD; i++) put(i, i % 2 ? &a->path : &b->path, 5000 + i % 3, 72);
    ahead_of(&w, 0);
    ahead_of(&w, 1);
    ahead_of(&w, TR_AHEAD); /* paths of nobody */
    CHECK(world_connect(&w, a));
    ahead_of(&w, TR_AHEAD); /* of one, without tracks */
    CHECK(world_connect(&w, b));
    tr_add_receiver add = peer_receiver(1, a->transport, TR_VIDEO, 5000);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
    ahead_of(&w, TR_AHEAD); /* a track that nobody watches */
    tr_add_sender view = peer_sender(1, b->transport, TR_VIDEO, 7000);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &view, sizeof view));
    tr_bind_sender bind = peer_bind(1, 1, 120, 121);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    ahead_of(&w, TR_AHEAD);
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, 1, 0, 5000, true, true, 1, 900);
    CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, 1));
    ahead_of(&w, TR_AHEAD);
    world_deliver(&w);
    CHECK_EQ(1, b->got_count);
    world_dispose(&w);
}

static void no_media_is_told_from_its_first_bytes(void)
{
    world w;
    world_init(&w, 2, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true);
    CHECK(world_connect(&w, a));
    for (uint32_t i = 0; i < TR_AHEAD; i++) {
        put(i, &a->path, i, i); /* shorter than a header, and empty */
        rtp[i][0] = (uint8_t)(i * 16);
    }
    ahead_of(&w, TR_AHEAD);
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(nothing_is_changed_at_any_stage_of_a_call),
    TEST(no_media_is_told_from_its_first_bytes),
};
CHECK_MAIN("test_ahead", tests)
