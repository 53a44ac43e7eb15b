/* crypto_ipsec_mb: the fast backend, Intel's multi-buffer library (x86-64). Compiled only with TR_WITH_IPSEC_MB.
 * Allocates with a key, never for a packet. Worker thread: the manager and all its keys belong to one.
 *
 * GCM goes through the direct calls, counter mode through a synchronous burst of one job. The manager must outlive its
 * keys. */
#ifdef TR_WITH_IPSEC_MB
#define NO_COMPAT_IMB_API_053 /* old names of the library's that are also OpenSSL's */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include "crypto_backend.h"
#include "near.h"

/* The library loads whole cache lines of its key tables; its header asks for this alignment. */
#define ALIGNMENT 64

typedef struct ipsec {
    IMB_MGR *mgr;
    struct gcm_context_data context; /* scratch of one call */
} ipsec;

typedef struct ipsec_gcm {
    tr_gcm_key base;
    ipsec *library;
    bool is_256;
    _Alignas(ALIGNMENT) struct gcm_key_data key;
} ipsec_gcm;

/* Round keys, and hash keys for eight blocks at a time: those for more, which wider processors use, follow. */
#define GCM_NEAR (sizeof(((struct gcm_key_data *)0)->expanded_keys) + 256)

typedef struct ipsec_cm {
    tr_cm_key base;
    IMB_MGR *mgr;
    IMB_JOB job; /* filled but for the packet */
    _Alignas(ALIGNMENT) uint8_t encrypt[16 * 11];
    uint8_t decrypt[16 * 11]; /* counter mode never uses it, the expansion writes it */
} ipsec_cm;

static bool init(tr_crypto *crypto)
{
    IMB_MGR *mgr = alloc_mb_mgr(0);
    if (!mgr) return false;
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(mgr, &arch);
    /* Without AES instructions the library falls back to an emulation slower than OpenSSL. */
    uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    bool self_tested = !(mgr->features & IMB_FEATURE_SELF_TEST) || (mgr->features & IMB_FEATURE_SELF_TEST_PASS);
    if (imb_get_errno(mgr) != 0 || arch == IMB_ARCH_NONE || arch == IMB_ARCH_NOAESNI ||
        (mgr->features & needed) != needed || !self_tested) {
        free_mb_mgr(mgr);
        return false;
    }
    ipsec *library = calloc(1, sizeof *library);
    if (!library) {
        free_mb_mgr(mgr);
        return false;
    }
    library->mgr = mgr;
    crypto->state = library;
    snprintf(crypto->name, sizeof crypto->name, "ipsec-mb %.20s",
             imb_get_version_str() + strspn(imb_get_version_str(), "v"));
    return true;
}

static void dispose(tr_crypto *crypto)
{
    ipsec *library = crypto->state;
    OPENSSL_cleanse(&library->context, sizeof library->context);
    free_mb_mgr(library->mgr);
    free(library);
}

static void *aligned_zeroed(size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, rounded);
    if (memory) memset(memory, 0, rounded);
    return memory;
}

static tr_gcm_key *gcm_new(const tr_crypto *crypto, const uint8_t *key, size_t key_size)
{
    ipsec_gcm *gcm = aligned_zeroed(sizeof *gcm);
    if (!gcm) return NULL;
    gcm->base.backend = &tr__crypto_ipsec_mb;
    gcm->library = crypto->state;
    gcm->is_256 = key_size == 32;
    if (gcm->is_256)
        IMB_AES256_GCM_PRE(gcm->library->mgr, key, &gcm->key);
    else
        IMB_AES128_GCM_PRE(gcm->library->mgr, key, &gcm->key);
    return &gcm->base;
}

static void gcm_free(tr_gcm_key *key)
{
    OPENSSL_cleanse(key, sizeof(ipsec_gcm));
    free(key);
}

static void gcm_near(const tr_gcm_key *key)
{
    const ipsec_gcm *gcm = (const ipsec_gcm *)key;
    tr__near(gcm, TR_LINE);
    tr__near(&gcm->key, GCM_NEAR);
}

static void gcm_seal(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, uint8_t *tag)
{
    ipsec_gcm *gcm = (ipsec_gcm *)key;
    ipsec *library = gcm->library;
    if (gcm->is_256)
        IMB_AES256_GCM_ENC(library->mgr, &gcm->key, &library->context, data, data, size, iv, aad, aad_size, tag, 16);
    else
        IMB_AES128_GCM_ENC(library->mgr, &gcm->key, &library->context, data, data, size, iv, aad, aad_size, tag, 16);
}

static bool gcm_open(tr_gcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_size, uint8_t *data,
                     size_t size, const uint8_t *tag)
{
    ipsec_gcm *gcm = (ipsec_gcm *)key;
    ipsec *library = gcm->library;
    uint8_t expected[16];
    if (gcm->is_256)
        IMB_AES256_GCM_DEC(library->mgr, &gcm->key, &library->context, data, data, size, iv, aad, aad_size, expected,
                           16);
    else
        IMB_AES128_GCM_DEC(library->mgr, &gcm->key, &library->context, data, data, size, iv, aad, aad_size, expected,
                           16);
    return CRYPTO_memcmp(expected, tag, 16) == 0;
}

static tr_cm_key *cm_new(const tr_crypto *crypto, const uint8_t *key)
{
    ipsec_cm *cm = aligned_zeroed(sizeof *cm);
    if (!cm) return NULL;
    cm->base.backend = &tr__crypto_ipsec_mb;
    cm->mgr = ((ipsec *)crypto->state)->mgr;
    IMB_AES_KEYEXP_128(cm->mgr, key, cm->encrypt, cm->decrypt);
    cm->job = (IMB_JOB){
        .enc_keys = cm->encrypt,
        .dec_keys = cm->encrypt,
        .key_len_in_bytes = 16,
        .iv_len_in_bytes = 16,
        .cipher_mode = IMB_CIPHER_CNTR,
        .cipher_direction = IMB_DIR_ENCRYPT,
        .hash_alg = IMB_AUTH_NULL,
        .chain_order = IMB_ORDER_CIPHER_HASH,
    };
    return &cm->base;
}

static void cm_free(tr_cm_key *key)
{
    OPENSSL_cleanse(key, sizeof(ipsec_cm));
    free(key);
}

static void cm_xor(tr_cm_key *key, const uint8_t *iv, uint8_t *data, size_t size)
{
    ipsec_cm *cm = (ipsec_cm *)key;
    if (!size) return; /* a job of nothing is an error to the library */
    IMB_JOB job = cm->job;
    job.src = data;
    job.dst = data;
    job.iv = iv;
    job.msg_len_to_cipher_in_bytes = size;
    uint32_t done =
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(cm->mgr, &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
    if (done != 1) OPENSSL_cleanse(data, size); /* never let plain bytes out */
}

const tr_crypto_backend tr__crypto_ipsec_mb = {
    .init = init,
    .dispose = dispose,
    .gcm_new = gcm_new,
    .gcm_free = gcm_free,
    .gcm_seal = gcm_seal,
    .gcm_near = gcm_near,
    .gcm_open = gcm_open,
    .cm_new = cm_new,
    .cm_free = cm_free,
    .cm_xor = cm_xor,
};

#else
typedef int tr_no_ipsec_mb; /* an empty file is not C */
#endif
