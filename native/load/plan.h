/* plan: when a stream's frames are due and how large they are, from a seed: same seed, same load.
 * Pure: no clock. Engine thread.
 *
 * Frame n's size and time are a function of seed, stream and n, not of what happened before; a keyframe that somebody
 * asked for is extra, and the frames after it are smaller until it is paid for, as an encoder's rate control does. */
#ifndef TL_PLAN_H
#define TL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telerelay_load.h"

#define TL_PLAN_MAX_PARTS 256 /* packets of one frame: 290 KiB, more than any camera's keyframe */

typedef struct tl_plan {
    /* given */
    uint64_t seed;
    uint32_t frames_per_s_milli, clock_rate;
    uint32_t keyframe_every; /* frames, 0: never by itself */
    uint32_t mean_bytes, keyframe_bytes, min_bytes;
    uint32_t jitter_milli;
    uint64_t phase_ns; /* of the first frame after the start: streams do not march in step */
    /* state */
    uint64_t frame;      /* the next one */
    uint64_t debt_bytes; /* of keyframes that were not planned */
} tl_plan;

/* False: a rate or frame rate out of range. */
bool tl__plan_init(tl_plan *plan, const tl_send *send, uint64_t seed);

/* Nanoseconds from the start at which frame n is due. */
uint64_t tl__plan_due_ns(const tl_plan *plan, uint64_t frame);
uint64_t tl__plan_interval_ns(const tl_plan *plan);
uint32_t tl__plan_rtp_ts(const tl_plan *plan, uint64_t frame); /* from 0 */

/* The next frame: its payload bytes and whether it is a keyframe. */
uint32_t tl__plan_next(tl_plan *plan, bool wants_keyframe, bool *is_keyframe);

/* Cut `bytes` into packets of `max` at the most, as libwebrtc does: as few as possible, sizes differing by one byte at
 * the most, the larger ones last. The count; part i has tl__part_size bytes. */
uint16_t tl__parts(uint32_t bytes, uint16_t max);
uint16_t tl__part_size(uint32_t bytes, uint16_t parts, uint16_t i);

#endif
