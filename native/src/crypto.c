/* crypto: chooses a backend and hands calls on to it; see crypto.h for what the calls promise.
 * Allocates with a key, never for a packet. Worker thread.
 *
 * SHA-1 is OpenSSL's with both backends: ipsec-mb is fast with many packets at once and slow with one (version 1.3
 * takes 2,900 ns for 1,200 bytes where it has AVX2, OpenSSL with the SHA instructions 770). It goes through SHA_CTX,
 * which OpenSSL 3 calls deprecated: copying an EVP_MD_CTX allocates in 3.0, and HMAC with saved pads is two such copies
 * a packet. A SHA_CTX is a value. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto_backend.h"

static tr_crypto *make(const tr_crypto_backend *backend)
{
    tr_crypto *crypto = calloc(1, sizeof *crypto);
    if (!crypto) return NULL;
    crypto->backend = backend;
    if (!backend->init(crypto)) {
        free(crypto);
        return NULL;
    }
    return crypto;
}

tr_crypto *tr__crypto_new(int kind)
{
#ifdef TR_WITH_IPSEC_MB
    if (kind == TR_CRYPTO_IPSEC_MB) return make(&tr__crypto_ipsec_mb);
    if (kind == TR_CRYPTO_AUTO) {
        tr_crypto *crypto = make(&tr__crypto_ipsec_mb);
        if (crypto) return crypto;
    }
#endif
    if (kind == TR_CRYPTO_AUTO || kind == TR_CRYPTO_OPENSSL) return make(&tr__crypto_openssl);
    return NULL;
}

void tr__crypto_free(tr_crypto *crypto)
{
    if (!crypto) return;
    crypto->backend->dispose(crypto);
    free(crypto);
}

const char *tr__crypto_name(const tr_crypto *crypto) { return crypto->name; }

bool tr__crypto_is_available(int kind)
{
    tr_crypto *crypto = tr__crypto_new(kind);
    tr__crypto_free(crypto);
    return crypto != NULL;
}

bool tr__crypto_keystream(const uint8_t *key, size_t key_size, const uint8_t iv[16], uint8_t *out, size_t size)
{
    const EVP_CIPHER *cipher = key_size == 16 ? EVP_aes_128_ctr() : key_size == 32 ? EVP_aes_256_ctr() : NULL;
    EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
    int written = 0;
    memset(out, 0, size);
    bool ok = ctx && size <= 1024 && EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) == 1 &&
              EVP_EncryptUpdate(ctx, out, &written, out, (int)size) == 1 && (size_t)written == size;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

tr_gcm_key *tr__gcm_new(const tr_crypto *crypto, const uint8_t *key, size_t key_size)
{
    if (key_size != 16 && key_size != 32) return NULL;
    return crypto->backend->gcm_new(crypto, key, key_size);
}

void tr__gcm_free(tr_gcm_key *key)
{
    if (key) key->backend->gcm_free(key);
}

void tr__gcm_seal(tr_gcm_key *key, const uint8_t iv[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
                  size_t size, uint8_t tag[16])
{
    key->backend->gcm_seal(key, iv, aad, aad_size, data, size, tag);
}

bool tr__gcm_open(tr_gcm_key *key, const uint8_t iv[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
                  size_t size, const uint8_t tag[16])
{
    return key->backend->gcm_open(key, iv, aad, aad_size, data, size, tag);
}

void tr__gcm_near(const tr_gcm_key *key) { key->backend->gcm_near(key); }

static bool pad(SHA_CTX *sha, const uint8_t *auth_key, size_t auth_size, uint8_t with)
{
    uint8_t block[SHA_CBLOCK];
    memset(block, with, sizeof block);
    for (size_t i = 0; i < auth_size; i++) block[i] ^= auth_key[i];
    bool ok = SHA1_Init(sha) == 1 && SHA1_Update(sha, block, sizeof block) == 1;
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

tr_cm_key *tr__cm_new(const tr_crypto *crypto, const uint8_t key[16], const uint8_t *auth_key, size_t auth_size)
{
    if (auth_size > SHA_CBLOCK) return NULL;
    tr_cm_key *cm = crypto->backend->cm_new(crypto, key);
    if (!cm) return NULL;
    if (pad(&cm->inner, auth_key, auth_size, 0x36) && pad(&cm->outer, auth_key, auth_size, 0x5c)) return cm;
    tr__cm_free(cm);
    return NULL;
}

void tr__cm_free(tr_cm_key *key)
{
    if (key) key->backend->cm_free(key);
}

void tr__cm_xor(tr_cm_key *key, const uint8_t iv[16], uint8_t *data, size_t size)
{
    key->backend->cm_xor(key, iv, data, size);
}

bool tr__cm_mac(tr_cm_key *key, const uint8_t *data, size_t size, const uint8_t *trailer, uint8_t mac[20])
{
    SHA_CTX sha = key->inner;
    bool ok = SHA1_Update(&sha, data, size) == 1 && (!trailer || SHA1_Update(&sha, trailer, 4) == 1) &&
              SHA1_Final(mac, &sha) == 1;
    sha = key->outer;
    return ok && SHA1_Update(&sha, mac, SHA_DIGEST_LENGTH) == 1 && SHA1_Final(mac, &sha) == 1;
}
