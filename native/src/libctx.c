/* libctx: see libctx.h. A provider that passes on what the default provider has, but for lists it makes shorter.
 * Worker thread, or before it runs. What is shared between workers is made once and not changed after that. */
#include "libctx.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#define NAME "telerelay"

/* Keys of peers' certificates (ECDSA, RSA, Ed25519), of key exchanges (the curves of EC, and X25519), and of the MACs
 * of suites with AES-CBC. */
static const char *const KEYS[] = {"EC", "RSA", "ED25519", "X25519", "HMAC"};
/* Of what a certificate's key is read by: nothing else is read in this context. */
static const char *const DECODED[] = {"EC", "RSA", "ED25519"};
#define DECODED_AS "input=der,structure=SubjectPublicKeyInfo"

/* One more than each kind of key and each of the formats above, for the end of the list. */
#define MAX_KEPT 16

struct tr_libctx {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
};

static struct {
    pthread_once_t once;
    OSSL_PROVIDER *base; /* the default provider, loaded for the life of the process */
    OSSL_ALGORITHM keys[MAX_KEPT], decoders[MAX_KEPT];
} shared = {.once = PTHREAD_ONCE_INIT};

/* Names are separated by colons; the first is the one that is known here. */
static bool is_one_of(const char *names, const char *const *wanted, size_t count)
{
    size_t size = strcspn(names, ":");
    for (size_t i = 0; i < count; i++)
        if (strlen(wanted[i]) == size && strncmp(names, wanted[i], size) == 0) return true;
    return false;
}

static void keep(OSSL_ALGORITHM *kept, int operation, const char *const *wanted, size_t count, const char *as)
{
    int no_cache = 0;
    size_t found = 0;
    const OSSL_ALGORITHM *each = OSSL_PROVIDER_query_operation(shared.base, operation, &no_cache);
    for (; each && each->algorithm_names && found < MAX_KEPT - 1; each++)
        if (is_one_of(each->algorithm_names, wanted, count) && (!as || strstr(each->property_definition, as)))
            kept[found++] = *each;
}

static void prepare(void)
{
    if (!(shared.base = OSSL_PROVIDER_load(NULL, "default"))) return;
    keep(shared.keys, OSSL_OP_KEYMGMT, KEYS, sizeof KEYS / sizeof *KEYS, NULL);
    keep(shared.decoders, OSSL_OP_DECODER, DECODED, sizeof DECODED / sizeof *DECODED, DECODED_AS);
}

/* ---- the provider */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return shared.keys;
    case OSSL_OP_DECODER:
        return shared.decoders;
    case OSSL_OP_ENCODER:
        return NULL;
    case OSSL_OP_STORE:
        return NULL;
    default:
        return OSSL_PROVIDER_query_operation(shared.base, operation, no_cache);
    }
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
    if (!shared.base || !shared.decoders[0].algorithm_names) return NULL;
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
