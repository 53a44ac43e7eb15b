/* outbound: one published stream: its plan made into RTP packets, and any of the latest made again.
 * Pure: time is an argument. One allocation at init, none after. Engine thread.
 *
 * Nothing that was sent is kept: a packet is a function of a few numbers, so a resend is written anew, byte for byte,
 * from 40 bytes each. The caller seals what is written here, with the index it is told. */
#ifndef TL_OUTBOUND_H
#define TL_OUTBOUND_H

#include "payload.h"
#include "plan.h"
#include "rtcp.h"
#include "source.h"

#define TL_OUTBOUND_HELD_VIDEO 512u /* packets that can be sent again: 3 s of 1.5 Mbit/s */
#define TL_OUTBOUND_HELD_AUDIO 64u
#define TL_OUTBOUND_HEADER 96 /* bytes of the longest RTP header */

typedef struct tl_sent { /* what it takes to write a packet again */
    uint64_t counter, sent_ns;
    uint32_t frame, ts, send_time;
    uint16_t part, parts, size, twcc;
    bool is_keyframe;
} tl_sent;

typedef struct tl_header { /* as it is but for numbers, at these offsets (0: not there) */
    uint8_t bytes[TL_OUTBOUND_HEADER];
    uint8_t size, twcc_at, send_time_at;
} tl_header;

typedef struct tl_outbound {
    /* given */
    tl_send params;
    uint32_t engine; /* for the stamp */
    uint64_t first_index, flight_ns;
    uint32_t first_ts;
    /* owned */
    tl_plan plan;
    tl_payload_maker maker;
    tl_header header, rtx_header;
    tl_sent *held;
    uint32_t held_size; /* a power of two */
    /* borrowed */
    tl_source *source;
    /* state */
    bool is_sending, wants_keyframe;
    uint64_t start_ns, stopped_ns, keyframe_ns; /* monotonic: the plan's zero; of the latest stop and keyframe */
    uint64_t rtx_index;
    struct { /* the frame that is being sent; parts 0: none */
        uint32_t bytes, ts;
        uint64_t number, due_ns;
        uint16_t part, parts;
        bool is_keyframe;
    } now;
    /* counters; packets are source->next */
    uint64_t bytes, frames, keyframes, nacks, resent, plis, nacks_unknown;
    uint64_t rtp_bytes; /* payload, resends included: for sender reports */
} tl_outbound;

bool tl__outbound_is_sane(const tl_send *params); /* would init take it? Any thread. */
/* TL_OK, TL_ERR_ARGUMENT, TL_ERR_NO_MEMORY. `source` must outlive it. */
int tl__outbound_init(tl_outbound *outbound, const tl_send *params, uint64_t seed, uint32_t engine, tl_source *source,
                      uint64_t flight_ns);
void tl__outbound_dispose(tl_outbound *outbound);

void tl__outbound_start(tl_outbound *outbound, uint64_t at_ns);
void tl__outbound_stop(tl_outbound *outbound, uint64_t now_ns);
uint64_t tl__outbound_at(const tl_outbound *outbound); /* when the next packet is due, UINT64_MAX: never */

/* The next packet that is due at now_ns, plain, into TL_OUTBOUND_HEADER + max_payload bytes; its size, 0: none is.
 * real_ns: CLOCK_REALTIME, for the stamp. *twcc is the transport's next number. *late_ns: how late a frame begins, or
 * UINT64_MAX in the middle of one. */
size_t tl__outbound_next(tl_outbound *outbound, uint64_t now_ns, uint64_t real_ns, uint16_t *twcc, uint8_t *out,
                         uint64_t *index, uint64_t *late_ns);
/* The packet of this sequence number again: as RTX, or the very same bytes. 0: no longer held, or never sent. */
size_t tl__outbound_resend(tl_outbound *outbound, uint16_t seq, uint64_t real_ns, uint16_t *twcc, uint8_t *out,
                           uint64_t *index);
/* Somebody asks for a keyframe: the next frame is one, but not more often than an encoder makes them. */
void tl__outbound_on_pli(tl_outbound *outbound);
void tl__outbound_put_sr(const tl_outbound *outbound, tr_pen *pen, uint64_t ntp, uint64_t now_ns,
                         const tr_rtcp_report *reports, size_t count);

#endif
