/* Tests of crypto: both backends pass the published vectors and give the same bytes for the same input. */
#include "crypto.h"

#include "check.h"

#include "support/hex.h"

static tr_crypto *backends[2];
static size_t backend_count;

static void open_backends(void)
{
    backend_count = 0;
    const int kinds[] = {TR_CRYPTO_OPENSSL, TR_CRYPTO_IPSEC_MB};
    for (size_t i = 0; i < 2; i++) {
        tr_crypto *crypto = tr__crypto_new(kinds[i]);
        if (crypto) backends[backend_count++] = crypto;
    }
}

static void close_backends(void)
{
    for (size_t i = 0; i < backend_count; i++) tr__crypto_free(backends[i]);
}

static void backends_are_chosen_and_named(void)
{
    tr_crypto *openssl = tr__crypto_new(TR_CRYPTO_OPENSSL);
    CHECK(openssl != NULL);
    CHECK(strncmp(tr__crypto_name(openssl), "openssl 3.", 10) == 0);
    tr__crypto_free(openssl);
    CHECK(tr__crypto_is_available(TR_CRYPTO_AUTO));
    CHECK(tr__crypto_is_available(TR_CRYPTO_OPENSSL));
    CHECK(!tr__crypto_is_available(77));
    CHECK(tr__crypto_new(-1) == NULL);

    tr_crypto *any = tr__crypto_new(TR_CRYPTO_AUTO);
    bool has_ipsec_mb = tr__crypto_is_available(TR_CRYPTO_IPSEC_MB);
    CHECK_EQ(has_ipsec_mb ? 1 : 0, strncmp(tr__crypto_name(any), "ipsec-mb ", 9) == 0);
    printf("crypto: auto is %s\n", tr__crypto_name(any));
    tr__crypto_free(any);
    tr__crypto_free(NULL);
}

static void bad_key_sizes_are_refused(void)
{
    uint8_t key[65] = {0};
    for (size_t i = 0; i < backend_count; i++) {
        CHECK(tr__gcm_new(backends[i], key, 24) == NULL);
        CHECK(tr__gcm_new(backends[i], key, 0) == NULL);
        CHECK(tr__cm_new(backends[i], key, key, 65) == NULL);
    }
    tr__gcm_free(NULL);
    tr__cm_free(NULL);
}

/* RFC 7714 sections 16 and 17, as AEAD calls. */
static const struct gcm_vector {
    const char *what, *key, *iv, *aad, *plain, *sealed, *tag;
} gcm_vectors[] = {
    {"16.1.1", "000102030405060708090a0b0c0d0e0f", "51753c6580c2726f20718414", "8040f17b8041f8d35501a0b2",
     "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
     "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
     "899d7f27beb16a9152cf765ee4390cce"},
    {"16.1.3", "000102030405060708090a0b0c0d0e0f", "51753c6580c2726f20718414",
     "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573", "", "",
     "22493f82d2bce397e9d79e3b19aa4216"},
    {"16.2.1", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "51753c6580c2726f20718414",
     "8040f17b8041f8d35501a0b2", "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
     "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b",
     "7aa3db36dfffd6b0f9bb7878d7a76c13"},
    {"16.2.3", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "51753c6580c2726f20718414",
     "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573", "", "",
     "a866d5910f887463067ceefec45215d4"},
    {"17.1", "000102030405060708090a0b0c0d0e0f", "517524055203726f207170bb", "81c8000d4d617273800005d4",
     "4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
     "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b",
     "c84aa45896cf4d2fc5abf87245d9eade"},
    {"17.2", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "517524055203726f207170bb",
     "81c8000d4d617273800005d4",
     "4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
     "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad",
     "1d1eb30c4446839f57ff6f6cb26ac3be"},
    {"17.3", "000102030405060708090a0b0c0d0e0f", "517524055203726f207170bb",
     "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef000005d4",
     "", "", "841dd9683dd78ec92ae58790125f62b3"},
    {"17.4", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "517524055203726f207170bb",
     "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef000005d4",
     "", "", "91db4afbfeee5a978fab4393ed2615fe"},
};

static void gcm_gives_the_vectors_of_rfc_7714(void)
{
    for (size_t i = 0; i < backend_count; i++)
        for (size_t v = 0; v < sizeof gcm_vectors / sizeof *gcm_vectors; v++) {
            const struct gcm_vector *row = &gcm_vectors[v];
            uint8_t key[32], iv[12], aad[128], data[128], plain[128], sealed[128], tag[16], expected[16];
            size_t key_size = hex(row->key, key), aad_size = hex(row->aad, aad), size = hex(row->plain, plain);
            hex(row->iv, iv);
            hex(row->sealed, sealed);
            hex(row->tag, expected);
            tr_gcm_key *gcm = tr__gcm_new(backends[i], key, key_size);
            memcpy(data, plain, size);
            tr__gcm_seal(gcm, iv, aad, aad_size, data, size, tag);
            CHECK_BYTES(sealed, data, size);
            CHECK_BYTES(expected, tag, 16);
            CHECK(tr__gcm_open(gcm, iv, aad, aad_size, data, size, tag));
            CHECK_BYTES(plain, data, size);
            tr__gcm_free(gcm);
        }
}

static void one_changed_bit_is_refused_and_sealing_again_restores(void)
{
    uint64_t seed = 7;
    uint8_t key[32], iv[12], aad[20], data[100], before[100], tag[16], scratch[16];
    for (size_t n = 0; n < sizeof key; n++) key[n] = (uint8_t)check_random(&seed);
    for (size_t n = 0; n < sizeof data; n++) before[n] = (uint8_t)check_random(&seed);
    memset(iv, 1, sizeof iv);
    memset(aad, 2, sizeof aad);
    for (size_t i = 0; i < backend_count; i++) {
        tr_gcm_key *gcm = tr__gcm_new(backends[i], key, 16);
        for (size_t bit = 0; bit < 8 * (sizeof data + sizeof tag + sizeof aad); bit++) {
            memcpy(data, before, sizeof data);
            tr__gcm_seal(gcm, iv, aad, sizeof aad, data, sizeof data, tag);
            uint8_t *in = bit / 8 < 100 ? data + bit / 8 : bit / 8 < 116 ? tag + bit / 8 - 100 : aad + bit / 8 - 116;
            *in ^= (uint8_t)(1 << bit % 8);
            uint8_t came[sizeof data];
            memcpy(came, data, sizeof came);
            CHECK(!tr__gcm_open(gcm, iv, aad, sizeof aad, data, sizeof data, tag));
            tr__gcm_seal(gcm, iv, aad, sizeof aad, data, sizeof data, scratch);
            CHECK_BYTES(came, data, sizeof data);
            if (in >= aad && in < aad + sizeof aad) *in ^= (uint8_t)(1 << bit % 8);
        }
        tr__gcm_free(gcm);
    }
}

/* RFC 3711 appendix B.2: 1,044,512 bytes of keystream, the first and the last three blocks. */
static void cm_gives_the_keystream_of_rfc_3711(void)
{
    enum { SEGMENT = 1044512 };
    uint8_t key[16], iv[16], first[48], last[48];
    hex("2b7e151628aed2a6abf7158809cf4f3c", key);
    hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000", iv);
    hex("e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0", first);
    hex("ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44", last);
    uint8_t *stream = malloc(SEGMENT);
    for (size_t i = 0; i < backend_count; i++) {
        tr_cm_key *cm = tr__cm_new(backends[i], key, key, 16);
        memset(stream, 0, SEGMENT);
        tr__cm_xor(cm, iv, stream, SEGMENT);
        CHECK_BYTES(first, stream, 48);
        CHECK_BYTES(last, stream + SEGMENT - 48, 48);
        tr__cm_free(cm);
    }
    uint8_t out[48];
    CHECK(tr__crypto_keystream(key, 16, iv, out, sizeof out));
    CHECK_BYTES(first, out, 48);
    CHECK(!tr__crypto_keystream(key, 24, iv, out, sizeof out));
    CHECK(!tr__crypto_keystream(key, 16, iv, stream, 1025));
    free(stream);
}

/* RFC 2202 section 3, the cases whose key fits one block (SRTP's has 20 bytes). */
static void mac_gives_the_vectors_of_rfc_2202(void)
{
    static const struct {
        const char *key;
        const char *data;
        const char *mac;
    } rows[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "b617318655057264e28bc0b6fb378c8ef146be00"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
         "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
         "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
        {"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "546573742057697468205472756e636174696f6e",
         "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    };
    for (size_t i = 0; i < backend_count; i++)
        for (size_t v = 0; v < sizeof rows / sizeof *rows; v++) {
            uint8_t key[64], data[64], expected[20], mac[20], aes[16] = {0};
            size_t key_size = hex(rows[v].key, key), size = hex(rows[v].data, data);
            hex(rows[v].mac, expected);
            tr_cm_key *cm = tr__cm_new(backends[i], aes, key, key_size);
            CHECK(tr__cm_mac(cm, data, size, NULL, mac));
            CHECK_BYTES(expected, mac, 20);
            /* The trailer is nothing but four more bytes. */
            CHECK(tr__cm_mac(cm, data, size - 4, data + size - 4, mac));
            CHECK_BYTES(expected, mac, 20);
            /* Nothing is a message too, and leaves the next one whole. */
            CHECK(tr__cm_mac(cm, data, 0, NULL, mac));
            tr__cm_xor(cm, data, data, 0);
            CHECK(tr__cm_mac(cm, data, size, NULL, mac));
            CHECK_BYTES(expected, mac, 20);
            tr__cm_free(cm);
        }
}

static void backends_agree_on_every_size(void)
{
    if (backend_count < 2) return;
    uint64_t seed = 41;
    for (size_t size = 0; size <= TR_MAX_DATAGRAM; size++) {
        uint8_t key[32], iv[16], aad[84], trailer[4], a[TR_MAX_DATAGRAM], b[TR_MAX_DATAGRAM], tags[2][20];
        for (size_t n = 0; n < sizeof key; n++) key[n] = (uint8_t)check_random(&seed);
        for (size_t n = 0; n < sizeof iv; n++) iv[n] = (uint8_t)check_random(&seed);
        for (size_t n = 0; n < sizeof aad; n++) aad[n] = (uint8_t)check_random(&seed);
        for (size_t n = 0; n < size; n++) a[n] = b[n] = (uint8_t)check_random(&seed);
        memcpy(trailer, iv, 4);
        iv[14] = iv[15] = 0; /* the block counter of a packet begins at 0 */
        size_t key_size = check_random(&seed) % 2 ? 16 : 32, aad_size = check_random(&seed) % (sizeof aad + 1);
        for (size_t i = 0; i < 2; i++) {
            uint8_t *data = i ? b : a;
            tr_gcm_key *gcm = tr__gcm_new(backends[i], key, key_size);
            tr__gcm_seal(gcm, iv, aad, aad_size, data, size, tags[i]);
            tr__gcm_free(gcm);
        }
        CHECK_BYTES(a, b, size);
        CHECK_BYTES(tags[0], tags[1], 16);
        for (size_t i = 0; i < 2; i++) {
            uint8_t *data = i ? b : a;
            tr_cm_key *cm = tr__cm_new(backends[i], key, key + 12, 20);
            tr__cm_xor(cm, iv, data, size);
            CHECK(tr__cm_mac(cm, data, size, size % 2 ? trailer : NULL, tags[i]));
            tr__cm_free(cm);
        }
        CHECK_BYTES(a, b, size);
        CHECK_BYTES(tags[0], tags[1], 20);
    }
}

static const check_test tests[] = {
    TEST(backends_are_chosen_and_named),
    TEST(open_backends),
    TEST(bad_key_sizes_are_refused),
    TEST(gcm_gives_the_vectors_of_rfc_7714),
    TEST(one_changed_bit_is_refused_and_sealing_again_restores),
    TEST(cm_gives_the_keystream_of_rfc_3711),
    TEST(mac_gives_the_vectors_of_rfc_2202),
    TEST(backends_agree_on_every_size),
    TEST(close_backends),
};
CHECK_MAIN("crypto", tests)
