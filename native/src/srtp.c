/* srtp: opens and seals the packets of one transport; see srtp.h for the contract.
 * Touches nothing but its own state and the packet; no packet makes it allocate. Worker thread. */
#include "srtp.h"

#include <endian.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "near.h"
#include "seq.h"
#include "wire.h"

#define RTP_HEADER 12
#define RTCP_HEADER 8 /* stays clear: first part's header and the sender's SSRC (RFC 3711, 3.4) */
#define GCM_TAG 16    /* RFC 7714, 13.2 */
#define CM_TAG 10     /* RFC 5764, 4.1.2: 80 bits, for SRTCP too */
#define RTCP_INDEX 4  /* E flag and 31 bits */
#define RTCP_E 0x80000000u
#define RTP_INDEX_END (1ull << 48) /* RFC 3711, 9.2: a master key is good for so many packets */
#define RTCP_INDEX_END 0x80000000u

/* SRTCP comes a few times a second and in order; 64 fit one word. */
#define RTCP_WINDOW 64

/* How many rollovers ahead are tried. An outage of 3 * 2^16 packets outlasts any seat. */
#define ROLLOVER_TRIES 3
/* What a round of tries costs and earns, in sixteenths. A packet that authenticates earns a round; so does every
 * sixteenth that fails, or a stream that went deaf while junk used up its credit would stay deaf. Junk is thus charged
 * to us at 3/16 of an opening each, however much of it comes. Eight rounds in hand: the first packets after an outage
 * may be junk, too. */
#define ROUND 16
#define CREDIT_MAX (8 * ROUND)

typedef struct keyset {
    tr_gcm_key *gcm; /* one of the two */
    tr_cm_key *cm;
    uint8_t salt[14];
} keyset;

typedef struct stream {
    uint64_t rtp_highest, rtcp_highest;     /* indices; valid once has_* */
    uint64_t rtp_seen[TR_SRTP_WINDOW / 64]; /* bit index % window: seen, for the window ending at highest */
    uint64_t rtcp_seen[RTCP_WINDOW / 64];
    uint64_t last_used; /* counts the transport's packets */
    uint16_t credit;
    bool has_rtp, has_rtcp, is_retired;
} stream;

struct tr_srtp {
    /* given */
    tr_srtp_profile profile;
    bool is_gcm;
    size_t tag_size;
    /* owned */
    keyset rx_rtp, rx_rtcp, tx_rtp, tx_rtcp;
    uint32_t tx_rtcp_index;   /* of the next packet, for all our SSRCs together */
    uint64_t uses;            /* packets that authenticated */
    uint16_t stranger_credit; /* as stream.credit, for SSRCs not in the table */
    uint32_t stream_count, stream_capacity;
    uint32_t *ssrcs; /* parallel to streams, and behind them in one block: a lookup reads these alone */
    stream *streams;
};

/* ---- life */

static bool keyset_init(keyset *set, const tr_crypto *crypto, tr_srtp_profile profile, const uint8_t *key,
                        const uint8_t *auth, const uint8_t *salt)
{
    memcpy(set->salt, salt, tr__srtp_salt_size(profile));
    if (profile == TR_SRTP_AES128_CM_SHA1_80)
        set->cm = tr__cm_new(crypto, key, auth, 20);
    else
        set->gcm = tr__gcm_new(crypto, key, tr__srtp_key_size(profile));
    return set->cm || set->gcm;
}

static void keyset_dispose(keyset *set)
{
    tr__gcm_free(set->gcm);
    tr__cm_free(set->cm);
}

bool tr__srtp_reserve(tr_srtp *srtp, uint32_t count)
{
    if (count > TR_SRTP_MAX_SSRCS) count = TR_SRTP_MAX_SSRCS;
    if (count <= srtp->stream_capacity) return true;
    stream *streams = malloc(count * (sizeof *streams + sizeof *srtp->ssrcs));
    if (!streams) return false;
    uint32_t *ssrcs = (uint32_t *)(streams + count);
    if (srtp->stream_count) {
        memcpy(streams, srtp->streams, srtp->stream_count * sizeof *streams);
        memcpy(ssrcs, srtp->ssrcs, srtp->stream_count * sizeof *ssrcs);
    }
    free(srtp->streams);
    srtp->streams = streams;
    srtp->ssrcs = ssrcs;
    srtp->stream_capacity = count;
    return true;
}

tr_srtp *tr__srtp_new_derived(const tr_crypto *crypto, tr_srtp_profile profile, const tr_srtp_keys *rx,
                              const tr_srtp_keys *tx)
{
    if (!tr__srtp_key_size(profile)) return NULL;
    tr_srtp *srtp = calloc(1, sizeof *srtp);
    if (!srtp) return NULL;
    srtp->profile = profile;
    srtp->is_gcm = profile != TR_SRTP_AES128_CM_SHA1_80;
    srtp->tag_size = srtp->is_gcm ? GCM_TAG : CM_TAG;
    srtp->stranger_credit = CREDIT_MAX;
    bool ok = tr__srtp_reserve(srtp, TR_SRTP_FIRST_SSRCS) &&
              keyset_init(&srtp->rx_rtp, crypto, profile, rx->rtp_key, rx->rtp_auth, rx->rtp_salt) &&
              keyset_init(&srtp->rx_rtcp, crypto, profile, rx->rtcp_key, rx->rtcp_auth, rx->rtcp_salt) &&
              keyset_init(&srtp->tx_rtp, crypto, profile, tx->rtp_key, tx->rtp_auth, tx->rtp_salt) &&
              keyset_init(&srtp->tx_rtcp, crypto, profile, tx->rtcp_key, tx->rtcp_auth, tx->rtcp_salt);
    if (ok) return srtp;
    tr__srtp_free(srtp);
    return NULL;
}

tr_srtp *tr__srtp_new(const tr_crypto *crypto, tr_srtp_profile profile, const uint8_t *rx_key, const uint8_t *rx_salt,
                      const uint8_t *tx_key, const uint8_t *tx_salt)
{
    tr_srtp_keys rx, tx = {0};
    tr_srtp *srtp = NULL;
    if (tr__srtp_derive(profile, rx_key, rx_salt, &rx) && tr__srtp_derive(profile, tx_key, tx_salt, &tx))
        srtp = tr__srtp_new_derived(crypto, profile, &rx, &tx);
    OPENSSL_cleanse(&rx, sizeof rx);
    OPENSSL_cleanse(&tx, sizeof tx);
    return srtp;
}

void tr__srtp_free(tr_srtp *srtp)
{
    if (!srtp) return;
    keyset_dispose(&srtp->rx_rtp);
    keyset_dispose(&srtp->rx_rtcp);
    keyset_dispose(&srtp->tx_rtp);
    keyset_dispose(&srtp->tx_rtcp);
    free(srtp->streams);
    OPENSSL_cleanse(srtp, sizeof *srtp);
    free(srtp);
}

tr_srtp_profile tr__srtp_profile_of(const tr_srtp *srtp) { return srtp->profile; }

/* ---- replay windows: `seen` is a ring of `window` bits, the newest at highest % window */

typedef enum verdict { FRESH, SEEN, OLD } verdict;

static verdict window_check(const uint64_t *seen, uint64_t window, bool has_any, uint64_t highest, uint64_t index)
{
    if (!has_any || index > highest) return FRESH;
    if (highest - index >= window) return OLD;
    uint64_t bit = index % window;
    return seen[bit / 64] >> (bit % 64) & 1 ? SEEN : FRESH;
}

static void window_mark(uint64_t *seen, uint64_t window, bool *has_any, uint64_t *highest, uint64_t index)
{
    if (!*has_any || (index > *highest && index - *highest >= window)) {
        memset(seen, 0, window / 8);
        *highest = index;
        *has_any = true;
    }
    while (*highest < index) { /* what is passed over has not been seen */
        uint64_t bit = ++*highest % window;
        seen[bit / 64] &= ~(1ull << (bit % 64));
    }
    uint64_t bit = index % window;
    seen[bit / 64] |= 1ull << (bit % 64);
}

/* ---- streams */

static stream *find(tr_srtp *srtp, uint32_t ssrc)
{
    for (uint32_t i = 0; i < srtp->stream_count; i++)
        if (srtp->ssrcs[i] == ssrc) return &srtp->streams[i];
    return NULL;
}

/* A slot for an SSRC that has just authenticated: a new one, else of the retired the one that was silent longest.
 * NULL: all are alive. A retired SSRC stays so when late packets or a BYE follow it; one that really comes back is
 * never silent, and thus the last to go. */
static stream *admit(tr_srtp *srtp, uint32_t ssrc)
{
    uint32_t at = srtp->stream_count;
    if (at < srtp->stream_capacity) {
        srtp->stream_count++;
    } else {
        for (uint32_t i = 0; i < srtp->stream_capacity; i++)
            if (srtp->streams[i].is_retired &&
                (at == srtp->stream_capacity || srtp->streams[i].last_used < srtp->streams[at].last_used))
                at = i;
        if (at == srtp->stream_capacity) return NULL;
    }
    srtp->ssrcs[at] = ssrc;
    srtp->streams[at] = (stream){.credit = CREDIT_MAX};
    return &srtp->streams[at];
}

void tr__srtp_retire_ssrc(tr_srtp *srtp, uint32_t ssrc)
{
    stream *s = find(srtp, ssrc);
    if (s) s->is_retired = true;
}

void tr__srtp_keep_ssrc(tr_srtp *srtp, uint32_t ssrc)
{
    stream *s = find(srtp, ssrc);
    if (s) s->is_retired = false;
}

/* Two tracks and their resends, as people in a consult send them. */
#define NEAR_STREAMS 4

void tr__srtp_near(const tr_srtp *srtp) { tr__near(srtp, sizeof *srtp); }

void tr__srtp_near_rx(const tr_srtp *srtp)
{
    uint32_t count = srtp->stream_count < NEAR_STREAMS ? srtp->stream_count : NEAR_STREAMS;
    tr__near(srtp->ssrcs, count * sizeof *srtp->ssrcs);
    tr__near(srtp->streams, count * sizeof *srtp->streams);
    if (srtp->is_gcm) tr__gcm_near(srtp->rx_rtp.gcm);
}

void tr__srtp_near_tx(const tr_srtp *srtp)
{
    if (srtp->is_gcm) tr__gcm_near(srtp->tx_rtp.gcm);
}

static void earn(uint16_t *credit, uint16_t sixteenths)
{
    *credit = (uint16_t)(*credit + sixteenths > CREDIT_MAX ? CREDIT_MAX : *credit + sixteenths);
}

/* ---- RTP */

/* Fixed part, CSRCs and extension block: what stays clear. 0: does not add up within size. */
static size_t rtp_header_size(const uint8_t *data, size_t size)
{
    if (size < RTP_HEADER || data[0] >> 6 != 2) return 0;
    size_t header = RTP_HEADER + 4 * (size_t)(data[0] & 15);
    if (data[0] & 0x10) {
        if (size < header + 4) return 0;
        header += 4 + 4 * (size_t)tr__load16(data + header + 2);
    }
    return header <= size ? header : 0;
}

/* RFC 7714 section 8.1: two zero bytes, SSRC, rollover, sequence number, over the salt. */
static void gcm_rtp_iv(const keyset *set, uint32_t ssrc, uint64_t index, uint8_t iv[12])
{
    uint64_t head;
    uint32_t tail;
    memcpy(&head, set->salt, 8);
    memcpy(&tail, set->salt + 8, 4);
    head ^= htobe64((uint64_t)ssrc << 16 | index >> 32);
    tail ^= htobe32((uint32_t)index);
    memcpy(iv, &head, 8);
    memcpy(iv + 8, &tail, 4);
}

/* RFC 3711 section 4.1.1: salt * 2^16, SSRC * 2^64, index * 2^16. SRTCP the same with its own index. */
static void cm_iv(const keyset *set, uint32_t ssrc, uint64_t index, uint8_t iv[16])
{
    uint64_t head, tail = 0;
    memcpy(&head, set->salt, 8);
    memcpy(&tail, set->salt + 8, 6); /* in memory's order: the last two bytes stay zero */
    head ^= htobe64((uint64_t)ssrc);
    tail ^= htobe64(index << 16);
    memcpy(iv, &head, 8);
    memcpy(iv + 8, &tail, 8);
}

/* Tries to open as the packet of this index. If that fails and `restores`, the bytes are as they came. */
static bool open_rtp_at(tr_srtp *srtp, uint8_t *data, size_t plain, size_t header, uint64_t index, bool restores)
{
    const keyset *set = &srtp->rx_rtp;
    uint32_t ssrc = tr__load32(data + 8);
    if (srtp->is_gcm) {
        uint8_t iv[12], tag[16];
        gcm_rtp_iv(set, ssrc, index, iv);
        if (tr__gcm_open(set->gcm, iv, data, header, data + header, plain - header, data + plain)) return true;
        if (restores) tr__gcm_seal(set->gcm, iv, data, header, data + header, plain - header, tag);
        return false;
    }
    uint8_t iv[16], rollover[4], mac[20];
    tr__store32(rollover, (uint32_t)(index >> 16));
    if (!tr__cm_mac(set->cm, data, plain, rollover, mac) || CRYPTO_memcmp(mac, data + plain, CM_TAG) != 0) return false;
    cm_iv(set, ssrc, index, iv);
    tr__cm_xor(set->cm, iv, data + header, plain - header);
    return true;
}

/* The index of a packet that authenticates, or RTP_INDEX_END and why not.
 *
 * The guess is the number nearest to the highest one seen (RFC 3711, 3.3.1); the first packet of an SSRC is taken to be
 * of rollover 0. The guess lags when 2^15 packets or more were lost, or when those before a stream's first wrap were.
 * It then fails to authenticate or lands behind the window, so rollovers ahead are tried. None behind is: what
 * lies a rollover back is out of the window anyway. A packet seen before is never tried again: replays stay cheap, and
 * a stream that lags recovers with its next packet that was not. */
static uint64_t authenticate(tr_srtp *srtp, stream *s, uint8_t *data, size_t plain, size_t header, tr_drop *drop)
{
    uint16_t seq = tr__load16(data + 2);
    uint64_t guess = s && s->has_rtp ? tr__seq_unwrap(s->rtp_highest, seq) : seq;
    uint16_t *credit = s ? &s->credit : &srtp->stranger_credit;
    verdict seen = s ? window_check(s->rtp_seen, TR_SRTP_WINDOW, s->has_rtp, s->rtp_highest, guess) : FRESH;

    *drop = seen == FRESH ? TR_DROP_SRTP_AUTH : TR_DROP_SRTP_REPLAY;
    if (seen == SEEN || guess >= RTP_INDEX_END) return RTP_INDEX_END;
    bool tries = *credit >= ROUND;
    if (seen == FRESH && open_rtp_at(srtp, data, plain, header, guess, tries)) return guess;
    if (!tries) {
        earn(credit, 1);
        return RTP_INDEX_END;
    }
    *credit = (uint16_t)(*credit - ROUND);
    for (uint64_t i = 1; i <= ROLLOVER_TRIES; i++) {
        uint64_t index = guess + (i << 16);
        if (index >= RTP_INDEX_END) break;
        if (open_rtp_at(srtp, data, plain, header, index, true)) return index;
    }
    return RTP_INDEX_END;
}

tr_drop tr__srtp_open_rtp(tr_srtp *srtp, uint8_t *data, size_t *size, uint64_t *index)
{
    if (*size < RTP_HEADER + srtp->tag_size) return TR_DROP_SRTP_SHORT;
    size_t plain = *size - srtp->tag_size, header = rtp_header_size(data, plain);
    if (!header || *size > TR_MAX_DATAGRAM) return TR_DROP_RTP_MALFORMED;
    uint32_t ssrc = tr__load32(data + 8);
    stream *s = find(srtp, ssrc);
    tr_drop drop;
    uint64_t found = authenticate(srtp, s, data, plain, header, &drop);
    if (found == RTP_INDEX_END) return drop;
    if (!s) {
        earn(&srtp->stranger_credit, ROUND);
        s = admit(srtp, ssrc);
        if (!s) return TR_DROP_SRTP_SSRC_LIMIT;
    }
    window_mark(s->rtp_seen, TR_SRTP_WINDOW, &s->has_rtp, &s->rtp_highest, found);
    earn(&s->credit, ROUND);
    s->last_used = ++srtp->uses;
    *size = plain;
    *index = found;
    return TR_DROP_NONE;
}

size_t tr__srtp_seal_rtp(tr_srtp *srtp, uint8_t *data, size_t size, uint64_t index)
{
    const keyset *set = &srtp->tx_rtp;
    size_t header = rtp_header_size(data, size);
    if (!header || size > TR_MAX_DATAGRAM || index >= RTP_INDEX_END || tr__load16(data + 2) != (uint16_t)index)
        return 0;
    uint32_t ssrc = tr__load32(data + 8);
    if (srtp->is_gcm) {
        uint8_t iv[12];
        gcm_rtp_iv(set, ssrc, index, iv);
        tr__gcm_seal(set->gcm, iv, data, header, data + header, size - header, data + size);
        return size + GCM_TAG;
    }
    uint8_t iv[16], rollover[4], mac[20];
    cm_iv(set, ssrc, index, iv);
    tr__cm_xor(set->cm, iv, data + header, size - header);
    tr__store32(rollover, (uint32_t)(index >> 16));
    if (!tr__cm_mac(set->cm, data, size, rollover, mac)) return 0;
    memcpy(data + size, mac, CM_TAG);
    return size + CM_TAG;
}

/* ---- RTCP: CM puts E and index before the tag (RFC 3711, 3.4), AEAD behind it (RFC 7714, 9.2) */

/* RFC 7714 section 9.1: two zero bytes, SSRC, two zero bytes, index, over the salt. The associated data are the clear
 * header and the word with E and index (9.2). */
static void gcm_rtcp_iv(const keyset *set, const uint8_t *data, uint32_t index, uint8_t iv[12], uint8_t aad[12])
{
    tr__store16(iv, 0);
    memcpy(iv + 2, data + 4, 4);
    tr__store16(iv + 6, 0);
    tr__store32(iv + 8, index);
    for (int i = 0; i < 12; i++) iv[i] ^= set->salt[i];
    memcpy(aad, data, RTCP_HEADER);
    tr__store32(aad + RTCP_HEADER, RTCP_E | index);
}

static bool open_rtcp_at(tr_srtp *srtp, uint8_t *data, size_t plain, uint32_t index)
{
    const keyset *set = &srtp->rx_rtcp;
    if (srtp->is_gcm) {
        uint8_t iv[12], aad[12];
        gcm_rtcp_iv(set, data, index, iv, aad);
        return tr__gcm_open(set->gcm, iv, aad, sizeof aad, data + RTCP_HEADER, plain - RTCP_HEADER, data + plain);
    }
    uint8_t iv[16], mac[20];
    const uint8_t *tag = data + plain + RTCP_INDEX;
    if (!tr__cm_mac(set->cm, data, plain + RTCP_INDEX, NULL, mac) || CRYPTO_memcmp(mac, tag, CM_TAG) != 0) return false;
    cm_iv(set, tr__load32(data + 4), index, iv);
    tr__cm_xor(set->cm, iv, data + RTCP_HEADER, plain - RTCP_HEADER);
    return true;
}

tr_drop tr__srtp_open_rtcp(tr_srtp *srtp, uint8_t *data, size_t *size)
{
    if (*size < RTCP_HEADER + RTCP_INDEX + srtp->tag_size) return TR_DROP_SRTP_SHORT;
    if (data[0] >> 6 != 2 || *size > TR_MAX_DATAGRAM) return TR_DROP_RTCP_MALFORMED;
    size_t plain = *size - RTCP_INDEX - srtp->tag_size;
    uint32_t word = tr__load32(srtp->is_gcm ? data + *size - RTCP_INDEX : data + plain);
    /* RFC 3711 would take control packets that are authenticated but clear. Both ends chose profiles that encrypt
     * them and no browser sends them so; refusing keeps one form of packet and hands nobody a way to ask for less. */
    if (!(word & RTCP_E)) return TR_DROP_SRTP_AUTH;
    uint32_t index = word & ~RTCP_E, ssrc = tr__load32(data + 4);
    stream *s = find(srtp, ssrc);
    if (s && window_check(s->rtcp_seen, RTCP_WINDOW, s->has_rtcp, s->rtcp_highest, index) != FRESH)
        return TR_DROP_SRTP_REPLAY;
    if (!open_rtcp_at(srtp, data, plain, index)) return TR_DROP_SRTP_AUTH;
    if (!s) s = admit(srtp, ssrc);
    if (!s) return TR_DROP_SRTP_SSRC_LIMIT;
    window_mark(s->rtcp_seen, RTCP_WINDOW, &s->has_rtcp, &s->rtcp_highest, index);
    s->last_used = ++srtp->uses;
    *size = plain;
    return TR_DROP_NONE;
}

size_t tr__srtp_seal_rtcp(tr_srtp *srtp, uint8_t *data, size_t size)
{
    const keyset *set = &srtp->tx_rtcp;
    if (size < RTCP_HEADER || size > TR_MAX_DATAGRAM || data[0] >> 6 != 2) return 0;
    if (srtp->tx_rtcp_index >= RTCP_INDEX_END) return 0;
    uint32_t index = srtp->tx_rtcp_index++;
    if (srtp->is_gcm) {
        uint8_t iv[12], aad[12];
        gcm_rtcp_iv(set, data, index, iv, aad);
        tr__gcm_seal(set->gcm, iv, aad, sizeof aad, data + RTCP_HEADER, size - RTCP_HEADER, data + size);
        tr__store32(data + size + GCM_TAG, RTCP_E | index);
        return size + GCM_TAG + RTCP_INDEX;
    }
    uint8_t iv[16], mac[20];
    cm_iv(set, tr__load32(data + 4), index, iv);
    tr__cm_xor(set->cm, iv, data + RTCP_HEADER, size - RTCP_HEADER);
    tr__store32(data + size, RTCP_E | index);
    if (!tr__cm_mac(set->cm, data, size + RTCP_INDEX, NULL, mac)) return 0;
    memcpy(data + size + RTCP_INDEX, mac, CM_TAG);
    return size + RTCP_INDEX + CM_TAG;
}

void tr__srtp_skip_rtcp(tr_srtp *srtp, uint32_t index)
{
    if (index > srtp->tx_rtcp_index) srtp->tx_rtcp_index = index;
}
