/* frames: see frames.h. Touches only what it is given. Engine thread. */
#include "frames.h"

#include <string.h>

void tl__frames_init(tl_frames *frames) { memset(frames, 0, sizeof *frames); }

static uint64_t freeze_over(const tl_frames *frames, uint64_t interval_us)
{
    uint64_t count = frames->interval_count < TL_FRAMES_MEAN ? frames->interval_count : TL_FRAMES_MEAN;
    if (!count) return 0;
    uint64_t mean = frames->interval_sum_us / count;
    uint64_t limit = 3 * mean > mean + TL_FRAMES_FREEZE_US ? 3 * mean : mean + TL_FRAMES_FREEZE_US;
    return interval_us > limit ? interval_us - mean : 0;
}

static void measure(tl_frames *frames, uint64_t at_us)
{
    uint64_t interval_us = at_us > frames->last_us ? at_us - frames->last_us : 0;
    uint64_t frozen_us = freeze_over(frames, interval_us);
    frames->freezes += frozen_us != 0;
    frames->freeze_us += frozen_us;
    uint32_t *slot = &frames->intervals_us[frames->interval_count++ % TL_FRAMES_MEAN];
    frames->interval_sum_us -= *slot;
    *slot = interval_us > UINT32_MAX ? UINT32_MAX : (uint32_t)interval_us;
    frames->interval_sum_us += *slot;
}

static void decode(tl_frames *frames, tl_frame *frame, uint64_t at_us)
{
    if (frames->last_us) measure(frames, at_us);
    frames->last_us = at_us;
    frames->decoded++;
    frames->keyframes += frame->is_keyframe;
    frames->next = frame->frame + 1;
    frames->has_next = true;
    frames->blocked_us = 0;
    frame->is_used = false;
}

static bool is_complete(const tl_frame *frame, uint32_t number)
{
    return frame->is_used && frame->frame == number && frame->got >= frame->parts;
}

bool tl__frames_on_packet(tl_frames *frames, uint32_t number, uint16_t parts, bool is_keyframe, uint64_t at_us)
{
    if (frames->has_next && number < frames->next) return false;
    tl_frame *frame = &frames->ring[number % TL_FRAMES_RING];
    if (!frame->is_used || frame->frame != number) {
        if (frame->is_used && frame->frame > number) return false;
        *frame = (tl_frame){.frame = number, .parts = parts, .is_used = true, .is_keyframe = is_keyframe};
    }
    frame->got++;
    bool may_decode = is_keyframe || (frames->has_next && number == frames->next);
    if (!may_decode || !is_complete(frame, number)) {
        if ((!frames->has_next || number > frames->next) && !frames->blocked_us) frames->blocked_us = at_us;
        return false;
    }
    decode(frames, frame, at_us);
    while (is_complete(frame = &frames->ring[frames->next % TL_FRAMES_RING], frames->next))
        decode(frames, frame, at_us);
    return true;
}

void tl__frames_cut(tl_frames *frames)
{
    memset(frames->ring, 0, sizeof frames->ring);
    frames->has_next = false;
    frames->blocked_us = 0;
    frames->last_us = 0;
}

uint64_t tl__frames_stuck_us(const tl_frames *frames, uint64_t now_us)
{
    return frames->blocked_us && now_us > frames->blocked_us ? now_us - frames->blocked_us : 0;
}

uint64_t tl__frames_freezing_us(const tl_frames *frames, uint64_t now_us)
{
    return frames->last_us && now_us > frames->last_us ? freeze_over(frames, now_us - frames->last_us) : 0;
}
