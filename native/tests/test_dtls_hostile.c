/* Tests of dtls: peers that are not who they should be (A10), handshakes that are meant to fail, and what strangers
 * send into a call that is on (A11). */
#include "dtls_gate.h"

#include "support/dtls_ends.h"

/* ---- fingerprints (A10) */

static void fingerprints_decide(void)
{
    enum { RIGHT_256 = 1, RIGHT_384 = 2, RIGHT_512 = 4, WRONG = 8, SHA1 = 16, EMPTY = 32, CUT = 64 };
    static const struct {
        int given;
        tr_dtls_state expected;
    } rows[] = {
        {0, TR_DTLS_UNVERIFIED},
        {EMPTY, TR_DTLS_UNVERIFIED},
        {RIGHT_256, TR_DTLS_CONNECTED},
        {RIGHT_384, TR_DTLS_CONNECTED},
        {RIGHT_512, TR_DTLS_CONNECTED},
        {WRONG, TR_DTLS_FAILED},
        {WRONG | RIGHT_256, TR_DTLS_CONNECTED},
        {EMPTY | WRONG | RIGHT_512, TR_DTLS_CONNECTED},
        {SHA1, TR_DTLS_FAILED}, /* right, but too weak to count */
        {CUT, TR_DTLS_FAILED},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int late = 0; late < 2; late++)
            for (int is_client = 0; is_client < 2; is_client++) {
                tr_dtls *dtls = tr__dtls_new(context, is_client);
                peer *p = peer_new_ec(!is_client, ALL_PROFILES, 1200);
                X509 *cert = SSL_get_certificate(p->ssl);
                tr_fingerprint given[TR_MAX_FINGERPRINTS] = {{0}};
                size_t count = 0;
                if (rows[r].given & EMPTY) count++;
                if (rows[r].given & WRONG) {
                    given[count] = peer_fingerprint(p);
                    given[count++].bytes[31] ^= 1;
                }
                if (rows[r].given & CUT) {
                    given[count] = peer_fingerprint_of(cert, EVP_sha256());
                    given[count++].size = 31;
                }
                if (rows[r].given & SHA1) given[count++] = peer_fingerprint_of(cert, EVP_sha1());
                if (rows[r].given & RIGHT_256) given[count++] = peer_fingerprint_of(cert, EVP_sha256());
                if (rows[r].given & RIGHT_384) given[count++] = peer_fingerprint_of(cert, EVP_sha384());
                if (rows[r].given & RIGHT_512) given[count++] = peer_fingerprint_of(cert, EVP_sha512());
                if (!late) tr__dtls_set_fingerprints(dtls, given, count);
                tr__dtls_start(dtls);
                talk_peer(dtls, p);
                if (late) {
                    CHECK_EQ(TR_DTLS_UNVERIFIED, tr__dtls_state_of(dtls));
                    tr__dtls_set_fingerprints(dtls, given, count);
                }
                CHECK_EQ(rows[r].expected, tr__dtls_state_of(dtls));
                tr_srtp *srtp = tr__dtls_make_srtp(dtls, crypto);
                CHECK_EQ(rows[r].expected == TR_DTLS_CONNECTED, srtp != NULL);
                CHECK_STR(rows[r].expected == TR_DTLS_FAILED ? "fingerprint_mismatch" : "", tr__dtls_reason(dtls));
                uint8_t byte = 0;
                CHECK_EQ(rows[r].expected == TR_DTLS_CONNECTED ? TR_OK : TR_ERR_STATE, tr__dtls_write(dtls, &byte, 1));
                tr__srtp_free(srtp);
                peer_free(p);
                tr__dtls_free(dtls);
            }
}

static void new_fingerprints_are_checked_against_the_connected_peer(void)
{
    couple c = make_connected();
    tr_fingerprint f = our_fingerprint();
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_set_fingerprints(c.server, &f, 1));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_set_fingerprints(c.server, NULL, 0));
    f.bytes[0] ^= 1;
    CHECK_EQ(TR_DTLS_FAILED, tr__dtls_set_fingerprints(c.server, &f, 1));
    CHECK_STR("fingerprint_mismatch", tr__dtls_reason(c.server));
    CHECK(tr__dtls_make_srtp(c.server, crypto) == NULL);
    free_couple(&c);
}

static void a_stolen_certificate_does_not_complete(void)
{
    EVP_PKEY *victim = EVP_EC_gen("P-256"), *thief = EVP_EC_gen("P-256");
    X509 *cert = peer_certificate(victim);
    tr_fingerprint f = peer_fingerprint_of(cert, EVP_sha256());
    tr_dtls *server = tr__dtls_new(context, false);
    tr__dtls_set_fingerprints(server, &f, 1);
    peer *p = peer_new(1, cert, peer_forged_key(victim, thief), ALL_PROFILES, 1200);
    CHECK_EQ(1, SSL_check_private_key(p->ssl)); /* OpenSSL sees nothing wrong with it */
    CHECK(talk_peer(server, p) != 1);
    CHECK(tr__dtls_state_of(server) == TR_DTLS_NEW || tr__dtls_state_of(server) == TR_DTLS_HANDSHAKE);
    CHECK(tr__dtls_make_srtp(server, crypto) == NULL);
    peer_free(p);
    /* The owner comes, and is let in. */
    X509 *again = peer_certificate(victim);
    f = peer_fingerprint_of(again, EVP_sha256());
    tr__dtls_set_fingerprints(server, &f, 1);
    p = peer_new(1, again, victim, ALL_PROFILES, 1200);
    CHECK_EQ(1, talk_peer(server, p));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(server));
    peer_free(p);
    EVP_PKEY_free(thief);
    tr__dtls_free(server);
}

static void a_client_must_show_a_certificate(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new(1, NULL, NULL, ALL_PROFILES, 1200);
    CHECK(talk_peer(server, p) != 1);
    CHECK(tr__dtls_state_of(server) <= TR_DTLS_HANDSHAKE);
    peer_free(p);
    tr__dtls_free(server);
}

/* ---- failing and beginning anew */

static void a_server_begins_anew_but_not_for_ever(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    int failures = 0;
    while (tr__dtls_state_of(server) != TR_DTLS_FAILED && failures < 100) {
        peer *p = peer_new(1, NULL, NULL, ALL_PROFILES, 1200); /* fails after our flight */
        talk_peer(server, p);
        peer_free(p);
        failures++;
    }
    CHECK_EQ(9, failures);
    CHECK_STR("dtls_handshake", tr__dtls_reason(server));
    CHECK_EQ(UINT64_MAX, tr__dtls_timeout_us(server));
    CHECK_EQ(TR_DTLS_FAILED, tr__dtls_on_timer(server));
    uint8_t junk[20] = {22, 0xfe, 0xfd};
    CHECK_EQ(TR_DROP_DTLS_STATE, feed(server, junk, 13));
    tr__dtls_free(server);
}

/* 10,000 bad hellos cost no signature, are answered by nothing, and do not keep the true peer out. */
static void junk_hellos_do_not_end_a_session(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    peer_step(p, NULL, 0);
    for (int i = 0; i < 10000; i++) {
        uint8_t hello[PEER_BYTES];
        size_t size = p->out.sizes[0];
        memcpy(hello, p->out.bytes[0], size);
        uint8_t *body = hello + TR_DTLS_RECORD_HEADER + 12;
        switch (i % 4) {
        case 0:
            memset(body + 34, 0xff, 40);
            break; /* session id longer than the message */
        case 1:
            body[0] = 0xff;
            break; /* older than any version */
        case 2:
            tr__store24(hello + TR_DTLS_RECORD_HEADER + 1, 3000);
            break; /* claims more than it will ever send */
        case 3:
            memset(body + 36, 0, 30);
            break;
        }
        feed(server, hello, size);
        CHECK_EQ(0, discard(server));
        CHECK(tr__dtls_state_of(server) <= TR_DTLS_HANDSHAKE);
    }
    tr_fingerprint f = peer_fingerprint(p);
    tr__dtls_set_fingerprints(server, &f, 1);
    CHECK_EQ(1, talk_peer(server, p));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(server));
    peer_free(p);
    tr__dtls_free(server);
}

static void an_older_version_is_not_spoken(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    SSL_set_min_proto_version(p->ssl, DTLS1_VERSION);
    SSL_set_max_proto_version(p->ssl, DTLS1_VERSION);
    SSL_set_cipher_list(p->ssl, "ALL:@SECLEVEL=0");
    CHECK(talk_peer(server, p) != 1);
    CHECK(tr__dtls_state_of(server) <= TR_DTLS_HANDSHAKE);
    peer_free(p);
    tr__dtls_free(server);
}

/* A forged alert in the clear, between any two flights, ends nothing. */
static void forged_alerts_do_not_end_a_handshake(void)
{
    static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
    static peer_datagrams list;
    couple c = make_couple();
    tr__dtls_start(c.client);
    for (int turn = 0; turn < 10; turn++) {
        tr_dtls *from = turn % 2 ? c.server : c.client, *to = turn % 2 ? c.client : c.server;
        list.count = 0;
        drain(from, &list);
        for (size_t i = 0; i < list.count; i++) {
            CHECK_EQ(TR_DROP_DTLS_STATE, feed(to, alert, sizeof alert));
            CHECK_EQ(TR_DROP_NONE, feed(to, list.bytes[i], list.sizes[i]));
            CHECK_EQ(TR_DROP_DTLS_STATE, feed(from, alert, sizeof alert));
        }
    }
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    free_couple(&c);
}

/* ---- a call is on (A11) */

static void nothing_unauthenticated_disturbs_a_call(void)
{
    couple c = make_connected();
    tr_srtp *a = tr__dtls_make_srtp(c.client, crypto), *b = tr__dtls_make_srtp(c.server, crypto);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    peer_step(p, NULL, 0);
    uint64_t seed = 5;
    for (int i = 0; i < 10000; i++) {
        CHECK_EQ(TR_DROP_DTLS_STATE, feed(c.server, p->out.bytes[0], p->out.sizes[0])); /* a second hello */
        uint8_t junk[77] = {0};
        for (size_t n = 0; n < sizeof junk; n++) junk[n] = (uint8_t)check_random(&seed);
        junk[0] = (uint8_t)(20 + i % 5);
        junk[1] = 0xfe;
        junk[2] = 0xfd;
        tr__store16(junk + 3, (uint16_t)(i / 5 % 3)); /* epochs 0, 1 and 2 */
        tr__store16(junk + 5, 0);
        tr__store16(junk + 11, (uint16_t)(i % 65)); /* 0 to 64 bytes */
        CHECK(feed(c.server, junk, 13 + (size_t)(i % 65)) != TR_DROP_NONE || junk[0] == TR_DTLS_HANDSHAKE_RECORD);
        feed(c.client, junk, 13 + (size_t)(i % 65));
        CHECK(feed(c.server, junk, (size_t)(i % 13)) != TR_DROP_NONE); /* not even a header */
    }
    CHECK_EQ(0, discard(c.server));
    CHECK_EQ(0, discard(c.client));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    check_media(a, b);
    check_media(b, a);
    check_data(&c);
    tr__srtp_free(a);
    tr__srtp_free(b);
    peer_free(p);
    free_couple(&c);
}

static void a_repeated_record_is_refused(void)
{
    couple c = make_connected();
    peer_datagrams *list = calloc(1, sizeof *list);
    uint8_t out[64];
    CHECK_EQ(TR_OK, tr__dtls_write(c.client, (const uint8_t *)"once", 4));
    drain(c.client, list);
    CHECK_EQ(TR_DROP_NONE, feed(c.server, list->bytes[0], list->sizes[0]));
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(c.server, list->bytes[0], list->sizes[0]));
    CHECK_EQ(4, tr__dtls_read(c.server, out, sizeof out));
    CHECK_EQ(0, tr__dtls_read(c.server, out, sizeof out));
    CHECK_EQ(TR_OK, tr__dtls_write(c.client, (const uint8_t *)"soiled", 6));
    list->count = 0;
    drain(c.client, list);
    list->bytes[0][list->sizes[0] - 1] ^= 1;
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(c.server, list->bytes[0], list->sizes[0]));
    CHECK_EQ(0, tr__dtls_read(c.server, out, sizeof out));
    check_data(&c);
    free(list);
    free_couple(&c);
}

static void a_peer_cannot_renegotiate(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    tr_fingerprint f = peer_fingerprint(p);
    tr__dtls_set_fingerprints(server, &f, 1);
    CHECK_EQ(1, talk_peer(server, p));
    tr_srtp *before = tr__dtls_make_srtp(server, crypto);
    SSL_renegotiate(p->ssl);
    peer_step(p, NULL, 0);
    CHECK(p->out.count > 0);
    for (size_t i = 0; i < p->out.count; i++) CHECK_EQ(TR_DROP_NONE, feed(server, p->out.bytes[i], p->out.sizes[i]));
    CHECK(discard(server) <= 1); /* "no" */
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(server));
    tr_srtp *after = tr__dtls_make_srtp(server, crypto);
    uint8_t x[64] = {0x80}, y[64] = {0x80};
    CHECK_EQ(tr__srtp_seal_rtp(before, x, 32, 0), tr__srtp_seal_rtp(after, y, 32, 0));
    CHECK_BYTES(x, y, 48); /* the keys are the same */
    tr__srtp_free(before);
    tr__srtp_free(after);
    peer_free(p);
    tr__dtls_free(server);
}

static const check_test tests[] = {
    TEST(open_context),
    TEST(fingerprints_decide),
    TEST(new_fingerprints_are_checked_against_the_connected_peer),
    TEST(a_stolen_certificate_does_not_complete),
    TEST(a_client_must_show_a_certificate),
    TEST(a_server_begins_anew_but_not_for_ever),
    TEST(junk_hellos_do_not_end_a_session),
    TEST(an_older_version_is_not_spoken),
    TEST(forged_alerts_do_not_end_a_handshake),
    TEST(nothing_unauthenticated_disturbs_a_call),
    TEST(a_repeated_record_is_refused),
    TEST(a_peer_cannot_renegotiate),
    TEST(close_context),
};
CHECK_MAIN("dtls_hostile", tests)
