/* timeline: which times and frame numbers the packets of one track leave with: one line that goes on, though encodings
 * change and publishers restart, whose clocks and counts have nothing to do with one another.
 * Pure: a value; the source is borrowed for the call. Worker thread. */
#ifndef TR_TIMELINE_H
#define TR_TIMELINE_H

#include "seq.h"
#include "seqmap.h"
#include "source.h"

typedef struct tr_timeline {
    /* what was sent last, for the next epoch and for sender reports */
    bool has_sent, has_frame;
    uint8_t generation; /* of the SSRC that the present epoch is of */
    uint16_t last_frame;
    uint32_t last_ts, clock_rate;
    uint64_t last_us;
    uint32_t ts_offset; /* of the present epoch */
    uint32_t drawn_offset;
    uint64_t drawn_to; /* up to this index its times are drawn together; 0: they are not */
} tr_timeline;

/* ts_offset: random (RFC 3550, 5.1). */
void tr__timeline_init(tr_timeline *timeline, uint32_t ts_offset);

/* A time in RTP clock ticks. A report that lies may make it any time: then only the low bits hold, without overflow. */
static inline int64_t tr__ticks(int64_t us, uint32_t clock_rate)
{
    return (int64_t)((uint64_t)(us / 1000000) * clock_rate + (uint64_t)(us % 1000000 * clock_rate / 1000000));
}

/* A new epoch begins with the packet `first`, which came at first_us, so that time and frame numbers go on where the
 * last one left. latest: the encoding forwarded last, negative: none in this binding. drawn_to: see tr__timeline_draw.
 * Fills what of the rewrite is about either; true: what is known of the source's clock holds no more. */
bool tr__timeline_begin(tr_timeline *timeline, const tr_source *source, int latest, const tr_media *first,
                        uint64_t first_us, uint64_t drawn_to, tr_rewrite *rewrite);
/* What was taken before the present picture of another encoding is decoded and not looked at: its frames follow that
 * picture at intervals of one tick, and time goes on as it should with the first that is newer. May this be such a
 * packet? And then: rewrite: as the newest are written; true: it changes with this packet. */
static inline bool tr__timeline_may_draw(const tr_timeline *timeline, const tr_media *media)
{
    return media->index <= timeline->drawn_to && media->rtp.payload_size;
}
bool tr__timeline_draw(tr_timeline *timeline, const tr_media *media, tr_rewrite *rewrite);

/* A packet left for the first time. True: nothing as new as this was sent before. */
static inline bool tr__timeline_on_sent(tr_timeline *timeline, const tr_source *source, const tr_media *media,
                                        const tr_rewrite *rewrite)
{
    tr_descriptor descriptor;
    if (tr__media_descriptor(media, &descriptor)) {
        uint16_t frame = (uint16_t)(descriptor.frame + rewrite->frame_offset);
        if (!timeline->has_frame || tr__seq_newer(frame, timeline->last_frame)) timeline->last_frame = frame;
        timeline->has_frame = true;
    }
    timeline->clock_rate = source->codecs[media->codec_index].clock_rate;
    uint32_t ts = media->rtp.ts + rewrite->ts_offset;
    if (timeline->has_sent && tr__ts_diff(ts, timeline->last_ts) <= 0) return false;
    timeline->has_sent = true;
    timeline->last_ts = ts;
    timeline->last_us = media->now_us; /* when it came: it may have been held since */
    return true;
}

/* The stream whose own report tells what time the timestamps show; NULL: none does. */
const tr_stream *tr__timeline_stream(const tr_timeline *timeline, const tr_source *source, int latest);
/* What the timestamp would be now: by the report of that stream, moved into our clock; NULL: since the last packet.
 * now_ntp: ours. */
uint32_t tr__timeline_now(const tr_timeline *timeline, const tr_source *source, const tr_stream *stream,
                          uint64_t now_us, uint64_t now_ntp);

#endif
