/* dtls: drives OpenSSL through one association in memory; see dtls.h for the contract.
 * Touches its own queues and OpenSSL, which allocates, reads a clock and draws randomness. Worker thread.
 *
 * OpenSSL makes the handshake. Of what it holds then all is let go: keys and digests are taken out, and the records
 * that follow are dtls_records.c's. With old suites, which that file does not know, OpenSSL stays.
 *
 * Records pass the gate (dtls_gate.h) one by one before OpenSSL sees them. Writes go to a queue that always accepts, so
 * that none is ever left half done (what does not fit is lost like any datagram, and the timer sends it again). */
#include "dtls.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "dtls_records.h"
#include "libctx.h"

/* RFC 9147 section 5.8.2 recommends 400 ms for DTLS-SRTP, less where ICE has shown the round trip; browsers start at
 * 50 ms. A check has just come through when we start, and a wait of 200 ms is no burden to anybody. */
#define FIRST_TIMEOUT_US 200000
/* RFC 6347 section 4.2.4.1 doubles to a minute. Nobody waits that long for a call. */
#define MAX_TIMEOUT_US 3000000
/* Handshakes of a server that may fail after it has answered, each the price of a signature; those that fail before
 * cost next to nothing and do not count. */
#define MAX_REARMS 8
#define MAX_CERTIFICATE_LIST (16 * 1024)
/* Our longest flight (a loaded certificate of 2 KiB and what goes with it) and a record to spare. The same for data
 * that waits to be read: the caller drains after each datagram, and only a late answer makes more than one wait. */
#define QUEUE_BYTES 4096
/* Header, explicit IV, MAC and padding of the worst suite we take, AES-CBC with SHA-1. */
#define RECORD_OVERHEAD 80

#define CIPHERS                                                                                                        \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                                       \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                                       \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                                                       \
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
#define GROUPS "X25519:P-256:P-384"
#define PROFILES "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"

/* The server's last: a change of cipher and its Finished, 75 bytes. */
#define FLIGHT_BYTES 128
/* Client's and server's key and salt of the largest profile. */
#define MATERIAL_BYTES (2 * (32 + 14))
/* SHA-256, SHA-384, SHA-512. */
#define DIGEST_BYTES (32 + 48 + 64)

struct tr_dtls_context {
    tr_libctx *library; /* NULL: OpenSSL's own */
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    tr_dtls_ciphers *ciphers;
    uint32_t first_timeout_us;
};

/* Datagrams or records, each behind its size. */
typedef struct queue {
    size_t used, last; /* bytes; where the latest item begins */
    uint8_t *bytes;    /* QUEUE_BYTES while anything waits, else NULL: of a thousand associations few have any */
} queue;

struct tr_dtls {
    /* given */
    tr_dtls_context *context;
    bool is_client;
    tr_fingerprint fingerprints[TR_MAX_FINGERPRINTS];
    size_t fingerprint_count;
    /* owned */
    SSL *ssl;                /* NULL once its records are ours, or it failed or closed */
    tr_dtls_records records; /* once finished, while ssl is NULL */
    tr_dtls_gate gate;
    tr_dtls_state state;
    const char *reason;
    tr_srtp_profile profile;
    bool has_answered; /* a flight was made in this handshake */
    uint32_t rearms;
    queue out, in;
    /* once finished */
    uint8_t digests[DIGEST_BYTES];    /* of the peer's certificate, the shortest first */
    uint8_t material[MATERIAL_BYTES]; /* RFC 5764 section 4.2 */
    uint8_t flight[FLIGHT_BYTES];     /* server: our last, for a peer that says it has not come */
    size_t flight_size;
    /* borrowed, during receive */
    tr_dtls_record record; /* what OpenSSL's next read gets; data NULL: nothing */
};

/* ---- queues */

static void queue_clear(queue *q)
{
    OPENSSL_clear_free(q->bytes, QUEUE_BYTES);
    *q = (queue){0};
}

/* False: it does not fit, or there is no memory. */
static bool queue_push(queue *q, const uint8_t *data, size_t size)
{
    if (size > 0xffff || q->used + 2 + size > QUEUE_BYTES) return false;
    if (!q->bytes && !(q->bytes = OPENSSL_malloc(QUEUE_BYTES))) return false;
    q->last = q->used;
    tr__store16(q->bytes + q->used, (uint16_t)size);
    memcpy(q->bytes + q->used + 2, data, size);
    q->used += 2 + size;
    return true;
}

/* Several records may share a datagram (RFC 6347, 4.1.1). OpenSSL writes each message of a flight by itself, and a
 * flight of five datagrams is lost more often than one of one. */
static bool queue_join(queue *q, const uint8_t *data, size_t size)
{
    size_t before = q->used ? tr__load16(q->bytes + q->last) : 0;
    if (!before || before + size > TR_DTLS_MAX_DATAGRAM || q->used + size > QUEUE_BYTES)
        return queue_push(q, data, size);
    tr__store16(q->bytes + q->last, (uint16_t)(before + size));
    memcpy(q->bytes + q->used, data, size);
    q->used += size;
    return true;
}

/* The oldest item, copied and taken out; one that does not fit the room is lost. */
static size_t queue_pop(queue *q, uint8_t *out, size_t room)
{
    if (!q->used) return 0;
    size_t size = tr__load16(q->bytes);
    if (size <= room) memcpy(out, q->bytes + 2, size);
    q->used -= 2 + size;
    q->last -= q->used ? 2 + size : q->last;
    if (q->used)
        memmove(q->bytes, q->bytes + 2 + size, q->used);
    else
        queue_clear(q);
    return size <= room ? size : 0;
}

/* ---- what OpenSSL reads from and writes to */

static int bio_read(BIO *bio, char *out, int room)
{
    tr_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!dtls->record.data || room < 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t size = dtls->record.size < (size_t)room ? dtls->record.size : (size_t)room;
    memcpy(out, dtls->record.data, size);
    dtls->record.data = NULL;
    return (int)size;
}

/* What the records of ours go on from, and what a server may have to send again. */
static void note_written(tr_dtls *dtls, const uint8_t *data, size_t size)
{
    tr_cursor datagram = tr__cursor(data, size);
    tr_dtls_record record;
    while (tr__dtls_next_record(&datagram, &record)) {
        tr__dtls_records_wrote(&dtls->records, &record);
        if (record.type == TR_DTLS_CCS) dtls->flight_size = 0;
        if (record.type != TR_DTLS_CCS && !(record.epoch == 1 && dtls->flight_size)) continue;
        if (dtls->flight_size + record.size > sizeof dtls->flight) continue; /* none of ours is so long */
        memcpy(dtls->flight + dtls->flight_size, record.data, record.size);
        dtls->flight_size += record.size;
    }
}

static int bio_write(BIO *bio, const char *data, int size)
{
    tr_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size > 0) {
        if (dtls->state <= TR_DTLS_HANDSHAKE) note_written(dtls, (const uint8_t *)data, (size_t)size);
        if (dtls->state <= TR_DTLS_HANDSHAKE)
            queue_join(&dtls->out, (const uint8_t *)data, (size_t)size);
        else
            queue_push(&dtls->out, (const uint8_t *)data, (size_t)size);
        if (data[0] == TR_DTLS_HANDSHAKE_RECORD) dtls->has_answered = true; /* an alert costs nothing */
    }
    return size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
        return TR_DTLS_MAX_DATAGRAM;
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return TR_DTLS_MAX_DATAGRAM;
    default:
        return 0; /* no overhead, nothing pending, no timeout of its own */
    }
}

/* ---- context */

/* Any chain will do: certificates of peers are self-signed, and the fingerprint decides (RFC 8827, 6.5). That the peer
 * has the key is proven by the handshake. */
static int accept_any_certificate(X509_STORE_CTX *store, void *user)
{
    (void)store, (void)user;
    return 1;
}

static int no_password(char *buffer, int size, int for_writing, void *user)
{
    (void)buffer, (void)size, (void)for_writing, (void)user;
    return -1;
}

static bool use_certificate(SSL_CTX *ssl, const tr_certificate *certificate)
{
    BIO *cert_bio = BIO_new_mem_buf(certificate->cert_pem, -1), *key_bio = BIO_new_mem_buf(certificate->key_pem, -1);
    X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, no_password, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL) : NULL;
    bool ok = cert && key && SSL_CTX_use_certificate(ssl, cert) == 1 && SSL_CTX_use_PrivateKey(ssl, key) == 1 &&
              SSL_CTX_check_private_key(ssl) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return ok;
}

static bool configure(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_send_fragment(ssl, TR_MAX_DATAGRAM); /* 15 KiB less of write buffer; no record of ours is larger */
    SSL_CTX_set_max_cert_list(ssl, MAX_CERTIFICATE_LIST);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, accept_any_certificate, NULL);
    return SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, DTLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1 &&
           SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 && SSL_CTX_set_tlsext_use_srtp(ssl, PROFILES) == 0;
}

tr_dtls_context *tr__dtls_context_new(const tr_certificate *certificate)
{
    tr_dtls_context *context = calloc(1, sizeof *context);
    if (!context) return NULL;
    context->first_timeout_us = FIRST_TIMEOUT_US;
    context->library = tr__libctx_new();
    context->ssl = SSL_CTX_new_ex(tr__libctx_of(context->library), NULL, DTLS_method());
    context->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "telerelay datagrams");
    context->ciphers = tr__dtls_ciphers_new();
    if (context->ssl && context->bio && context->ciphers && BIO_meth_set_read(context->bio, bio_read) == 1 &&
        BIO_meth_set_write(context->bio, bio_write) == 1 && BIO_meth_set_ctrl(context->bio, bio_ctrl) == 1 &&
        configure(context->ssl) && use_certificate(context->ssl, certificate))
        return context;
    ERR_clear_error();
    tr__dtls_context_free(context);
    return NULL;
}

void tr__dtls_context_free(tr_dtls_context *context)
{
    if (!context) return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    tr__dtls_ciphers_free(context->ciphers);
    tr__libctx_free(context->library);
    free(context);
}

bool tr__dtls_context_only(tr_dtls_context *context, tr_srtp_profile profile)
{
    const char *name = profile == TR_SRTP_AEAD_AES_128_GCM    ? "SRTP_AEAD_AES_128_GCM"
                       : profile == TR_SRTP_AEAD_AES_256_GCM  ? "SRTP_AEAD_AES_256_GCM"
                       : profile == TR_SRTP_AES128_CM_SHA1_80 ? "SRTP_AES128_CM_SHA1_80"
                                                              : NULL;
    return name && SSL_CTX_set_tlsext_use_srtp(context->ssl, name) == 0;
}

void tr__dtls_context_set_first_timeout(tr_dtls_context *context, uint32_t timeout_us)
{
    context->first_timeout_us = timeout_us;
}

/* ---- life of an association */

static unsigned next_timeout(SSL *ssl, unsigned timeout_us)
{
    const tr_dtls *dtls = SSL_get_app_data(ssl);
    if (timeout_us == 0) return dtls->context->first_timeout_us;
    return timeout_us > MAX_TIMEOUT_US / 2 ? MAX_TIMEOUT_US : timeout_us * 2;
}

/* A new SSL that awaits its first record, in the place of the old. */
static bool arm(tr_dtls *dtls)
{
    SSL_free(dtls->ssl);
    dtls->ssl = SSL_new(dtls->context->ssl);
    BIO *bio = BIO_new(dtls->context->bio);
    if (!dtls->ssl || !bio) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, dtls);
    BIO_set_init(bio, 1);
    SSL_set_bio(dtls->ssl, bio, bio);
    SSL_set_app_data(dtls->ssl, dtls);
    DTLS_set_timer_cb(dtls->ssl, next_timeout);
    DTLS_set_link_mtu(dtls->ssl, TR_DTLS_MAX_DATAGRAM);
    if (dtls->is_client)
        SSL_set_connect_state(dtls->ssl);
    else
        SSL_set_accept_state(dtls->ssl);
    tr__dtls_gate_init(&dtls->gate, dtls->is_client);
    dtls->state = TR_DTLS_NEW;
    dtls->has_answered = false;
    dtls->flight_size = 0;
    return true;
}

tr_dtls *tr__dtls_new(tr_dtls_context *context, bool is_client)
{
    tr_dtls *dtls = calloc(1, sizeof *dtls);
    if (!dtls) return NULL;
    dtls->context = context;
    dtls->is_client = is_client;
    dtls->reason = "";
    if (arm(dtls)) return dtls;
    ERR_clear_error();
    tr__dtls_free(dtls);
    return NULL;
}

void tr__dtls_free(tr_dtls *dtls)
{
    if (!dtls) return;
    SSL_free(dtls->ssl);
    queue_clear(&dtls->out);
    queue_clear(&dtls->in);
    OPENSSL_cleanse(dtls, sizeof *dtls);
    free(dtls);
}

/* OpenSSL keeps 18 KiB of record buffers with every association, which it needs only while it reads or writes. Without
 * them a half-open peer stays below 64 KiB even under the largest claims (A12), and a connected one that is silent
 * holds a third less. Before anything that may read or write they have to be there: OpenSSL 3.0 writes through a null
 * pointer where they are not. False: no memory. */
static bool take_buffers(tr_dtls *dtls) { return SSL_alloc_buffers(dtls->ssl) == 1; }

static void give_back_buffers(tr_dtls *dtls)
{
    if (dtls->ssl && !SSL_has_pending(dtls->ssl)) SSL_free_buffers(dtls->ssl);
}

/* Sealed by us, into the queue. False: no room, or OpenSSL failed. */
static bool send_record(tr_dtls *dtls, uint8_t type, const uint8_t *data, size_t size)
{
    uint8_t record[TR_MAX_DATAGRAM];
    size_t sealed = tr__dtls_records_seal(&dtls->records, type, data, size, record);
    return sealed && queue_push(&dtls->out, record, sealed);
}

static void say_goodbye(tr_dtls *dtls)
{
    static const uint8_t close_notify[] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
    if (!dtls->ssl)
        send_record(dtls, TR_DTLS_ALERT, close_notify, sizeof close_notify);
    else if (take_buffers(dtls))
        SSL_shutdown(dtls->ssl);
}

/* Says good-bye to a peer with which keys are shared, and lets go of OpenSSL's memory. */
static void end(tr_dtls *dtls, tr_dtls_state state, const char *reason)
{
    bool is_open = dtls->state == TR_DTLS_UNVERIFIED || dtls->state == TR_DTLS_CONNECTED;
    if (is_open) say_goodbye(dtls);
    if (dtls->state != TR_DTLS_CONNECTED) queue_clear(&dtls->in); /* never verified: nobody is to read it */
    ERR_clear_error();
    SSL_free(dtls->ssl);
    dtls->ssl = NULL;
    dtls->state = state;
    dtls->reason = reason;
}

/* A server begins anew. What it had queued (an alert) stays unsent: it would end the handshake of the true peer, when
 * what made ours fail was somebody else's (RFC 6347, 4.1.2.7). */
static void handshake_failed(tr_dtls *dtls)
{
    ERR_clear_error();
    if (!dtls->is_client && (!dtls->has_answered || ++dtls->rearms <= MAX_REARMS)) {
        queue_clear(&dtls->out);
        if (arm(dtls)) return;
    }
    end(dtls, TR_DTLS_FAILED, "dtls_handshake");
}

/* ---- verification */

/* All three are strong enough that any match will do; weaker ones have sizes that are never filled in (RFC 8122, 5). */
static bool take_digests(tr_dtls *dtls)
{
    X509 *cert = SSL_get0_peer_certificate(dtls->ssl);
    unsigned size;
    return cert && X509_digest(cert, EVP_sha256(), dtls->digests, &size) == 1 &&
           X509_digest(cert, EVP_sha384(), dtls->digests + 32, &size) == 1 &&
           X509_digest(cert, EVP_sha512(), dtls->digests + 32 + 48, &size) == 1;
}

static bool matches(const tr_dtls *dtls, const tr_fingerprint *fingerprint)
{
    switch (fingerprint->size) {
    case 32:
        return CRYPTO_memcmp(dtls->digests, fingerprint->bytes, 32) == 0;
    case 48:
        return CRYPTO_memcmp(dtls->digests + 32, fingerprint->bytes, 48) == 0;
    case 64:
        return CRYPTO_memcmp(dtls->digests + 32 + 48, fingerprint->bytes, 64) == 0;
    default:
        return false;
    }
}

/* Only after the handshake: before, the peer has not proven that the certificate is its own, and anybody could end the
 * session by showing a wrong one. */
static void verify(tr_dtls *dtls)
{
    if (dtls->state != TR_DTLS_UNVERIFIED && dtls->state != TR_DTLS_CONNECTED) return;
    if (!dtls->fingerprint_count) return;
    bool found = false;
    for (size_t i = 0; i < dtls->fingerprint_count; i++) found = found || matches(dtls, &dtls->fingerprints[i]);
    if (found)
        dtls->state = TR_DTLS_CONNECTED;
    else
        end(dtls, TR_DTLS_FAILED, "fingerprint_mismatch");
}

tr_dtls_state tr__dtls_set_fingerprints(tr_dtls *dtls, const tr_fingerprint *fingerprints, size_t count)
{
    tr_fingerprint taken[TR_MAX_FINGERPRINTS];
    size_t taken_count = 0;
    for (size_t i = 0; i < count && taken_count < TR_MAX_FINGERPRINTS; i++)
        if (fingerprints[i].size) taken[taken_count++] = fingerprints[i];
    if (!taken_count) return dtls->state;
    memcpy(dtls->fingerprints, taken, taken_count * sizeof *taken);
    dtls->fingerprint_count = taken_count;
    verify(dtls);
    return dtls->state;
}

/* ---- steps */

/* Reads what records held. How many there were. */
static size_t pull(tr_dtls *dtls)
{
    uint8_t data[TR_MAX_DATAGRAM];
    size_t count = 0;
    int size;
    ERR_clear_error();
    if (!take_buffers(dtls)) {
        end(dtls, TR_DTLS_FAILED, "dtls_memory");
        return 0;
    }
    while ((size = SSL_read(dtls->ssl, data, sizeof data)) > 0) {
        queue_push(&dtls->in, data, (size_t)size); /* what does not fit is lost; SCTP sends it again */
        count++;
    }
    int error = SSL_get_error(dtls->ssl, size);
    if (error == SSL_ERROR_WANT_READ) return count;
    /* Only records that authenticated get this far: a close_notify, a fatal alert, or a peer out of its mind. */
    if (SSL_get_shutdown(dtls->ssl) & SSL_RECEIVED_SHUTDOWN)
        end(dtls, TR_DTLS_CLOSED, "");
    else
        end(dtls, TR_DTLS_FAILED, "dtls_handshake");
    return count;
}

/* The keys for SRTP, and with a suite that we know the records too: then OpenSSL's work is done. */
static bool take_over(tr_dtls *dtls)
{
    static const char label[] = "EXTRACTOR-dtls_srtp";
    size_t size = 2 * (tr__srtp_key_size(dtls->profile) + tr__srtp_salt_size(dtls->profile));
    if (SSL_export_keying_material(dtls->ssl, dtls->material, size, label, sizeof label - 1, NULL, 0, 0) != 1 ||
        !take_digests(dtls))
        return false;
    if (tr__dtls_records_take(&dtls->records, dtls->context->ciphers, dtls->ssl, dtls->is_client,
                              dtls->record.sequence)) {
        SSL_free(dtls->ssl);
        dtls->ssl = NULL;
    }
    return true;
}

static void finish(tr_dtls *dtls)
{
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(dtls->ssl);
    dtls->state = TR_DTLS_UNVERIFIED;
    if (!profile || !tr__srtp_key_size((tr_srtp_profile)profile->id)) {
        end(dtls, TR_DTLS_FAILED, "no_srtp_profile");
        return;
    }
    dtls->profile = (tr_srtp_profile)profile->id;
    if (!take_over(dtls)) {
        end(dtls, TR_DTLS_FAILED, "dtls_handshake");
        return;
    }
    verify(dtls);
    give_back_buffers(dtls);
}

static bool advance(tr_dtls *dtls)
{
    ERR_clear_error();
    int result = take_buffers(dtls) ? SSL_do_handshake(dtls->ssl) : -1;
    if (result == 1) {
        finish(dtls);
        return true;
    }
    if (SSL_get_error(dtls->ssl, result) == SSL_ERROR_WANT_READ) {
        give_back_buffers(dtls);
        return true;
    }
    handshake_failed(dtls);
    return false;
}

tr_dtls_state tr__dtls_start(tr_dtls *dtls)
{
    if (dtls->is_client && dtls->state == TR_DTLS_NEW) {
        dtls->state = TR_DTLS_HANDSHAKE;
        advance(dtls);
    }
    return dtls->state;
}

/* The peer has changed its cipher: what OpenSSL reads next is its Finished. */
static bool expects_encrypted(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return state == TLS_ST_SR_CHANGE || state == TLS_ST_CR_CHANGE;
}

static tr_drop handshake_record(tr_dtls *dtls, const tr_dtls_record *record)
{
    if (record->epoch == 0) {
        bool is_first = dtls->state == TR_DTLS_NEW;
        tr_drop drop = tr__dtls_gate_clear(&dtls->gate, record, is_first);
        /* A hello that contradicts the half of one we hold: one of them is not the peer's. The later one wins, or a
         * single datagram of junk would shut the peer out. */
        if (dtls->gate.has_rival_hello && !dtls->has_answered) {
            handshake_failed(dtls);
            if (!dtls->ssl) return drop;
            drop = tr__dtls_gate_clear(&dtls->gate, record, true);
        }
        if (drop != TR_DROP_NONE) return drop;
        dtls->state = TR_DTLS_HANDSHAKE;
    } else if (record->epoch != 1 || record->type != TR_DTLS_HANDSHAKE_RECORD || !expects_encrypted(dtls->ssl)) {
        /* OpenSSL would keep early records, 16 KiB each; the peer sends its whole flight again. Data that has overtaken
         * the Finished is lost, and SCTP sends it again. */
        return TR_DROP_DTLS_STATE;
    }
    dtls->record = *record;
    bool ok = advance(dtls);
    dtls->record.data = NULL;
    return ok ? TR_DROP_NONE : TR_DROP_DTLS_MALFORMED;
}

/* A handshake message of a peer that is connected. False: there is no answer to it. */
static bool answer_handshake(tr_dtls *dtls, uint8_t type)
{
    static const uint8_t no_renegotiation[] = {SSL3_AL_WARNING, SSL_AD_NO_RENEGOTIATION};
    /* Its Finished, sent again because ours was lost (RFC 6347, 4.2.4). Ours goes again as it was: a record that did
     * come is not taken twice. */
    if (type == SSL3_MT_FINISHED && !dtls->is_client) return queue_push(&dtls->out, dtls->flight, dtls->flight_size);
    /* RFC 5246 section 7.2.2. */
    if (type == (dtls->is_client ? SSL3_MT_HELLO_REQUEST : SSL3_MT_CLIENT_HELLO))
        return send_record(dtls, TR_DTLS_ALERT, no_renegotiation, sizeof no_renegotiation);
    return false;
}

/* A record that is ours to open. What has no effect counts as malformed: it did not authenticate, or came before. */
static tr_drop open_record(tr_dtls *dtls, const tr_dtls_record *record)
{
    uint8_t data[TR_MAX_DATAGRAM];
    size_t size;
    if (record->size > sizeof data || !tr__dtls_records_open(&dtls->records, record, data, &size) || !size)
        return TR_DROP_DTLS_MALFORMED;
    switch (record->type) {
    case TR_DTLS_DATA:
        queue_push(&dtls->in, data, size); /* what does not fit is lost; SCTP sends it again */
        return TR_DROP_NONE;
    case TR_DTLS_ALERT:
        /* Warnings change nothing. */
        if (size != 2 || (data[0] != SSL3_AL_FATAL && data[1] != SSL_AD_CLOSE_NOTIFY)) return TR_DROP_DTLS_MALFORMED;
        end(dtls, TR_DTLS_CLOSED, "");
        return TR_DROP_NONE;
    default:
        return answer_handshake(dtls, data[0]) ? TR_DROP_NONE : TR_DROP_DTLS_MALFORMED;
    }
}

/* The same by OpenSSL, which at a repeated Finished sends its last flight again. */
static tr_drop pull_record(tr_dtls *dtls, const tr_dtls_record *record)
{
    tr_dtls_state before = dtls->state;
    size_t waiting = dtls->out.used;
    dtls->record = *record;
    size_t count = pull(dtls);
    dtls->record.data = NULL;
    give_back_buffers(dtls);
    bool had_no_effect = count == 0 && dtls->state == before && dtls->out.used == waiting;
    return had_no_effect ? TR_DROP_DTLS_MALFORMED : TR_DROP_NONE;
}

/* Once finished nothing in the clear counts: a second hello, a forged alert, an old flight end here. */
static tr_drop connected_record(tr_dtls *dtls, const tr_dtls_record *record)
{
    if (record->epoch != 1 || record->type == TR_DTLS_CCS) return TR_DROP_DTLS_STATE;
    return dtls->ssl ? pull_record(dtls, record) : open_record(dtls, record);
}

static tr_drop take_record(tr_dtls *dtls, const tr_dtls_record *record)
{
    switch (dtls->state) {
    case TR_DTLS_NEW:
        return dtls->is_client ? TR_DROP_DTLS_STATE : handshake_record(dtls, record);
    case TR_DTLS_HANDSHAKE:
        return handshake_record(dtls, record);
    case TR_DTLS_UNVERIFIED:
        return connected_record(dtls, record);
    case TR_DTLS_CONNECTED:
        return connected_record(dtls, record);
    case TR_DTLS_FAILED:
        break;
    case TR_DTLS_CLOSED:
        break;
    }
    return TR_DROP_DTLS_STATE;
}

tr_dtls_state tr__dtls_receive(tr_dtls *dtls, const uint8_t *data, size_t size, tr_drop *drop)
{
    tr_cursor datagram = tr__cursor(data, size);
    tr_dtls_record record;
    *drop = size ? TR_DROP_NONE : TR_DROP_DTLS_MALFORMED;
    while (tr__dtls_next_record(&datagram, &record)) {
        tr_drop one = take_record(dtls, &record);
        if (*drop == TR_DROP_NONE) *drop = one;
    }
    if (*drop == TR_DROP_NONE && !tr__cursor_ok(&datagram)) *drop = TR_DROP_DTLS_MALFORMED;
    return dtls->state;
}

uint64_t tr__dtls_timeout_us(tr_dtls *dtls)
{
    struct timeval left;
    if (dtls->state != TR_DTLS_HANDSHAKE || DTLSv1_get_timeout(dtls->ssl, &left) != 1) return UINT64_MAX;
    return (uint64_t)left.tv_sec * 1000000u + (uint64_t)left.tv_usec;
}

tr_dtls_state tr__dtls_on_timer(tr_dtls *dtls)
{
    /* While a flight waits to be sent there is no use in another. */
    if (dtls->state != TR_DTLS_HANDSHAKE || dtls->out.used) return dtls->state;
    ERR_clear_error();
    if (!take_buffers(dtls) || DTLSv1_handle_timeout(dtls->ssl) < 0) handshake_failed(dtls);
    give_back_buffers(dtls);
    return dtls->state;
}

tr_dtls_state tr__dtls_state_of(const tr_dtls *dtls) { return dtls->state; }
const char *tr__dtls_reason(const tr_dtls *dtls) { return dtls->reason; }
tr_srtp_profile tr__dtls_profile(const tr_dtls *dtls) { return dtls->profile; }

size_t tr__dtls_next(tr_dtls *dtls, uint8_t *out, size_t room) { return queue_pop(&dtls->out, out, room); }

/* ---- what an association is for */

size_t tr__dtls_read(tr_dtls *dtls, uint8_t *out, size_t room)
{
    if (dtls->state != TR_DTLS_CONNECTED && dtls->state != TR_DTLS_CLOSED) return 0;
    return queue_pop(&dtls->in, out, room);
}

int tr__dtls_write(tr_dtls *dtls, const uint8_t *data, size_t size)
{
    if (dtls->state != TR_DTLS_CONNECTED) return TR_ERR_STATE;
    if (size < 1 || size > TR_MAX_DATAGRAM - RECORD_OVERHEAD) return TR_ERR_ARGUMENT;
    if (dtls->out.used + 2 + size + RECORD_OVERHEAD > QUEUE_BYTES) return TR_ERR_FULL;
    ERR_clear_error();
    if (!dtls->ssl) return send_record(dtls, TR_DTLS_DATA, data, size) ? TR_OK : TR_ERR_CRYPTO;
    if (!take_buffers(dtls)) return TR_ERR_NO_MEMORY;
    bool ok = SSL_write(dtls->ssl, data, (int)size) == (int)size;
    ERR_clear_error();
    give_back_buffers(dtls);
    return ok ? TR_OK : TR_ERR_CRYPTO;
}

void tr__dtls_close(tr_dtls *dtls)
{
    if (dtls->state < TR_DTLS_FAILED) end(dtls, TR_DTLS_CLOSED, "");
}

tr_srtp *tr__dtls_make_srtp(tr_dtls *dtls, const tr_crypto *crypto)
{
    if (dtls->state != TR_DTLS_CONNECTED) return NULL;
    /* RFC 5764 section 4.2: client key, server key, client salt, server salt; RFC 7714 section 12 for the sizes. */
    size_t key = tr__srtp_key_size(dtls->profile), salt = tr__srtp_salt_size(dtls->profile);
    const uint8_t *client_key = dtls->material, *server_key = client_key + key;
    const uint8_t *client_salt = server_key + key, *server_salt = client_salt + salt;
    return dtls->is_client ? tr__srtp_new(crypto, dtls->profile, server_key, server_salt, client_key, client_salt)
                           : tr__srtp_new(crypto, dtls->profile, client_key, client_salt, server_key, server_salt);
}
