/* counts: rows of every stream, in pages. */
#include "counts.h"

#include "support/peer.h"

static void take_page(world *w, uint32_t from, tr_counts *page)
{
    tr_get_counts get = {.from = from};
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_GET_COUNTS, &get, sizeof get));
    uint16_t type;
    uint64_t tag;
    size_t size;
    while (tr__ring_pop(&w->events, &type, &tag, page, sizeof *page, &size) == 1)
        if (type == TR_EVENT_COUNTS) {
            CHECK_EQ(tr__counts_size(page), size);
            return;
        }
    CHECK(false);
}

static void add_audio(world *w, peer *p, uint32_t receiver, uint32_t ssrc)
{
    tr_add_receiver add = peer_receiver(receiver, p->transport, TR_AUDIO, ssrc);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
}

static void send_audio(world *w, peer *from, uint32_t ssrc, uint64_t index)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_OPUS_PT, index, (uint32_t)index * 960, ssrc, false, true,
                                 (uint16_t)index, 80);
    peer_send_rtp(w, from, packet, size, index);
    world_deliver(w);
}

static void what_was_lost_and_in_how_many_gaps(void)
{
    world w;
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true), *b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    add_audio(&w, a, 7, 5000);
    tr_add_sender sender = peer_sender(9, b->transport, TR_AUDIO, 7000);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    tr_bind_sender bind = peer_bind(9, 7, PEER_OPUS_PT, TR_NO_PT);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    /* 20 packets of which 5, 6 and 7, and 12, do not come. */
    for (uint64_t index = 0; index < 20; index++)
        if (!(index >= 5 && index <= 7) && index != 12) send_audio(&w, a, 5000, 100 + index);
    tr_counts page;
    take_page(&w, 0, &page);
    CHECK_EQ(2, page.count);
    CHECK_EQ(0, page.next);
    CHECK_EQ(7, page.rows[0].id);
    CHECK_EQ(0, page.rows[0].is_sender);
    CHECK_EQ(1, page.rows[0].is_active);
    CHECK_EQ(16, page.rows[0].packets);
    CHECK_EQ(4, page.rows[0].lost);
    CHECK_EQ(2, page.rows[0].gaps);
    CHECK_EQ(9, page.rows[1].id);
    CHECK_EQ(1, page.rows[1].is_sender);
    CHECK_EQ(1, page.rows[1].is_active);
    CHECK_EQ(16, page.rows[1].packets);
    world_dispose(&w);
}

static void take_rates(world *w, uint32_t from, tr_rate_page *page)
{
    tr_get_rates get = {.from = from};
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_GET_RATES, &get, sizeof get));
    uint16_t type;
    uint64_t tag;
    size_t size;
    while (tr__ring_pop(&w->events, &type, &tag, page, sizeof *page, &size) == 1)
        if (type == TR_EVENT_RATES) {
            CHECK_EQ(tr__rates_size(page), size);
            return;
        }
    CHECK(false);
}

/* Two encodings of a picture and a voice, of so many seconds; each layer that came has its row, and nothing else. */
static void what_each_layer_takes(void)
{
    world w;
    world_init(&w, 4, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true);
    CHECK(world_connect(&w, a));
    tr_add_receiver video = peer_receiver(5, a->transport, TR_VIDEO, 8000);
    video.encoding_count = 3;
    strcpy(video.encodings[0].rid, "q");
    video.encodings[1] = (tr_encoding){.rid = "h", .ssrc = 8010};
    video.encodings[2] = (tr_encoding){.rid = "f", .ssrc = 8020};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &video, sizeof video));
    add_audio(&w, a, 7, 5000);
    add_audio(&w, a, 8, 5010); /* says nothing */
    uint8_t packet[TR_OUTBOX_SLOT];
    for (uint64_t index = 1; index <= 150; index++) {
        for (uint32_t e = 0; e < 2; e++) {
            size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, index, (uint32_t)index * 1800,
                                         8000 + 10 * e, index == 1, true, 0, e ? 900 : 200);
            peer_send_rtp(&w, a, packet, size, index);
        }
        send_audio(&w, a, 5000, index);
        w.now_us += 20000;
    }
    tr_rate_page page;
    take_rates(&w, 0, &page);
    CHECK_EQ(3, page.count);
    CHECK_EQ(0, page.next);
    for (uint32_t e = 0; e < 2; e++) {
        CHECK_EQ(5, page.rows[e].receiver);
        CHECK_EQ(e, page.rows[e].encoding);
        CHECK_EQ(0, page.rows[e].temporal);
        uint32_t payload_bps = (e ? 900 : 200) * 8 * 50;
        CHECK(page.rows[e].rate_bps > payload_bps && page.rows[e].rate_bps < payload_bps + 40000);
        CHECK(page.rows[e].peak_bps >= page.rows[e].rate_bps * 9 / 10);
    }
    CHECK_EQ(7, page.rows[2].receiver);
    CHECK(page.rows[2].rate_bps > 80 * 8 * 50 && page.rows[2].rate_bps < 80 * 8 * 50 + 12000);
    CHECK_EQ(0, page.rows[2].loudness);
    /* What came to an end has none. */
    w.now_us += 2000000;
    take_rates(&w, 0, &page);
    CHECK_EQ(0, page.count);
    tr_get_rates get = {.from = 2048u << 16}; /* max_transports of the world */
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_RATES, &get, sizeof get));
    world_dispose(&w);
}

static void pages_of_rates_have_every_voice_once(void)
{
    world w;
    world_init(&w, 5, TR_CRYPTO_OPENSSL);
    enum { PEERS = 20, EACH = 5 };
    for (uint32_t i = 0; i < PEERS; i++) {
        peer *p = world_add_peer(&w, 0x10001 + i, 1, true);
        CHECK(world_connect(&w, p));
        for (uint32_t j = 0; j < EACH; j++) {
            add_audio(&w, p, 1 + i * EACH + j, 5000 + i * 100 + j * 10);
            send_audio(&w, p, 5000 + i * 100 + j * 10, 1);
        }
    }
    int seen[1 + PEERS * EACH] = {0};
    uint32_t from = 0;
    do {
        tr_rate_page page;
        take_rates(&w, from, &page);
        for (uint32_t i = 0; i < page.count; i++) seen[page.rows[i].receiver]++;
        from = page.next;
    } while (from);
    for (int id = 1; id <= PEERS * EACH; id++) CHECK_EQ(1, seen[id]);
    world_dispose(&w);
}

static void an_empty_worker_has_one_empty_page(void)
{
    world w;
    world_init(&w, 2, TR_CRYPTO_OPENSSL);
    tr_counts page;
    take_page(&w, 0, &page);
    CHECK_EQ(0, page.count);
    CHECK_EQ(0, page.next);
    tr_get_counts get = {.from = 2048u << 16}; /* max_transports of the world */
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_COUNTS, &get, sizeof get));
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_COUNTS, &get, sizeof get - 1));
    world_dispose(&w);
}

static void pages_together_have_every_stream_once(void)
{
    world w;
    world_init(&w, 3, TR_CRYPTO_OPENSSL);
    enum { PEERS = 40, EACH = 3 };
    for (uint32_t i = 0; i < PEERS; i++) {
        peer *p = world_add_peer(&w, 0x10001 + i, 1, true);
        for (uint32_t j = 0; j < EACH; j++) add_audio(&w, p, 1 + i * EACH + j, 5000 + i * 100 + j * 10);
    }
    int seen[1 + PEERS * EACH] = {0};
    uint32_t from = 0, pages = 0;
    do {
        tr_counts page;
        take_page(&w, from, &page);
        for (uint32_t i = 0; i < page.count; i++) seen[page.rows[i].id]++;
        from = page.next;
        pages++;
    } while (from);
    CHECK_EQ((PEERS * EACH + TR_MAX_COUNTS - 1) / TR_MAX_COUNTS, pages);
    for (int id = 1; id <= PEERS * EACH; id++) CHECK_EQ(1, seen[id]);
    world_dispose(&w);
}

static void take_seen(world *w, const tr_get_seen *get, tr_seen_page *page)
{
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_GET_SEEN, get, sizeof *get));
    uint16_t type;
    uint64_t tag;
    size_t size;
    while (tr__ring_pop(&w->events, &type, &tag, page, sizeof *page, &size) == 1)
        if (type == TR_EVENT_SEEN) {
            CHECK_EQ(tr__seen_size(page), size);
            return;
        }
    CHECK(false);
}

/* Those that were asked for, in that order; what nobody asked for is not there, nor what is no more. */
static void pages_of_what_was_seen_have_every_sender_once(void)
{
    world w;
    world_init(&w, 6, TR_CRYPTO_OPENSSL);
    enum { PEERS = TR_MAX_SEEN_TRANSPORTS, EACH = 3, GONE = 5 };
    tr_get_seen get = {.count = PEERS};
    for (uint32_t i = 0; i < PEERS + 1; i++) {
        peer *p = world_add_peer(&w, 0x10001 + i, 1, true);
        if (i < PEERS) get.transports[PEERS - 1 - i] = p->transport;
        for (uint32_t j = 0; j < EACH; j++) {
            tr_add_sender add = peer_sender(1 + i * EACH + j, p->transport, TR_AUDIO, 7000 + i * 100 + j * 10);
            CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &add, sizeof add));
        }
    }
    tr_one_id gone = {0x10001 + GONE};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_REMOVE_TRANSPORT, &gone, sizeof gone));
    int seen[1 + (PEERS + 1) * EACH] = {0};
    uint32_t pages = 0, last = UINT32_MAX;
    do {
        tr_seen_page page;
        take_seen(&w, &get, &page);
        for (uint32_t i = 0; i < page.count; i++) {
            seen[page.rows[i].sender]++;
            CHECK((page.rows[i].sender - 1) / EACH <= last);
            last = (page.rows[i].sender - 1) / EACH;
        }
        get.from = page.next;
        pages++;
    } while (get.from);
    CHECK_EQ(((PEERS - 1) * EACH + TR_MAX_SEEN - 1) / TR_MAX_SEEN, pages);
    for (int id = 1; id <= (PEERS + 1) * EACH; id++) CHECK_EQ(id <= PEERS * EACH && (id - 1) / EACH != GONE, seen[id]);
    world_dispose(&w);
}

static void what_was_seen_of_nobody(void)
{
    world w;
    world_init(&w, 7, TR_CRYPTO_OPENSSL);
    tr_get_seen get = {.count = 1, .transports = {77}};
    tr_seen_page page;
    take_seen(&w, &get, &page);
    CHECK_EQ(0, page.count);
    CHECK_EQ(0, page.next);
    size_t least = offsetof(tr_get_seen, transports);
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_SEEN, &get, least)); /* one that is not there */
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_SEEN, &get, least - 1));
    get.count = TR_MAX_SEEN_TRANSPORTS + 1;
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_GET_SEEN, &get, sizeof get));
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(what_was_lost_and_in_how_many_gaps),
    TEST(an_empty_worker_has_one_empty_page),
    TEST(pages_together_have_every_stream_once),
    TEST(what_each_layer_takes),
    TEST(pages_of_rates_have_every_voice_once),
    TEST(pages_of_what_was_seen_have_every_sender_once),
    TEST(what_was_seen_of_nobody),
};
CHECK_MAIN("test_counts", tests)
