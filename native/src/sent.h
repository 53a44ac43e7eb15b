/* sent: the packets of one transport that have left, by transport-wide number, until their fate is known.
 * A ring of eight bytes a packet. It begins small, and only where a slot is needed again whose packet is still on its
 * way it doubles, within memory that it always had: so the owner has this struct last in zeroed pages (pages.h), and a
 * receiver of little takes little. Pure: no clock, no allocation. Worker thread. */
#ifndef TR_SENT_H
#define TR_SENT_H

#include <stdbool.h>
#include <stdint.h>

#include "telerelay.h"

/* At most: eight seconds of 5 Mbit/s, longer than any feedback is late. At first: one second of 1.2 Mbit/s; with what
 * else an estimator has it is less than a page. Powers of two. */
#define TR_SENT_MOST 4096
#define TR_SENT_LEAST 128
/* Numbers of clusters go up to here and begin again: none of a lap ago is in the ring. */
#define TR_SENT_PROBES 4095

typedef enum tr_fate {
    TR_FATE_NONE = 0, /* no packet */
    TR_FATE_ON_WAY,
    TR_FATE_LOST,
    TR_FATE_RECEIVED,
    TR_FATE_GIVEN_UP /* not told in time: feedback that was lost never comes again */
} tr_fate;

typedef struct tr_sent_packet {
    /* Of the microseconds the low half: 71 minutes, and at half a packet a second the ring is longer than that. Then a
     * packet seems younger, which a peer that reports it so late could have claimed of its arrival as well. */
    uint32_t sent_us;
    uint16_t size_bytes;
    uint16_t probe : 12, is_resent : 1, fate : 3; /* TR_SENT_PROBES: none; resent: it has left twice */
} tr_sent_packet;

typedef struct tr_sent {
    uint32_t mask;                /* of the part of the ring in use */
    int64_t next_seq, oldest_seq; /* one past the newest; of those on their way the oldest; -1: none was sent */
    uint64_t flight_bytes;
    tr_sent_packet packets[TR_SENT_MOST];
} tr_sent;

/* The memory is zero. */
void tr__sent_init(tr_sent *s);
/* False: not above all numbers before. is_tracked: feedback is expected, it counts as on its way. */
bool tr__sent_put(tr_sent *s, int64_t now_us, int64_t seq, uint32_t size_bytes, int32_t probe_id, bool is_tracked);
/* NULL: never sent, or forgotten. Until the next put. */
static inline tr_sent_packet *tr__sent_find(tr_sent *s, int64_t seq)
{
    if (seq < 0 || seq >= s->next_seq || s->next_seq - seq > (int64_t)s->mask + 1) return NULL;
    tr_sent_packet *p = &s->packets[seq & s->mask];
    return p->fate == TR_FATE_NONE ? NULL : p;
}
static inline int64_t tr__sent_us(const tr_sent_packet *p, int64_t now_us)
{
    return now_us - (int64_t)((uint32_t)(uint64_t)now_us - p->sent_us);
}
/* TR_NO_PROBE: none. */
static inline int32_t tr__sent_probe(const tr_sent_packet *p)
{
    return p->probe == TR_SENT_PROBES ? TR_NO_PROBE : p->probe;
}
static inline void tr__sent_settle(tr_sent *s, tr_sent_packet *p, tr_fate fate)
{
    if (p->fate == TR_FATE_ON_WAY) s->flight_bytes -= p->size_bytes;
    p->fate = (uint16_t)(fate & 7);
}
/* What left before that moment, and is on its way still, is given up. */
void tr__sent_give_up(tr_sent *s, int64_t before_us, int64_t now_us);

#endif
