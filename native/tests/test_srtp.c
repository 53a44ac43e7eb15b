/* Tests of srtp: published vectors, both backends against each other, replay, rollover, the SSRC table, SRTCP. */
#include "srtp.h"

#include <openssl/crypto.h>

#include "check.h"
#include "seq.h"
#include "wire.h"

#include "support/hex.h"

/* What OpenSSL allocates goes through here, so that a packet that made it allocate is seen. */
static unsigned long allocations;

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return malloc(size);
}

static void *count_realloc(void *data, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return realloc(data, size);
}

static void count_free(void *data, const char *file, int line)
{
    (void)file, (void)line;
    free(data);
}

__attribute__((constructor)) static void count_allocations(void)
{
    CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
}

static const tr_srtp_profile profiles[] = {TR_SRTP_AES128_CM_SHA1_80, TR_SRTP_AEAD_AES_128_GCM,
                                           TR_SRTP_AEAD_AES_256_GCM};
enum { PROFILES = sizeof profiles / sizeof *profiles };

static tr_crypto *crypto[2]; /* OpenSSL, and ipsec-mb where there is one */
static size_t crypto_count;

static void open_backends(void)
{
    crypto[crypto_count++] = tr__crypto_new(TR_CRYPTO_OPENSSL);
    crypto[crypto_count] = tr__crypto_new(TR_CRYPTO_IPSEC_MB);
    if (crypto[crypto_count]) crypto_count++;
}

static void close_backends(void)
{
    for (size_t i = 0; i < crypto_count; i++) tr__crypto_free(crypto[i]);
}

/* Two ends that understand each other: what `ours` seals, `theirs` opens. */
typedef struct ends {
    tr_srtp *ours, *theirs;
} ends;

static ends make_ends(size_t backend, tr_srtp_profile profile)
{
    uint8_t a[32], b[32], as[14], bs[14];
    for (uint8_t i = 0; i < 32; i++) {
        a[i] = (uint8_t)(3 * i + 1);
        b[i] = (uint8_t)(7 * i + 2);
        as[i % 14] = (uint8_t)(11 * i + 3);
        bs[i % 14] = (uint8_t)(13 * i + 4);
    }
    ends e = {tr__srtp_new(crypto[backend], profile, b, bs, a, as),
              tr__srtp_new(crypto[backend], profile, a, as, b, bs)};
    CHECK(tr__srtp_reserve(e.theirs, TR_SRTP_MAX_SSRCS));
    return e;
}

static void free_ends(ends *e)
{
    tr__srtp_free(e->ours);
    tr__srtp_free(e->theirs);
}

/* A plain packet of 12 + 20 bytes whose payload names its index. */
enum { PLAIN = 32 };

static size_t make_packet(uint8_t *data, uint32_t ssrc, uint64_t index)
{
    memset(data, 0, PLAIN);
    data[0] = 0x80;
    data[1] = 96;
    tr__store16(data + 2, (uint16_t)index);
    tr__store32(data + 4, (uint32_t)index * 90);
    tr__store32(data + 8, ssrc);
    tr__store64(data + 12, index);
    return PLAIN;
}

static size_t seal(tr_srtp *srtp, uint8_t *data, uint32_t ssrc, uint64_t index)
{
    return tr__srtp_seal_rtp(srtp, data, make_packet(data, ssrc, index), index);
}

/* Seals the packet of this index and opens it at the other end. */
static tr_drop pass(ends *e, uint32_t ssrc, uint64_t index)
{
    uint8_t data[PLAIN + TR_SRTP_MAX_OVERHEAD];
    size_t size = seal(e->ours, data, ssrc, index);
    uint64_t found = 0;
    tr_drop drop = tr__srtp_open_rtp(e->theirs, data, &size, &found);
    if (drop == TR_DROP_NONE) {
        CHECK_EQ(PLAIN, size);
        CHECK_EQ(index, found);
        CHECK_EQ(index, tr__load64(data + 12));
    }
    return drop;
}

static size_t make_rtcp(uint8_t *data, uint32_t ssrc)
{
    static const uint8_t bye[] = {0x81, 203, 0, 1, 0, 0, 0, 0};
    memcpy(data, bye, sizeof bye);
    tr__store32(data + 4, ssrc);
    return sizeof bye;
}

/* ---- vectors */

/* RFC 3711 appendix B.3. */
static void keys_derive_as_in_rfc_3711(void)
{
    uint8_t key[16], salt[14], expected[20];
    tr_srtp_keys keys;
    hex("e1f97a0d3e018be0d64fa32c06de4139", key);
    hex("0ec675ad498afeebb6960b3aabe6", salt);
    CHECK(tr__srtp_derive(TR_SRTP_AES128_CM_SHA1_80, key, salt, &keys));
    hex("c61e7a93744f39ee10734afe3ff7a087", expected);
    CHECK_BYTES(expected, keys.rtp_key, 16);
    hex("30cbbc08863d8c85d49db34a9ae1", expected);
    CHECK_BYTES(expected, keys.rtp_salt, 14);
    hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4", expected);
    CHECK_BYTES(expected, keys.rtp_auth, 20);
    /* The six are six different keys. */
    CHECK(memcmp(keys.rtp_key, keys.rtcp_key, 16) != 0);
    CHECK(memcmp(keys.rtp_salt, keys.rtcp_salt, 14) != 0);
    CHECK(memcmp(keys.rtp_auth, keys.rtcp_auth, 20) != 0);
    CHECK(!tr__srtp_derive(TR_SRTP_NONE, key, salt, &keys));
}

static void unknown_profiles_are_refused(void)
{
    uint8_t key[32] = {0}, salt[14] = {0};
    CHECK(tr__srtp_new(crypto[0], TR_SRTP_NONE, key, salt, key, salt) == NULL);
    CHECK(tr__srtp_new(crypto[0], (tr_srtp_profile)2, key, salt, key, salt) == NULL); /* the 32-bit tag */
    CHECK(tr__srtp_new(crypto[0], (tr_srtp_profile)5, key, salt, key, salt) == NULL); /* NULL cipher */
    CHECK_EQ(0, tr__srtp_key_size((tr_srtp_profile)2));
    tr__srtp_free(NULL);
}

#define K128 "000102030405060708090a0b0c0d0e0f"
#define K256 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* RFC 7714 sections 16.1, 16.2, 17.1, 17.2 give session keys, and the whole packets. */
static void packets_are_those_of_rfc_7714(void)
{
    static const struct {
        tr_srtp_profile profile;
        const char *key, *rtp, *rtcp;
    } rows[] = {
        {TR_SRTP_AEAD_AES_128_GCM, K128,
         "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
         "899d7f27beb16a9152cf765ee4390cce",
         "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b"
         "c84aa45896cf4d2fc5abf87245d9eade800005d4"},
        {TR_SRTP_AEAD_AES_256_GCM, K256,
         "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
         "7aa3db36dfffd6b0f9bb7878d7a76c13",
         "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad"
         "1d1eb30c4446839f57ff6f6cb26ac3be800005d4"},
    };
    for (size_t i = 0; i < crypto_count; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            uint8_t plain[128], data[160], expected[160];
            tr_srtp_keys keys = {0};
            hex(rows[r].key, keys.rtp_key);
            hex(rows[r].key, keys.rtcp_key);
            hex("517569642070726f2071756f", keys.rtp_salt);
            hex("517569642070726f2071756f", keys.rtcp_salt);
            tr_srtp *srtp = tr__srtp_new_derived(crypto[i], rows[r].profile, &keys, &keys);
            CHECK_EQ(rows[r].profile, tr__srtp_profile_of(srtp));

            size_t size = hex("8040f17b8041f8d35501a0b2"
                              "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
                              plain);
            size_t sealed = hex(rows[r].rtp, expected);
            memcpy(data, plain, size);
            CHECK_EQ(sealed, tr__srtp_seal_rtp(srtp, data, size, 0xf17b));
            CHECK_BYTES(expected, data, sealed);
            uint64_t index = 0;
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtp(srtp, data, &sealed, &index));
            CHECK_EQ(size, sealed);
            CHECK_EQ(0xf17b, index);
            CHECK_BYTES(plain, data, size);

            size = hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
                       "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
                       plain);
            sealed = hex(rows[r].rtcp, expected);
            memcpy(data, plain, size);
            tr__srtp_skip_rtcp(srtp, 0x5d4);
            CHECK_EQ(sealed, tr__srtp_seal_rtcp(srtp, data, size));
            CHECK_BYTES(expected, data, sealed);
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(srtp, data, &sealed));
            CHECK_EQ(size, sealed);
            CHECK_BYTES(plain, data, size);
            tr__srtp_free(srtp);
        }
}

/* RFC 7714 section 17.3 tags a control packet without encrypting it. It is valid, and we do not take it. */
static void control_that_is_not_encrypted_is_refused(void)
{
    uint8_t data[160];
    tr_srtp_keys keys = {0};
    hex(K128, keys.rtcp_key);
    hex("517569642070726f2071756f", keys.rtcp_salt);
    size_t size =
        hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
            "841dd9683dd78ec92ae58790125f62b3000005d4",
            data);
    tr_srtp *srtp = tr__srtp_new_derived(crypto[0], TR_SRTP_AEAD_AES_128_GCM, &keys, &keys);
    CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtcp(srtp, data, &size));
    tr__srtp_free(srtp);
}

/* 10,000 packets of 12 to 1500 bytes, with CSRCs and extension blocks, at random indices: the backends seal them to
 * the same bytes and open each other's. */
static void backends_agree_on_random_packets(void)
{
    if (crypto_count < 2) return;
    for (size_t p = 0; p < PROFILES; p++) {
        uint64_t seed = 2026 + p;
        ends a = make_ends(0, profiles[p]), b = make_ends(1, profiles[p]);
        for (uint32_t n = 0; n < 10000; n++) {
            uint8_t plain[TR_MAX_DATAGRAM + TR_SRTP_MAX_OVERHEAD], x[sizeof plain], y[sizeof plain];
            size_t overhead = tr__srtp_rtp_overhead(profiles[p]);
            size_t size = 12 + check_random(&seed) % (TR_MAX_DATAGRAM - overhead - 11), header = 12;
            for (size_t i = 0; i < size; i++) plain[i] = (uint8_t)check_random(&seed);
            uint64_t index = (uint64_t)n * 3 + check_random(&seed) % 3;
            plain[0] = 0x80;
            uint8_t csrcs = (uint8_t)(check_random(&seed) % 16);
            if (header + 4u * csrcs <= size) {
                plain[0] |= csrcs;
                header += 4u * csrcs;
            }
            if (check_random(&seed) % 2 && header + 4 <= size) {
                plain[0] |= 0x10;
                tr__store16(plain + header + 2, (uint16_t)(check_random(&seed) % ((size - header) / 4)));
                header += 4 + 4u * tr__load16(plain + header + 2);
            }
            tr__store16(plain + 2, (uint16_t)index);
            tr__store32(plain + 8, 77);
            memcpy(x, plain, size);
            memcpy(y, plain, size);
            size_t sx = tr__srtp_seal_rtp(a.ours, x, size, index), sy = tr__srtp_seal_rtp(b.ours, y, size, index);
            CHECK_EQ(size + overhead, sx);
            CHECK_EQ(sx, sy);
            CHECK_BYTES(x, y, sx);
            CHECK_BYTES(plain, x, header); /* the header stays clear */
            uint64_t ix = 0, iy = 0;
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtp(b.theirs, x, &sx, &ix));
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtp(a.theirs, y, &sy, &iy));
            CHECK_EQ(index, ix);
            CHECK_EQ(index, iy);
            CHECK_BYTES(plain, x, size);
            CHECK_BYTES(plain, y, size);

            if (size < 16 || n % 10) continue;
            tr__store32(plain + 4, 77); /* where RTCP has its SSRC */
            memcpy(x, plain, size);
            memcpy(y, plain, size);
            sx = tr__srtp_seal_rtcp(a.ours, x, size);
            sy = tr__srtp_seal_rtcp(b.ours, y, size);
            CHECK_EQ(sx, sy);
            CHECK_BYTES(x, y, sx);
            if (sx > TR_MAX_DATAGRAM) continue;
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(b.theirs, x, &sx));
            CHECK_BYTES(plain, x, size);
            CHECK_EQ(size, sx);
        }
        free_ends(&a);
        free_ends(&b);
    }
}

/* ---- RTP */

static void a_resend_is_the_same_ciphertext(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        uint8_t x[64], y[64];
        size_t sx = seal(e.ours, x, 5, 70000);
        seal(e.ours, y, 5, 70001);
        CHECK_EQ(sx, seal(e.ours, y, 5, 70000));
        CHECK_BYTES(x, y, sx);
        free_ends(&e);
    }
}

static void sealing_refuses_what_it_must_not_send(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    uint8_t data[TR_MAX_DATAGRAM + 64] = {0};
    make_packet(data, 1, 5);
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, PLAIN, 6));                /* header and index disagree */
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, PLAIN, (1ull << 48) + 5)); /* index used up */
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, 11, 5));
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, TR_MAX_DATAGRAM + 1, 5));
    data[0] = 0x8f; /* 15 CSRCs do not fit */
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, PLAIN, 5));
    data[0] = 0x90; /* nor does an extension of 5 words */
    tr__store16(data + 14, 5);
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, PLAIN, 5));
    data[0] = 0x40;
    CHECK_EQ(0, tr__srtp_seal_rtp(e.ours, data, PLAIN, 5));
    make_packet(data, 1, 5);
    CHECK_EQ(PLAIN + 16, tr__srtp_seal_rtp(e.ours, data, PLAIN, (1ull << 48) - 65536 + 5));
    free_ends(&e);
}

static void short_and_malformed_packets_are_named(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        size_t overhead = tr__srtp_rtp_overhead(profiles[p]);
        for (size_t size = 0; size <= 80; size++) {
            uint8_t data[80] = {0x80, 96};
            size_t left = size;
            uint64_t index;
            CHECK_EQ(size < 12 + overhead ? TR_DROP_SRTP_SHORT : TR_DROP_SRTP_AUTH,
                     tr__srtp_open_rtp(e.theirs, data, &left, &index));
        }
        static const struct {
            uint8_t first;
            uint16_t words;
            tr_drop drop;
        } rows[] = {
            {0x40, 0, TR_DROP_RTP_MALFORMED}, {0xc0, 0, TR_DROP_RTP_MALFORMED},      {0x8f, 0, TR_DROP_RTP_MALFORMED},
            {0x90, 9, TR_DROP_RTP_MALFORMED}, {0x90, 0xffff, TR_DROP_RTP_MALFORMED}, {0x90, 1, TR_DROP_SRTP_AUTH},
            {0x82, 0, TR_DROP_SRTP_AUTH},
        };
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            uint8_t data[12 + 4 + 8 * 4 + 16] = {rows[r].first};
            size_t size = 12 + 4 + 8 * 4 + overhead;
            uint64_t index;
            tr__store16(data + 14, rows[r].words);
            CHECK_EQ(rows[r].drop, tr__srtp_open_rtp(e.theirs, data, &size, &index));
        }
        uint8_t large[TR_MAX_DATAGRAM + 1] = {0x80};
        size_t size = sizeof large;
        uint64_t index;
        CHECK_EQ(TR_DROP_RTP_MALFORMED, tr__srtp_open_rtp(e.theirs, large, &size, &index));
        free_ends(&e);
    }
}

static void every_changed_bit_fails_and_nothing_is_learned(void)
{
    for (size_t i = 0; i < crypto_count; i++)
        for (size_t p = 0; p < PROFILES; p++) {
            ends e = make_ends(i, profiles[p]);
            uint8_t sealed[64], data[64];
            size_t size = seal(e.ours, sealed, 9, 4711);
            for (size_t bit = 8; bit < size * 8; bit++) { /* the first byte decides the shape */
                memcpy(data, sealed, size);
                data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                size_t left = size;
                uint64_t index;
                CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(e.theirs, data, &left, &index));
            }
            CHECK_EQ(TR_DROP_NONE, pass(&e, 9, 4711));
            CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 9, 4711));
            free_ends(&e);
        }
}

/* A04: each packet three times, reversed, later, and into another session. */
static void replays_are_dropped(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        for (uint64_t i = 65000; i < 67000; i++) {
            CHECK_EQ(TR_DROP_NONE, pass(&e, 1, i));
            for (int n = 0; n < 3; n++) CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, i));
        }
        for (uint64_t i = 66999; i >= 65000; i--) CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, i));
        uint8_t ours[32] = {1}, salt[14] = {2};
        tr_srtp *other = tr__srtp_new(crypto[0], profiles[p], ours, salt, ours, salt);
        uint8_t data[64];
        size_t size = seal(e.ours, data, 1, 65000);
        uint64_t index;
        CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(other, data, &size, &index));
        tr__srtp_free(other);
        free_ends(&e);
    }
}

static void reordering_within_the_window_passes_once(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    for (uint64_t block = 0; block < 70; block++) { /* across two wraps, each block backwards */
        uint64_t first = 60000 + block * TR_SRTP_WINDOW;
        for (uint64_t i = TR_SRTP_WINDOW; i-- > 0;) CHECK_EQ(TR_DROP_NONE, pass(&e, 1, first + i));
        CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, first));
        CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, first + TR_SRTP_WINDOW / 2));
    }
    uint64_t highest = 60000 + 70 * TR_SRTP_WINDOW + 5000;
    CHECK_EQ(TR_DROP_NONE, pass(&e, 1, highest));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 1, highest - TR_SRTP_WINDOW + 1));    /* the oldest that fits */
    CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, highest - TR_SRTP_WINDOW)); /* never seen, but too old to know */
    free_ends(&e);
}

static void seeded_loss_reorder_and_duplicates_pass_each_packet_once(void)
{
    enum { COUNT = 200000 };
    uint8_t *taken = calloc(COUNT + 1, 1);
    uint64_t seed = 99;
    ends e = make_ends(crypto_count - 1, TR_SRTP_AEAD_AES_128_GCM);
    for (uint64_t i = 600; i < COUNT; i++) {
        uint64_t r = check_random(&seed);
        if (r % 20 == 0) continue;
        uint64_t index = r % 7 == 0 ? i - (r >> 8) % 600 : i; /* late, or a second time */
        tr_drop drop = pass(&e, 3, index);
        CHECK_EQ(taken[index] ? TR_DROP_SRTP_REPLAY : TR_DROP_NONE, drop);
        if (drop == TR_DROP_NONE) taken[index] = 1;
    }
    free_ends(&e);
    free(taken);
}

/* A05. After a gap the stream is heard again at once, or, where the next packet has the number of one just seen, with
 * the one after. Never not at all. */
static void no_gap_makes_a_stream_deaf(void)
{
    static const uint64_t gaps[] = {1, 2, 1000, 32767, 32768, 32769, 65535, 65536, 65537, 100000, 131072, 196608};
    static const uint64_t firsts[] = {0, 1, 100, 32767, 32768, 65000, 65534, 65535};
    for (size_t p = 0; p < PROFILES; p++)
        for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++)
            for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
                for (uint64_t heard = 1; heard <= 3; heard++)
                    for (uint64_t loss = 0; loss < 3; loss++) { /* how many go missing on each side of the gap */
                        ends e = make_ends(0, profiles[p]);
                        uint64_t index = firsts[f];
                        for (uint64_t i = 0; i < heard; i++, index += 1 + loss)
                            CHECK_EQ(TR_DROP_NONE, pass(&e, 1, index));
                        uint64_t next = index - 1 - loss + gaps[g];
                        uint64_t dropped = 0;
                        for (int i = 0; i < 8; i++, next += 1 + loss) dropped += pass(&e, 1, next) != TR_DROP_NONE;
                        CHECK(gaps[g] < 65000 ? dropped == 0 : dropped <= heard);
                        CHECK_EQ(TR_DROP_NONE, pass(&e, 1, next));
                        free_ends(&e);
                    }
}

/* The packets before a stream's first wrap may all be lost: its first one heard is then of rollover 1. */
static void a_stream_first_heard_after_its_wrap_is_heard(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1, 65536 + 3));
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1, 65530)); /* late, from before the wrap */
        CHECK_EQ(TR_DROP_NONE, pass(&e, 2, 3 * 65536 + 40000));
        CHECK_EQ(TR_DROP_SRTP_AUTH, pass(&e, 3, 4 * 65536 + 1)); /* further than is tried */
        free_ends(&e);
    }
}

/* A03, A05: junk with the stream's SSRC uses up the credit for tries; it must not leave the stream deaf. */
static void junk_does_not_keep_a_stream_deaf(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1, 10));
        for (int i = 0; i < 1000; i++) {
            uint8_t junk[64] = {0};
            make_packet(junk, 1, (uint64_t)(11 + i));
            size_t size = PLAIN + tr__srtp_rtp_overhead(profiles[p]);
            uint64_t index;
            CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(e.theirs, junk, &size, &index));
        }
        uint64_t next = 10 + 65536;
        int heard = 0, sent = 0;
        while (!heard && sent < 100) heard = pass(&e, 1, next + (uint64_t)++sent) == TR_DROP_NONE;
        CHECK(heard);
        CHECK(sent <= 17);
        for (uint64_t i = 1; i < 50; i++) CHECK_EQ(TR_DROP_NONE, pass(&e, 1, next + (uint64_t)sent + i));
        free_ends(&e);
    }
}

static void far_rollovers_are_followed_and_the_last_index_is_the_end(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    uint64_t end = 1ull << 48, index = 60000;
    CHECK_EQ(TR_DROP_NONE, pass(&e, 1, index));
    for (int i = 0; i < 1000; i++) CHECK_EQ(TR_DROP_NONE, pass(&e, 1, index += 3 * 65536 + 20000));
    uint8_t data[64];
    CHECK(seal(e.ours, data, 1, end - 1) != 0);
    CHECK_EQ(0, seal(e.ours, data, 1, end));
    free_ends(&e);
}

/* Good, bad and repeated packets, and control: once keys exist OpenSSL allocates for none of them. */
static void no_packet_allocates(void)
{
    for (size_t i = 0; i < crypto_count; i++)
        for (size_t p = 0; p < PROFILES; p++) {
            ends e = make_ends(i, profiles[p]);
            CHECK_EQ(TR_DROP_NONE, pass(&e, 1, 0));
            unsigned long before = allocations;
            for (uint64_t n = 1; n < 1000; n++) {
                uint8_t data[64];
                CHECK_EQ(TR_DROP_NONE, pass(&e, 1, n));
                CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 1, n));
                size_t size = seal(e.ours, data, 1, n + 1);
                uint64_t index;
                data[size - 1] ^= 1;
                CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(e.theirs, data, &size, &index));
                size = tr__srtp_seal_rtcp(e.ours, data, make_rtcp(data, 1));
                CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(e.theirs, data, &size));
            }
            CHECK_EQ(before, allocations);
            free_ends(&e);
        }
}

/* ---- the SSRC table */

static void a_stranger_cannot_fill_the_table_and_the_limit_is_named(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    uint8_t junk[64] = {0};
    for (uint32_t ssrc = 1000; ssrc < 3000; ssrc++) {
        make_packet(junk, ssrc, 1);
        size_t size = PLAIN + 16;
        uint64_t index;
        CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(e.theirs, junk, &size, &index));
    }
    for (uint32_t ssrc = 1; ssrc <= TR_SRTP_MAX_SSRCS; ssrc++) CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 1));
    CHECK_EQ(TR_DROP_SRTP_SSRC_LIMIT, pass(&e, 500, 1));
    make_packet(junk, 501, 1);
    size_t size = PLAIN + 16;
    uint64_t index;
    CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtp(e.theirs, junk, &size, &index)); /* a stranger does not learn of it */
    for (uint32_t ssrc = 1; ssrc <= TR_SRTP_MAX_SSRCS; ssrc++) CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 2));
    free_ends(&e);
}

/* Room is made while packets come, and nobody is forgotten over it. */
static void room_for_ssrcs_is_made_when_it_is_asked_for(void)
{
    const uint8_t key[32] = {1}, salt[14] = {2};
    tr_srtp *ours = tr__srtp_new(crypto[0], TR_SRTP_AEAD_AES_128_GCM, key, salt, key, salt);
    tr_srtp *theirs = tr__srtp_new(crypto[0], TR_SRTP_AEAD_AES_128_GCM, key, salt, key, salt);
    ends e = {ours, theirs};
    uint32_t ssrc = 1;
    for (; ssrc <= TR_SRTP_FIRST_SSRCS; ssrc++) CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 70));
    CHECK_EQ(TR_DROP_SRTP_SSRC_LIMIT, pass(&e, ssrc, 70));
    static const uint32_t asked[] = {TR_SRTP_FIRST_SSRCS + 1, 3, 20, TR_SRTP_MAX_SSRCS, 1000};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        CHECK(tr__srtp_reserve(theirs, asked[i]));
        for (; ssrc <= asked[i] && ssrc <= TR_SRTP_MAX_SSRCS; ssrc++) CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 70));
        CHECK_EQ(TR_DROP_SRTP_SSRC_LIMIT, pass(&e, ssrc, 70));
        for (uint32_t known = 1; known < ssrc; known++) CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, known, 70));
    }
    CHECK_EQ(TR_SRTP_MAX_SSRCS + 1, ssrc);
    free_ends(&e);
}

static void retired_ssrcs_make_room_oldest_first_and_stay_protected_until_then(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    for (uint32_t ssrc = 1; ssrc <= TR_SRTP_MAX_SSRCS; ssrc++) CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 70));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 5, 71)); /* 7 has been silent longer than 5 */
    tr__srtp_retire_ssrc(e.theirs, 5);
    tr__srtp_retire_ssrc(e.theirs, 7);
    tr__srtp_retire_ssrc(e.theirs, 12345); /* never heard of: nothing happens */
    CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 5, 70));
    CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 7, 70));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 900, 1)); /* takes 7's slot */
    CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 5, 71));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 901, 1)); /* takes 5's */
    CHECK_EQ(TR_DROP_SRTP_SSRC_LIMIT, pass(&e, 902, 1));
    for (uint32_t ssrc = 8; ssrc <= TR_SRTP_MAX_SSRCS; ssrc++) CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, ssrc, 70));
    free_ends(&e);
}

static void a_declared_ssrc_outlasts_a_flood_of_undeclared_ones(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    CHECK_EQ(TR_DROP_NONE, pass(&e, 5, 70)); /* nobody's yet */
    tr__srtp_retire_ssrc(e.theirs, 5);
    tr__srtp_keep_ssrc(e.theirs, 5);
    tr__srtp_keep_ssrc(e.theirs, 6); /* never heard of: nothing happens */
    for (uint32_t ssrc = 1000; ssrc < 1000 + 10 * TR_SRTP_MAX_SSRCS; ssrc++) {
        CHECK_EQ(TR_DROP_NONE, pass(&e, ssrc, 1));
        tr__srtp_retire_ssrc(e.theirs, ssrc);
    }
    CHECK_EQ(TR_DROP_SRTP_REPLAY, pass(&e, 5, 70));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 5, 71));
    CHECK_EQ(TR_DROP_NONE, pass(&e, 6, 1));
    free_ends(&e);
}

static void late_packets_of_a_retired_ssrc_do_not_hold_its_slot(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    for (uint32_t call = 0; call < 10 * TR_SRTP_MAX_SSRCS; call++) { /* a track is replaced, over and over */
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1, call));
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1000 + call, 1));
        tr__srtp_retire_ssrc(e.theirs, 1000 + call);
        CHECK_EQ(TR_DROP_NONE, pass(&e, 1000 + call, 2));
        uint8_t bye[64];
        size_t size = tr__srtp_seal_rtcp(e.ours, bye, make_rtcp(bye, 1000 + call));
        CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(e.theirs, bye, &size));
    }
    free_ends(&e);
}

/* ---- RTCP */

static void control_passes_once_in_any_order(void)
{
    for (size_t i = 0; i < crypto_count; i++)
        for (size_t p = 0; p < PROFILES; p++) {
            ends e = make_ends(i, profiles[p]);
            uint8_t data[100][64];
            size_t sizes[100];
            for (size_t n = 0; n < 100; n++) sizes[n] = tr__srtp_seal_rtcp(e.ours, data[n], make_rtcp(data[n], 6));
            static const struct {
                size_t n;
                tr_drop drop;
            } rows[] = {
                {1, TR_DROP_NONE},  {1, TR_DROP_SRTP_REPLAY}, {0, TR_DROP_NONE},         {0, TR_DROP_SRTP_REPLAY},
                {70, TR_DROP_NONE}, {7, TR_DROP_NONE},        {6, TR_DROP_SRTP_REPLAY}, /* 64 back */
                {69, TR_DROP_NONE}, {7, TR_DROP_SRTP_REPLAY}, {70, TR_DROP_SRTP_REPLAY}, {99, TR_DROP_NONE},
            };
            for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
                uint8_t copy[64];
                size_t size = sizes[rows[r].n];
                memcpy(copy, data[rows[r].n], size);
                CHECK_EQ(rows[r].drop, tr__srtp_open_rtcp(e.theirs, copy, &size));
                if (rows[r].drop == TR_DROP_NONE) {
                    CHECK_EQ(8, size);
                    CHECK_EQ(203, copy[1]);
                }
            }
            free_ends(&e);
        }
}

static void short_or_changed_control_is_refused(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        size_t least = 8 + 4 + (profiles[p] == TR_SRTP_AES128_CM_SHA1_80 ? 10 : 16);
        for (size_t size = 0; size <= 30; size++) {
            uint8_t data[30];
            memset(data, 0xff, sizeof data); /* E is set wherever it is looked for */
            data[0] = 0x81;
            size_t left = size;
            CHECK_EQ(size < least ? TR_DROP_SRTP_SHORT : TR_DROP_SRTP_AUTH, tr__srtp_open_rtcp(e.theirs, data, &left));
        }
        uint8_t sealed[64], data[64];
        size_t size = tr__srtp_seal_rtcp(e.ours, sealed, make_rtcp(sealed, 6));
        CHECK_EQ(least, size);
        for (size_t bit = 8; bit < 8 * size; bit++) {
            memcpy(data, sealed, size);
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            size_t left = size;
            CHECK_EQ(TR_DROP_SRTP_AUTH, tr__srtp_open_rtcp(e.theirs, data, &left));
        }
        memcpy(data, sealed, size);
        data[0] = 0x41;
        size_t left = size;
        CHECK_EQ(TR_DROP_RTCP_MALFORMED, tr__srtp_open_rtcp(e.theirs, data, &left));
        CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(e.theirs, sealed, &size));
        free_ends(&e);
    }
}

/* A06, A07: 31 bits, none of them twice. */
static void control_ends_before_its_index_wraps(void)
{
    for (size_t p = 0; p < PROFILES; p++) {
        ends e = make_ends(0, profiles[p]);
        uint8_t data[64], last[64];
        tr__srtp_skip_rtcp(e.ours, 0x7ffffffe);
        tr__srtp_skip_rtcp(e.ours, 5); /* never back */
        size_t size = tr__srtp_seal_rtcp(e.ours, data, make_rtcp(data, 6));
        CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(e.theirs, data, &size));
        size_t last_size = tr__srtp_seal_rtcp(e.ours, last, make_rtcp(last, 6));
        size = last_size;
        memcpy(data, last, size);
        CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(e.theirs, data, &size));
        CHECK_EQ(TR_DROP_SRTP_REPLAY, tr__srtp_open_rtcp(e.theirs, last, &last_size));
        CHECK_EQ(0, tr__srtp_seal_rtcp(e.ours, data, make_rtcp(data, 6)));
        CHECK_EQ(0, tr__srtp_seal_rtcp(e.ours, data, make_rtcp(data, 6)));
        free_ends(&e);
    }
}

static void sealing_refuses_control_that_is_none(void)
{
    ends e = make_ends(0, TR_SRTP_AEAD_AES_128_GCM);
    uint8_t data[TR_MAX_DATAGRAM + 64] = {0x80, 201};
    CHECK_EQ(0, tr__srtp_seal_rtcp(e.ours, data, 7));
    CHECK_EQ(0, tr__srtp_seal_rtcp(e.ours, data, TR_MAX_DATAGRAM + 1));
    data[0] = 0;
    CHECK_EQ(0, tr__srtp_seal_rtcp(e.ours, data, 8));
    free_ends(&e);
}

static const check_test tests[] = {
    TEST(open_backends),
    TEST(keys_derive_as_in_rfc_3711),
    TEST(unknown_profiles_are_refused),
    TEST(packets_are_those_of_rfc_7714),
    TEST(control_that_is_not_encrypted_is_refused),
    TEST(backends_agree_on_random_packets),
    TEST(a_resend_is_the_same_ciphertext),
    TEST(sealing_refuses_what_it_must_not_send),
    TEST(short_and_malformed_packets_are_named),
    TEST(every_changed_bit_fails_and_nothing_is_learned),
    TEST(replays_are_dropped),
    TEST(reordering_within_the_window_passes_once),
    TEST(seeded_loss_reorder_and_duplicates_pass_each_packet_once),
    TEST(no_gap_makes_a_stream_deaf),
    TEST(a_stream_first_heard_after_its_wrap_is_heard),
    TEST(junk_does_not_keep_a_stream_deaf),
    TEST(far_rollovers_are_followed_and_the_last_index_is_the_end),
    TEST(no_packet_allocates),
    TEST(a_stranger_cannot_fill_the_table_and_the_limit_is_named),
    TEST(room_for_ssrcs_is_made_when_it_is_asked_for),
    TEST(retired_ssrcs_make_room_oldest_first_and_stay_protected_until_then),
    TEST(a_declared_ssrc_outlasts_a_flood_of_undeclared_ones),
    TEST(late_packets_of_a_retired_ssrc_do_not_hold_its_slot),
    TEST(control_passes_once_in_any_order),
    TEST(short_or_changed_control_is_refused),
    TEST(control_ends_before_its_index_wraps),
    TEST(sealing_refuses_control_that_is_none),
    TEST(close_backends),
};
CHECK_MAIN("srtp", tests)
