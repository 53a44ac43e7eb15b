/* dtls_peer: a bare OpenSSL end for tests of dtls: what another client may be, with its own certificate, MTU, ciphers
 * and habits. Its datagrams lie in a list. */
#ifndef TR_TEST_DTLS_PEER_H
#define TR_TEST_DTLS_PEER_H

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "telerelay.h"

enum { PEER_DATAGRAMS = 64, PEER_BYTES = 2048 };

typedef struct peer_datagrams {
    size_t count;
    size_t sizes[PEER_DATAGRAMS];
    uint8_t bytes[PEER_DATAGRAMS][PEER_BYTES];
} peer_datagrams;

static inline void peer_add(peer_datagrams *list, const uint8_t *data, size_t size)
{
    if (list->count == PEER_DATAGRAMS || size > PEER_BYTES) return;
    memcpy(list->bytes[list->count], data, size);
    list->sizes[list->count++] = size;
}

typedef struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO_METHOD *method;
    peer_datagrams out;
    const uint8_t *in;
    size_t in_size;
} peer;

static inline int peer_bio_read(BIO *bio, char *out, int room)
{
    peer *p = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!p->in || (size_t)room < p->in_size) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, p->in, p->in_size);
    p->in = NULL;
    return (int)p->in_size;
}

static inline int peer_bio_write(BIO *bio, const char *data, int size)
{
    peer *p = BIO_get_data(bio);
    peer_add(&p->out, (const uint8_t *)data, (size_t)size);
    return size;
}

static inline long peer_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static inline unsigned peer_timeout(SSL *ssl, unsigned timeout_us)
{
    (void)ssl, (void)timeout_us;
    return 200000;
}

static inline X509 *peer_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

static inline int peer_accept_any(X509_STORE_CTX *store, void *user)
{
    (void)store, (void)user;
    return 1;
}

/* A key and certificate are taken over; NULL: the peer has none. */
static inline peer *peer_new(int is_client, X509 *cert, EVP_PKEY *key, const char *profiles, unsigned mtu)
{
    peer *p = calloc(1, sizeof *p);
    p->ctx = SSL_CTX_new(DTLS_method());
    SSL_CTX_set_options(p->ctx, SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(p->ctx, peer_accept_any, NULL);
    if (profiles) SSL_CTX_set_tlsext_use_srtp(p->ctx, profiles);
    if (cert) {
        SSL_CTX_use_certificate(p->ctx, cert);
        SSL_CTX_use_PrivateKey(p->ctx, key);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    p->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "peer");
    BIO_meth_set_read(p->method, peer_bio_read);
    BIO_meth_set_write(p->method, peer_bio_write);
    BIO_meth_set_ctrl(p->method, peer_bio_ctrl);
    p->ssl = SSL_new(p->ctx);
    BIO *bio = BIO_new(p->method);
    BIO_set_data(bio, p);
    BIO_set_init(bio, 1);
    SSL_set_bio(p->ssl, bio, bio);
    DTLS_set_link_mtu(p->ssl, mtu);
    DTLS_set_timer_cb(p->ssl, peer_timeout);
    if (is_client)
        SSL_set_connect_state(p->ssl);
    else
        SSL_set_accept_state(p->ssl);
    return p;
}

static inline peer *peer_new_ec(int is_client, const char *profiles, unsigned mtu)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    return peer_new(is_client, peer_certificate(key), key, profiles, mtu);
}

static inline void peer_free(peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    BIO_meth_free(p->method);
    ERR_clear_error();
    free(p);
}

/* One step, with a datagram or without. 1: the handshake is finished. */
static inline int peer_step(peer *p, const uint8_t *data, size_t size)
{
    uint8_t sink[2048];
    p->in = data;
    p->in_size = size;
    ERR_clear_error();
    int done = SSL_do_handshake(p->ssl);
    if (done == 1) SSL_read(p->ssl, sink, sizeof sink);
    p->in = NULL;
    return done;
}

/* Another's certificate with a key of one's own: the public half agrees, the private one does not. */
static inline EVP_PKEY *peer_forged_key(EVP_PKEY *theirs, EVP_PKEY *ours)
{
    uint8_t point[256];
    size_t size = 0;
    BIGNUM *secret = NULL;
    EVP_PKEY *forged = NULL;
    EVP_PKEY_get_octet_string_param(theirs, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size);
    EVP_PKEY_get_bn_param(ours, OSSL_PKEY_PARAM_PRIV_KEY, &secret);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, size);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY_fromdata_init(ctx);
    EVP_PKEY_fromdata(ctx, &forged, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(secret);
    return forged;
}

static inline tr_fingerprint peer_fingerprint_of(X509 *cert, const EVP_MD *md)
{
    tr_fingerprint f = {0};
    unsigned size = 0;
    X509_digest(cert, md, f.bytes, &size);
    f.size = (uint8_t)size;
    return f;
}

static inline tr_fingerprint peer_fingerprint(const peer *p)
{
    return peer_fingerprint_of(SSL_get_certificate(p->ssl), EVP_sha256());
}

#endif
