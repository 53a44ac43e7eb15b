/* timeline: see timeline.h. Touches only the value it is given. Worker thread. */
#include "timeline.h"

/* Timestamps by sender reports that stray this far from the time of arrival come from reports that lie or are stale. */
#define MAX_ALIGN_US 5000000

void tr__timeline_init(tr_timeline *timeline, uint32_t ts_offset) { *timeline = (tr_timeline){.ts_offset = ts_offset}; }

/* By how much the timestamps of a new epoch are to be moved, so that time goes on where the last one left. */
static uint32_t align(const tr_timeline *timeline, const tr_source *source, int latest, const tr_media *first,
                      uint64_t first_us)
{
    /* The same timeline as before, or the first: the offset chosen at random (RFC 3550, 5.1) holds. */
    const tr_stream *next = &source->streams[first->encoding];
    bool is_latest = latest == (int)first->encoding;
    if (!timeline->has_sent || (is_latest && timeline->generation == next->generation)) return timeline->ts_offset;
    uint32_t rate = source->codecs[first->codec_index].clock_rate;
    uint32_t ts = timeline->last_ts + (uint32_t)tr__ticks((int64_t)(first_us - timeline->last_us), rate);
    const tr_stream *last = latest < 0 || is_latest ? NULL : &source->streams[latest];
    if (last && last->has_sr && next->has_sr && last->clock_rate == rate && next->clock_rate == rate && rate) {
        /* When it was taken, by its own report; what the last encoding's clock showed then, by that one's. */
        int64_t taken_us = (int64_t)tr__ntp_to_us(next->sr_ntp) +
                           (int64_t)tr__ts_diff(first->rtp.ts, next->sr_rtp_ts) * 1000000 / rate;
        int64_t since = tr__ticks(taken_us - (int64_t)tr__ntp_to_us(last->sr_ntp), rate);
        uint32_t by_report = last->sr_rtp_ts + (uint32_t)since + timeline->ts_offset;
        int64_t stray = tr__ts_diff(by_report, ts);
        if (stray < tr__ticks(MAX_ALIGN_US, rate) && stray > -tr__ticks(MAX_ALIGN_US, rate)) ts = by_report;
    }
    return ts - first->rtp.ts;
}

/* That, or what it takes to be later than all that was sent. */
static uint32_t later(const tr_timeline *timeline, const tr_media *media, uint32_t ts_offset)
{
    bool is_later = !timeline->has_sent || tr__ts_diff(media->rtp.ts + ts_offset, timeline->last_ts) > 0;
    return is_later ? ts_offset : timeline->last_ts + 1 - media->rtp.ts;
}

/* What to add to the frame numbers of a new epoch, so that they go on where the last one left: a decoder takes a
 * keyframe whose number is behind for an old one. */
static uint16_t next_frame(const tr_timeline *timeline, const tr_media *first)
{
    tr_descriptor descriptor;
    if (!timeline->has_frame || !tr__media_descriptor(first, &descriptor)) return 0;
    return (uint16_t)(timeline->last_frame + 1 - descriptor.frame);
}

bool tr__timeline_begin(tr_timeline *timeline, const tr_source *source, int latest, const tr_media *first,
                        uint64_t first_us, uint64_t drawn_to, tr_rewrite *rewrite)
{
    uint32_t ts_offset = align(timeline, source, latest, first, first_us);
    rewrite->ts_offset = later(timeline, first, ts_offset);
    rewrite->frame_offset = next_frame(timeline, first);
    bool is_moved = rewrite->ts_offset != timeline->ts_offset || latest < 0;
    timeline->generation = source->streams[first->encoding].generation;
    timeline->drawn_to = drawn_to;
    timeline->drawn_offset = ts_offset;
    timeline->ts_offset = rewrite->ts_offset;
    return is_moved;
}

bool tr__timeline_draw(tr_timeline *timeline, const tr_media *media, tr_rewrite *rewrite)
{
    if (!tr__timeline_may_draw(timeline, media)) return false;
    if (media->rtp.ts + rewrite->ts_offset == timeline->last_ts) return false; /* another packet of the same frame */
    uint32_t drawn = later(timeline, media, timeline->drawn_offset);
    if (drawn == rewrite->ts_offset) return false;
    rewrite->ts_offset = timeline->ts_offset = drawn;
    return true;
}

const tr_stream *tr__timeline_stream(const tr_timeline *timeline, const tr_source *source, int latest)
{
    if (!source || latest < 0 || !source->clock->has_offset) return NULL;
    const tr_stream *stream = &source->streams[latest];
    return stream->has_sr && stream->clock_rate && stream->generation == timeline->generation ? stream : NULL;
}

uint32_t tr__timeline_now(const tr_timeline *timeline, const tr_source *source, const tr_stream *stream,
                          uint64_t now_us, uint64_t now_ntp)
{
    if (!stream)
        return timeline->last_ts + (uint32_t)tr__ticks((int64_t)(now_us - timeline->last_us), timeline->clock_rate);
    int64_t theirs_us = (int64_t)tr__ntp_to_us(now_ntp) - source->clock->offset_us;
    int64_t since = tr__ticks(theirs_us - (int64_t)tr__ntp_to_us(stream->sr_ntp), stream->clock_rate);
    return stream->sr_rtp_ts + (uint32_t)since + timeline->ts_offset;
}
