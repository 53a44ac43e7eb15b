/* engine: the gate, the tables, admission and rooms, media from one peer to another, in memory. */
#include "support/peer.h"

#define OTHER_ROOM 2

static void publish(world *w, peer *p, uint32_t receiver, uint32_t ssrc)
{
    tr_add_receiver add = peer_receiver(receiver, p->transport, TR_VIDEO, ssrc);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_RECEIVER, &add, sizeof add));
}

static int subscribe(world *w, peer *p, uint32_t sender, uint32_t receiver, uint32_t ssrc)
{
    tr_add_sender add = peer_sender(sender, p->transport, TR_VIDEO, ssrc);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_SENDER, &add, sizeof add));
    tr_bind_sender bind = peer_bind(sender, receiver, 120, 121);
    return world_command(w, TR_CMD_BIND_SENDER, &bind, sizeof bind);
}

/* count frames of one packet each, the first a keyframe; what the engine said of the last. */
static tr_drop send_frames(world *w, peer *from, uint32_t ssrc, uint64_t first, int count)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    tr_drop drop = TR_DROP_NONE;
    for (int i = 0; i < count; i++) {
        uint64_t index = first + (uint64_t)i;
        size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, index, (uint32_t)index * 3000, ssrc, i == 0,
                                     true, (uint16_t)index, 900);
        drop = peer_send_rtp(w, from, packet, size, index);
        world_deliver(w);
    }
    return drop;
}

static void two_peers(world *w, peer **a, peer **b, uint64_t seed)
{
    world_init(w, seed, TR_CRYPTO_OPENSSL);
    *a = world_add_peer(w, 0x10001, 1, true);
    *b = world_add_peer(w, 0x10002, 1, true);
    CHECK(world_connect(w, *a));
    CHECK(world_connect(w, *b));
}

static void media_of_one_peer_reaches_the_other(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 1);
    publish(&w, a, 1, 5000);
    CHECK_EQ(TR_OK, subscribe(&w, b, 1, 1, 7000));
    CHECK_EQ(TR_DROP_NONE, send_frames(&w, a, 5000, 1000, 100));
    int media = 0;
    uint16_t previous = 0;
    for (uint64_t i = 0; i < b->got_count; i++) {
        if (b->got[i % 256].is_rtcp) continue;
        tr_rtp rtp;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, b->got[i % 256].data, b->got[i % 256].size));
        CHECK_EQ(7000, rtp.ssrc);
        CHECK_EQ(120, rtp.pt);
        CHECK_EQ(900, rtp.payload_size);
        uint64_t index;
        memcpy(&index, rtp.data + rtp.header_size + 4, 8);
        CHECK_EQ(1000 + media, index);
        if (media) CHECK_EQ((uint16_t)(previous + 1), rtp.seq);
        previous = rtp.seq;
        media++;
    }
    CHECK_EQ(100, media);
    CHECK_EQ(0, b->auth_failures);
    world_dispose(&w);
}

static void publisher_hears_transport_wide_feedback_and_reports(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 2);
    publish(&w, a, 1, 5000);
    send_frames(&w, a, 5000, 1000, 10);
    world_run(&w, 1500000);
    int twcc = 0, reports = 0;
    for (uint64_t i = 0; i < a->got_count; i++) {
        if (!a->got[i % 256].is_rtcp) continue;
        tr_rtcp_part part;
        size_t at = 0;
        CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(a->got[i % 256].data, a->got[i % 256].size));
        while (tr__rtcp_next(a->got[i % 256].data, a->got[i % 256].size, &at, &part)) {
            if (part.type == TR_RTCP_RTPFB && part.count == TR_RTPFB_TWCC) twcc++;
            tr_rtcp_report report;
            if (part.type == TR_RTCP_RR && tr__rtcp_read_report(&part, 0, &report)) {
                reports++;
                CHECK_EQ(5000, report.ssrc);
                CHECK_EQ(0, report.lost);
            }
        }
    }
    CHECK(twcc >= 1);
    CHECK(reports >= 1);
    world_dispose(&w);
}

static void a_subscriber_makes_the_publisher_send_a_keyframe(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 3);
    publish(&w, a, 1, 5000);
    send_frames(&w, a, 5000, 1, 1);
    world_run(&w, 2 * TR_KEYFRAME_INTERVAL_US); /* a keyframe younger than this would be sent from the history */
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, 2, 9000, 5000, false, true, 2, 900);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, peer_send_rtp(&w, a, packet, size, 2));
    CHECK_EQ(TR_OK, subscribe(&w, b, 1, 1, 7000));
    world_run(&w, 5000);
    int plis = 0;
    for (uint64_t i = 0; i < a->got_count; i++) {
        tr_rtcp_part part;
        size_t at = 0;
        while (a->got[i % 256].is_rtcp && tr__rtcp_next(a->got[i % 256].data, a->got[i % 256].size, &at, &part))
            if (part.type == TR_RTCP_PSFB && part.count == TR_PSFB_PLI && tr__rtcp_media_ssrc(&part) == 5000) plis++;
    }
    CHECK_EQ(1, plis);
    world_dispose(&w);
}

static void nothing_of_a_stranger_is_taken(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 4);
    peer stranger = *a;
    stranger.path.remote.port++;
    uint8_t junk[64] = {0x80, 96};
    CHECK_EQ(TR_DROP_UNKNOWN_PATH, peer_send(&w, &stranger, junk, sizeof junk));
    junk[0] = 22;
    CHECK_EQ(TR_DROP_UNKNOWN_PATH, peer_send(&w, &stranger, junk, sizeof junk));
    junk[0] = 200;
    CHECK_EQ(TR_DROP_CLASS, peer_send(&w, &stranger, junk, sizeof junk));
    CHECK_EQ(TR_DROP_SIZE, peer_send(&w, &stranger, junk, 0));
    uint8_t large[2000] = {0x80, 96};
    CHECK_EQ(TR_DROP_SIZE, tr__engine_receive(w.engine, &a->path, large, 1501, w.now_us, w.now_us));
    CHECK_EQ(2, w.tally.drops[TR_DROP_UNKNOWN_PATH]);
    CHECK_EQ(1, w.tally.drops[TR_DROP_CLASS]);
    CHECK_EQ(2, w.tally.drops[TR_DROP_SIZE]);
    world_dispose(&w);
}

static void forged_checks_get_no_answer(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 5);
    peer liar = *a;
    liar.path.remote.port++;
    strcpy(liar.local_pwd, "wrongpasswordwrongpassword");
    uint64_t sent = tr__engine_outbox(w.engine)->count;
    for (int i = 0; i < 1000; i++) peer_check(&w, &liar);
    CHECK_EQ(sent, tr__engine_outbox(w.engine)->count);
    CHECK_EQ(1000, w.tally.drops[TR_DROP_STUN_INTEGRITY] + w.tally.drops[TR_DROP_STUN_RATE]);
    CHECK(w.tally.drops[TR_DROP_STUN_RATE] > 0);
    /* The peer behind the same address is not held back. */
    CHECK_EQ(TR_DROP_NONE, peer_check(&w, a));
    strcpy(liar.local_ufrag, "nobody");
    CHECK_EQ(TR_DROP_STUN_UNKNOWN_USER, peer_check(&w, &liar));
    world_dispose(&w);
}

static void who_waits_neither_sends_nor_receives(void)
{
    world w;
    peer *a, *b;
    world_init(&w, 6, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, false);
    b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    publish(&w, a, 1, 5000);
    publish(&w, b, 2, 6000);
    CHECK_EQ(TR_ERR_FORBIDDEN, subscribe(&w, b, 1, 1, 7000));
    CHECK_EQ(TR_ERR_FORBIDDEN, subscribe(&w, a, 2, 2, 8000));
    CHECK_EQ(TR_DROP_NOT_ADMITTED, send_frames(&w, a, 5000, 1, 1));
    tr_set_admitted admitted = {.transport = a->transport, .is_admitted = 1};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_ADMITTED, &admitted, sizeof admitted));
    tr_bind_sender bind = peer_bind(1, 1, 120, 121);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    uint64_t before = b->got_count;
    CHECK_EQ(TR_DROP_NONE, send_frames(&w, a, 5000, 2, 5));
    CHECK(b->got_count >= before + 5);
    /* Sent back to the waiting room mid-call: the bound sender falls silent at once. */
    admitted = (tr_set_admitted){.transport = b->transport, .is_admitted = 0};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_ADMITTED, &admitted, sizeof admitted));
    before = b->got_count;
    send_frames(&w, a, 5000, 7, 5);
    CHECK_EQ(before, b->got_count);
    CHECK_EQ(5, w.tally.drops[TR_DROP_NOT_ADMITTED] - 1);
    world_dispose(&w);
}

static void media_never_crosses_rooms(void)
{
    world w;
    peer *a, *b;
    world_init(&w, 7, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, true);
    b = world_add_peer(&w, 0x10002, OTHER_ROOM, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    publish(&w, a, 1, 5000);
    CHECK_EQ(TR_ERR_FORBIDDEN, subscribe(&w, b, 1, 1, 7000));
    world_dispose(&w);
}

static void replayed_and_forged_media_is_dropped_by_name(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 8);
    publish(&w, a, 1, 5000);
    subscribe(&w, b, 1, 1, 7000);
    send_frames(&w, a, 5000, 100, 3);
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, 103, 1, 5000, false, true, 103, 500);
    size = tr__srtp_seal_rtp(a->srtp, packet, size, 103);
    CHECK_EQ(TR_DROP_NONE, peer_send(&w, a, packet, size));
    for (int i = 0; i < 3; i++) CHECK_EQ(TR_DROP_SRTP_REPLAY, peer_send(&w, a, packet, size));
    size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, 104, 1, 5000, false, true, 104, 500);
    size = tr__srtp_seal_rtp(a->srtp, packet, size, 104);
    packet[size - 1] ^= 1;
    CHECK_EQ(TR_DROP_SRTP_AUTH, peer_send(&w, a, packet, size));
    packet[size - 1] ^= 1;
    CHECK_EQ(TR_DROP_NONE, peer_send(&w, a, packet, size));
    CHECK_EQ(3, w.tally.drops[TR_DROP_SRTP_REPLAY]);
    CHECK_EQ(1, w.tally.drops[TR_DROP_SRTP_AUTH]);
    world_dispose(&w);
}

static void consent_runs_out_and_comes_back(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 9);
    publish(&w, a, 1, 5000);
    subscribe(&w, b, 1, 1, 7000);
    for (int i = 0; i < 6; i++) {
        world_run(&w, 5000000);
        peer_check(&w, a);
    }
    CHECK_EQ(TR_TRANSPORT_DISCONNECTED, w.states[2]);
    uint64_t before = b->got_count;
    send_frames(&w, a, 5000, 100, 3);
    CHECK_EQ(before, b->got_count);
    CHECK_EQ(TR_DROP_NONE, peer_check(&w, b));
    world_deliver(&w);
    CHECK_EQ(TR_TRANSPORT_CONNECTED, w.states[2]);
    before = b->got_count;
    send_frames(&w, a, 5000, 103, 3);
    CHECK(b->got_count >= before + 3);
    world_dispose(&w);
}

static void an_ice_restart_moves_media_without_a_gap(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 40);
    publish(&w, a, 1, 5000);
    subscribe(&w, b, 1, 1, 7000);
    send_frames(&w, a, 5000, 1, 3);
    tr_restart_ice restart = {.transport = b->transport};
    strcpy(restart.local_ufrag, "again");
    strcpy(restart.local_pwd, "againagainagainagainagain");
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_RESTART_ICE, &restart, sizeof restart));
    uint64_t before = b->got_count;
    send_frames(&w, a, 5000, 4, 3);
    CHECK_EQ(before + 3, b->got_count); /* the old path still carries */
    CHECK_EQ(TR_DROP_NONE, peer_check(&w, b));
    world_deliver(&w);
    strcpy(b->local_ufrag, restart.local_ufrag);
    strcpy(b->local_pwd, restart.local_pwd);
    b->path.remote.port += 1000;
    CHECK_EQ(TR_DROP_NONE, peer_check(&w, b));
    world_deliver(&w);
    before = b->got_count;
    send_frames(&w, a, 5000, 7, 3);
    CHECK_EQ(before + 3, b->got_count); /* delivered by address: to the new one */
    peer old = *b;
    old.path.remote.port -= 1000;
    uint8_t junk[64] = {0x80, 96};
    CHECK_EQ(TR_DROP_UNKNOWN_PATH, peer_send(&w, &old, junk, sizeof junk));
    CHECK_EQ(0, b->auth_failures);
    world_dispose(&w);
}

static void removing_in_any_order_leaves_nothing_dangling(void)
{
    static const uint16_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}};
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        world w;
        peer *a, *b;
        two_peers(&w, &a, &b, 10 + k);
        publish(&w, a, 1, 5000);
        subscribe(&w, b, 1, 1, 7000);
        send_frames(&w, a, 5000, 1, 3);
        for (int i = 0; i < 3; i++) {
            tr_one_id one = {orders[k][i] == 0 ? a->transport : 1};
            static const uint16_t commands[] = {TR_CMD_REMOVE_TRANSPORT, TR_CMD_REMOVE_RECEIVER, TR_CMD_REMOVE_SENDER};
            int status = world_command(&w, commands[orders[k][i]], &one, sizeof one);
            CHECK(status == TR_OK || status == TR_ERR_NOT_FOUND);
            send_frames(&w, a, 5000, 10 + (uint64_t)i, 1);
        }
        CHECK_EQ(0, w.tally.senders);
        CHECK_EQ(0, w.tally.receivers);
        world_dispose(&w);
    }
}

static void bad_commands_change_nothing(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 20);
    uint8_t body[TR_RING_MAX_BODY];
    uint64_t random = 3;
    for (int i = 0; i < 20000; i++) {
        for (size_t k = 0; k < sizeof body; k += 8) {
            uint64_t r = check_random(&random);
            if (r & 1) r &= 0x0101010101010101u * (r >> 56 & 3);
            memcpy(body + k, &r, 8);
        }
        /* Never a command that may succeed in taking the two peers away. */
        uint16_t type = (uint16_t)(check_random(&random) % 20);
        if (type == TR_CMD_REMOVE_TRANSPORT || type == TR_CMD_SET_ADMITTED || type == TR_CMD_ADD_TRANSPORT) continue;
        world_command(&w, type, body, check_random(&random) % sizeof body);
        if (i % 64 == 0) world_deliver(&w);
    }
    publish(&w, a, 0x70001, 5000);
    CHECK_EQ(TR_OK, subscribe(&w, b, 0x70001, 0x70001, 7000));
    CHECK_EQ(TR_DROP_NONE, send_frames(&w, a, 5000, 1, 3));
    world_dispose(&w);
}

static void media_behind_the_last_handshake_message_is_not_lost(void)
{
    world w;
    world_init(&w, 50, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true), *b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, b));
    publish(&w, a, 1, 5000);
    subscribe(&w, b, 1, 1, 7000);
    tr_fingerprint relay;
    world_read_fingerprint(&w.relay_certificate, &relay);
    peer_check(&w, a);
    tr__dtls_set_fingerprints(a->dtls, &relay, 1);
    tr__dtls_start(a->dtls);
    /* The relay's Finished is what makes the client ready; it is delivered by hand, so that media can follow at once.
     */
    uint8_t out[1500];
    for (int i = 0; i < 8 && w.states[1] != TR_TRANSPORT_CONNECTED; i++) {
        tr_outbox *outbox = tr__engine_outbox(w.engine);
        for (uint32_t k = 0; k < outbox->count; k++) peer_receive(a, outbox->items[k].data, outbox->items[k].size);
        tr__outbox_clear(outbox);
        for (size_t size; (size = tr__dtls_next(a->dtls, out, sizeof out)) > 0;) peer_send(&w, a, out, size);
        if (i == 1) {
            /* The client's last flight waits in the queue; what it sends next overtakes the turn. */
            uint8_t packet[64] = {0x80, PEER_VP8_PT};
            CHECK_EQ(TR_DROP_SRTP_AUTH, peer_send(&w, a, packet, sizeof packet));
        }
        tr__engine_handshakes(w.engine, 2, w.now_us);
        world_take_events(&w);
    }
    CHECK_EQ(TR_TRANSPORT_CONNECTED, w.states[1]);
    CHECK_EQ(0, w.tally.drops[TR_DROP_SRTP_NO_KEYS]);
    world_dispose(&w);
}

static void a_packet_from_before_the_first_leads_no_stream_astray(void)
{
    world w;
    peer *a, *b;
    two_peers(&w, &a, &b, 60);
    publish(&w, a, 1, 5000);
    subscribe(&w, b, 1, 1, 7000);
    /* The first packet to arrive is the first after a wrap; the one before it comes late. */
    CHECK_EQ(TR_DROP_NONE, send_frames(&w, a, 5000, 65536, 1));
    uint64_t before = b->got_count;
    send_frames(&w, a, 5000, 65535, 1);
    CHECK_EQ(TR_DROP_NONE, send_frames(&w, a, 5000, 65537, 3));
    CHECK(b->got_count >= before + 3);
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, 65540, 1, 5000, false, true, 9, 900);
    CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, 65540));
    CHECK_EQ(0, w.tally.drops[TR_DROP_WAIT_KEYFRAME]); /* nothing was taken for a gap of 2^32 cycles */
    world_dispose(&w);
}

static void a_hundred_joins_overlap(void)
{
    world w;
    world_init(&w, 30, TR_CRYPTO_OPENSSL);
    peer *peers[100];
    tr_fingerprint relay;
    world_read_fingerprint(&w.relay_certificate, &relay);
    for (uint32_t i = 0; i < 100; i++) {
        peers[i] = world_add_peer(&w, 0x10001 + i, 1 + i / 2, true);
        CHECK_EQ(TR_DROP_NONE, peer_check(&w, peers[i]));
        tr__dtls_set_fingerprints(peers[i]->dtls, &relay, 1);
        tr__dtls_start(peers[i]->dtls);
    }
    for (int i = 0; i < 12; i++) world_deliver(&w);
    for (uint32_t i = 0; i < 100; i++) CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(peers[i]->dtls));
    CHECK_EQ(100, w.tally.dtls_handshakes);
    CHECK_EQ(100, w.tally.transports[TR_TRANSPORT_CONNECTED]);
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(media_of_one_peer_reaches_the_other),
    TEST(publisher_hears_transport_wide_feedback_and_reports),
    TEST(a_subscriber_makes_the_publisher_send_a_keyframe),
    TEST(nothing_of_a_stranger_is_taken),
    TEST(forged_checks_get_no_answer),
    TEST(who_waits_neither_sends_nor_receives),
    TEST(media_never_crosses_rooms),
    TEST(replayed_and_forged_media_is_dropped_by_name),
    TEST(consent_runs_out_and_comes_back),
    TEST(an_ice_restart_moves_media_without_a_gap),
    TEST(removing_in_any_order_leaves_nothing_dangling),
    TEST(bad_commands_change_nothing),
    TEST(media_behind_the_last_handshake_message_is_not_lost),
    TEST(a_packet_from_before_the_first_leads_no_stream_astray),
    TEST(a_hundred_joins_overlap),
};
CHECK_MAIN("test_engine", tests)
