/* rtcp: RTCP compounds, validated whole, then read part by part; and the parts the relay writes.
 * RFC 3550 section 6, RFC 4585, RFC 5104 (FIR), REMB (draft-alvestrand-rmcat-remb), transport-wide feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01).
 * Pure. Worker thread. */
#ifndef TR_RTCP_H
#define TR_RTCP_H

#include "telerelay.h"
#include "wire.h"

#define TR_RTCP_MAX_PARTS 64
#define TR_RTCP_MAX_REPORTS 31 /* RC has five bits */

enum {
    TR_RTCP_SR = 200,
    TR_RTCP_RR = 201,
    TR_RTCP_SDES = 202,
    TR_RTCP_BYE = 203,
    TR_RTCP_APP = 204,
    TR_RTCP_RTPFB = 205,
    TR_RTCP_PSFB = 206,
    TR_RTCP_XR = 207
};
enum { TR_RTPFB_NACK = 1, TR_RTPFB_TWCC = 15, TR_PSFB_PLI = 1, TR_PSFB_FIR = 4, TR_PSFB_AFB = 15 };

typedef struct tr_rtcp_part {
    uint8_t type, count; /* count: RC, SC or FMT */
    const uint8_t *body; /* after the 4-byte header, padding taken off */
    size_t size;
} tr_rtcp_part;

/* All or nothing: TR_DROP_NONE only when every part's length, version and padding are right, they fill the datagram,
 * each known part is long enough for what it counts, and there are TR_RTCP_MAX_PARTS at most. Reduced-size RTCP
 * (RFC 5506) is legal. */
tr_drop tr__rtcp_validate(const uint8_t *data, size_t size);

/* Walk a validated compound: true while a part was read. Begin with *at = 0. */
bool tr__rtcp_next(const uint8_t *data, size_t size, size_t *at, tr_rtcp_part *part);

typedef struct tr_rtcp_report { /* one report block */
    uint32_t ssrc;
    uint8_t fraction_lost; /* of 256 */
    int32_t lost;          /* cumulative, 24-bit signed */
    uint32_t highest_seq, jitter, last_sr, delay_since_sr;
} tr_rtcp_report;

typedef struct tr_rtcp_sr {
    uint32_t ssrc, rtp_ts, packets, bytes;
    uint64_t ntp; /* 32.32 seconds since 1900 */
} tr_rtcp_sr;

bool tr__rtcp_read_sr(const tr_rtcp_part *part, tr_rtcp_sr *sr);
/* Report block i of an SR or RR. */
bool tr__rtcp_read_report(const tr_rtcp_part *part, size_t i, tr_rtcp_report *report);
/* Media SSRC of a feedback part (RTPFB, PSFB). */
uint32_t tr__rtcp_media_ssrc(const tr_rtcp_part *part);
/* Sequence numbers of a generic NACK, in order, at most max; the number written. */
size_t tr__rtcp_read_nack(const tr_rtcp_part *part, uint16_t *seqs, size_t max);
/* Entry i of a FIR: the SSRC asked of and the command number. */
bool tr__rtcp_read_fir(const tr_rtcp_part *part, size_t i, uint32_t *ssrc, uint8_t *number);
/* REMB: bit/s, saturated; false if the part is none. */
bool tr__rtcp_read_remb(const tr_rtcp_part *part, uint64_t *rate_bps);

/* Writers append to the pen. Report blocks past TR_RTCP_MAX_REPORTS and REMB SSRCs past 255 are left out; so is a
 * NACK of nothing. A cname is cut at 255 bytes. */
void tr__rtcp_put_sr(tr_pen *pen, const tr_rtcp_sr *sr, const tr_rtcp_report *reports, size_t count);
void tr__rtcp_put_rr(tr_pen *pen, uint32_t ssrc, const tr_rtcp_report *reports, size_t count);
void tr__rtcp_put_sdes(tr_pen *pen, uint32_t ssrc, const char *cname);
void tr__rtcp_put_bye(tr_pen *pen, uint32_t ssrc);
void tr__rtcp_put_pli(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc);
void tr__rtcp_put_fir(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, uint8_t number);
/* seqs ascending (with wrap); packs neighbours into bitmasks. */
void tr__rtcp_put_nack(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, const uint16_t *seqs, size_t count);
void tr__rtcp_put_remb(tr_pen *pen, uint32_t sender_ssrc, uint64_t rate_bps, const uint32_t *ssrcs, size_t count);

#endif
