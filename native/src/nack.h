/* nack: which packets of one stream are missing, and when to ask for them again (RFC 4585, 6.2.1).
 * Pure: no clock, no log, no allocation after init. Worker thread. */
#ifndef TR_NACK_H
#define TR_NACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ask five times at most: by then a keyframe is cheaper than the wait. */
#define TR_NACK_MAX_REQUESTS 5
/* A gap wider than this is a new start, not a loss: ask for a keyframe instead. */
#define TR_NACK_MAX_GAP 512
/* Lists have room for so many. Video: half a second of a stream of 10 Mbit/s. Audio has 100 packets a second at the
 * most (10 ms each), of which more than the last second is not worth asking for. */
#define TR_NACK_VIDEO_MISSING 512
#define TR_NACK_AUDIO_MISSING 128

typedef struct tr_nack_missing {
    uint64_t index;
    uint64_t next_us;    /* ask (again) at this time */
    uint64_t noticed_us; /* when a later one came */
    uint64_t first_us;   /* first asked, 0: not yet */
    uint8_t requests;
} tr_nack_missing;

typedef struct tr_nack {
    tr_nack_missing *missing; /* ascending by index; borrowed, and touched only as far as packets are missing */
    uint32_t count, capacity;
    uint64_t highest;
    bool has_highest;
    uint64_t rtt_us;     /* smoothed time from request to arrival, 0: not measured yet */
    uint64_t reorder_us; /* how late packets come that were not lost; fades */
    bool has_rtx;        /* resends have been told from first copies */
    uint64_t at_us;      /* no request is due before this; it may be early, never late */
    /* counters */
    uint64_t given_up, repaired, requested;
} tr_nack;

typedef enum tr_nack_verdict {
    TR_NACK_NEW,       /* next in line, or ahead with a gap that is being asked for */
    TR_NACK_RECOVERED, /* one that was missing */
    TR_NACK_DUPLICATE_OR_OLD,
    TR_NACK_RESET /* too far ahead: the list was emptied, a keyframe is needed */
} tr_nack_verdict;

void tr__nack_init(tr_nack *nack, tr_nack_missing *missing, uint32_t capacity);
void tr__nack_restart(tr_nack *nack); /* other numbers begin: as after init */
/* is_rtx: it came as a resend under an SSRC of its own, so it is known to be one. */
tr_nack_verdict tr__nack_on_packet(tr_nack *nack, uint64_t index, bool is_rtx, uint64_t now_us);
uint64_t tr__nack_at(const tr_nack *nack); /* when to call next; UINT64_MAX: never */
/* Sequence numbers to ask for now, ascending; the number written. Those asked five times are given up here. */
size_t tr__nack_next(tr_nack *nack, uint64_t now_us, uint16_t *seqs, size_t max);

#endif
