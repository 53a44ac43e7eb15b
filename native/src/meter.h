/* meter: how many bits a second each layer of a video stream takes: what it took in the latest second, and what it
 * takes at its peaks, so that whoever shares a line among layers is not misled by a still scene.
 * Packets are counted into a quarter of a second by their own layer; sums are made when somebody asks.
 * Pure: a value of zeros begins. Worker thread. */
#ifndef TR_METER_H
#define TR_METER_H

#include "telerelay.h"

/* A quarter of a second is what a queue of any size smooths out; five seconds hold two seconds' worth of rare peaks. */
#define TR_METER_QUARTER_US 250000u
#define TR_METER_QUARTERS 20u
/* Bytes of a datagram around an RTP packet: headers of IPv4 and UDP, the tag of SRTP. */
#define TR_METER_AROUND 44u

typedef struct tr_meter {
    uint64_t quarter_at_us; /* when the present quarter began, 0: nothing came yet */
    uint32_t at;            /* where it will be kept */
    uint32_t kept;          /* quarters that are kept, TR_METER_QUARTERS at the most */
    uint32_t bytes[TR_MAX_SPATIAL * TR_MAX_TEMPORAL];
    uint16_t past[TR_METER_QUARTERS][TR_MAX_SPATIAL * TR_MAX_TEMPORAL]; /* in units of 64 bytes, rounded up */
} tr_meter;

/* What came to an end meanwhile is put away. */
void tr__meter_turn(tr_meter *meter, uint64_t now_us);

/* A packet of this layer, counted from the lowest; higher ones than there is room for count as the highest. */
static inline void tr__meter_on_packet(tr_meter *meter, uint8_t spatial, uint8_t temporal, uint32_t bytes,
                                       uint64_t now_us)
{
    if (now_us - meter->quarter_at_us >= TR_METER_QUARTER_US) tr__meter_turn(meter, now_us);
    if (spatial >= TR_MAX_SPATIAL) spatial = TR_MAX_SPATIAL - 1;
    if (temporal >= TR_MAX_TEMPORAL) temporal = TR_MAX_TEMPORAL - 1;
    meter->bytes[spatial * TR_MAX_TEMPORAL + temporal] += bytes + TR_METER_AROUND;
}

/* How many spatial and temporal layers came in the latest five seconds; 0 and 0: nothing came. */
void tr__meter_count(const tr_meter *meter, uint64_t now_us, uint8_t *spatial, uint8_t *temporal);
/* Each layer with all below it. */
void tr__meter_tell(const tr_meter *meter, uint64_t now_us, tr_layer_rate out[TR_MAX_SPATIAL][TR_MAX_TEMPORAL]);

#endif
