/* whole: how many pictures left whole to one peer: every packet of a picture, from its first to its last, however late
 * some of them came. What left for a second time (RTX) is not told here, so that nothing counts twice.
 *
 * It sees the numbers packets leave under, which have no gap but where something is missing: what is left out on
 * purpose has closed up. A picture is what has one timestamp. It ends with the packet that says so (marker), or where
 * the next number has another timestamp. It begins where its codec says so for certain, and otherwise behind the last
 * number that is known to be of a picture before it; which is never too high, so no picture is whole that is not.
 * Counts run on, modulo 2^32. Pure: a value, no memory of its own. Worker thread. */
#ifndef TR_WHOLE_H
#define TR_WHOLE_H

#include <stdbool.h>
#include <stdint.h>

/* What a packet says of its picture. */
enum {
    TR_WHOLE_BEGINS = 1, /* it is the first packet, for certain */
    TR_WHOLE_ENDS = 2,   /* it is the last one */
    TR_WHOLE_KEY = 4,    /* it belongs to a keyframe */
    TR_WHOLE_EMPTY = 8   /* it carries nothing, and only fills its number */
};

/* Pictures that wait for a late packet: half a second of 30 a second. A publisher is asked after a round trip and a
 * half; what takes longer is not counted. */
#define TR_WHOLE_WAITING 16

typedef struct tr_whole_picture {
    uint32_t ts;
    uint32_t begin; /* no number below is of it */
    uint32_t end;   /* its last number, where that is known */
    uint32_t count; /* its packets that left */
    uint8_t state;  /* TR_WHOLE_HAS_END and the others; 0: it goes on */
    bool is_keyframe;
} tr_whole_picture;

typedef struct tr_whole {
    uint32_t pictures;  /* that left whole */
    uint32_t keyed;     /* of these, how many are a keyframe or had one that is whole before them, since the last cut */
    uint32_t keyframes; /* that left whole */
    bool has_keyframe;  /* since the last cut */
    tr_whole_picture now;
} tr_whole;

/* Apart from it, because it is touched only where packets come late. */
typedef struct tr_whole_waiting {
    tr_whole_picture pictures[TR_WHOLE_WAITING];
} tr_whole_waiting;

/* Another run of pictures begins with this number: what was before is not waited for. is_start: its first packet is a
 * picture's first; otherwise that picture is not counted. */
void tr__whole_cut(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, bool is_start);
/* All that does not just go on with a picture, or end it. */
void tr__whole_on_edge(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts, uint8_t marks);

/* The picture that is newest has all its packets. */
static inline void tr__whole_note(tr_whole *whole, bool is_keyframe)
{
    whole->has_keyframe |= is_keyframe;
    whole->keyframes += is_keyframe;
    whole->keyed += whole->has_keyframe;
    whole->pictures++;
}

#define TR_WHOLE_HAS_END 1
#define TR_WHOLE_IS_DONE 2 /* counted, or never to be */
#define TR_WHOLE_IS_CUT 4  /* before the first one of a run */

/* Does a packet just go on with the newest picture, or follow a whole one with the next number? That is nearly all. */
static inline bool tr__whole_goes_on(tr_whole_picture *now, uint32_t number, uint32_t ts)
{
    if (ts == now->ts) return now->state == 0;
    bool is_next = now->state == (TR_WHOLE_HAS_END | TR_WHOLE_IS_DONE) && number == now->end + 1;
    if (!is_next || (int32_t)(ts - now->ts) <= 0) return false;
    now->ts = ts;
    now->begin = number;
    now->count = 0;
    now->state = 0;
    now->is_keyframe = false;
    return true;
}

/* Such a packet, or the one that ends the picture. */
static inline void tr__whole_go_on(tr_whole *whole, uint32_t number, bool is_last)
{
    tr_whole_picture *now = &whole->now;
    now->count++;
    if (!is_last) return;
    now->end = number;
    now->state = TR_WHOLE_HAS_END;
    if (now->count != number - now->begin + 1) return;
    now->state = TR_WHOLE_HAS_END | TR_WHOLE_IS_DONE;
    tr__whole_note(whole, now->is_keyframe);
}

/* A packet left under this number, each number once; ts: as it left. */
static inline void tr__whole_on_sent(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts,
                                     uint8_t marks)
{
    if (!(marks & TR_WHOLE_KEY) && tr__whole_goes_on(&whole->now, number, ts))
        tr__whole_go_on(whole, number, marks & TR_WHOLE_ENDS);
    else
        tr__whole_on_edge(whole, waiting, number, ts, marks);
}

#endif
