/* sr: see sr.h. Touches the value and the pen it is given. Worker thread. */
#include "sr.h"

#include <string.h>

/* An SR of 28 bytes and an SDES with the longest CNAME. */
#define REPORT_ROOM 80

void tr__sr_init(tr_sr *sr, uint32_t ssrc, const char *cname)
{
    *sr = (tr_sr){.ssrc = ssrc, .due_us = UINT64_MAX};
    memcpy(sr->cname, cname, strnlen(cname, sizeof sr->cname - 1));
}

bool tr__sr_put(tr_sr *sr, const tr_timeline *timeline, const tr_source *source, const tr_stream *stream, tr_pen *pen,
                uint64_t now_us, uint64_t now_ntp)
{
    if (!tr__sr_has_news(sr) || pen->failed || pen->end - pen->at < REPORT_ROOM) return false;
    tr_rtcp_sr report = {.ssrc = sr->ssrc,
                         .rtp_ts = tr__timeline_now(timeline, source, stream, now_us, now_ntp),
                         .packets = (uint32_t)sr->packets,
                         .bytes = (uint32_t)sr->bytes,
                         .ntp = now_ntp};
    tr__rtcp_put_sr(pen, &report, NULL, 0);
    tr__rtcp_put_sdes(pen, sr->ssrc, sr->cname);
    sr->is_exact = stream != NULL;
    sr->sent[sr->count++ % TR_SR_REMEMBERED] = (uint32_t)(now_ntp >> 16);
    sr->reported_packets = sr->packets;
    sr->due_us = now_us + TR_SR_INTERVAL_US;
    return true;
}

uint64_t tr__sr_rtt_us(const tr_sr *sr, const tr_rtcp_report *report, uint64_t now_ntp)
{
    for (uint32_t i = 0; i < TR_SR_REMEMBERED && i < sr->count; i++) {
        if (!report->last_sr || sr->sent[i] != report->last_sr) continue;
        /* In 1/65536 s. Clocks of two kinds may make it a hair less than nothing. */
        int32_t rtt = (int32_t)((uint32_t)(now_ntp >> 16) - report->last_sr - report->delay_since_sr);
        return rtt > 0 ? (uint64_t)rtt * 1000000 / 65536 : 1;
    }
    return 0;
}
