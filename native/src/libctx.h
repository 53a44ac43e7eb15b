/* libctx: OpenSSL with only what a DTLS handshake here needs, so that it finds it fast.
 *
 * OpenSSL 3.0 looks for what decodes the key of a peer's certificate among all formats of all kinds of keys, anew for
 * each certificate: a third of a handshake. A library context of our own knows only what can come here. The algorithms
 * themselves are those of the default provider. */
#pragma once

#include <openssl/types.h>

typedef struct tr_libctx tr_libctx;

/* NULL: no memory, or an OpenSSL without its default provider. */
tr_libctx *tr__libctx_new(void);
/* After everything that was made in it. Takes NULL. */
void tr__libctx_free(tr_libctx *libctx);
/* What OpenSSL's functions take; NULL for NULL, which is OpenSSL's own context. */
OSSL_LIB_CTX *tr__libctx_of(const tr_libctx *libctx);
