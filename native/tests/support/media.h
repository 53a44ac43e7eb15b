/* media: what tests of the media path share: RTP packets from parts, a way out with real SRTP behind it, and a peer
 * that opens what left. Every datagram is checked against all others of its index: the same ciphertext, or never again.
 */
#ifndef TR_TEST_MEDIA_H
#define TR_TEST_MEDIA_H

#include "check.h"
#include "receiver.h"
#include "seq.h"

/* ------------------------------------------------------------------ one packet, written by hand */

typedef struct packet {
    uint8_t data[1600];
    size_t size;
} packet;

static inline packet make_packet(uint32_t ssrc, uint8_t pt, uint16_t seq, uint32_t ts, bool marker,
                                 const uint8_t *payload, size_t size)
{
    packet p = {.size = 12 + size};
    p.data[0] = 0x80;
    p.data[1] = (uint8_t)((marker ? 0x80 : 0) | pt);
    tr__store16(p.data + 2, seq);
    tr__store32(p.data + 4, ts);
    tr__store32(p.data + 8, ssrc);
    if (size) memcpy(p.data + 12, payload, size);
    return p;
}

/* Puts one one-byte-form block behind the fixed header. */
static inline void add_block(packet *p, const uint8_t *elements, size_t size)
{
    size_t words = (size + 3) / 4;
    memmove(p->data + 16 + 4 * words, p->data + 12, p->size - 12);
    memset(p->data + 16, 0, 4 * words);
    p->data[0] |= 0x10;
    tr__store16(p->data + 12, 0xbede);
    tr__store16(p->data + 14, (uint16_t)words);
    memcpy(p->data + 16, elements, size);
    p->size += 4 + 4 * words;
}

/* The packet as its publisher would resend it under RTX. */
static inline packet make_rtx(const packet *p, uint32_t ssrc, uint8_t pt, uint16_t seq)
{
    tr_rtp rtp;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, p->data, p->size));
    packet r = *p;
    memmove(r.data + rtp.header_size + 2, p->data + rtp.header_size, p->size - rtp.header_size);
    memcpy(r.data + rtp.header_size, p->data + 2, 2);
    r.data[1] = (uint8_t)((p->data[1] & 0x80) | pt);
    tr__store16(r.data + 2, seq);
    tr__store32(r.data + 8, ssrc);
    r.size += 2;
    return r;
}

/* VP8 (RFC 7741): a one-byte descriptor, then a frame header whose lowest bit is 0 for a keyframe. */
#define VP8_START 0x10
#define VP8_KEY 0x00
#define VP8_DELTA 0x01

static inline packet make_vp8(uint32_t ssrc, uint16_t seq, uint32_t ts, bool is_start, bool is_key, bool marker,
                              size_t size)
{
    uint8_t payload[1500];
    for (size_t i = 0; i < size; i++) payload[i] = (uint8_t)(seq * 31 + i);
    payload[0] = is_start ? VP8_START : 0;
    payload[1] = is_start && is_key ? VP8_KEY : VP8_DELTA;
    return make_packet(ssrc, 96, seq, ts, marker, payload, size);
}

/* ------------------------------------------------------------------ the way out */

#define LOG_SSRCS 4
#define LOG_SIZE 65536

typedef struct log_line {
    uint32_t ssrc;
    uint64_t highest; /* 0: none yet */
    struct {
        uint64_t index, hash;
    } of[LOG_SIZE];
} log_line;

typedef struct rig {
    tr_tally tally;
    tr_outbox outbox;
    tr_egress egress;
    tr_crypto *crypto;
    tr_srtp *ours, *theirs;
    log_line *log;
    uint64_t conflicts, repeats, wire_bytes;
    uint32_t taken; /* of the outbox */
} rig;

static inline void rig_init(rig *r, tr_srtp_profile profile)
{
    static const uint8_t key[32] = "a master key of thirty-two bytes", salt[14] = "and its salt.";
    static const uint8_t other_key[32] = "another one for the other way...", other_salt[14] = "and other one";
    *r = (rig){0};
    r->crypto = tr__crypto_new(TR_CRYPTO_OPENSSL);
    r->ours = tr__srtp_new(r->crypto, profile, other_key, other_salt, key, salt);
    r->theirs = tr__srtp_new(r->crypto, profile, key, salt, other_key, other_salt);
    CHECK(r->ours && r->theirs);
    CHECK_EQ(TR_OK, tr__outbox_init(&r->outbox, 512));
    r->log = calloc(LOG_SSRCS, sizeof *r->log);
    r->egress = (tr_egress){
        .outbox = &r->outbox, .tally = &r->tally, .srtp = r->ours, .owner = 7, .has_path = true, .is_admitted = true};
}

static inline void rig_dispose(rig *r)
{
    CHECK_EQ(0, r->conflicts);
    tr__srtp_free(r->ours);
    tr__srtp_free(r->theirs);
    tr__crypto_free(r->crypto);
    tr__outbox_dispose(&r->outbox);
    free(r->log);
}

static inline uint64_t hash_bytes(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

/* Notes a sealed packet; an index with two contents is a conflict (RFC 3711, 9.1). */
static inline void rig_note(rig *r, const uint8_t *data, size_t size)
{
    uint32_t ssrc = tr__load32(data + 8);
    log_line *line = NULL;
    for (int i = 0; i < LOG_SSRCS && !line; i++)
        if (r->log[i].ssrc == ssrc || !r->log[i].highest) line = &r->log[i];
    if (!line) abort();
    uint16_t seq = tr__load16(data + 2);
    uint64_t index = line->highest ? tr__seq_unwrap(line->highest, seq) : 65536u + seq;
    line->ssrc = ssrc;
    if (index > line->highest) line->highest = index;
    uint64_t hash = hash_bytes(data, size);
    if (line->of[index % LOG_SIZE].index == index) {
        if (line->of[index % LOG_SIZE].hash != hash) r->conflicts++;
        r->repeats++;
    }
    line->of[index % LOG_SIZE].index = index;
    line->of[index % LOG_SIZE].hash = hash;
}

/* The next datagram that left, sealed; false when there is none (and the outbox is empty again). */
static inline bool rig_take_sealed(rig *r, packet *out)
{
    if (r->taken == r->outbox.count) {
        tr__outbox_clear(&r->outbox);
        r->taken = 0;
        return false;
    }
    tr_outgoing *item = &r->outbox.items[r->taken++];
    out->size = item->size;
    memcpy(out->data, item->data, item->size);
    r->wire_bytes += item->size;
    rig_note(r, out->data, out->size);
    return true;
}

/* As the peer gets it. A packet its SRTP refuses (a resend that it has already) is passed over. */
static inline bool rig_take(rig *r, packet *out, tr_rtp *rtp)
{
    uint64_t index;
    while (rig_take_sealed(r, out)) {
        if (tr__srtp_open_rtp(r->theirs, out->data, &out->size, &index) != TR_DROP_NONE) continue;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(rtp, out->data, out->size));
        return true;
    }
    return false;
}

static inline int rig_drain(rig *r)
{
    packet p;
    int count = 0;
    while (rig_take_sealed(r, &p)) count++;
    return count;
}

/* ------------------------------------------------------------------ a receiver that is fed packets */

static inline tr_drop feed(tr_receiver *receiver, int encoding, bool is_rtx, const packet *p, uint64_t now_us)
{
    static uint8_t data[1600];
    memcpy(data, p->data, p->size);
    tr_rtp rtp;
    tr_rtp_extensions found;
    tr_drop drop = tr__rtp_parse(&rtp, data, p->size);
    if (drop != TR_DROP_NONE) return drop;
    drop = tr__rtp_find_extensions(&rtp, tr__receiver_params(receiver)->extensions, &found);
    if (drop != TR_DROP_NONE) return drop;
    return tr__receiver_on_rtp(receiver, encoding, is_rtx, data, &rtp, &found, now_us, now_us);
}

/* A video publisher: VP8 96, RTX 97, one encoding of SSRC 1000 (RTX 1001); `count` encodings add 10 to each. */
static inline tr_add_receiver video_params(uint8_t encodings)
{
    tr_add_receiver params = {
        .receiver = 1, .transport = 1, .kind = TR_VIDEO, .codec_count = 1, .encoding_count = encodings, .mid = "0"};
    params.codecs[0] = (tr_codec_params){.pt = 96,
                                         .rtx_pt = 97,
                                         .codec = TR_CODEC_VP8,
                                         .has_nack = 1,
                                         .has_pli = 1,
                                         .has_fir = 1,
                                         .has_twcc = 1,
                                         .clock_rate = 90000};
    for (uint32_t i = 0; i < encodings; i++) {
        params.encodings[i] = (tr_encoding){.ssrc = 1000 + 10 * i, .rtx_ssrc = 1001 + 10 * i};
        if (encodings > 1) params.encodings[i].rid[0] = (char)('a' + i);
    }
    return params;
}

static inline tr_add_receiver audio_params(void)
{
    tr_add_receiver params = {
        .receiver = 2, .transport = 1, .kind = TR_AUDIO, .codec_count = 1, .encoding_count = 1, .mid = "1"};
    params.codecs[0] = (tr_codec_params){.pt = 111, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_OPUS, .clock_rate = 48000};
    params.encodings[0] = (tr_encoding){.ssrc = 2000};
    return params;
}

static inline tr_add_sender sender_params(uint8_t kind, uint32_t ssrc, uint32_t rtx_ssrc)
{
    return (tr_add_sender){.sender = ssrc,
                           .transport = 2,
                           .kind = kind,
                           .may_pad = true,
                           .ssrc = ssrc,
                           .rtx_ssrc = rtx_ssrc,
                           .mid = "v1",
                           .cname = "alice"};
}

/* The peer's payload types: each of ours plus ten. */
static inline tr_bind_sender bind_params(const tr_add_receiver *receiver, const tr_add_sender *sender)
{
    tr_bind_sender bind = {.sender = sender->sender, .receiver = receiver->receiver};
    memset(bind.pts, TR_NO_PT, sizeof bind.pts);
    memset(bind.rtx_pts, TR_NO_PT, sizeof bind.rtx_pts);
    for (int i = 0; i < receiver->codec_count; i++) {
        bind.pts[i] = (uint8_t)(receiver->codecs[i].pt + 10);
        if (sender->rtx_ssrc && receiver->codecs[i].rtx_pt != TR_NO_PT)
            bind.rtx_pts[i] = (uint8_t)(receiver->codecs[i].rtx_pt + 10);
    }
    return bind;
}

#endif
