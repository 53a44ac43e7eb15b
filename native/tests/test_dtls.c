/* Tests of dtls: handshakes on clean and on bad lines, with ourselves and with bare OpenSSL ends; data; closing. What
 * strangers send is in test_dtls_hostile.c, the gate and its limits in test_dtls_gate.c. */
#include "wire.h"

#include "support/dtls_ends.h"

/* ---- handshakes */

static void two_ends_connect_and_share_keys(void)
{
    couple c = make_couple();
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_state_of(c.server));
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_start(c.server)); /* a server does not open */
    CHECK_EQ(UINT64_MAX, tr__dtls_timeout_us(c.client));
    CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_start(c.client));
    CHECK(tr__dtls_timeout_us(c.client) <= TIMEOUT_US);
    CHECK(tr__dtls_make_srtp(c.client, crypto) == NULL);
    CHECK_EQ(TR_SRTP_NONE, tr__dtls_profile(c.client));
    talk(c.client, c.server);
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    CHECK_EQ(TR_SRTP_AEAD_AES_128_GCM, tr__dtls_profile(c.server));
    CHECK_EQ(UINT64_MAX, tr__dtls_timeout_us(c.client));
    CHECK_EQ(UINT64_MAX, tr__dtls_timeout_us(c.server));
    CHECK_STR("", tr__dtls_reason(c.server));
    check_couple(&c);
    check_data(&c);
    free_couple(&c);
    tr__dtls_free(NULL);
}

static void an_unusable_certificate_makes_no_context(void)
{
    tr_certificate other = certificate, broken = certificate;
    CHECK_EQ(TR_OK, tr_certificate_make(&other));
    memcpy(broken.key_pem, other.key_pem, sizeof broken.key_pem);
    CHECK(tr__dtls_context_new(&broken) == NULL);
    broken.cert_pem[0] = '\0';
    CHECK(tr__dtls_context_new(&broken) == NULL);
}

/* Flights are lost, doubled and swapped; timers fire when the line is quiet. */
static void handshakes_survive_a_bad_line(void)
{
    static peer_datagrams lines[2];
    size_t worst = 0;
    for (uint64_t run = 1; run <= 40; run++) {
        uint64_t seed = run;
        unsigned loss = (unsigned)(run % 4) * 12; /* percent: 0 to 36 */
        tr__dtls_context_set_first_timeout(context, FIRST_TIMEOUT_US);
        couple c = make_couple();
        tr_dtls *ends[2] = {c.client, c.server};
        tr__dtls_start(c.client);
        size_t turns = 0;
        while (turns < 400 &&
               (tr__dtls_state_of(c.client) != TR_DTLS_CONNECTED || tr__dtls_state_of(c.server) != TR_DTLS_CONNECTED)) {
            turns++;
            bool is_quiet = true;
            for (int e = 0; e < 2; e++) drain(ends[e], &lines[e]);
            for (int e = 0; e < 2; e++) {
                peer_datagrams *line = &lines[e];
                if (!line->count) continue;
                is_quiet = false;
                size_t i = check_random(&seed) % 4 == 0 ? check_random(&seed) % line->count : 0;
                if (check_random(&seed) % 100 >= loss) feed(ends[!e], line->bytes[i], line->sizes[i]);
                if (check_random(&seed) % 10 == 0) continue; /* it will come again */
                line->count--;
                memmove(line->sizes + i, line->sizes + i + 1, (line->count - i) * sizeof *line->sizes);
                memmove(line->bytes + i, line->bytes + i + 1, (line->count - i) * sizeof *line->bytes);
            }
            if (is_quiet) wait_for_timers(ends);
            CHECK(tr__dtls_state_of(c.client) != TR_DTLS_FAILED);
        }
        if (turns > worst) worst = turns;
        CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
        CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
        if (tr__dtls_state_of(c.server) == TR_DTLS_CONNECTED) check_couple(&c);
        lines[0].count = lines[1].count = 0;
        free_couple(&c);
    }
    tr__dtls_context_set_first_timeout(context, TIMEOUT_US);
    printf("dtls: bad lines took up to %zu turns\n", worst);
}

/* Twenty at once, each way losing a fifth of its datagrams, with the timers a call has: all connect, and none takes
 * longer than a caller waits. Lost flights are OpenSSL's to send again, at 200 ms, 400 ms, 800 ms and so on. */
static void twenty_of_twenty_connect_at_20_percent_loss(void)
{
    enum { COUPLES = 20, LOSS_PERCENT = 20, DEADLINE_MS = 20000 };
    static peer_datagrams line;
    tr__dtls_context_set_first_timeout(context, 200000);
    couple couples[COUPLES];
    uint64_t seeds[COUPLES];
    unsigned lost = 0, sent = 0, connected = 0, waited_ms = 0;
    for (int i = 0; i < COUPLES; i++) {
        couples[i] = make_couple();
        seeds[i] = 1000u + (uint64_t)i;
        tr__dtls_start(couples[i].client);
    }
    for (; waited_ms < DEADLINE_MS && connected < COUPLES; waited_ms += 5) {
        connected = 0;
        for (int i = 0; i < COUPLES; i++) {
            tr_dtls *ends[2] = {couples[i].client, couples[i].server};
            for (int e = 0; e < 2; e++) {
                if (tr__dtls_timeout_us(ends[e]) == 0) tr__dtls_on_timer(ends[e]);
                line.count = 0;
                drain(ends[e], &line);
                for (size_t d = 0; d < line.count; d++, sent++) {
                    if (check_random(&seeds[i]) % 100 < LOSS_PERCENT)
                        lost++;
                    else
                        feed(ends[!e], line.bytes[d], line.sizes[d]);
                }
            }
            connected +=
                tr__dtls_state_of(ends[0]) == TR_DTLS_CONNECTED && tr__dtls_state_of(ends[1]) == TR_DTLS_CONNECTED;
        }
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    CHECK_EQ(COUPLES, connected);
    CHECK(lost * 100 > sent * 10); /* the line was bad indeed */
    for (int i = 0; i < COUPLES; i++) {
        if (tr__dtls_state_of(couples[i].server) == TR_DTLS_CONNECTED) check_couple(&couples[i]);
        free_couple(&couples[i]);
    }
    tr__dtls_context_set_first_timeout(context, TIMEOUT_US);
    printf("dtls: 20 of 20 at 20 %% loss each way: %u of %u datagrams lost, the last after %u ms\n", lost, sent,
           waited_ms);
}

/* A browser's hello takes two datagrams (post-quantum key share), and they may change places. */
static void a_split_hello_is_joined_in_any_order(void)
{
    static const unsigned mtus[] = {256, 400, 600, 1200};
    for (size_t m = 0; m < sizeof mtus / sizeof *mtus; m++)
        for (int order = 0; order < 3; order++) {
            tr_dtls *server = tr__dtls_new(context, false);
            peer *p = peer_new_ec(1, ALL_PROFILES, mtus[m]);
            uint8_t names[1300];
            for (size_t i = 0; i < sizeof names; i++) names[i] = i % 50 ? 'x' : 49;
            SSL_set_alpn_protos(p->ssl, names, sizeof names);
            peer_step(p, NULL, 0);
            CHECK(p->out.count >= 2);
            if (order) /* backwards */
                for (size_t i = p->out.count; i-- > 0;) {
                    CHECK_EQ(TR_DTLS_HANDSHAKE * (i + 1 < p->out.count), tr__dtls_state_of(server));
                    CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[i], p->out.sizes[i]));
                    if (order == 2) CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[i], p->out.sizes[i])); /* twice */
                }
            else
                for (size_t i = 0; i < p->out.count; i++)
                    CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[i], p->out.sizes[i]));
            p->out.count = 0;
            CHECK_EQ(1, talk_peer(server, p));
            CHECK_EQ(TR_DTLS_UNVERIFIED, tr__dtls_state_of(server));
            tr_fingerprint f = peer_fingerprint(p);
            CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_set_fingerprints(server, &f, 1));
            peer_free(p);
            tr__dtls_free(server);
        }
}

static void peers_of_other_kinds_connect(void)
{
    static const struct {
        const char *key, *ciphers, *groups;
        int server_too;
    } rows[] = {
        {"P-256", NULL, NULL, 1},
        {"P-384", NULL, "P-384", 1},
        {"RSA", NULL, NULL, 1}, /* webrtcbin */
        {"P-256", "ECDHE-ECDSA-AES256-GCM-SHA384", "X25519", 1},
        {"P-256", "ECDHE-ECDSA-CHACHA20-POLY1305", "P-256", 1},
        {"P-256", "ECDHE-ECDSA-AES128-SHA", NULL, 1},
        {"RSA", "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA", NULL, 1},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int is_client = 0; is_client < 2; is_client++) {
            EVP_PKEY *key = strcmp(rows[r].key, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(rows[r].key);
            peer *p = peer_new(!is_client, peer_certificate(key), key, ALL_PROFILES, 1200);
            if (rows[r].ciphers) SSL_set_cipher_list(p->ssl, rows[r].ciphers);
            /* A server's groups must hold our certificate's curve too. */
            if (rows[r].groups)
                SSL_set1_groups_list(p->ssl, strcmp(rows[r].groups, "P-256") ? "X25519:P-384:P-256" : "P-256");
            tr_dtls *dtls = tr__dtls_new(context, is_client);
            tr_fingerprint f = peer_fingerprint(p);
            tr__dtls_set_fingerprints(dtls, &f, 1);
            tr__dtls_start(dtls);
            talk_peer(dtls, p);
            CHECK_EQ(1, SSL_is_init_finished(p->ssl));
            CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(dtls));
            CHECK_EQ(DTLS1_2_VERSION, SSL_version(p->ssl));
            peer_free(p);
            tr__dtls_free(dtls);
        }
}

static void the_srtp_profile_is_our_choice_of_what_is_offered(void)
{
    static const struct {
        const char *offered;
        tr_srtp_profile expected;
    } rows[] = {
        {ALL_PROFILES, TR_SRTP_AEAD_AES_128_GCM},
        {"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", TR_SRTP_AEAD_AES_256_GCM},
        {"SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", TR_SRTP_AES128_CM_SHA1_80},
        {"SRTP_AES128_CM_SHA1_32", TR_SRTP_NONE}, /* A08: no 32-bit tag */
        {NULL, TR_SRTP_NONE},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        tr_dtls *server = tr__dtls_new(context, false);
        peer *p = peer_new_ec(1, rows[r].offered, 1200);
        tr_fingerprint f = peer_fingerprint(p);
        tr__dtls_set_fingerprints(server, &f, 1);
        talk_peer(server, p);
        CHECK_EQ(rows[r].expected, tr__dtls_profile(server));
        if (rows[r].expected == TR_SRTP_NONE) {
            CHECK_EQ(TR_DTLS_FAILED, tr__dtls_state_of(server));
            CHECK_STR("no_srtp_profile", tr__dtls_reason(server));
            CHECK(tr__dtls_make_srtp(server, crypto) == NULL);
        } else {
            /* The exporter of the other end gives the same keys (RFC 5764, 4.2). */
            uint8_t m[92];
            size_t k = tr__srtp_key_size(rows[r].expected), s = tr__srtp_salt_size(rows[r].expected);
            CHECK_EQ(1, SSL_export_keying_material(p->ssl, m, 2 * (k + s), "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0));
            tr_srtp *theirs = tr__srtp_new(crypto, rows[r].expected, m + k, m + 2 * k + s, m, m + 2 * k);
            tr_srtp *ours = tr__dtls_make_srtp(server, crypto);
            CHECK(ours != NULL);
            check_media(theirs, ours);
            check_media(ours, theirs);
            tr__srtp_free(theirs);
            tr__srtp_free(ours);
        }
        peer_free(p);
        tr__dtls_free(server);
    }
}

static void an_unanswered_hello_is_sent_again_at_doubling_intervals(void)
{
    tr__dtls_context_set_first_timeout(context, 2 * FIRST_TIMEOUT_US);
    couple c = make_couple();
    tr__dtls_start(c.client);
    size_t flights = discard(c.client);
    CHECK_EQ(1, flights);
    uint64_t waits[4];
    for (int i = 0; i < 4; i++) {
        waits[i] = tr__dtls_timeout_us(c.client);
        tr__dtls_on_timer(c.client); /* too early: nothing happens */
        CHECK_EQ(0, discard(c.client));
        wait_for_timers((tr_dtls *[2]){c.client, c.server});
        flights += discard(c.client);
    }
    CHECK_EQ(5, flights);
    for (int i = 1; i < 4; i++) CHECK(waits[i] > waits[i - 1] * 3 / 2); /* doubling, less what has passed */
    CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_state_of(c.client));
    tr__dtls_context_set_first_timeout(context, TIMEOUT_US);
    free_couple(&c);
}

static void the_last_flight_is_sent_again_when_it_was_lost(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    peer_datagrams *list = calloc(1, sizeof *list);
    peer_step(p, NULL, 0);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < p->out.count; i++) feed(server, p->out.bytes[i], p->out.sizes[i]);
        p->out.count = list->count = 0;
        drain(server, list);
        if (turn == 0)
            for (size_t i = 0; i < list->count; i++) peer_step(p, list->bytes[i], list->sizes[i]);
    }
    CHECK_EQ(TR_DTLS_UNVERIFIED, tr__dtls_state_of(server));
    CHECK(list->count > 0); /* and is lost */
    CHECK(!SSL_is_init_finished(p->ssl));
    struct timespec nap = {0, 210 * 1000 * 1000};
    nanosleep(&nap, NULL);
    DTLSv1_handle_timeout(p->ssl);
    CHECK(p->out.count > 0);
    CHECK_EQ(1, talk_peer(server, p));
    CHECK_EQ(TR_DTLS_UNVERIFIED, tr__dtls_state_of(server));
    free(list);
    peer_free(p);
    tr__dtls_free(server);
}

/* A13: while a flight waits in the queue the timer adds none, and what overflows is lost whole. */
static void a_flight_that_waits_is_not_made_twice(void)
{
    couple c = make_couple();
    tr__dtls_start(c.client);
    wait_for_timers((tr_dtls *[2]){c.client, c.server});
    for (int i = 0; i < 10; i++) tr__dtls_on_timer(c.client);
    peer_datagrams *list = calloc(1, sizeof *list);
    drain(c.client, list);
    CHECK_EQ(1, list->count);
    CHECK_EQ(TR_DROP_NONE, feed(c.server, list->bytes[0], list->sizes[0]));
    for (int i = 0; i < 50; i++) tr__dtls_on_timer(c.server); /* the flight is not taken away meanwhile */
    talk(c.client, c.server);
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    free(list);
    free_couple(&c);
}

/* ---- data */

static void data_waits_for_verification(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    CHECK_EQ(1, talk_peer(server, p));
    CHECK_EQ(4, SSL_write(p->ssl, "soon", 4));
    CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[0], p->out.sizes[0]));
    uint8_t out[64];
    CHECK_EQ(0, tr__dtls_read(server, out, sizeof out));
    CHECK_EQ(TR_ERR_STATE, tr__dtls_write(server, out, 1));
    tr_fingerprint f = peer_fingerprint(p);
    tr__dtls_set_fingerprints(server, &f, 1);
    CHECK_EQ(4, tr__dtls_read(server, out, sizeof out));
    CHECK_BYTES("soon", out, 4);
    peer_free(p);
    tr__dtls_free(server);
}

static void data_of_an_unverified_peer_is_thrown_away(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    CHECK_EQ(1, talk_peer(server, p));
    for (int i = 0; i < 100; i++) { /* more than any queue holds */
        uint8_t data[1000] = {0};
        p->out.count = 0;
        SSL_write(p->ssl, data, sizeof data);
        CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[0], p->out.sizes[0]));
    }
    p->out.count = 0;
    SSL_shutdown(p->ssl);
    feed(server, p->out.bytes[0], p->out.sizes[0]);
    CHECK_EQ(TR_DTLS_CLOSED, tr__dtls_state_of(server));
    uint8_t out[TR_MAX_DATAGRAM];
    CHECK_EQ(0, tr__dtls_read(server, out, sizeof out));
    peer_free(p);
    tr__dtls_free(server);
}

static void writes_never_stop_half_way(void)
{
    couple c = make_connected();
    uint8_t data[TR_MAX_DATAGRAM] = {0}, out[TR_MAX_DATAGRAM];
    CHECK_EQ(TR_ERR_ARGUMENT, tr__dtls_write(c.client, data, 0));
    CHECK_EQ(TR_ERR_ARGUMENT, tr__dtls_write(c.client, data, sizeof data));
    int taken = 0;
    for (int i = 0; i < 20; i++) {
        tr__store16(data, (uint16_t)i);
        int status = tr__dtls_write(c.client, data, 1100);
        if (status == TR_OK)
            taken++;
        else
            CHECK_EQ(TR_ERR_FULL, status);
    }
    CHECK_EQ(3, taken);
    for (int i = 0; i < taken; i++) {
        size_t size = tr__dtls_next(c.client, out, sizeof out);
        CHECK_EQ(TR_DROP_NONE, feed(c.server, out, size));
        CHECK_EQ(1100, tr__dtls_read(c.server, data, sizeof data));
        CHECK_EQ(i, tr__load16(data));
    }
    check_data(&c);
    /* The largest that is taken fits a datagram; a room too small loses it and nothing else. */
    CHECK_EQ(TR_OK, tr__dtls_write(c.client, data, TR_MAX_DATAGRAM - 80));
    CHECK_EQ(0, tr__dtls_next(c.client, out, 100));
    CHECK_EQ(0, tr__dtls_next(c.client, out, sizeof out));
    check_data(&c);
    free_couple(&c);
}

static void closing_tells_the_peer(void)
{
    couple c = make_connected();
    CHECK_EQ(TR_OK, tr__dtls_write(c.client, (const uint8_t *)"last words", 10));
    tr__dtls_close(c.client);
    tr__dtls_close(c.client);
    CHECK_EQ(TR_DTLS_CLOSED, tr__dtls_state_of(c.client));
    peer_datagrams *list = calloc(1, sizeof *list);
    drain(c.client, list);
    for (size_t i = 0; i < list->count; i++) CHECK_EQ(TR_DROP_NONE, feed(c.server, list->bytes[i], list->sizes[i]));
    CHECK_EQ(TR_DTLS_CLOSED, tr__dtls_state_of(c.server));
    uint8_t out[64];
    CHECK_EQ(10, tr__dtls_read(c.server, out, sizeof out));
    CHECK_EQ(TR_ERR_STATE, tr__dtls_write(c.server, out, 1));
    CHECK(tr__dtls_make_srtp(c.server, crypto) == NULL);
    CHECK_EQ(TR_DROP_DTLS_STATE, feed(c.server, list->bytes[0], list->sizes[0]));
    free(list);
    free_couple(&c);
}

static const check_test tests[] = {
    TEST(open_context),
    TEST(two_ends_connect_and_share_keys),
    TEST(an_unusable_certificate_makes_no_context),
    TEST(handshakes_survive_a_bad_line),
    TEST(twenty_of_twenty_connect_at_20_percent_loss),
    TEST(a_split_hello_is_joined_in_any_order),
    TEST(peers_of_other_kinds_connect),
    TEST(the_srtp_profile_is_our_choice_of_what_is_offered),
    TEST(an_unanswered_hello_is_sent_again_at_doubling_intervals),
    TEST(the_last_flight_is_sent_again_when_it_was_lost),
    TEST(a_flight_that_waits_is_not_made_twice),
    TEST(data_waits_for_verification),
    TEST(data_of_an_unverified_peer_is_thrown_away),
    TEST(writes_never_stop_half_way),
    TEST(closing_tells_the_peer),
    TEST(close_context),
};
CHECK_MAIN("dtls", tests)
