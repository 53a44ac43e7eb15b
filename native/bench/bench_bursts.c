/* bench bursts: what the CM profile would win from ipsec-mb's multi-buffer jobs: HMAC-SHA1 and AES-CM of packets of
 * 1,200 B in bursts of 1 to 32, and HMAC-SHA1 by OpenSSL one by one, as crypto_openssl.c does it. One thread.
 *
 * usage: bench_bursts      Prints nanoseconds of thread time for each packet. Needs ipsec-mb. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef TR_WITH_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#define PACKETS 64
#define BYTES 1200
#define ROUNDS 2000
#define MAX_BURST 32

static uint8_t data[PACKETS][BYTES], tags[PACKETS][20], ivs[PACKETS][16];
static uint8_t key[16] = {1}, auth_key[20] = {2}, inner[32], outer[32];
static DECLARE_ALIGNED(uint32_t encrypt[4 * 15], 16);
static DECLARE_ALIGNED(uint32_t decrypt[4 * 15], 16);

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void make_keys(IMB_MGR *mgr)
{
    IMB_AES_KEYEXP_128(mgr, key, encrypt, decrypt);
    uint8_t block[64];
    for (int which = 0; which < 2; which++) {
        memset(block, which ? 0x5c : 0x36, sizeof block);
        for (size_t i = 0; i < sizeof auth_key; i++) block[i] ^= auth_key[i];
        IMB_SHA1_ONE_BLOCK(mgr, block, which ? outer : inner);
    }
}

static IMB_JOB hash_job(int i)
{
    IMB_JOB job = {.src = data[i],
                   .msg_len_to_hash_in_bytes = BYTES,
                   .auth_tag_output = tags[i],
                   .auth_tag_output_len_in_bytes = 20,
                   .hash_alg = IMB_AUTH_HMAC_SHA_1,
                   .cipher_mode = IMB_CIPHER_NULL};
    job.u.HMAC._hashed_auth_key_xor_ipad = inner;
    job.u.HMAC._hashed_auth_key_xor_opad = outer;
    return job;
}

static IMB_JOB cipher_job(int i)
{
    return (IMB_JOB){.src = data[i],
                     .dst = data[i],
                     .iv = ivs[i],
                     .iv_len_in_bytes = 16,
                     .enc_keys = encrypt,
                     .dec_keys = encrypt,
                     .key_len_in_bytes = 16,
                     .msg_len_to_cipher_in_bytes = BYTES,
                     .cipher_mode = IMB_CIPHER_CNTR,
                     .cipher_direction = IMB_DIR_ENCRYPT,
                     .hash_alg = IMB_AUTH_NULL,
                     .chain_order = IMB_ORDER_CIPHER_HASH};
}

/* Nanoseconds of a packet, or a negative number where the library refused. */
static double burst_ns(IMB_MGR *mgr, int burst, int is_hash)
{
    IMB_JOB jobs[MAX_BURST];
    double begun = now_ns();
    for (int round = 0; round < ROUNDS; round++)
        for (int at = 0; at < PACKETS; at += burst) {
            for (int i = 0; i < burst; i++) jobs[i] = is_hash ? hash_job(at + i) : cipher_job(at + i);
            uint32_t count = (uint32_t)burst;
            uint32_t done = is_hash ? IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, jobs, count, IMB_AUTH_HMAC_SHA_1)
                                    : IMB_SUBMIT_CIPHER_BURST_NOCHECK(mgr, jobs, count, IMB_CIPHER_CNTR,
                                                                      IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
            if (done != count) return -1;
        }
    return (now_ns() - begun) / ROUNDS / PACKETS;
}

static double openssl_ns(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    char digest[] = "SHA1";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC_init(context, auth_key, sizeof auth_key, params);
    double begun = now_ns();
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < PACKETS; i++) {
            size_t size;
            EVP_MAC_init(context, NULL, 0, NULL);
            EVP_MAC_update(context, data[i], BYTES);
            EVP_MAC_final(context, tags[i], &size, sizeof tags[i]);
        }
    double took = now_ns() - begun;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return took / ROUNDS / PACKETS;
}

int main(void)
{
    IMB_MGR *mgr = alloc_mb_mgr(0);
    if (!mgr) return 1;
    init_mb_mgr_auto(mgr, NULL);
    make_keys(mgr);
    printf("HMAC-SHA1, OpenSSL: %.0f ns\n", openssl_ns());
    for (int burst = 1; burst <= MAX_BURST; burst *= 2)
        printf("bursts of %d: HMAC-SHA1 %.0f ns, AES-CM %.0f ns\n", burst, burst_ns(mgr, burst, 1),
               burst_ns(mgr, burst, 0));
    free_mb_mgr(mgr);
    return 0;
}

#else

int main(void)
{
    fprintf(stderr, "bench_bursts: this build has no ipsec-mb\n");
    return 1;
}

#endif
