/* plan: see plan.h. Touches only what it is given. Engine thread. */
#include "plan.h"

#include "stamp.h"

/* A payload holds its codec's head and the stamp. Opus' head is one byte: a voice at 20 kbit/s must fit. */
#define MIN_VIDEO (TL_STAMP_HEAD + TL_STAMP_SIZE)
#define MIN_AUDIO (1 + TL_STAMP_SIZE)
/* A frame that pays for an unplanned keyframe is this part of its size smaller: paid within a second, and visible in
 * no one frame. */
#define PAYS 4

bool tl__plan_init(tl_plan *plan, const tl_send *send, uint64_t seed)
{
    uint32_t rate = send->frames_per_s_milli;
    if (rate < 1000 || rate > 1000000 || !send->bitrate_bps || send->bitrate_bps > 100000000 || !send->clock_rate ||
        send->jitter_milli > 900)
        return false;
    double mean = (double)send->bitrate_bps / 8 * 1000 / rate;
    double every = send->kind == TL_VIDEO ? (double)send->keyframe_interval_ms * rate / 1e6 : 0;
    double ratio = send->kind == TL_VIDEO ? (double)send->keyframe_ratio_milli / 1000 : 1;
    if (ratio < 1) ratio = 1;
    *plan = (tl_plan){
        .seed = tl__mix(seed ^ tl__mix(send->stream)),
        .frames_per_s_milli = rate,
        .clock_rate = send->clock_rate,
        .keyframe_every = (uint32_t)(every + 0.5),
        .jitter_milli = send->jitter_milli,
        .min_bytes = send->kind == TL_VIDEO ? MIN_VIDEO : MIN_AUDIO,
    };
    if (plan->keyframe_every) mean = mean * plan->keyframe_every / (plan->keyframe_every - 1 + ratio);
    plan->mean_bytes = (uint32_t)(mean + 0.5);
    plan->keyframe_bytes = (uint32_t)(mean * ratio + 0.5);
    plan->phase_ns = tl__mix(plan->seed) % tl__plan_interval_ns(plan);
    return true;
}

uint64_t tl__plan_interval_ns(const tl_plan *plan) { return 1000000000000u / plan->frames_per_s_milli; }

/* In whole seconds of frames and a rest, so that nothing overflows and nothing drifts. */
static uint64_t scaled(const tl_plan *plan, uint64_t frame, uint64_t unit)
{
    uint64_t rate = plan->frames_per_s_milli;
    return frame / rate * 1000 * unit + frame % rate * 1000 * unit / rate;
}

uint64_t tl__plan_due_ns(const tl_plan *plan, uint64_t frame)
{
    return plan->phase_ns + scaled(plan, frame, 1000000000u);
}

uint32_t tl__plan_rtp_ts(const tl_plan *plan, uint64_t frame)
{
    return (uint32_t)scaled(plan, frame, plan->clock_rate);
}

uint32_t tl__plan_next(tl_plan *plan, bool wants_keyframe, bool *is_keyframe)
{
    uint64_t frame = plan->frame++;
    bool is_planned = frame == 0 || (plan->keyframe_every && frame % plan->keyframe_every == 0);
    *is_keyframe = is_planned || wants_keyframe;
    uint64_t bytes = *is_keyframe ? plan->keyframe_bytes : plan->mean_bytes;
    if (plan->jitter_milli) {
        uint64_t draw = tl__mix(plan->seed + frame + 1) % (2 * plan->jitter_milli + 1);
        bytes = bytes * (1000 - plan->jitter_milli + draw) / 1000;
    }
    if (*is_keyframe && (!is_planned || !plan->keyframe_every)) {
        plan->debt_bytes += bytes > plan->mean_bytes ? bytes - plan->mean_bytes : 0;
    } else if (!*is_keyframe && plan->debt_bytes) {
        uint64_t paid = bytes / PAYS < plan->debt_bytes ? bytes / PAYS : plan->debt_bytes;
        bytes -= paid;
        plan->debt_bytes -= paid;
    }
    return bytes < plan->min_bytes ? plan->min_bytes : (uint32_t)bytes;
}

uint16_t tl__parts(uint32_t bytes, uint16_t max)
{
    uint32_t parts = (bytes + max - 1) / max;
    return parts > TL_PLAN_MAX_PARTS ? TL_PLAN_MAX_PARTS : parts ? (uint16_t)parts : 1;
}

uint16_t tl__part_size(uint32_t bytes, uint16_t parts, uint16_t i)
{
    uint32_t size = bytes / parts, larger = bytes % parts;
    return (uint16_t)(size + (i >= parts - larger));
}
