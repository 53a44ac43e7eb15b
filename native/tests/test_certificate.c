/* Tests of certificate: what is made holds what it should and nothing of its owner; what is loaded is checked. */
#include "telerelay.h"

#include <ctype.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "check.h"

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return cert;
}

static void a_made_certificate_is_as_described(void)
{
    tr_certificate made;
    CHECK_EQ(TR_OK, tr_certificate_make(&made));
    X509 *cert = parse(made.cert_pem);
    CHECK(cert != NULL);
    CHECK_EQ(X509_VERSION_3, X509_get_version(cert));

    char name[256];
    X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof name);
    CHECK_STR("/CN=telerelay", name);
    X509_NAME_oneline(X509_get_issuer_name(cert), name, sizeof name);
    CHECK_STR("/CN=telerelay", name);
    CHECK_EQ(0, X509_get_ext_count(cert));

    int days = 0, seconds = 0;
    CHECK(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), NULL) == 1);
    CHECK_EQ(30, days);
    CHECK(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)) == 1);
    CHECK_EQ(395, days);

    EVP_PKEY *key = X509_get0_pubkey(cert);
    char group[32];
    size_t size = 0;
    CHECK(EVP_PKEY_is_a(key, "EC"));
    CHECK(EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1);
    CHECK_STR("prime256v1", group);
    CHECK_EQ(1, X509_verify(cert, key));
    CHECK_EQ(16, ASN1_STRING_length(X509_get0_serialNumber(cert)));
    X509_free(cert);

    CHECK_EQ(95, strlen(made.fingerprint));
    for (size_t i = 0; i < 95; i++)
        CHECK(i % 3 == 2 ? made.fingerprint[i] == ':'
                         : isdigit((unsigned char)made.fingerprint[i]) ||
                               (made.fingerprint[i] >= 'A' && made.fingerprint[i] <= 'F'));
}

static void two_made_certificates_share_nothing(void)
{
    tr_certificate a, b;
    CHECK_EQ(TR_OK, tr_certificate_make(&a));
    CHECK_EQ(TR_OK, tr_certificate_make(&b));
    CHECK(strcmp(a.fingerprint, b.fingerprint) != 0);
    CHECK(strcmp(a.key_pem, b.key_pem) != 0);
    X509 *x = parse(a.cert_pem), *y = parse(b.cert_pem);
    CHECK(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)) != 0);
    X509_free(x);
    X509_free(y);
}

static void what_was_made_can_be_loaded(void)
{
    tr_certificate made, loaded;
    CHECK_EQ(TR_OK, tr_certificate_make(&made));
    CHECK_EQ(TR_OK, tr_certificate_load(&loaded, made.cert_pem, made.key_pem));
    CHECK_STR(made.cert_pem, loaded.cert_pem);
    CHECK_STR(made.key_pem, loaded.key_pem);
    CHECK_STR(made.fingerprint, loaded.fingerprint);
}

static void text_around_the_pem_is_left_behind(void)
{
    tr_certificate made, loaded;
    char noisy[5000];
    CHECK_EQ(TR_OK, tr_certificate_make(&made));
    snprintf(noisy, sizeof noisy, "subject: Dr. Somebody, somewhere\n%s\n%s", made.cert_pem, made.cert_pem);
    CHECK_EQ(TR_OK, tr_certificate_load(&loaded, noisy, made.key_pem));
    CHECK_STR(made.cert_pem, loaded.cert_pem);
}

static void to_pem(EVP_PKEY *key, const EVP_CIPHER *cipher, char *out, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, cipher ? "secret" : NULL, cipher ? 6 : 0, NULL, NULL);
    long size = BIO_get_mem_data(bio, &data);
    snprintf(out, room, "%.*s", (int)size, data);
    BIO_free(bio);
}

static void what_does_not_fit_is_refused_and_leaves_nothing(void)
{
    tr_certificate made, other, loaded;
    char encrypted[1024], rsa[4096];
    CHECK_EQ(TR_OK, tr_certificate_make(&made));
    CHECK_EQ(TR_OK, tr_certificate_make(&other));
    BIO *bio = BIO_new_mem_buf(made.key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL), *rsa_key = EVP_RSA_gen(2048);
    to_pem(key, EVP_aes_128_cbc(), encrypted, sizeof encrypted);
    to_pem(rsa_key, NULL, rsa, sizeof rsa);
    const struct {
        const char *cert, *key;
    } rows[] = {
        {NULL, made.key_pem},
        {made.cert_pem, NULL},
        {"", made.key_pem},
        {made.cert_pem, ""},
        {"junk", made.key_pem},
        {made.cert_pem, "junk"},
        {made.cert_pem, other.key_pem}, /* another's key */
        {made.key_pem, made.cert_pem},  /* the wrong way round */
        {made.cert_pem, encrypted},     /* must fail, not ask */
        {made.cert_pem, rsa},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_EQ(TR_ERR_ARGUMENT, tr_certificate_load(&loaded, rows[i].cert, rows[i].key));
    CHECK_EQ(TR_ERR_ARGUMENT, tr_certificate_load(NULL, made.cert_pem, made.key_pem));
    CHECK_EQ(TR_ERR_ARGUMENT, tr_certificate_make(NULL));
    EVP_PKEY_free(key);
    EVP_PKEY_free(rsa_key);
    BIO_free(bio);
}

static const check_test tests[] = {
    TEST(a_made_certificate_is_as_described),
    TEST(two_made_certificates_share_nothing),
    TEST(what_was_made_can_be_loaded),
    TEST(text_around_the_pem_is_left_behind),
    TEST(what_does_not_fit_is_refused_and_leaves_nothing),
};
CHECK_MAIN("certificate", tests)
