/* libctx: see libctx.h. A provider that passes on what the default provider has, but for lists it makes shorter.
 * Worker thread, or before it runs. What is shared between workers is made once and not changed after that. */
#include "libctx.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#define NAME "telerelay"

/* One more than any list below has, for its end. */
#define MAX_KEPT 16

/* By kind of operation, the names that are passed on. OpenSSL goes through all it has found so far, of every kind, when
 * it reads a key. */
static const struct list {
    int operation;
    const char *as; /* what its properties must have, if anything */
    const char *names[MAX_KEPT];
} lists[] = {
    /* Keys of peers' certificates (ECDSA, RSA, Ed25519), of key exchanges (the curves of EC, and X25519), and of the
     * MACs of suites with AES-CBC. */
    {OSSL_OP_KEYMGMT, NULL, {"EC", "RSA", "ED25519", "X25519", "HMAC"}},
    /* Nothing but a certificate's key is read in this context. */
    {OSSL_OP_DECODER, "input=der,structure=SubjectPublicKeyInfo", {"EC", "RSA", "ED25519"}},
    {OSSL_OP_KEYEXCH, NULL, {"ECDH", "X25519"}},
    {OSSL_OP_SIGNATURE, NULL, {"ECDSA", "RSA", "ED25519", "HMAC"}},
    /* Of signatures, of the handshake, and of fingerprints. */
    {OSSL_OP_DIGEST, NULL, {"MD5", "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512"}},
    /* dtls.c has the suites; the last is the random generator's. */
    {OSSL_OP_CIPHER,
     NULL,
     {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-128-CBC", "AES-256-CBC", "AES-256-CTR"}},
    {OSSL_OP_MAC, NULL, {"HMAC"}},
    {OSSL_OP_KDF, NULL, {"TLS1-PRF"}},
};
enum { LISTS = sizeof lists / sizeof *lists };

struct tr_libctx {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
};

static struct {
    pthread_once_t once;
    OSSL_PROVIDER *base; /* the default provider, loaded for the life of the process */
    OSSL_ALGORITHM kept[LISTS][MAX_KEPT];
} shared = {.once = PTHREAD_ONCE_INIT};

/* An algorithm's names are separated by colons; the first is the one that is listed. */
static bool is_listed(const struct list *list, const OSSL_ALGORITHM *algorithm)
{
    size_t size = strcspn(algorithm->algorithm_names, ":");
    for (const char *const *name = list->names; *name; name++)
        if (strlen(*name) == size && strncasecmp(algorithm->algorithm_names, *name, size) == 0)
            return !list->as || strstr(algorithm->property_definition, list->as);
    return false;
}

static void prepare(void)
{
    OSSL_PROVIDER *base = OSSL_PROVIDER_load(NULL, "default");
    if (!base) return;
    for (size_t i = 0; i < LISTS; i++) {
        int no_cache = 0;
        size_t found = 0;
        const OSSL_ALGORITHM *each = OSSL_PROVIDER_query_operation(base, lists[i].operation, &no_cache);
        for (; each && each->algorithm_names && found < MAX_KEPT - 1; each++)
            if (is_listed(&lists[i], each)) shared.kept[i][found++] = *each;
        if (!found) return; /* another OpenSSL than we know: do without */
    }
    shared.base = base;
}

/* ---- the provider */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    for (size_t i = 0; i < LISTS; i++)
        if (lists[i].operation == operation) return shared.kept[i];
    /* Of all else only randomness is asked for. */
    return operation == OSSL_OP_RAND ? OSSL_PROVIDER_query_operation(shared.base, operation, no_cache) : NULL;
}

static int capabilities(void *provider, const char *name, OSSL_CALLBACK *tell, void *user)
{
    (void)provider;
    return OSSL_PROVIDER_get_capabilities(shared.base, name, tell, user);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
    {0, NULL},
};

/* Its algorithms are the default provider's, and get that one's context. */
static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
    (void)handle, (void)in;
    *out = functions;
    *provider = OSSL_PROVIDER_get0_provider_ctx(shared.base);
    return 1;
}

tr_libctx *tr__libctx_new(void)
{
    pthread_once(&shared.once, prepare);
    if (!shared.base) return NULL;
    tr_libctx *libctx = calloc(1, sizeof *libctx);
    if (!libctx) return NULL;
    if ((libctx->context = OSSL_LIB_CTX_new()) && OSSL_PROVIDER_add_builtin(libctx->context, NAME, init) == 1 &&
        (libctx->provider = OSSL_PROVIDER_load(libctx->context, NAME)))
        return libctx;
    tr__libctx_free(libctx);
    return NULL;
}

void tr__libctx_free(tr_libctx *libctx)
{
    if (!libctx) return;
    if (libctx->provider) OSSL_PROVIDER_unload(libctx->provider);
    OSSL_LIB_CTX_free(libctx->context);
    free(libctx);
}

OSSL_LIB_CTX *tr__libctx_of(const tr_libctx *libctx) { return libctx ? libctx->context : NULL; }
