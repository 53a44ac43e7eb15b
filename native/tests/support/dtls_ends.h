/* dtls_ends: ends of dtls for tests: couples of our own that talk to each other, or one with a bare OpenSSL peer; media
 * and data between them. OpenSSL reads the clock, so lost flights are waited for; the timers are set short. */
#ifndef TR_TEST_DTLS_ENDS_H
#define TR_TEST_DTLS_ENDS_H

#include <time.h>

#include "check.h"
#include "dtls.h"

#include "support/dtls_peer.h"

/* OpenSSL takes what is due within 15 ms as due, and then sends again by itself. */
#define FIRST_TIMEOUT_US 20000
#define TIMEOUT_US 2000000 /* of all others: on a machine that stood still for a while nothing is due by chance */
#define ALL_PROFILES "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM"

static tr_certificate certificate;
static tr_dtls_context *context;
static tr_crypto *crypto;

static inline void open_context(void)
{
    CHECK_EQ(TR_OK, tr_certificate_make(&certificate));
    context = tr__dtls_context_new(&certificate);
    CHECK(context != NULL);
    tr__dtls_context_set_first_timeout(context, TIMEOUT_US);
    crypto = tr__crypto_new(TR_CRYPTO_OPENSSL);
}

static inline void close_context(void)
{
    tr__dtls_context_free(context);
    tr__crypto_free(crypto);
}

static inline tr_fingerprint parse_fingerprint(const char *text)
{
    tr_fingerprint f = {.size = 32};
    for (size_t i = 0; i < 32; i++) f.bytes[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
    return f;
}

static inline tr_fingerprint our_fingerprint(void) { return parse_fingerprint(certificate.fingerprint); }

static inline void drain(tr_dtls *dtls, peer_datagrams *list)
{
    uint8_t data[TR_MAX_DATAGRAM];
    size_t size;
    while ((size = tr__dtls_next(dtls, data, sizeof data))) {
        CHECK(size <= TR_DTLS_MAX_DATAGRAM);
        peer_add(list, data, size);
    }
}

static inline size_t discard(tr_dtls *dtls)
{
    peer_datagrams list = {0};
    drain(dtls, &list);
    return list.count;
}

static inline tr_drop feed(tr_dtls *dtls, const uint8_t *data, size_t size)
{
    tr_drop drop;
    tr__dtls_receive(dtls, data, size, &drop);
    return drop;
}

/* Both ways until nothing moves. */
static inline void talk(tr_dtls *a, tr_dtls *b)
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
static inline int talk_peer(tr_dtls *dtls, peer *p)
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

static inline couple make_couple(void)
{
    couple c = {tr__dtls_new(context, true), tr__dtls_new(context, false)};
    tr_fingerprint f = our_fingerprint();
    tr__dtls_set_fingerprints(c.client, &f, 1);
    tr__dtls_set_fingerprints(c.server, &f, 1);
    return c;
}

static inline couple make_connected(void)
{
    couple c = make_couple();
    tr__dtls_start(c.client);
    talk(c.client, c.server);
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.client));
    CHECK_EQ(TR_DTLS_CONNECTED, tr__dtls_state_of(c.server));
    return c;
}

static inline void free_couple(couple *c)
{
    tr__dtls_free(c->client);
    tr__dtls_free(c->server);
}

/* One RTP packet sealed at one end opens at the other. */
static inline void check_media(tr_srtp *from, tr_srtp *to)
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

static inline void check_couple(couple *c)
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

static inline void check_data(couple *c)
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

/* Sleeps until a timer is due and lets it fire. */
static inline void wait_for_timers(tr_dtls *ends[2])
{
    uint64_t a = tr__dtls_timeout_us(ends[0]), b = tr__dtls_timeout_us(ends[1]), least = a < b ? a : b;
    if (least == UINT64_MAX) return;
    struct timespec nap = {(time_t)(least / 1000000), (long)(least % 1000000) * 1000};
    nanosleep(&nap, NULL);
    for (int e = 0; e < 2; e++)
        if (tr__dtls_timeout_us(ends[e]) == 0) tr__dtls_on_timer(ends[e]);
}

#endif
