/* crypto_backend: what crypto.c asks of a backend, and nobody else. A backend's key begins with the struct here.
 * Worker thread. */
#ifndef TR_CRYPTO_BACKEND_H
#define TR_CRYPTO_BACKEND_H

#include <openssl/sha.h>

#include "crypto.h"

typedef struct tr_crypto_backend {
    bool (*init)(tr_crypto *crypto); /* fills state and name; false: this machine cannot */
    void (*dispose)(tr_crypto *crypto);
    tr_gcm_key *(*gcm_new)(const tr_crypto *crypto, const uint8_t *key, size_t key_size);
    void (*gcm_free)(tr_gcm_key *key);
    void (*gcm_seal)(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, uint8_t *tag);
    void (*gcm_near)(const tr_gcm_key *key); /* fetch what one packet reads */
    bool (*gcm_open)(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, const uint8_t *tag);
    tr_cm_key *(*cm_new)(const tr_crypto *crypto, const uint8_t *key);
    void (*cm_free)(tr_cm_key *key);
    void (*cm_xor)(tr_cm_key *key, const uint8_t *iv, uint8_t *data, size_t size);
} tr_crypto_backend;

struct tr_crypto {
    const tr_crypto_backend *backend;
    void *state; /* the backend's own, one thread's */
    char name[32];
};

struct tr_gcm_key {
    const tr_crypto_backend *backend;
};

struct tr_cm_key {
    const tr_crypto_backend *backend;
    SHA_CTX inner, outer; /* after the padded key, RFC 2104; crypto.c's */
};

extern const tr_crypto_backend tr__crypto_openssl;
#ifdef TR_WITH_IPSEC_MB
extern const tr_crypto_backend tr__crypto_ipsec_mb;
#endif

#endif
