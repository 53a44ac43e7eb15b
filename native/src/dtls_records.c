/* dtls_records: see dtls_records.h. Touches what it is given and OpenSSL's ciphers. Worker thread. */
#include "dtls_records.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#define TAG 16
#define WINDOW 64 /* RFC 6347 section 4.1.2.6 */
#define DTLS_1_2 0xfefd
#define EPOCH 1 /* there is no renegotiation, so no other */

enum { SUITES = 3 };

static const struct suite {
    int nid;
    const char *name;
    uint8_t key_bytes;
    uint8_t iv_bytes;       /* of the key block */
    uint8_t explicit_bytes; /* of the nonce, in each record */
} suites[SUITES] = {
    {NID_aes_128_gcm, "AES-128-GCM", 16, 4, 8},
    {NID_aes_256_gcm, "AES-256-GCM", 32, 4, 8},
    {NID_chacha20_poly1305, "ChaCha20-Poly1305", 32, 12, 0},
};

struct tr_dtls_ciphers {
    EVP_CIPHER *ciphers[SUITES];
    EVP_CIPHER_CTX *contexts[SUITES];
};

tr_dtls_ciphers *tr__dtls_ciphers_new(void)
{
    tr_dtls_ciphers *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    for (size_t i = 0; i < SUITES; i++) {
        all->ciphers[i] = EVP_CIPHER_fetch(NULL, suites[i].name, NULL);
        all->contexts[i] = EVP_CIPHER_CTX_new();
        if (all->ciphers[i] && all->contexts[i]) continue;
        tr__dtls_ciphers_free(all);
        return NULL;
    }
    return all;
}

void tr__dtls_ciphers_free(tr_dtls_ciphers *all)
{
    if (!all) return;
    for (size_t i = 0; i < SUITES; i++) {
        EVP_CIPHER_CTX_free(all->contexts[i]);
        EVP_CIPHER_free(all->ciphers[i]);
    }
    free(all);
}

/* ---- keys */

/* RFC 5246 section 6.3: PRF(master secret, "key expansion", server random, client random). */
static bool expand(SSL *ssl, uint8_t *block, size_t size)
{
    static const char label[] = "key expansion";
    enum { LABEL = sizeof label - 1, RANDOM = 32 };
    uint8_t secret[SSL_MAX_MASTER_KEY_LENGTH], seed[LABEL + 2 * RANDOM];
    size_t secret_size = SSL_SESSION_get_master_key(SSL_get_session(ssl), secret, sizeof secret);
    const EVP_MD *digest = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    memcpy(seed, label, LABEL);
    SSL_get_server_random(ssl, seed + LABEL, RANDOM);
    SSL_get_client_random(ssl, seed + LABEL + RANDOM, RANDOM);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = false;
    if (ctx && digest && secret_size) {
        char name[16];
        OPENSSL_strlcpy(name, EVP_MD_get0_name(digest), sizeof name);
        const OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, secret_size),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
            OSSL_PARAM_construct_end(),
        };
        ok = EVP_KDF_derive(ctx, block, size, params) == 1;
    }
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    OPENSSL_cleanse(secret, sizeof secret);
    return ok;
}

bool tr__dtls_records_take(tr_dtls_records *records, tr_dtls_ciphers *ciphers, SSL *ssl, bool is_client,
                           uint64_t last_in)
{
    int nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl));
    uint8_t suite = 0;
    while (suite < SUITES && suites[suite].nid != nid) suite++;
    if (suite == SUITES) return false;
    size_t key = suites[suite].key_bytes, iv = suites[suite].iv_bytes;
    uint8_t block[2 * sizeof(tr_dtls_direction)]; /* client's key, server's key, client's IV, server's IV */
    bool ok = expand(ssl, block, 2 * (key + iv));
    if (ok) {
        records->ciphers = ciphers;
        records->suite = suite;
        tr_dtls_direction *client = is_client ? &records->out : &records->in;
        tr_dtls_direction *server = is_client ? &records->in : &records->out;
        memcpy(client->key, block, key);
        memcpy(server->key, block + key, key);
        memcpy(client->iv, block + 2 * key, iv);
        memcpy(server->iv, block + 2 * key + iv, iv);
        records->in_highest = last_in;
        records->in_window = 1;
    }
    OPENSSL_cleanse(block, sizeof block);
    ERR_clear_error();
    return ok;
}

/* ---- records */

/* The explicit part of OpenSSL's nonces begins anywhere and counts; a number of our own choice might meet one of them,
 * and a nonce used twice gives AES-GCM's key away. Where there is none these bytes mean nothing. */
void tr__dtls_records_wrote(tr_dtls_records *records, const tr_dtls_record *record)
{
    if (record->epoch != EPOCH || record->size < TR_DTLS_SEAL_BYTES) return;
    records->out_sequence = record->sequence + 1;
    records->out_nonce = tr__load64(record->data + TR_DTLS_RECORD_HEADER) + 1;
}

/* RFC 6347 section 4.1.2.1: epoch and number, type, version, and the length without nonce and tag. */
static void write_aad(uint8_t aad[TR_DTLS_RECORD_HEADER], const uint8_t *header, size_t size)
{
    memcpy(aad, header + 3, 8);
    memcpy(aad + 8, header, 3);
    tr__store16(aad + 11, (uint16_t)size);
}

/* The key's part and the record's, one behind the other (RFC 5288, 3); or the one upon the other (RFC 7905, 2). */
static void write_nonce(uint8_t nonce[12], const struct suite *suite, const tr_dtls_direction *direction,
                        uint64_t sequence, const uint8_t *explicit)
{
    memcpy(nonce, direction->iv, suite->iv_bytes);
    if (explicit) {
        memcpy(nonce + suite->iv_bytes, explicit, suite->explicit_bytes);
        return;
    }
    uint8_t number[8];
    tr__store64(number, (uint64_t)EPOCH << 48 | sequence);
    for (size_t i = 0; i < sizeof number; i++) nonce[4 + i] ^= number[i];
}

size_t tr__dtls_records_seal(tr_dtls_records *records, uint8_t type, const uint8_t *data, size_t size, uint8_t *out)
{
    const struct suite *suite = &suites[records->suite];
    EVP_CIPHER_CTX *ctx = records->ciphers->contexts[records->suite];
    uint64_t sequence = records->out_sequence++;
    uint8_t *explicit = suite->explicit_bytes ? out + TR_DTLS_RECORD_HEADER : NULL;
    uint8_t *sealed = out + TR_DTLS_RECORD_HEADER + suite->explicit_bytes, nonce[12], aad[TR_DTLS_RECORD_HEADER];
    out[0] = type;
    tr__store16(out + 1, DTLS_1_2);
    tr__store64(out + 3, (uint64_t)EPOCH << 48 | sequence);
    tr__store16(out + 11, (uint16_t)(suite->explicit_bytes + size + TAG));
    if (explicit) tr__store64(explicit, records->out_nonce++);
    write_nonce(nonce, suite, &records->out, sequence, explicit);
    write_aad(aad, out, size);
    int written;
    bool ok = EVP_EncryptInit_ex2(ctx, records->ciphers->ciphers[records->suite], records->out.key, nonce, NULL) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &written, aad, sizeof aad) == 1 &&
              EVP_EncryptUpdate(ctx, sealed, &written, data, (int)size) == 1 &&
              EVP_EncryptFinal_ex(ctx, sealed + size, &written) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + size) == 1;
    return ok ? (size_t)(sealed + size + TAG - out) : 0;
}

static bool was_taken(const tr_dtls_records *records, uint64_t sequence)
{
    if (sequence > records->in_highest) return false;
    uint64_t back = records->in_highest - sequence;
    return back >= WINDOW || records->in_window >> back & 1;
}

static void note_taken(tr_dtls_records *records, uint64_t sequence)
{
    if (sequence <= records->in_highest) {
        records->in_window |= (uint64_t)1 << (records->in_highest - sequence);
        return;
    }
    uint64_t ahead = sequence - records->in_highest;
    records->in_window = (ahead < WINDOW ? records->in_window << ahead : 0) | 1;
    records->in_highest = sequence;
}

bool tr__dtls_records_open(tr_dtls_records *records, const tr_dtls_record *record, uint8_t *out, size_t *size)
{
    const struct suite *suite = &suites[records->suite];
    EVP_CIPHER_CTX *ctx = records->ciphers->contexts[records->suite];
    size_t overhead = (size_t)TR_DTLS_RECORD_HEADER + suite->explicit_bytes + TAG;
    if (record->epoch != EPOCH || record->size < overhead || was_taken(records, record->sequence)) return false;
    const uint8_t *explicit = suite->explicit_bytes ? record->data + TR_DTLS_RECORD_HEADER : NULL;
    const uint8_t *sealed = record->data + TR_DTLS_RECORD_HEADER + suite->explicit_bytes;
    uint8_t nonce[12], aad[TR_DTLS_RECORD_HEADER], tag[TAG];
    *size = record->size - overhead;
    memcpy(tag, sealed + *size, TAG);
    write_nonce(nonce, suite, &records->in, record->sequence, explicit);
    write_aad(aad, record->data, *size);
    int written;
    bool ok = EVP_DecryptInit_ex2(ctx, records->ciphers->ciphers[records->suite], records->in.key, nonce, NULL) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &written, aad, sizeof aad) == 1 &&
              EVP_DecryptUpdate(ctx, out, &written, sealed, (int)*size) == 1 &&
              EVP_DecryptFinal_ex(ctx, out + *size, &written) == 1;
    if (!ok) {
        ERR_clear_error();
        OPENSSL_cleanse(out, *size);
        return false;
    }
    note_taken(records, record->sequence);
    return true;
}
