/* frames: which frames of a stream could be decoded, and when the picture froze.
 * Pure. Engine thread.
 *
 * A frame is complete when all its packets came. It can be decoded when it is a keyframe, or when the frame before it
 * was decoded. A complete keyframe ahead ends the wait for what is missing. The picture froze if between two decoded
 * frames more passed than max(3 mean intervals, mean interval + 150 ms), as webrtc-stats counts it; the mean is that of
 * the last 30. Of sound each packet is a frame and a keyframe. */
#ifndef TL_FRAMES_H
#define TL_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define TL_FRAMES_RING 64 /* frames ahead of a missing one: two seconds */
#define TL_FRAMES_MEAN 30
#define TL_FRAMES_FREEZE_US 150000

typedef struct tl_frame {
    uint32_t frame;
    uint16_t got, parts;
    bool is_used, is_keyframe;
} tl_frame;

typedef struct tl_frames {
    tl_frame ring[TL_FRAMES_RING];
    uint32_t next; /* to be decoded, once has_next */
    bool has_next;
    uint32_t intervals_us[TL_FRAMES_MEAN];
    uint32_t interval_count; /* ever measured */
    uint64_t interval_sum_us;
    uint64_t last_us;    /* of the latest decoded frame; 0: none */
    uint64_t blocked_us; /* since when later frames have waited for a missing one, 0: they do not */
    uint64_t decoded, keyframes, freezes, freeze_us;
} tl_frames;

void tl__frames_init(tl_frames *frames);
/* A packet that had not come before (which of the frame's is all one: the account has seen to it that none counts
 * twice). True: frames were decoded. */
bool tl__frames_on_packet(tl_frames *frames, uint32_t frame, uint16_t parts, bool is_keyframe, uint64_t at_us);
/* The server is known to have left frames out (another encoding, another stream): no freeze, and a keyframe is due. */
void tl__frames_cut(tl_frames *frames);
/* How long the picture has stood still for want of a keyframe, microseconds. */
uint64_t tl__frames_stuck_us(const tl_frames *frames, uint64_t now_us);
/* The freeze that goes on at now_us, if one does: its length so far. */
uint64_t tl__frames_freezing_us(const tl_frames *frames, uint64_t now_us);

#endif
