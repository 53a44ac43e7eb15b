/* client_rtcp: reports and feedback of one simulated peer, both ways; see client.h. Engine thread.
 *
 * Requests for resends, keyframes and the transport-wide feedback leave as they fall due, as reduced-size RTCP
 * (RFC 5506); sender and receiver reports once a second. */
#include "client.h"
#include "clock.h"

#define REPORT_US 1000000u /* as browsers report of video, with a half to either side at random (RFC 3550, 6.2) */
#define MAX_ASKED 256      /* packets of one NACK */
#define REPORTS 30         /* blocks of one report: it stays within any path's datagram */
/* Seconds from 1900 (NTP) to 1970 (Unix): RFC 5905. */
#define NTP_UNIX_SECONDS 2208988800u

static uint64_t ntp_now(const tl_shared *shared)
{
    uint64_t real_ns = shared->now_ns - (uint64_t)shared->real_to_monotonic_ns;
    return tr__ntp_from_us(real_ns / 1000 + (uint64_t)NTP_UNIX_SECONDS * 1000000u);
}

static tr_pen begin(tl_client *c) { return tr__pen(tl__net_reserve(c->shared->net), TR_MAX_FORWARD - 32); }

static void post(tl_client *c, const tr_pen *pen)
{
    if (!tr__pen_ok(pen) || !tr__pen_size(pen)) return;
    size_t size = tr__srtp_seal_rtcp(c->srtp, pen->begin, tr__pen_size(pen));
    if (!size) return;
    c->shared->totals.rtcp_tx++;
    tl__client_send(c, size);
}

/* ------------------------------------------------------------------ in */

static tl_outbound *find_outbound(const tl_client *c, uint32_t ssrc)
{
    for (uint32_t i = 0; i < c->outbound_count; i++)
        if (c->outbounds[i]->params.ssrc == ssrc) return c->outbounds[i];
    return NULL;
}

static void on_nack(tl_client *c, const tr_rtcp_part *part)
{
    tl_outbound *o = find_outbound(c, tr__rtcp_media_ssrc(part));
    uint16_t seqs[MAX_ASKED];
    size_t count = o ? tr__rtcp_read_nack(part, seqs, MAX_ASKED) : 0;
    uint64_t index, real_ns = c->shared->now_ns - (uint64_t)c->shared->real_to_monotonic_ns;
    for (size_t i = 0; i < count; i++) {
        uint8_t *out = tl__net_reserve(c->shared->net);
        size_t size = tl__outbound_resend(o, seqs[i], real_ns, &c->twcc_next, out, &index);
        if (size) tl__client_send(c, tr__srtp_seal_rtp(c->srtp, out, size, index));
    }
}

static void on_sr(tl_client *c, const tr_rtcp_part *part)
{
    tr_rtcp_sr sr;
    if (!tr__rtcp_read_sr(part, &sr)) return;
    for (uint32_t i = 0; i < c->ssrc_count; i++)
        if (c->ssrcs[i].ssrc == sr.ssrc && !c->ssrcs[i].is_rtx)
            tl__inbound_on_sr(c->ssrcs[i].inbound, &sr, c->shared->now_us);
}

static void on_feedback(tl_client *c, const tr_rtcp_part *part)
{
    uint32_t ssrc;
    uint8_t number;
    if (part->type == TR_RTCP_RTPFB) {
        if (part->count == TR_RTPFB_NACK) on_nack(c, part);
        c->shared->totals.twcc_rx += part->count == TR_RTPFB_TWCC;
        return;
    }
    if (part->count == TR_PSFB_PLI) {
        tl_outbound *o = find_outbound(c, tr__rtcp_media_ssrc(part));
        if (o) tl__outbound_on_pli(o);
    } else if (part->count == TR_PSFB_FIR) {
        for (size_t i = 0; tr__rtcp_read_fir(part, i, &ssrc, &number); i++) {
            tl_outbound *o = find_outbound(c, ssrc);
            if (o) tl__outbound_on_pli(o);
        }
    }
}

void tl__client_on_rtcp(tl_client *c, uint8_t *data, size_t size)
{
    c->shared->totals.rtcp_rx++;
    if (tr__srtp_open_rtcp(c->srtp, data, &size) != TR_DROP_NONE || tr__rtcp_validate(data, size) != TR_DROP_NONE) {
        c->shared->totals.rtcp_failures++;
        return;
    }
    tr_rtcp_part part;
    for (size_t at = 0; tr__rtcp_next(data, size, &at, &part);) {
        switch (part.type) {
        case TR_RTCP_SR:
            on_sr(c, &part);
            break;
        case TR_RTCP_RTPFB:
        case TR_RTCP_PSFB:
            on_feedback(c, &part);
            break;
        default:
            break;
        }
    }
}

/* ------------------------------------------------------------------ out */

void tl__client_send_pli(tl_client *c, tl_inbound *in)
{
    if (c->state != TL_PEER_CONNECTED) return;
    tr_pen pen = begin(c);
    tr__rtcp_put_pli(&pen, c->rtcp_ssrc, in->ssrc);
    post(c, &pen);
    if (in->way) in->way->account.tally.plis++;
}

void tl__client_send_bye(tl_client *c)
{
    tr_pen pen = begin(c);
    tr__rtcp_put_rr(&pen, c->rtcp_ssrc, NULL, 0);
    for (uint32_t i = 0; i < c->outbound_count; i++) tr__rtcp_put_bye(&pen, c->outbounds[i]->params.ssrc);
    if (!c->outbound_count) tr__rtcp_put_bye(&pen, c->rtcp_ssrc);
    post(c, &pen);
}

static void send_nacks(tl_client *c)
{
    for (uint32_t i = 0; i < c->ssrc_count; i++) {
        tl_inbound *in = c->ssrcs[i].inbound;
        if (c->ssrcs[i].is_rtx || !in->nack || tr__nack_at(in->nack) > c->shared->now_us) continue;
        uint16_t seqs[MAX_ASKED];
        size_t count = tr__nack_next(in->nack, c->shared->now_us, seqs, MAX_ASKED);
        if (!count) continue;
        tr_pen pen = begin(c);
        tr__rtcp_put_nack(&pen, c->rtcp_ssrc, in->ssrc, seqs, count);
        post(c, &pen);
        if (in->way) in->way->account.tally.nacks += count;
    }
}

static void send_transport_feedback(tl_client *c)
{
    if (!c->twcc || tr__twcc_at(c->twcc) > c->shared->now_us) return;
    for (;;) {
        tr_pen pen = begin(c);
        if (!tr__twcc_put_feedback(c->twcc, &pen, c->rtcp_ssrc, c->media_ssrc, c->shared->now_us)) return;
        post(c, &pen);
        if (tr__twcc_at(c->twcc) > c->shared->now_us) return;
    }
}

/* One sender report for each stream, the receiver's blocks in the first part that has room for them. */
static void send_reports(tl_client *c)
{
    tr_rtcp_report reports[REPORTS];
    size_t count = 0;
    const char *cname = c->outbound_count ? c->outbounds[0]->params.cname : "";
    for (uint32_t i = 0; i < c->ssrc_count && count < REPORTS; i++)
        if (!c->ssrcs[i].is_rtx && c->ssrcs[i].inbound->has_any)
            tl__inbound_report(c->ssrcs[i].inbound, &reports[count++], c->shared->now_us);
    tr_pen pen = begin(c);
    bool has_sent = false;
    for (uint32_t i = 0; i < c->outbound_count; i++) {
        tl_outbound *o = c->outbounds[i];
        if (!o->source->next) continue;
        tl__outbound_put_sr(o, &pen, ntp_now(c->shared), c->shared->now_ns, reports, has_sent ? 0 : count);
        has_sent = true;
    }
    if (!has_sent) tr__rtcp_put_rr(&pen, c->rtcp_ssrc, reports, count);
    tr__rtcp_put_sdes(&pen, has_sent ? c->outbounds[0]->params.ssrc : c->rtcp_ssrc, *cname ? cname : "load");
    post(c, &pen);
}

uint64_t tl__client_rtcp_at(const tl_client *c)
{
    uint64_t at_us = c->report_due_us;
    if (c->twcc && tr__twcc_at(c->twcc) < at_us) at_us = tr__twcc_at(c->twcc);
    for (uint32_t i = 0; i < c->ssrc_count; i++) {
        const tl_inbound *in = c->ssrcs[i].inbound;
        if (!c->ssrcs[i].is_rtx && in->nack && tr__nack_at(in->nack) < at_us) at_us = tr__nack_at(in->nack);
    }
    return at_us;
}

void tl__client_rtcp_on_timer(tl_client *c)
{
    send_nacks(c);
    send_transport_feedback(c);
    if (c->shared->now_us < c->report_due_us) return;
    send_reports(c);
    c->report_due_us = c->shared->now_us + REPORT_US / 2 + tl__mix(c->shared->random++) % REPORT_US;
}
