/* certificate: the relay's own DTLS certificate, made or loaded as PEM (RFC 8827 section 6.5, RFC 8122).
 * Runs at set-up, on the control side; reads OpenSSL's clock and random source. Any thread. */
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "telerelay.h"

#define DAY 86400L
/* A browser's clock may be wrong by weeks, and a relay may run for months; the fingerprint is what counts. */
#define DAYS_BACK 30
#define DAYS_AHEAD 365
#define SERIAL_BYTES 16 /* RFC 5280 section 4.1.2.2 allows 20 */

/* What a memory BIO holds, as a string. */
static int take_string(BIO *bio, char *out, size_t room)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    if (size <= 0 || (size_t)size >= room) return TR_ERR_ARGUMENT;
    memcpy(out, data, (size_t)size);
    out[size] = '\0';
    return TR_OK;
}

static int write_fingerprint(X509 *cert, char out[96])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(cert, EVP_sha256(), digest, &size) != 1 || size != 32) return TR_ERR_CRYPTO;
    for (unsigned i = 0; i < size; i++) snprintf(out + 3 * i, 4, i + 1 < size ? "%02X:" : "%02X", digest[i]);
    return TR_OK;
}

/* Both as PEM written anew: whatever else a loaded file said stays behind. TR_ERR_ARGUMENT: they do not fit. */
static int write_all(X509 *cert, EVP_PKEY *key, tr_certificate *out)
{
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());
    int status = TR_ERR_CRYPTO;
    memset(out, 0, sizeof *out);
    if (cert_bio && key_bio && PEM_write_bio_X509(cert_bio, cert) == 1 &&
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        status = take_string(cert_bio, out->cert_pem, sizeof out->cert_pem);
        if (status == TR_OK) status = take_string(key_bio, out->key_pem, sizeof out->key_pem);
        if (status == TR_OK) status = write_fingerprint(cert, out->fingerprint);
    }
    if (status != TR_OK) OPENSSL_cleanse(out, sizeof *out);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return status;
}

static int set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return 0;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always of one length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

/* The name says what it is and nothing of whose: a certificate is seen by every peer. */
static int set_name(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"telerelay", -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1;
}

int tr_certificate_make(tr_certificate *out)
{
    if (!out) return TR_ERR_ARGUMENT;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    int status = TR_ERR_CRYPTO;
    if (key && cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -DAYS_BACK * DAY) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), DAYS_AHEAD * DAY) && set_name(cert) &&
        X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0)
        status = write_all(cert, key, out);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return status;
}

/* An encrypted key is refused; OpenSSL's own answer would be to ask on the terminal. */
static int no_password(char *buffer, int size, int for_writing, void *user)
{
    (void)buffer, (void)size, (void)for_writing, (void)user;
    return -1;
}

int tr_certificate_load(tr_certificate *out, const char *cert_pem, const char *key_pem)
{
    if (!out || !cert_pem || !key_pem) return TR_ERR_ARGUMENT;
    BIO *cert_bio = BIO_new_mem_buf(cert_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, no_password, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL) : NULL;
    int status = TR_ERR_ARGUMENT;
    /* EC only: the suites of RFC 8827 want it, and it keeps our flight in one datagram. */
    if (cert && key && EVP_PKEY_is_a(key, "EC") && X509_check_private_key(cert, key) == 1)
        status = write_all(cert, key, out);
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    return status;
}
