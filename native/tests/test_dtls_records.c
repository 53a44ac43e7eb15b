/* Tests of dtls_records: what follows a handshake, held against bare OpenSSL ends that know nothing of ours. What
 * happens before is in test_dtls.c. */
#include "dtls_records.h"

#include "support/dtls_ends.h"

/* A connection with OpenSSL, as the client or the server, with one suite. */
typedef struct pair {
    tr_dtls *dtls;
    peer *peer;
} pair;

static pair connected(bool is_client, const char *ciphers)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    pair p = {tr__dtls_new(context, is_client), peer_new(!is_client, peer_certificate(key), key, ALL_PROFILES, 1200)};
    if (ciphers) SSL_set_cipher_list(p.peer->ssl, ciphers);
    tr_fingerprint f = peer_fingerprint(p.peer);
    tr__dtls_set_fingerprints(p.dtls, &f, 1);
    tr__dtls_start(p.dtls);
    talk_peer(p.dtls, p.peer);
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(p.dtls));
    p.peer->out.count = 0;
    return p;
}

static void free_pair(pair *p)
{
    peer_free(p->peer);
    tr__dtls_free(p->dtls);
}

/* What OpenSSL makes of our next datagram; its size, or less than 1. */
static int peer_reads(pair *p, uint8_t *out, int room)
{
    static uint8_t datagram[TR_MAX_DATAGRAM];
    p->peer->in_size = tr__dtls_next(p->dtls, datagram, sizeof datagram);
    p->peer->in = p->peer->in_size ? datagram : NULL;
    int size = SSL_read(p->peer->ssl, out, room);
    p->peer->in = NULL;
    return size;
}

/* One record of the peer's, kept in `record`; its size. */
static size_t peer_writes(pair *p, const void *data, int size, uint8_t record[PEER_BYTES])
{
    p->peer->out.count = 0;
    CHECK_EQ(size, SSL_write(p->peer->ssl, data, size));
    CHECK_EQ(1, p->peer->out.count);
    memcpy(record, p->peer->out.bytes[0], p->peer->out.sizes[0]);
    return p->peer->out.sizes[0];
}

static const char *const suites[] = {
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA", /* stays with OpenSSL */
};
enum { SUITES = sizeof suites / sizeof *suites };

/* ---- tests */

static void openssl_reads_what_we_write_and_we_what_it_writes(void)
{
    for (size_t i = 0; i < 2 * SUITES; i++) {
        pair p = connected(i % 2, suites[i / 2]);
        uint8_t sent[1100], record[PEER_BYTES], out[TR_MAX_DATAGRAM];
        for (int turn = 0; turn < 100; turn++) {
            size_t size = turn == 0 ? 1 : (size_t)(turn * 11);
            memset(sent, turn, sizeof sent);
            CHECK_EQ(TR_OK, tr__dtls_write(p.dtls, sent, size));
            CHECK_EQ((int)size, peer_reads(&p, out, sizeof out));
            CHECK_BYTES(sent, out, size);
            size_t bytes = peer_writes(&p, sent, (int)size, record);
            CHECK_EQ(TR_DROP_NONE, feed(p.dtls, record, bytes));
            CHECK_EQ(size, tr__dtls_read(p.dtls, out, sizeof out));
            CHECK_BYTES(sent, out, size);
        }
        free_pair(&p);
    }
}

static void either_side_may_close(void)
{
    for (size_t i = 0; i < 2 * SUITES; i++) {
        pair p = connected(i % 2, suites[i / 2]);
        uint8_t out[64];
        tr__dtls_close(p.dtls);
        CHECK_EQ(TR_DTLS_CLOSED, tr__dtls_state_of(p.dtls));
        CHECK_EQ(0, peer_reads(&p, out, sizeof out));
        CHECK(SSL_get_shutdown(p.peer->ssl) & SSL_RECEIVED_SHUTDOWN);
        free_pair(&p);

        p = connected(i % 2, suites[i / 2]);
        SSL_shutdown(p.peer->ssl);
        CHECK_EQ(TR_DROP_NONE, feed(p.dtls, p.peer->out.bytes[0], p.peer->out.sizes[0]));
        CHECK_EQ(TR_DTLS_CLOSED, tr__dtls_state_of(p.dtls));
        free_pair(&p);
    }
}

/* Late ones up to 63 behind the latest are taken, each once; older ones cannot be told from repeats. */
static void a_record_is_taken_once(void)
{
    for (size_t suite = 0; suite < 3; suite++) {
        pair p = connected(false, suites[suite]);
        enum { RECORDS = 70 };
        static uint8_t records[RECORDS][PEER_BYTES];
        size_t sizes[RECORDS];
        for (int i = 0; i < RECORDS; i++) sizes[i] = peer_writes(&p, &(uint8_t){(uint8_t)i}, 1, records[i]);
        CHECK_EQ(TR_DROP_NONE, feed(p.dtls, records[0], sizes[0]));
        CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(p.dtls, records[0], sizes[0]));
        CHECK_EQ(TR_DROP_NONE, feed(p.dtls, records[69], sizes[69]));
        CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(p.dtls, records[69], sizes[69]));
        CHECK_EQ(TR_DROP_NONE, feed(p.dtls, records[6], sizes[6]));           /* 63 behind */
        CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(p.dtls, records[5], sizes[5])); /* 64 */
        for (int i = 68; i > 6; i--) CHECK_EQ(TR_DROP_NONE, feed(p.dtls, records[i], sizes[i]));
        for (int i = 0; i < RECORDS; i++) CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(p.dtls, records[i], sizes[i]));
        free_pair(&p);
    }
}

/* werift gives its Finished the next number of the epoch before, and counts from 1 after it. */
static void a_peer_may_count_anew_after_its_finished(void)
{
    enum { FINISHED = 5 };
    pair p = connected(false, suites[0]);
    tr_dtls_ciphers *ciphers = tr__dtls_ciphers_new();
    tr_dtls_records ours = {0}, theirs = {0};
    CHECK(tr__dtls_records_take(&ours, ciphers, p.peer->ssl, false, FINISHED));
    CHECK(tr__dtls_records_take(&theirs, ciphers, p.peer->ssl, true, 0));
    for (int turn = 0; turn < 2; turn++) {
        theirs.out_sequence = 1;
        for (uint64_t sequence = 1; sequence < 9; sequence++) {
            uint8_t sealed[64], plain[64];
            size_t size = tr__dtls_records_seal(&theirs, TR_DTLS_DATA, (const uint8_t *)"pulse", 5, sealed);
            tr_cursor datagram = tr__cursor(sealed, size);
            tr_dtls_record record;
            CHECK(tr__dtls_next_record(&datagram, &record));
            CHECK_EQ(turn == 0 && sequence != FINISHED, tr__dtls_records_open(&ours, &record, plain, &size));
        }
    }
    tr__dtls_ciphers_free(ciphers);
    free_pair(&p);
}

/* The peer's Finished was taken by OpenSSL before we took over: it is no excuse to send the last flight again. */
static void a_repeated_datagram_of_the_handshake_is_not_answered(void)
{
    tr_dtls *server = tr__dtls_new(context, false);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    static peer_datagrams theirs, ours;
    theirs.count = ours.count = 0;
    peer_step(p, NULL, 0);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < p->out.count; i++) {
            peer_add(&theirs, p->out.bytes[i], p->out.sizes[i]);
            feed(server, p->out.bytes[i], p->out.sizes[i]);
        }
        p->out.count = ours.count = 0;
        drain(server, &ours);
        for (size_t i = 0; i < ours.count; i++) peer_step(p, ours.bytes[i], ours.sizes[i]);
    }
    CHECK_EQ(TR_DTLS_UNVERIFIED, tr__dtls_state_of(server));
    for (size_t i = 0; i < theirs.count; i++) CHECK(feed(server, theirs.bytes[i], theirs.sizes[i]) != TR_DROP_NONE);
    CHECK_EQ(0, discard(server));
    peer_free(p);
    tr__dtls_free(server);
}

/* Whatever bit of a record is turned over, it is refused and leaves no trace. */
static void an_altered_record_is_refused(void)
{
    for (size_t suite = 0; suite < 3; suite++) {
        pair p = connected(false, suites[suite]);
        uint8_t record[PEER_BYTES], out[64];
        size_t size = peer_writes(&p, "truth", 5, record);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(feed(p.dtls, record, size) != TR_DROP_NONE);
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < size; cut++) CHECK(feed(p.dtls, record, cut) != TR_DROP_NONE);
        CHECK_EQ(0, tr__dtls_read(p.dtls, out, sizeof out));
        CHECK_EQ(TR_DROP_NONE, feed(p.dtls, record, size));
        CHECK_EQ(5, tr__dtls_read(p.dtls, out, sizeof out));
        free_pair(&p);
    }
}

/* The Finished that OpenSSL wrote, and what we write after it, as often as its peer asks for it again. */
static void no_number_and_no_nonce_comes_twice(void)
{
    couple c = make_couple();
    static peer_datagrams from_server, from_client;
    from_server.count = from_client.count = 0;
    tr__dtls_start(c.client);
    for (int turn = 0; turn < 3; turn++) {
        size_t first = from_client.count;
        drain(c.client, &from_client);
        for (size_t i = first; i < from_client.count; i++) feed(c.server, from_client.bytes[i], from_client.sizes[i]);
        first = from_server.count;
        drain(c.server, &from_server);
        for (size_t i = first; i < from_server.count; i++) feed(c.client, from_server.bytes[i], from_server.sizes[i]);
    }
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(TR_OK, tr__dtls_write(c.server, (const uint8_t *)"again", 5));
        drain(c.server, &from_server);
    }
    uint64_t next = 0, nonce = 0;
    for (size_t i = 0; i < from_server.count; i++) {
        tr_cursor datagram = tr__cursor(from_server.bytes[i], from_server.sizes[i]);
        tr_dtls_record record;
        while (tr__dtls_next_record(&datagram, &record)) {
            if (record.epoch != 1) continue;
            uint64_t explicit_nonce = tr__load64(record.data + TR_DTLS_RECORD_HEADER);
            CHECK_EQ(next, record.sequence);
            if (next) CHECK_EQ(nonce + 1, explicit_nonce);
            nonce = explicit_nonce;
            next++;
        }
    }
    CHECK_EQ(21, next);
    free_couple(&c);
}

static const check_test tests[] = {
    TEST(open_context),
    TEST(openssl_reads_what_we_write_and_we_what_it_writes),
    TEST(either_side_may_close),
    TEST(a_record_is_taken_once),
    TEST(a_peer_may_count_anew_after_its_finished),
    TEST(a_repeated_datagram_of_the_handshake_is_not_answered),
    TEST(an_altered_record_is_refused),
    TEST(no_number_and_no_nonce_comes_twice),
    TEST(close_context),
};
CHECK_MAIN("dtls_records", tests)
