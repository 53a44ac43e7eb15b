/* source: how many packets each published stream has sent, now and a while ago. It outlives the stream's peer, because
 * subscribers' accounts go on being settled against it.
 * Pure. Engine thread. */
#ifndef TL_SOURCE_H
#define TL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "telerelay_load.h"

#define TL_SOURCE_MARKS 16 /* remembered points in time */

typedef struct tl_source {
    uint32_t stream, peer;
    uint8_t kind;
    bool exists, is_sending;
    uint64_t group;   /* of encodings of one picture, 0: none */
    uint64_t next;    /* counter of the next packet: as many were sent */
    uint64_t last_ns; /* monotonic, of the latest packet */
    struct {
        uint64_t at_ns, next;
    } marks[TL_SOURCE_MARKS];
    uint32_t mark_count; /* ever made */
} tl_source;

/* Before packet `next` leaves: count it. `flight_ns`: how far back tl__source_before will be asked. */
static inline void tl__source_on_packet(tl_source *source, uint64_t now_ns, uint64_t flight_ns)
{
    uint32_t last = (source->mark_count - 1) % TL_SOURCE_MARKS;
    if (!source->mark_count || now_ns - source->marks[last].at_ns >= flight_ns / (TL_SOURCE_MARKS / 2)) {
        source->marks[source->mark_count % TL_SOURCE_MARKS].at_ns = now_ns;
        source->marks[source->mark_count % TL_SOURCE_MARKS].next = source->next;
        source->mark_count++;
    }
    source->next++;
    source->last_ns = now_ns;
}

/* Packets below the result left before `at_ns`, a little earlier at the most: never one that left after it. */
static inline uint64_t tl__source_before(const tl_source *source, uint64_t at_ns)
{
    if (source->last_ns <= at_ns) return source->next;
    uint32_t oldest = source->mark_count > TL_SOURCE_MARKS ? source->mark_count - TL_SOURCE_MARKS : 0;
    for (uint32_t i = source->mark_count; i > oldest; i--)
        if (source->marks[(i - 1) % TL_SOURCE_MARKS].at_ns <= at_ns)
            return source->marks[(i - 1) % TL_SOURCE_MARKS].next;
    return 0;
}

#endif
