/* sr: the sender reports of one track (RFC 3550, 6.4.1): when the next is due, what it says, and the round trip that a
 * receiver report tells which answers one.
 * Pure: a value; the timeline and its source are borrowed for the call. Worker thread. */
#ifndef TR_SR_H
#define TR_SR_H

#include "rtcp.h"
#include "timeline.h"

/* Browsers report video every second; audio as often costs 0.5 kbit/s and settles lip synchrony sooner. */
#define TR_SR_INTERVAL_US 1000000
/* Of our sender reports, how many a receiver report may answer: they come every second or so, both of them. */
#define TR_SR_REMEMBERED 4

typedef struct tr_sr {
    /* given */
    uint32_t ssrc;
    char cname[33];
    bool is_exact; /* the last one was made from the source's own report */
    uint32_t sent[TR_SR_REMEMBERED], count;
    /* counters: packets that left for the first time, of these the ones reported; and the bytes they carried */
    uint64_t packets, reported_packets, bytes;
    uint64_t due_us;
} tr_sr;

/* cname: up to 32 characters and the end. */
void tr__sr_init(tr_sr *sr, uint32_t ssrc, const char *cname);

/* A packet left for the first time, with so much payload. */
static inline void tr__sr_on_sent(tr_sr *sr, uint32_t payload_bytes, uint64_t now_us)
{
    uint64_t due_us = now_us + TR_SR_INTERVAL_US;
    sr->packets++;
    sr->bytes += payload_bytes;
    if (due_us < sr->due_us) sr->due_us = due_us;
}

/* Was anything sent since the last one? */
static inline bool tr__sr_has_news(const tr_sr *sr) { return sr->packets != sr->reported_packets; }
/* When the next is due, where there is news. stream: as tr__timeline_stream says: as soon as the source's clock is
 * known, and again when its timeline was moved. */
static inline uint64_t tr__sr_at(const tr_sr *sr, const tr_stream *stream)
{
    return !sr->is_exact && stream ? 0 : sr->due_us;
}
/* SR and SDES into the pen. now_ntp: ours. False: there is no news, or no room. */
bool tr__sr_put(tr_sr *sr, const tr_timeline *timeline, const tr_source *source, const tr_stream *stream, tr_pen *pen,
                uint64_t now_us, uint64_t now_ntp);
/* The round trip that a receiver report gives, 1 us or more; 0: it answers none of ours. now_ntp: ours. */
uint64_t tr__sr_rtt_us(const tr_sr *sr, const tr_rtcp_report *report, uint64_t now_ntp);

#endif
