/* crypto_openssl: the backend that is there everywhere. Ciphers are fetched once, a key keeps its context, and a packet
 * sets nothing but the IV.
 * Allocates with a key, never for a packet. Worker thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto_backend.h"

typedef struct openssl_state {
    EVP_CIPHER *gcm128, *gcm256, *ctr128;
} openssl_state;

typedef struct openssl_gcm {
    tr_gcm_key base;
    EVP_CIPHER_CTX *ctx;
} openssl_gcm;

typedef struct openssl_cm {
    tr_cm_key base;
    EVP_CIPHER_CTX *ctx;
} openssl_cm;

static void dispose(tr_crypto *crypto)
{
    openssl_state *state = crypto->state;
    EVP_CIPHER_free(state->gcm128);
    EVP_CIPHER_free(state->gcm256);
    EVP_CIPHER_free(state->ctr128);
    free(state);
}

static bool init(tr_crypto *crypto)
{
    openssl_state *state = calloc(1, sizeof *state);
    if (!state) return false;
    state->gcm128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    state->gcm256 = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    state->ctr128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    crypto->state = state;
    if (!state->gcm128 || !state->gcm256 || !state->ctr128) {
        dispose(crypto);
        return false;
    }
    snprintf(crypto->name, sizeof crypto->name, "openssl %.20s", OpenSSL_version(OPENSSL_VERSION_STRING));
    return true;
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const uint8_t *key)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL) == 1) return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

/* A library that refuses must not let plain bytes out: what it left behind is wiped, and the peer finds no valid tag.
 */
static void wipe(uint8_t *data, size_t size, uint8_t *tag)
{
    OPENSSL_cleanse(data, size);
    if (tag) memset(tag, 0, 16);
}

static tr_gcm_key *gcm_new(const tr_crypto *crypto, const uint8_t *key, size_t key_size)
{
    const openssl_state *state = crypto->state;
    openssl_gcm *gcm = calloc(1, sizeof *gcm);
    if (!gcm) return NULL;
    gcm->base.backend = &tr__crypto_openssl;
    gcm->ctx = keyed(key_size == 16 ? state->gcm128 : state->gcm256, key);
    if (!gcm->ctx) {
        free(gcm);
        return NULL;
    }
    return &gcm->base;
}

static void gcm_free(tr_gcm_key *key)
{
    openssl_gcm *gcm = (openssl_gcm *)key;
    EVP_CIPHER_CTX_free(gcm->ctx); /* cleanses the schedule */
    free(gcm);
}

static void gcm_seal(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = ((openssl_gcm *)key)->ctx;
    uint8_t none[16];
    int n = 0;
    bool ok = EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1 &&
              (!aad_size || EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_size) == 1) &&
              (!size || EVP_EncryptUpdate(ctx, data, &n, data, (int)size) == 1) &&
              EVP_EncryptFinal_ex(ctx, none, &n) == 1 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
    if (!ok) wipe(data, size, tag);
}

static bool gcm_open(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, const uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = ((openssl_gcm *)key)->ctx;
    uint8_t expected[16], none[16];
    int n = 0;
    memcpy(expected, tag, 16); /* the call takes no const */
    return EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1 &&
           (!aad_size || EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_size) == 1) &&
           (!size || EVP_DecryptUpdate(ctx, data, &n, data, (int)size) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, expected) == 1 &&
           EVP_DecryptFinal_ex(ctx, none, &n) == 1; /* compares in constant time */
}

/* The library's context is its own secret. */
static void gcm_near(const tr_gcm_key *key) { (void)key; }

static tr_cm_key *cm_new(const tr_crypto *crypto, const uint8_t *key)
{
    const openssl_state *state = crypto->state;
    openssl_cm *cm = calloc(1, sizeof *cm);
    if (!cm) return NULL;
    cm->base.backend = &tr__crypto_openssl;
    cm->ctx = keyed(state->ctr128, key);
    if (!cm->ctx) {
        free(cm);
        return NULL;
    }
    return &cm->base;
}

static void cm_free(tr_cm_key *key)
{
    openssl_cm *cm = (openssl_cm *)key;
    EVP_CIPHER_CTX_free(cm->ctx);
    OPENSSL_cleanse(cm, sizeof *cm);
    free(cm);
}

static void cm_xor(tr_cm_key *key, const uint8_t *iv, uint8_t *data, size_t size)
{
    EVP_CIPHER_CTX *ctx = ((openssl_cm *)key)->ctx;
    int n = 0;
    bool ok = EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1 &&
              (!size || EVP_EncryptUpdate(ctx, data, &n, data, (int)size) == 1);
    if (!ok) wipe(data, size, NULL);
}

const tr_crypto_backend tr__crypto_openssl = {
    .init = init,
    .dispose = dispose,
    .gcm_new = gcm_new,
    .gcm_free = gcm_free,
    .gcm_seal = gcm_seal,
    .gcm_near = gcm_near,
    .gcm_open = gcm_open,
    .cm_new = cm_new,
    .cm_free = cm_free,
    .cm_xor = cm_xor,
};
