/* sender: one sender bound to one receiver, packets in at one end, read at the other as the peer reads them, SRTP
 * included. Shared by the tests of the sender. */
#ifndef TR_TEST_SENDER_H
#define TR_TEST_SENDER_H

#include "media.h"

#define MS 1000
#define S 1000000
#define HISTORY 262144
#define TS_OFFSET 0xfffff000u
#define FIRST 0x7ffe /* the outgoing numbers pass 2^15 at once */
#define RTX_FIRST 300

static rig r;
static tr_clock clock_;
static tr_receiver *receiver;
static tr_sender *sender;
static tr_add_sender viewer;
static uint64_t now;

static inline void bind_to(const tr_add_receiver *params)
{
    tr_bind_sender bind = bind_params(params, &viewer);
    CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, sender, &bind, now));
}

/* A receiver with one sender bound to it. */
static inline void begin(const tr_add_receiver *params, bool has_rtx)
{
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    now = 100 * (uint64_t)S;
    tr__clock_init(&clock_);
    receiver = tr__receiver_new(params, HISTORY, &clock_, &r.tally);
    viewer = sender_params(params->kind, 5000, has_rtx ? 5001 : 0);
    memcpy(viewer.extensions, params->extensions, sizeof viewer.extensions);
    sender = tr__sender_new(&viewer, &r.egress, FIRST, RTX_FIRST, TS_OFFSET);
    bind_to(params);
}

static inline void end(void)
{
    tr__receiver_remove_sender(receiver, sender, now);
    tr__sender_free(sender);
    tr__receiver_free(receiver);
    rig_dispose(&r);
}

static inline tr_stream *stream(int i) { return &tr__receiver_source(receiver)->streams[i]; }
static inline uint64_t drops(tr_drop drop) { return r.tally.drops[drop]; }

/* One VP8 frame of one packet. */
static inline tr_drop frame(int encoding, uint16_t seq, uint32_t ts, bool is_key)
{
    packet p = make_vp8(1000 + 10 * (uint32_t)encoding, seq, ts, true, is_key, true, 200);
    return feed(receiver, encoding, false, &p, now);
}

static inline tr_drop opus(uint16_t seq)
{
    packet p = make_packet(2000, 111, seq, seq * 960u, false, (const uint8_t *)"opus", 4);
    return feed(receiver, 0, false, &p, now);
}

static packet out;
static tr_rtp rtp;
static inline bool take(void) { return rig_take(&r, &out, &rtp); }

/* The next packet the peer gets has these numbers. */
#define CHECK_NEXT(expected_seq, expected_ts)                                                                          \
    do {                                                                                                               \
        CHECK(take());                                                                                                 \
        CHECK_EQ((uint16_t)(expected_seq), rtp.seq);                                                                   \
        CHECK_EQ((uint32_t)(expected_ts), rtp.ts);                                                                     \
    } while (0)
#define CHECK_SILENT() CHECK(!take())

#endif
