/* crypto: the ciphers SRTP needs, behind one small interface with two backends chosen at run time.
 * ipsec-mb where library and CPU have it, OpenSSL everywhere. We write no cipher. Worker thread: a tr_crypto and all
 * its keys belong to one thread, and it outlives its keys. Keys are zeroised when freed. */
#ifndef TR_CRYPTO_H
#define TR_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telerelay.h"

typedef struct tr_crypto tr_crypto;   /* one per worker: the backend and its per-thread state */
typedef struct tr_gcm_key tr_gcm_key; /* expanded AES-GCM key, one direction */
typedef struct tr_cm_key tr_cm_key;   /* expanded AES-CTR key and HMAC-SHA1 pads, one direction */

/* kind: tr_crypto_kind; AUTO takes ipsec-mb if it is there. NULL: not available. */
tr_crypto *tr__crypto_new(int kind);
void tr__crypto_free(tr_crypto *crypto);
const char *tr__crypto_name(const tr_crypto *crypto); /* "ipsec-mb 1.3.0", "openssl 3.0.19" */
bool tr__crypto_is_available(int kind);

/* AES counter mode over zeros, at most 1,024 bytes: the pseudo-random function of SRTP's key derivation (RFC 3711,
 * 4.3.3). At set-up only: it allocates. key_size 16 or 32; false: the library refused. */
bool tr__crypto_keystream(const uint8_t *key, size_t key_size, const uint8_t iv[16], uint8_t *out, size_t size);

tr_gcm_key *tr__gcm_new(const tr_crypto *crypto, const uint8_t *key, size_t key_size); /* 16 or 32 bytes */
void tr__gcm_free(tr_gcm_key *key);
/* In place over data; the tag is written, or compared in constant time. A tag that does not match leaves the bytes
 * deciphered all the same: sealing them again under the same IV brings back what came. */
void tr__gcm_seal(tr_gcm_key *key, const uint8_t iv[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
                  size_t size, uint8_t tag[16]);
bool tr__gcm_open(tr_gcm_key *key, const uint8_t iv[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
                  size_t size, const uint8_t tag[16]);

void tr__gcm_near(const tr_gcm_key *key); /* fetch what sealing or opening reads */

tr_cm_key *tr__cm_new(const tr_crypto *crypto, const uint8_t key[16], const uint8_t *auth_key, size_t auth_size);
void tr__cm_free(tr_cm_key *key);
void tr__cm_xor(tr_cm_key *key, const uint8_t iv[16], uint8_t *data, size_t size);
/* HMAC-SHA1 over data, then the 4 bytes of `trailer` (the rollover counter; NULL: none).
 * All 20 bytes. False: the library refused, and `mac` is void. */
bool tr__cm_mac(tr_cm_key *key, const uint8_t *data, size_t size, const uint8_t *trailer, uint8_t mac[20]);

#endif
