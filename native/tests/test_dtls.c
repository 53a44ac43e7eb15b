/* Tests of dtls: handshakes on clean and on bad lines, with ourselves and with bare OpenSSL ends; fingerprints; what
 * strangers send; limits. OpenSSL reads the clock, so lost flights are waited for; the timers are set short. */
#include "dtls.h"

#include <time.h>

#include "check.h"
#include "dtls_gate.h"

#include "support/dtls_peer.h"

/* OpenSSL takes what is due within 15 ms as due, and then sends again by itself. */
#define FIRST_TIMEOUT_US 20000
#define TIMEOUT_US 200000 /* the ordinary one: on a busy machine nothing is due by chance */
#define ALL_PROFILES "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM"

static tr_certificate certificate;
static tr_dtls_context *context;
static tr_crypto *crypto;

/* ---- counting what OpenSSL holds */

static size_t held_bytes;

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    size_t *p = malloc(size + 16);
    if (!p) return NULL;
    *p = size;
    held_bytes += size;
    return p + 2;
}

static void count_free(void *data, const char *file, int line)
{
    (void)file, (void)line;
    if (!data) return;
    size_t *p = (size_t *)data - 2;
    held_bytes -= *p;
    free(p);
}

static void *count_realloc(void *data, size_t size, const char *file, int line)
{
    void *fresh = count_malloc(size, file, line);
    if (data && fresh) {
        size_t old = *((size_t *)data - 2);
        memcpy(fresh, data, old < size ? old : size);
        count_free(data, file, line);
    }
    return fresh;
}

__attribute__((constructor)) static void count_memory(void)
{
    CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
}

/* ---- helpers */

static void open_context(void)
{
    CHECK_EQ(TR_OK, tr_certificate_make(&certificate));
    context = tr__dtls_context_new(&certificate);
    CHECK(context != NULL);
    crypto = tr__crypto_new(TR_CRYPTO_OPENSSL);
}

static void close_context(void)
{
    tr__dtls_context_free(context);
    tr__crypto_free(crypto);
}

static tr_fingerprint parse_fingerprint(const char *text)
{
    tr_fingerprint f = {.size = 32};
    for (size_t i = 0; i < 32; i++) f.bytes[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
    return f;
}

static tr_fingerprint our_fingerprint(void) { return parse_fingerprint(certificate.fingerprint); }

static void drain(tr_dtls *dtls, peer_datagrams *list)
{
    uint8_t data[TR_MAX_DATAGRAM];
    size_t size;
    while ((size = tr__dtls_next(dtls, data, sizeof data))) {
        CHECK(size <= TR_DTLS_MAX_DATAGRAM);
        peer_add(list, data, size);
    }
}

static size_t discard(tr_dtls *dtls)
{
    peer_datagrams list = {0};
    drain(dtls, &list);
    return list.count;
}

static tr_drop feed(tr_dtls *dtls, const uint8_t *data, size_t size)
{
    tr_drop drop;
    tr__dtls_receive(dtls, data, size, &drop);
    return drop;
}

/* Both ways until nothing moves. */
static void talk(tr_dtls *a, tr_dtls *b)
{
    static peer_datagrams list;
    do {
        list.count = 0;
        drain(a, &list);
        for (size_t i = 0; i < list.count; i++) CHECK_EQ(TR_DROP_NONE, feed(b, list.bytes[i], list.sizes[i]));
        size_t first = list.count;
        drain(b, &list);
        for (size_t i = first; i < list.count; i++) CHECK_EQ(TR_DROP_NONE, feed(a, list.bytes[i], list.sizes[i]));
    } while (list.count);
}

/* The same with a bare peer. */
static int talk_peer(tr_dtls *dtls, peer *p)
{
    static peer_datagrams list;
    int done = peer_step(p, NULL, 0);
    for (int turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < p->out.count; i++) feed(dtls, p->out.bytes[i], p->out.sizes[i]);
        p->out.count = 0;
        list.count = 0;
        drain(dtls, &list);
        for (size_t i = 0; i < list.count; i++) done = peer_step(p, list.bytes[i], list.sizes[i]);
    }
    return done;
}

typedef struct couple {
    tr_dtls *client, *server;
} couple;

static couple make_couple(void)
{
    couple c = {tr__dtls_new(context, true), tr__dtls_new(context, false)};
    tr_fingerprint f = our_fingerprint();
    tr__dtls_set_fingerprints(c.client, &f, 1);
    tr__dtls_set_fingerprints(c.server, &f, 1);
    return c;
}

static couple make_connected(void)
{
    couple c = make_couple();
    tr__dtls_start(c.client);
    talk(c.client, c.server);
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    return c;
}

static void free_couple(couple *c)
{
    tr__dtls_free(c->client);
    tr__dtls_free(c->server);
}

/* One RTP packet sealed at one end opens at the other. */
static void check_media(tr_srtp *from, tr_srtp *to)
{
    uint8_t data[12 + 40 + TR_SRTP_MAX_OVERHEAD] = {0x80, 96, 0, 7}, before[52];
    memcpy(before, data, sizeof before);
    size_t size = tr__srtp_seal_rtp(from, data, 52, 7);
    uint64_t index = 0;
    CHECK(memcmp(before, data, 52) != 0);
    CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtp(to, data, &size, &index));
    CHECK_EQ(52, size);
    CHECK_BYTES(before, data, 52);
}

static void check_couple(couple *c)
{
    tr_srtp *a = tr__dtls_make_srtp(c->client, crypto), *b = tr__dtls_make_srtp(c->server, crypto);
    CHECK(a != NULL && b != NULL);
    if (a && b) {
        check_media(a, b);
        check_media(b, a);
    }
    tr__srtp_free(a);
    tr__srtp_free(b);
}

static void check_data(couple *c)
{
    uint8_t out[TR_MAX_DATAGRAM];
    CHECK_EQ(TR_OK, tr__dtls_write(c->client, (const uint8_t *)"ping", 4));
    talk(c->client, c->server);
    CHECK_EQ(4, tr__dtls_read(c->server, out, sizeof out));
    CHECK_BYTES("ping", out, 4);
    CHECK_EQ(0, tr__dtls_read(c->server, out, sizeof out));
    CHECK_EQ(TR_OK, tr__dtls_write(c->server, (const uint8_t *)"pong!", 5));
    talk(c->client, c->server);
    CHECK_EQ(5, tr__dtls_read(c->client, out, sizeof out));
}

/* ---- handshakes */

static void two_ends_connect_and_share_keys(void)
{
    couple c = make_couple();
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_state_of(c.server));
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_start(c.server)); /* a server does not open */
    CHECK_EQ(UINT64_MAX, tr__dtls_timeout_us(c.client));
    CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_start(c.client));
    CHECK(tr__dtls_timeout_us(c.client) < 1000000);
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

/* Sleeps until a timer is due and lets it fire. */
static void wait_for_timers(tr_dtls *ends[2])
{
    uint64_t a = tr__dtls_timeout_us(ends[0]), b = tr__dtls_timeout_us(ends[1]), least = a < b ? a : b;
    if (least == UINT64_MAX) return;
    struct timespec nap = {(time_t)(least / 1000000), (long)(least % 1000000) * 1000};
    nanosleep(&nap, NULL);
    for (int e = 0; e < 2; e++)
        if (tr__dtls_timeout_us(ends[e]) == 0) tr__dtls_on_timer(ends[e]);
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

/* ---- limits (A12) */

static size_t make_fragment(uint8_t *data, uint8_t type, uint32_t length, uint16_t number, uint32_t offset,
                            uint32_t size)
{
    memset(data, 0, 25 + size);
    data[0] = TR_DTLS_HANDSHAKE_RECORD;
    tr__store16(data + 1, 0xfefd);
    tr__store16(data + 11, (uint16_t)(12 + size));
    data[13] = type;
    tr__store24(data + 14, length);
    tr__store16(data + 17, number);
    tr__store24(data + 19, offset);
    tr__store24(data + 22, size);
    return 25 + size;
}

static void the_gate_judges_messages(void)
{
    static const struct {
        bool is_client, is_first;
        uint8_t type;
        uint32_t length;
        uint16_t number;
        uint32_t offset, size;
        tr_drop drop;
    } rows[] = {
        {false, true, 1, 300, 0, 0, 300, TR_DROP_NONE},
        {false, true, 1, 1400, 0, 1000, 400, TR_DROP_NONE}, /* the second half first */
        {false, true, 1, 4096, 0, 0, 10, TR_DROP_NONE},
        {false, true, 1, 4097, 0, 0, 10, TR_DROP_DTLS_LIMIT},
        {false, true, 1, 0xffffff, 0, 0, 10, TR_DROP_DTLS_LIMIT},
        {false, true, 1, 300, 0, 0, 301, TR_DROP_DTLS_MALFORMED},
        {false, true, 1, 300, 0, 301, 0, TR_DROP_DTLS_MALFORMED},
        {false, true, 1, 300, 0, 0xffffff, 10, TR_DROP_DTLS_MALFORMED},
        {false, true, 11, 300, 1, 0, 300, TR_DROP_DTLS_STATE}, /* not with a certificate */
        {false, false, 11, 16384, 1, 0, 300, TR_DROP_NONE},
        {false, false, 11, 16385, 1, 0, 300, TR_DROP_DTLS_LIMIT},
        {false, false, 11, 300, 12, 0, 300, TR_DROP_DTLS_LIMIT},
        {false, false, 20, 12, 3, 0, 12, TR_DROP_DTLS_STATE}, /* Finished is never in the clear */
        {false, false, 2, 80, 0, 0, 80, TR_DROP_DTLS_STATE},  /* a server's, to a server */
        {true, false, 2, 80, 0, 0, 80, TR_DROP_NONE},
        {true, false, 1, 80, 0, 0, 80, TR_DROP_DTLS_STATE},
        {true, false, 14, 0, 4, 0, 0, TR_DROP_NONE},
        {true, false, 14, 1, 4, 0, 1, TR_DROP_DTLS_LIMIT},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        uint8_t data[2000];
        size_t size = make_fragment(data, rows[r].type, rows[r].length, rows[r].number, rows[r].offset, rows[r].size);
        tr_cursor cursor = tr__cursor(data, size);
        tr_dtls_record record;
        tr_dtls_gate gate;
        tr__dtls_gate_init(&gate, rows[r].is_client);
        CHECK(tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].drop, tr__dtls_gate_clear(&gate, &record, rows[r].is_first));
        CHECK(!tr__dtls_next_record(&cursor, &record));
        CHECK(tr__cursor_ok(&cursor));
    }
}

static void the_gate_adds_up_claims(void)
{
    uint8_t data[100];
    tr_dtls_gate gate;
    tr_dtls_record record;
    tr__dtls_gate_init(&gate, false);
    static const struct {
        uint8_t type;
        uint32_t length;
        uint16_t number;
        tr_drop drop;
    } rows[] = {
        {11, 16384, 1, TR_DROP_NONE},           {11, 16384, 1, TR_DROP_NONE}, /* the same again is no more */
        {11, 16383, 1, TR_DROP_DTLS_MALFORMED}, {16, 16, 1, TR_DROP_DTLS_MALFORMED}, {11, 16000, 2, TR_DROP_NONE},
        {11, 1000, 3, TR_DROP_DTLS_LIMIT},      {16, 66, 3, TR_DROP_NONE},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t size = make_fragment(data, rows[r].type, rows[r].length, rows[r].number, 0, 10);
        tr_cursor cursor = tr__cursor(data, size);
        CHECK(tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].drop, tr__dtls_gate_clear(&gate, &record, false));
    }
}

static void records_that_are_none_are_refused(void)
{
    static const struct {
        uint8_t bytes[16];
        size_t size;
        bool ok;
    } rows[] = {
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, true},
        {{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7}, 14, true},
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 13, false}, /* cut short */
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, false},
        {{19, 0xfe, 0xfd}, 13, false},
        {{24, 0xfe, 0xfd}, 13, false},
        {{22, 3, 3}, 13, false},
        {{22, 0xfe, 0xfc}, 13, false},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        tr_cursor cursor = tr__cursor(rows[r].bytes, rows[r].size);
        tr_dtls_record record;
        CHECK_EQ(rows[r].ok, tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].ok, tr__cursor_ok(&cursor));
    }
    tr_dtls *server = tr__dtls_new(context, false);
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(server, (const uint8_t *)"", 0));
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(server, rows[2].bytes, rows[2].size));
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_state_of(server));
    tr__dtls_free(server);
}

/* Claims of large messages, overlaps, and early records of the next epoch, 10,000 of each: all that OpenSSL holds for a
 * half-open peer stays below 64 KiB, whatever is put into it from outside. */
static void a_half_open_peer_is_held_to_its_limits(void)
{
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    peer_step(p, NULL, 0);
    size_t before = held_bytes, most = 0;
    tr_dtls *server = tr__dtls_new(context, false);
    feed(server, p->out.bytes[0], p->out.sizes[0]);
    size_t half_open = held_bytes - before;
    CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_state_of(server));
    CHECK(discard(server) > 0);
    uint64_t seed = 1;
    for (int i = 0; i < 30000; i++) {
        uint8_t data[200];
        CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_state_of(server));
        size_t size =
            make_fragment(data, 11, 16384, (uint16_t)(2 + i % 9), (uint32_t)(check_random(&seed) % 16000), 100);
        tr__store32(data + 7, (uint32_t)i + 10); /* a sequence number of its own */
        if (i % 3 == 1) tr__store24(data + 14, 0xffffff);
        if (i % 3 == 2) tr__store16(data + 3, 1); /* epoch 1, before its time */
        tr_drop drop = feed(server, data, size);
        if (i % 3 == 2) CHECK_EQ(TR_DROP_DTLS_STATE, drop);
        if (i % 3 == 1) CHECK(drop == TR_DROP_DTLS_LIMIT || drop == TR_DROP_DTLS_MALFORMED);
        if (held_bytes - before > most) most = held_bytes - before;
    }
    CHECK(most > half_open); /* the claims got as far as OpenSSL */
    CHECK(most <= 64 * 1024);
    tr__dtls_free(server);
    CHECK_EQ(before, held_bytes);
    peer_free(p);

    before = held_bytes;
    couple c = make_connected();
    printf("dtls: OpenSSL holds %zu bytes for a half-open association, %zu at most under claims, %zu once connected\n",
           half_open, most, (held_bytes - before) / 2);
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
    TEST(fingerprints_decide),
    TEST(new_fingerprints_are_checked_against_the_connected_peer),
    TEST(a_stolen_certificate_does_not_complete),
    TEST(a_client_must_show_a_certificate),
    TEST(a_server_begins_anew_but_not_for_ever),
    TEST(junk_hellos_do_not_end_a_session),
    TEST(an_older_version_is_not_spoken),
    TEST(forged_alerts_do_not_end_a_handshake),
    TEST(an_unanswered_hello_is_sent_again_at_doubling_intervals),
    TEST(nothing_unauthenticated_disturbs_a_call),
    TEST(a_repeated_record_is_refused),
    TEST(the_last_flight_is_sent_again_when_it_was_lost),
    TEST(a_peer_cannot_renegotiate),
    TEST(data_waits_for_verification),
    TEST(data_of_an_unverified_peer_is_thrown_away),
    TEST(writes_never_stop_half_way),
    TEST(a_flight_that_waits_is_not_made_twice),
    TEST(closing_tells_the_peer),
    TEST(the_gate_judges_messages),
    TEST(the_gate_adds_up_claims),
    TEST(records_that_are_none_are_refused),
    TEST(a_half_open_peer_is_held_to_its_limits),
    TEST(close_context),
};
CHECK_MAIN("dtls", tests)
