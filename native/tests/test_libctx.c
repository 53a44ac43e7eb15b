/* test_libctx: a library context that knows little, and all that a handshake needs. */
#include "libctx.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include "check.h"

/* Whether the public half of a key is read in that context, and is the same. */
static bool is_read(OSSL_LIB_CTX *context, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    const uint8_t *at = der;
    EVP_PKEY *read = size > 0 ? d2i_PUBKEY_ex(NULL, &at, size, context, NULL) : NULL;
    bool is_same = read && EVP_PKEY_eq(read, key) == 1;
    EVP_PKEY_free(read);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return is_same;
}

static void keys_of_certificates_are_read(void)
{
    tr_libctx *libctx = tr__libctx_new();
    OSSL_LIB_CTX *context = tr__libctx_of(libctx);
    CHECK(context != NULL);
    CHECK(is_read(context, EVP_EC_gen("P-256")));
    CHECK(is_read(context, EVP_EC_gen("P-384")));
    CHECK(is_read(context, EVP_RSA_gen(2048)));
    CHECK(is_read(context, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")));
    /* What nobody's certificate has is not looked through. */
    CHECK(!is_read(context, EVP_PKEY_Q_keygen(NULL, NULL, "X448")));
    tr__libctx_free(libctx);
}

static void two_contexts_live_side_by_side(void)
{
    tr_libctx *one = tr__libctx_new(), *other = tr__libctx_new();
    CHECK(one != NULL && other != NULL && one != other);
    tr__libctx_free(one);
    CHECK(is_read(tr__libctx_of(other), EVP_EC_gen("P-256")));
    tr__libctx_free(other);
    tr__libctx_free(NULL);
}

static void what_a_handshake_computes_is_there(void)
{
    tr_libctx *libctx = tr__libctx_new();
    OSSL_LIB_CTX *context = tr__libctx_of(libctx);
    EVP_PKEY *exchange = EVP_PKEY_Q_keygen(context, NULL, "X25519");
    EVP_MD *digest = EVP_MD_fetch(context, "SHA2-256", NULL);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(context, "AES-128-GCM", NULL);
    EVP_KDF *kdf = EVP_KDF_fetch(context, "TLS1-PRF", NULL);
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(context, "ECDSA", NULL);
    CHECK(exchange && digest && cipher && kdf && signature);
    EVP_PKEY_free(exchange);
    EVP_MD_free(digest);
    EVP_CIPHER_free(cipher);
    EVP_KDF_free(kdf);
    EVP_SIGNATURE_free(signature);
    tr__libctx_free(libctx);
}

static const check_test tests[] = {
    TEST(keys_of_certificates_are_read),
    TEST(two_contexts_live_side_by_side),
    TEST(what_a_handshake_computes_is_there),
};
CHECK_MAIN("test_libctx", tests)
