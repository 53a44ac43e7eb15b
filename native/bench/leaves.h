/* leaves: which leaves of native/src are timed one by one, and by what. bench_leaves.c has the table that Python reads
 * (benchmarks/leaves/native.py), leaves_media.c and leaves_secure.c the loops.
 *
 * A loop runs its leaf `iterations` times over INPUTS different inputs, so that no branch is learned by heart, and
 * allocates nothing but where its comment says so. It returns the sum of what the leaf said, so that no call is left
 * out by the compiler; 0 means that the leaf refused what it should have taken, and the time is void.
 * What has to be there first is made by a constructor, what a run uses up by its `prepare`, outside of what is timed.
 * One thread. */
#ifndef TR_BENCH_LEAVES_H
#define TR_BENCH_LEAVES_H

#include <stdint.h>

#include "telerelay.h"

#define INPUTS 8 /* a power of two; a frame of six packets and two of sound where it is media */
/* Iterations of a run that has a prepare, at the most: packets can be opened once, and these fill 1.5 MiB. */
#define MAX_PREPARED 1000

/* LEAF(name, file it measures, tr_crypto_kind it needs or 0, prepare or NULL) */
#define BENCH_LEAVES(LEAF)                                                                                             \
    LEAF(address_text, "address.c", 0, NULL)                                                                           \
    LEAF(clock_report, "clock.c", 0, NULL)                                                                             \
    LEAF(codec_av1, "codec.c", 0, NULL)                                                                                \
    LEAF(codec_h264, "codec.c", 0, NULL)                                                                               \
    LEAF(codec_h265, "codec.c", 0, NULL)                                                                               \
    LEAF(codec_vp8, "codec.c", 0, NULL)                                                                                \
    LEAF(codec_vp9, "codec.c", 0, NULL)                                                                                \
    LEAF(crypto_mac, "crypto.c", 0, NULL)                                                                              \
    LEAF(cipher_gcm128_ipsec_mb, "crypto_ipsec_mb.c", TR_CRYPTO_IPSEC_MB, NULL)                                        \
    LEAF(cipher_cm_ipsec_mb, "crypto_ipsec_mb.c", TR_CRYPTO_IPSEC_MB, NULL)                                            \
    LEAF(cipher_gcm128_openssl, "crypto_openssl.c", 0, NULL)                                                           \
    LEAF(cipher_cm_openssl, "crypto_openssl.c", 0, NULL)                                                               \
    LEAF(deadlines_turn, "deadlines.c", 0, NULL)                                                                       \
    LEAF(demux, "demux.c", 0, NULL)                                                                                    \
    LEAF(descriptor_read, "descriptor.c", 0, NULL)                                                                     \
    LEAF(dtls_gate, "dtls_gate.c", 0, NULL)                                                                            \
    LEAF(egress_media, "egress.c", 0, NULL)                                                                            \
    LEAF(estimator_packet, "estimator.c", 0, NULL)                                                                     \
    LEAF(history_get, "history.c", 0, NULL)                                                                            \
    LEAF(history_put, "history.c", 0, NULL)                                                                            \
    LEAF(ice_check, "ice.c", 0, NULL)                                                                                  \
    LEAF(ladder_estimate, "ladder.c", 0, NULL)                                                                         \
    LEAF(layers_packet, "layers.c", 0, NULL)                                                                           \
    LEAF(meter_packet, "meter.c", 0, NULL)                                                                             \
    LEAF(meter_tell, "meter.c", 0, NULL)                                                                               \
    LEAF(nack_packet, "nack.c", 0, NULL)                                                                               \
    LEAF(opus_join, "opus.c", 0, NULL)                                                                                 \
    LEAF(outbox_turn, "outbox.c", 0, NULL)                                                                             \
    LEAF(pacer_packet, "pacer.c", 0, NULL)                                                                             \
    LEAF(picture_read, "picture.c", 0, NULL)                                                                           \
    LEAF(red_parse, "red.c", 0, NULL)                                                                                  \
    LEAF(resends_packet, "resends.c", 0, NULL)                                                                         \
    LEAF(ring_push_pop, "ring.c", 0, NULL)                                                                             \
    LEAF(rtcp_read, "rtcp.c", 0, NULL)                                                                                 \
    LEAF(rtcp_write_nack, "rtcp.c", 0, NULL)                                                                           \
    LEAF(rtcp_write_report, "rtcp.c", 0, NULL)                                                                         \
    LEAF(rtp_extensions, "rtp.c", 0, NULL)                                                                             \
    LEAF(rtp_parse, "rtp.c", 0, NULL)                                                                                  \
    LEAF(rtp_rewrite, "rtp.c", 0, NULL)                                                                                \
    LEAF(seqmap_in, "seqmap.c", 0, NULL)                                                                               \
    LEAF(seqmap_out, "seqmap.c", 0, NULL)                                                                              \
    LEAF(srtp_derive, "srtp_keys.c", 0, NULL)                                                                          \
    LEAF(srtp_open_cm_ipsec_mb, "srtp.c", TR_CRYPTO_IPSEC_MB, prepare_open_cm_ipsec_mb)                                \
    LEAF(srtp_open_cm_openssl, "srtp.c", 0, prepare_open_cm_openssl)                                                   \
    LEAF(srtp_open_gcm128_ipsec_mb, "srtp.c", TR_CRYPTO_IPSEC_MB, prepare_open_gcm128_ipsec_mb)                        \
    LEAF(srtp_open_gcm128_openssl, "srtp.c", 0, prepare_open_gcm128_openssl)                                           \
    LEAF(srtp_open_replay, "srtp.c", 0, prepare_replay)                                                                \
    LEAF(srtp_open_rtcp, "srtp.c", 0, prepare_open_rtcp)                                                               \
    LEAF(srtp_seal_cm_ipsec_mb, "srtp.c", TR_CRYPTO_IPSEC_MB, NULL)                                                    \
    LEAF(srtp_seal_cm_openssl, "srtp.c", 0, NULL)                                                                      \
    LEAF(srtp_seal_gcm128_ipsec_mb, "srtp.c", TR_CRYPTO_IPSEC_MB, NULL)                                                \
    LEAF(srtp_seal_gcm128_openssl, "srtp.c", 0, NULL)                                                                  \
    LEAF(srtp_seal_rtcp, "srtp.c", 0, NULL)                                                                            \
    LEAF(stream_packet, "stream.c", 0, NULL)                                                                           \
    LEAF(stream_report, "stream.c", 0, NULL)                                                                           \
    LEAF(stun_answer, "stun.c", 0, NULL)                                                                               \
    LEAF(stun_fingerprint, "stun.c", 0, NULL)                                                                          \
    LEAF(stun_parse, "stun.c", 0, NULL)                                                                                \
    LEAF(stun_verify, "stun.c", 0, NULL)                                                                               \
    LEAF(twcc_feedback, "twcc.c", 0, NULL)                                                                             \
    LEAF(twcc_packet, "twcc.c", 0, NULL)                                                                               \
    LEAF(whole_packet, "whole.c", 0, NULL)

/* One row of what Python reads. */
typedef struct bench_leaf {
    const char *name, *file;
    int crypto;                           /* tr_crypto_kind this machine must have, 0: any */
    uint64_t (*run)(uint32_t iterations); /* with a prepare: 1 to MAX_PREPARED */
    void (*prepare)(uint32_t iterations); /* before each run; NULL: nothing to prepare */
} bench_leaf;

#define BENCH_EXPORT __attribute__((visibility("default")))
#define BENCH_DECLARE(name, file, crypto, prepare) BENCH_EXPORT uint64_t bench_##name(uint32_t iterations);
BENCH_LEAVES(BENCH_DECLARE)
#undef BENCH_DECLARE

void prepare_open_cm_ipsec_mb(uint32_t iterations);
void prepare_open_cm_openssl(uint32_t iterations);
void prepare_open_gcm128_ipsec_mb(uint32_t iterations);
void prepare_open_gcm128_openssl(uint32_t iterations);
void prepare_open_rtcp(uint32_t iterations);
void prepare_replay(uint32_t iterations);

/* Row i, NULL past the last one; rows this machine cannot run are among them. */
BENCH_EXPORT const bench_leaf *bench_leaf_at(uint32_t i);
/* Can this machine run it? */
BENCH_EXPORT int bench_leaf_is_available(const bench_leaf *leaf);

#endif
