/* load engine: two simulated peers and a real relay worker over loopback. */
#include "support/load_room.h"

static tl_totals totals_of(load_room *r)
{
    tl_totals totals;
    CHECK_EQ(TL_OK, tl_engine_totals(r->engine, &totals));
    return totals;
}

static bool has_two_hundred_frames(load_room *r) { return totals_of(r).video.frames >= 200; }
static bool has_nothing_in_flight(load_room *r) { return totals_of(r).media.in_flight == 0; }

static void consult(load_room *r)
{
    tl_send sends[] = {room_audio(1, 10), room_video(1, 11), room_audio(2, 20), room_video(2, 21)};
    for (uint32_t peer = 1; peer <= 2; peer++) room_add_peer(r, peer, 1);
    for (int i = 0; i < 4; i++) room_publish(r, &sends[i]);
    for (int i = 0; i < 4; i++) room_subscribe(r, 3 - sends[i].peer, (uint32_t)i, &sends[i]);
    for (uint32_t peer = 1; peer <= 2; peer++) CHECK_EQ(TL_OK, tl_engine_start_sending(r->engine, peer, room_now_ns()));
}

static void check_everything_arrives(void (*change)(load_room *))
{
    static load_room r;
    room_init(&r, change);
    consult(&r);
    CHECK(room_wait(&r, TL_EVENT_CONNECTED, 2));
    CHECK(room_wait(&r, TL_EVENT_FIRST_PACKET, 4));
    CHECK(room_until(&r, has_two_hundred_frames));
    for (uint32_t peer = 1; peer <= 2; peer++) CHECK_EQ(TL_OK, tl_engine_stop_sending(r.engine, peer));
    CHECK(room_until(&r, has_nothing_in_flight));
    tl_totals t = totals_of(&r);
    CHECK_EQ(4, t.legs);
    CHECK(t.media.sent > 500);
    CHECK_EQ(t.media.sent, t.media.received);
    CHECK_EQ(0, t.media.lost);
    CHECK_EQ(0, t.media.duplicates + t.media.reordered + t.media.auth_failures + t.media.corrupted);
    CHECK_EQ(0, t.unstamped_packets + t.unknown_packets + t.receive_overflows + t.send_errors);
    CHECK_EQ(0, t.rtcp_failures + t.stun_failures);
    CHECK(t.twcc_rx > 0);
    tl_leg legs[8];
    CHECK_EQ(4, tl_engine_legs(r.engine, legs, 8));
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(3 - legs[i].publisher, legs[i].peer);
        CHECK_EQ(legs[i].tally.sent, legs[i].tally.received);
    }
    static tl_histogram histogram;
    CHECK_EQ(TL_OK, tl_engine_histogram(r.engine, TL_HISTOGRAM_VIDEO, &histogram, 0));
    CHECK_EQ(t.video.received - t.video.repaired, histogram.count);
    CHECK(histogram.max_us < 5000000);
    for (uint32_t peer = 1; peer <= 2; peer++) CHECK_EQ(TL_OK, tl_engine_remove_peer(r.engine, peer, TL_LEAVE_CLOSE));
    CHECK(room_wait(&r, TL_EVENT_GONE, 2));
    tl_totals after = totals_of(&r);
    CHECK_EQ(t.media.sent, after.media.sent);
    CHECK_EQ(t.media.received, after.media.received);
    CHECK_EQ(t.published_packets, after.published_packets);
    CHECK_EQ(0, after.legs);
    room_dispose(&r);
}

static void a_consult_loses_nothing(void) { check_everything_arrives(NULL); }

static void each(load_room *r) { r->config.sockets = TL_SOCKETS_EACH; }
static void a_socket_for_each_peer_does_the_same(void) { check_everything_arrives(each); }

static void runs(load_room *r)
{
    r->config.has_gro = 1;
    r->config.socket_count = 3;
    r->config.srtp_profile = 1;
}
static void with_runs_received_and_another_profile_too(void) { check_everything_arrives(runs); }

static void passive(load_room *r) { r->is_passive = true; }
static void peers_may_be_dtls_servers(void) { check_everything_arrives(passive); }

static void an_id_is_free_again_after_its_peer_is_gone(void)
{
    static load_room r;
    room_init(&r, NULL);
    room_add_peer(&r, 7, 1);
    CHECK(room_wait(&r, TL_EVENT_CONNECTED, 1));
    char first[46], second[46];
    uint16_t port;
    tl_peer again = {.peer = 7, .local_ufrag = "again", .local_pwd = "0123456789012345678901", .is_controlling = 1};
    CHECK_EQ(TL_ERR_EXISTS, tl_engine_add_peer(r.engine, &again, first, &port));
    CHECK_EQ(TL_OK, tl_engine_remove_peer(r.engine, 7, TL_LEAVE_VANISH));
    CHECK(room_wait(&r, TL_EVENT_GONE, 1));
    CHECK_EQ(TL_OK, tl_engine_add_peer(r.engine, &again, first, &port));
    CHECK_EQ(TL_OK, tl_engine_remove_peer(r.engine, 7, TL_LEAVE_CLOSE));
    CHECK(room_wait(&r, TL_EVENT_GONE, 2));
    CHECK_EQ(TL_OK, tl_engine_add_peer(r.engine, &again, second, &port));
    CHECK(strcmp(first, second) != 0); /* a server may still hold the transport of the one before */
    room_dispose(&r);
}

static tl_remote nobody(uint32_t peer)
{
    tl_remote remote = {.peer = peer,
                        .ufrag = "them",
                        .pwd = "0123456789012345678901",
                        .address = "127.0.0.1",
                        .port = 9, /* discard */
                        .fingerprint_size = 32,
                        .is_dtls_client = 1};
    return remote;
}

static void impatient(load_room *r) { r->config.ice_timeout_us = 100000; }
static void a_server_that_never_answers_is_given_up(void)
{
    static load_room r;
    room_init(&r, impatient);
    char address[46];
    uint16_t port;
    tl_peer add = {.peer = 3, .local_ufrag = "lone", .local_pwd = "0123456789012345678901", .is_controlling = 1};
    tl_remote remote = nobody(3);
    CHECK_EQ(TL_OK, tl_engine_add_peer(r.engine, &add, address, &port));
    CHECK_EQ(TL_OK, tl_engine_set_remote(r.engine, &remote));
    CHECK(room_wait(&r, TL_EVENT_FAILED, 1));
    CHECK_STR("ice_timeout", r.events[r.event_count - 1].reason);
    CHECK_EQ(1, totals_of(&r).peers[TL_PEER_FAILED]);
    room_dispose(&r);
}

static void a_wrong_fingerprint_is_refused(void)
{
    static load_room r;
    room_init(&r, NULL);
    memset(r.worker_config.certificate.fingerprint, 'A', 3); /* what signalling says, not what the relay has */
    room_add_peer(&r, 3, 1);
    CHECK(room_wait(&r, TL_EVENT_FAILED, 1));
    CHECK_STR("fingerprint_mismatch", r.events[r.event_count - 1].reason);
    room_dispose(&r);
}

static void wrong_calls_are_refused_at_once(void)
{
    static load_room r;
    room_init(&r, NULL);
    char address[46];
    uint16_t port;
    tl_peer add = {.peer = 3, .local_ufrag = "lone", .local_pwd = "0123456789012345678901"};
    tl_peer far = add, brief = add;
    far.peer = 256;
    memset(brief.local_pwd, 0, sizeof brief.local_pwd);
    CHECK_EQ(TL_ERR_ARGUMENT, tl_engine_add_peer(r.engine, &far, address, &port));
    CHECK_EQ(TL_ERR_ARGUMENT, tl_engine_add_peer(r.engine, &brief, address, &port));
    tl_remote remote = nobody(3), elsewhere = nobody(3);
    CHECK_EQ(TL_ERR_NOT_FOUND, tl_engine_set_remote(r.engine, &remote));
    CHECK_EQ(TL_OK, tl_engine_add_peer(r.engine, &add, address, &port));
    snprintf(elsewhere.address, sizeof elsewhere.address, "192.0.2.1"); /* not this machine's: no use packed */
    CHECK_EQ(TL_ERR_ARGUMENT, tl_engine_set_remote(r.engine, &elsewhere));
    tl_send send = room_video(3, 5), mute = room_video(3, 6);
    mute.bitrate_bps = 0;
    CHECK_EQ(TL_OK, tl_engine_add_send(r.engine, &send));
    CHECK_EQ(TL_ERR_EXISTS, tl_engine_add_send(r.engine, &send));
    CHECK_EQ(TL_ERR_ARGUMENT, tl_engine_add_send(r.engine, &mute));
    CHECK_EQ(TL_ERR_NOT_FOUND, tl_engine_start_sending(r.engine, 4, 0));
    CHECK_EQ(TL_ERR_ARGUMENT, tl_engine_remove_peer(r.engine, 3, 9));
    CHECK_EQ(TL_ERR_STATE, tl_engine_start(r.engine));
    room_dispose(&r);
}

static void plain(load_room *r) { r->config.has_gso = 0; }
static void without_runs_too(void) { check_everything_arrives(plain); }

static const check_test tests[] = {
    TEST(a_consult_loses_nothing),
    TEST(a_socket_for_each_peer_does_the_same),
    TEST(with_runs_received_and_another_profile_too),
    TEST(without_runs_too),
    TEST(peers_may_be_dtls_servers),
    TEST(an_id_is_free_again_after_its_peer_is_gone),
    TEST(a_server_that_never_answers_is_given_up),
    TEST(a_wrong_fingerprint_is_refused),
    TEST(wrong_calls_are_refused_at_once),
};
CHECK_MAIN("test_load_engine", tests)
