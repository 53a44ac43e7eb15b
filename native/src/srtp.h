/* srtp: one transport's SRTP and SRTCP, both directions (RFC 3711, RFC 7714, RFC 5764).
 * Pure given its keys: no clock, no random source; allocates when it is made and when room is reserved. Worker thread.
 *
 * Incoming: replay is checked before decryption, state changes only after authentication, each SSRC has its own
 * rollover counter and window. Outgoing: the caller owns the 48-bit index, so sealing is stateless and a resend
 * with the same index and bytes is the same ciphertext. The caller never reuses an index for other bytes. */
#ifndef TR_SRTP_H
#define TR_SRTP_H

#include "crypto.h"
#include "telerelay.h"

#define TR_SRTP_MAX_SSRCS 64    /* incoming SSRCs one transport may have alive */
#define TR_SRTP_FIRST_SSRCS 8   /* what there is room for until it is asked for more */
#define TR_SRTP_MAX_OVERHEAD 32 /* bytes sealing may add: SRTCP index and the longest tag */
#define TR_SRTP_WINDOW 1024     /* packets a replay window spans: a burst of resends must fit */

/* RFC 5764 section 4.1.2 and RFC 7714 section 14.2: the protection profile numbers. */
typedef enum tr_srtp_profile {
    TR_SRTP_NONE = 0,
    TR_SRTP_AES128_CM_SHA1_80 = 0x0001,
    TR_SRTP_AEAD_AES_128_GCM = 0x0007,
    TR_SRTP_AEAD_AES_256_GCM = 0x0008
} tr_srtp_profile;

size_t tr__srtp_key_size(tr_srtp_profile profile);     /* master key bytes: 16 or 32, 0 for an unknown profile */
size_t tr__srtp_salt_size(tr_srtp_profile profile);    /* master salt bytes: 14 or 12 */
size_t tr__srtp_rtp_overhead(tr_srtp_profile profile); /* bytes sealing adds to RTP */

/* The session keys of one direction, derived once from master key and salt (RFC 3711, 4.3, rate 0). Sizes are those
 * of the profile; with AEAD the authentication keys stay zero. */
typedef struct tr_srtp_keys {
    uint8_t rtp_key[32], rtp_auth[20], rtp_salt[14];
    uint8_t rtcp_key[32], rtcp_auth[20], rtcp_salt[14];
} tr_srtp_keys;

bool tr__srtp_derive(tr_srtp_profile profile, const uint8_t *key, const uint8_t *salt, tr_srtp_keys *out);

typedef struct tr_srtp tr_srtp;

/* Opaque. Keys are copied (and zeroised by free); `crypto` must outlive it. NULL: unknown profile or no memory. */
tr_srtp *tr__srtp_new(const tr_crypto *crypto, tr_srtp_profile profile, const uint8_t *rx_key, const uint8_t *rx_salt,
                      const uint8_t *tx_key, const uint8_t *tx_salt);
/* The same from keys that were derived already: for a state that is restored, and for the vectors of RFC 7714. */
tr_srtp *tr__srtp_new_derived(const tr_crypto *crypto, tr_srtp_profile profile, const tr_srtp_keys *rx,
                              const tr_srtp_keys *tx);
void tr__srtp_free(tr_srtp *srtp);
/* Room for so many incoming SSRCs, TR_SRTP_MAX_SSRCS at the most: more of them are alive only if this was called. One
 * has TR_SRTP_FIRST_SSRCS to begin with; it never has less than before. Allocates. False: no memory, all is as it was.
 */
bool tr__srtp_reserve(tr_srtp *srtp, uint32_t count);
tr_srtp_profile tr__srtp_profile_of(const tr_srtp *srtp);

/* In place. On TR_DROP_NONE *size is the plain size and *index the 48-bit index of the packet (rollover << 16 | seq).
 * Drops: SRTP_SHORT, RTP_MALFORMED (SRTCP: RTCP_MALFORMED), SRTP_REPLAY, SRTP_AUTH, SRTP_SSRC_LIMIT. On a drop nothing
 * was learned and the bytes are void. A rollover that seems to lag by up to three is tried, at a bounded rate
 * (RFC 3711, 3.3.1). SRTCP that is not encrypted (E = 0) is SRTP_AUTH. */
tr_drop tr__srtp_open_rtp(tr_srtp *srtp, uint8_t *data, size_t *size, uint64_t *index);
tr_drop tr__srtp_open_rtcp(tr_srtp *srtp, uint8_t *data, size_t *size);

/* In place, with TR_SRTP_MAX_OVERHEAD bytes of room behind. index: rollover << 16 | seq, and seq stands in the header.
 * The sealed size; 0 if the packet is malformed or larger than TR_MAX_DATAGRAM, if index and header disagree or the
 * index is used up (48 bits, SRTCP 31). SRTCP numbers itself. */
size_t tr__srtp_seal_rtp(tr_srtp *srtp, uint8_t *data, size_t size, uint64_t index);
size_t tr__srtp_seal_rtcp(tr_srtp *srtp, uint8_t *data, size_t size);

/* SRTCP goes on at `index`, if that is ahead: after a restore, which must never use a number twice. */
void tr__srtp_skip_rtcp(tr_srtp *srtp, uint32_t index);

/* Fetch what the next packets touch: first the state itself, then what it points to. */
void tr__srtp_near(const tr_srtp *srtp);
void tr__srtp_near_rx(const tr_srtp *srtp);
void tr__srtp_near_tx(const tr_srtp *srtp);

/* Forget an incoming SSRC (its receiver is gone), so that the table does not fill over a long call. Its index is
 * kept in reserve: the same SSRC coming back under the same keys is still protected against replay, until the slot is
 * needed for another (the one silent longest goes first). */
void tr__srtp_retire_ssrc(tr_srtp *srtp, uint32_t ssrc);
/* The opposite: somebody declared it, its slot is needed for no other. */
void tr__srtp_keep_ssrc(tr_srtp *srtp, uint32_t ssrc);

#endif
