/* choice: which encoding of its source one sender forwards, which one it would have in its place, and with which packet
 * that may begin. Keyframes it does not ask for: that is the sender's to do.
 * Pure: a value; the source is borrowed for the call. Worker thread. */
#ifndef TR_CHOICE_H
#define TR_CHOICE_H

#include "source.h"

#define TR_NO_ENCODING (-1)

typedef struct tr_choice {
    int8_t current, target, latest;     /* encodings: forwarded now; wanted; last forwarded in this binding */
    bool is_mid_picture;                /* the newest packet forwarded was not a picture's last */
    uint64_t last_in[TR_MAX_ENCODINGS]; /* highest index forwarded in this binding, 0: none */
    uint64_t opaque_since_us;           /* 0: no opaque packet is waiting */
    uint64_t started_us;                /* the latest epoch */
    uint64_t unheard_since_us;          /* of the encodings wanted none is heard; 0: one is */
} tr_choice;

/* Another source, or none: nothing of it was forwarded. */
void tr__choice_bind(tr_choice *choice);
/* This encoding is forwarded from now on. */
void tr__choice_begin(tr_choice *choice, int8_t encoding, uint64_t now_us);

/* Is it newer than all that was forwarded of its encoding, or left out of it? */
static inline bool tr__choice_is_newest(const tr_choice *choice, const tr_media *media)
{
    return media->index > choice->last_in[media->encoding];
}
/* It is forwarded, or left out on purpose. */
static inline void tr__choice_on_packet(tr_choice *choice, const tr_media *media)
{
    if (!tr__choice_is_newest(choice, media)) return;
    choice->last_in[media->encoding] = media->index;
    choice->is_mid_picture = !media->rtp.marker;
}

/* The best encoding that is heard, up to `most`; TR_NO_ENCODING: none is. A stream whose keyframes cannot be told is
 * not switched: the best is taken once, as if nothing were wanted. */
int8_t tr__choice_best(const tr_source *source, uint8_t most, uint64_t now_us);
/* The same every now and then, so that silence is noticed: more than was wanted is better than nothing, but not while
 * what is wanted may be about to begin. */
int8_t tr__choice_on_tick(tr_choice *choice, const tr_source *source, uint8_t most, uint64_t now_us);
/* May an encoding that is not the target take its place? */
bool tr__choice_is_better(const tr_choice *choice, const tr_source *source, uint8_t most, int8_t encoding,
                          uint64_t now_us);
/* Who joins has no picture: of what is wanted the best whose latest keyframe is at hand comes at once. What is better
 * can wait then, and needs no request of its own where many join. */
int8_t tr__choice_at_hand(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us);
/* The peer has a picture, and that comes on: a better one can wait. */
bool tr__choice_can_wait(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us);

/* May the encoding begin with its latest keyframe out of the history, and what followed that? What left once does not
 * leave again under another number. */
bool tr__choice_has_group(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us);
/* May the encoding of this packet begin now, and with which packet? last_us: when the newest that was sent came. */
bool tr__choice_find_start(tr_choice *choice, const tr_source *source, const tr_media *media, uint64_t last_us,
                           uint64_t *first);

#endif
