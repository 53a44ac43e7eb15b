/* reports: see reports.h. Worker thread. */
#include "reports.h"

/* RTCP of ours stays below this, so that sealed it fits any path. */
#define RTCP_ROOM (TR_MAX_FORWARD - TR_SRTP_MAX_OVERHEAD)

/* As libwebrtc sends REMB. */
#define LIMIT_INTERVAL_US 1000000
/* A peer keeps the limit it heard last for ever, so it must hear of its end: all are lost on a line that loses half
 * once in thirty times. */
#define UNLIMITED_TIMES 5
#define NO_LIMIT_BPS UINT32_MAX /* more than anybody sends */

/* ------------------------------------------------------------------ in */

static tr_sender *find_sender(const tr_transport *t, uint32_t ssrc)
{
    for (uint32_t i = 0; i < t->sender_count; i++)
        if (tr__sender_ssrc(t->senders[i]) == ssrc || (ssrc && tr__sender_rtx_ssrc(t->senders[i]) == ssrc))
            return t->senders[i];
    return NULL;
}

/* Report blocks of an SR or RR. A block about an SSRC that is not ours (a sender just removed) is passed over. */
static void on_reports(tr_transport *t, const tr_rtcp_part *part, uint64_t now_us)
{
    tr_rtcp_report report;
    for (size_t i = 0; tr__rtcp_read_report(part, i, &report); i++) {
        tr_sender *sender = find_sender(t, report.ssrc);
        if (!sender || tr__sender_ssrc(sender) != report.ssrc) continue;
        tr__sender_on_report(sender, &report, now_us, tr__transport_ntp(t, now_us));
        if (t->downlink) tr__downlink_on_report(t->downlink, report.fraction_lost, t->egress.rtt_us, now_us);
    }
}

static bool on_sender_report(tr_transport *t, const tr_rtcp_part *part, uint64_t now_us)
{
    tr_rtcp_sr sr;
    if (!tr__rtcp_read_sr(part, &sr)) return false;
    const tr_ssrc_entry *entry = tr__transport_find_ssrc(t, sr.ssrc);
    if (entry && !entry->is_rtx)
        tr__receiver_on_sr(t->receivers[entry->receiver], entry->encoding, &sr, now_us, tr__transport_ntp(t, now_us));
    on_reports(t, part, now_us);
    return entry != NULL;
}

/* RTCP_FOREIGN: about a stream that is not the peer's to speak of. The media SSRC of transport-wide feedback names any
 * of the transport, and says nothing. */
static tr_drop on_rtpfb(tr_transport *t, const tr_rtcp_part *part, uint64_t now_us)
{
    if (part->count == TR_RTPFB_TWCC && t->downlink)
        return tr__downlink_on_feedback(t->downlink, part, now_us) ? TR_DROP_NONE : TR_DROP_RTCP_MALFORMED;
    if (part->count != TR_RTPFB_NACK) return TR_DROP_NONE;
    tr_sender *sender = find_sender(t, tr__rtcp_media_ssrc(part));
    if (!sender) return TR_DROP_RTCP_FOREIGN;
    uint16_t seqs[17 * 64];
    size_t count = tr__rtcp_read_nack(part, seqs, sizeof seqs / sizeof *seqs);
    t->shared->tally->nacks_rx += count;
    tr__sender_on_nack(sender, seqs, count, now_us);
    return TR_DROP_NONE;
}

static bool on_psfb(tr_transport *t, const tr_rtcp_part *part, uint64_t now_us)
{
    if (part->count == TR_PSFB_PLI) {
        tr_sender *sender = find_sender(t, tr__rtcp_media_ssrc(part));
        if (!sender) return false;
        t->shared->tally->plis_rx++;
        tr__sender_on_keyframe_request(sender, now_us);
        return true;
    }
    if (part->count == TR_PSFB_FIR) {
        bool is_ours = false;
        uint32_t ssrc;
        uint8_t number;
        for (size_t i = 0; tr__rtcp_read_fir(part, i, &ssrc, &number); i++) {
            tr_sender *sender = find_sender(t, ssrc);
            if (!sender) continue;
            is_ours = true;
            t->shared->tally->plis_rx++;
            tr__sender_on_keyframe_request(sender, now_us);
        }
        return is_ours;
    }
    uint64_t bps;
    if (t->downlink && tr__rtcp_read_remb(part, &bps)) tr__downlink_on_remb(t->downlink, bps, now_us);
    return true;
}

tr_drop tr__reports_take(tr_transport *t, uint8_t *data, size_t size, uint64_t now_us)
{
    if (!t->egress.srtp) return TR_DROP_SRTP_NO_KEYS;
    tr_drop drop = tr__srtp_open_rtcp(t->srtp, data, &size);
    if (drop != TR_DROP_NONE) return drop;
    /* Whoever only receives reports under an SSRC that nobody declared, and may do so under many. */
    uint32_t reporter = tr__load32(data + 4);
    if (!tr__transport_find_ssrc(t, reporter)) tr__srtp_retire_ssrc(t->srtp, reporter);
    if ((drop = tr__rtcp_validate(data, size)) != TR_DROP_NONE) return drop;
    t->shared->tally->rtcp_rx++;
    tr_rtcp_part part;
    size_t at = 0;
    bool is_foreign = false, is_malformed = false;
    while (tr__rtcp_next(data, size, &at, &part)) {
        switch (part.type) {
        case TR_RTCP_SR:
            is_foreign |= !on_sender_report(t, &part, now_us);
            break;
        case TR_RTCP_RR:
            on_reports(t, &part, now_us);
            break;
        case TR_RTCP_RTPFB:
            drop = on_rtpfb(t, &part, now_us);
            is_foreign |= drop == TR_DROP_RTCP_FOREIGN;
            is_malformed |= drop == TR_DROP_RTCP_MALFORMED;
            break;
        case TR_RTCP_PSFB:
            is_foreign |= !on_psfb(t, &part, now_us);
            break;
        case TR_RTCP_BYE: {
            tr_cursor c = tr__cursor(part.body, part.size);
            for (uint8_t i = 0; i < part.count; i++) {
                uint32_t ssrc = tr__take32(&c);
                const tr_ssrc_entry *entry = tr__transport_find_ssrc(t, ssrc);
                is_foreign |= !entry && ssrc != reporter;
                if (entry && !entry->is_rtx) tr__receiver_on_bye(t->receivers[entry->receiver], entry->encoding);
            }
            break;
        }
        default:
            break; /* SDES, APP, XR: nothing here acts on them */
        }
    }
    return is_malformed ? TR_DROP_RTCP_MALFORMED : is_foreign ? TR_DROP_RTCP_FOREIGN : TR_DROP_NONE;
}

/* ------------------------------------------------------------------ out */

/* Each compound of ours begins with a receiver report (RFC 3550, 6.1), empty if there is nothing to report. */
static bool begin_rtcp(tr_transport *t, uint8_t **slot, tr_pen *pen)
{
    if (tr__egress_reserve_rtcp(&t->egress, slot) != TR_DROP_NONE) return false;
    *pen = tr__pen(*slot, RTCP_ROOM);
    return true;
}

static void end_rtcp(tr_transport *t, uint8_t *slot, const tr_pen *pen)
{
    if (!tr__pen_ok(pen)) return;
    tr_drop drop = tr__egress_seal_rtcp(&t->egress, slot, tr__pen_size(pen));
    if (drop == TR_DROP_NONE)
        t->shared->tally->rtcp_tx++;
    else
        tr__count_drop(t->shared->tally, drop);
}

void tr__reports_send_feedback(tr_transport *t, uint64_t now_us)
{
    uint8_t *slot;
    tr_pen pen;
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        if (tr__receiver_feedback_at(t->receivers[i]) > now_us || !begin_rtcp(t, &slot, &pen)) continue;
        tr__rtcp_put_rr(&pen, t->rtcp_ssrc, NULL, 0);
        if (tr__receiver_put_feedback(t->receivers[i], &pen, t->rtcp_ssrc, now_us)) end_rtcp(t, slot, &pen);
    }
    while (t->twcc && tr__twcc_at(t->twcc) <= now_us && begin_rtcp(t, &slot, &pen)) {
        tr__rtcp_put_rr(&pen, t->rtcp_ssrc, NULL, 0);
        /* The media SSRC of transport-wide feedback names any stream of the transport. */
        uint32_t media_ssrc = t->ssrc_count ? t->ssrcs[0].ssrc : 0;
        if (!tr__twcc_put_feedback(t->twcc, &pen, t->rtcp_ssrc, media_ssrc, now_us)) break;
        end_rtcp(t, slot, &pen);
    }
}

void tr__reports_send_receiver(tr_transport *t, uint64_t now_us)
{
    tr_rtcp_report reports[31]; /* RC has 5 bits (RFC 3550, 6.4.1) */
    size_t count = 0;
    for (uint32_t i = 0; i < t->receiver_count && count < 31; i++)
        count += tr__receiver_reports(t->receivers[i], reports + count, 31 - count, now_us);
    uint8_t *slot;
    tr_pen pen;
    if (!count || !begin_rtcp(t, &slot, &pen)) return;
    tr__rtcp_put_rr(&pen, t->rtcp_ssrc, reports, count);
    tr__rtcp_put_sdes(&pen, t->rtcp_ssrc, "telerelay");
    end_rtcp(t, slot, &pen);
}

void tr__reports_send_sender(tr_transport *t, uint64_t now_us)
{
    uint8_t *slot;
    tr_pen pen;
    for (uint32_t i = 0; i < t->sender_count; i++) {
        if (tr__sender_report_at(t->senders[i]) > now_us || !begin_rtcp(t, &slot, &pen)) continue;
        if (tr__sender_put_report(t->senders[i], &pen, now_us, tr__transport_ntp(t, now_us))) end_rtcp(t, slot, &pen);
    }
}

/* ------------------------------------------------------------------ the peer's limit */

void tr__reports_set_limit(tr_transport *t, uint32_t bps, uint64_t now_us)
{
    if (bps == t->limit_bps) return;
    t->unlimited = bps ? 0 : UNLIMITED_TIMES;
    t->limit_bps = bps;
    t->limit_due_us = now_us;
    if (now_us < t->due_us) t->due_us = now_us;
}

static bool takes_remb(const tr_receiver *receiver)
{
    const tr_add_receiver *params = tr__receiver_params(receiver);
    for (uint8_t i = 0; i < params->codec_count; i++)
        if (params->codecs[i].has_remb) return true;
    return false;
}

/* While the outbox has no room it stays due. Without a stream that has REMB nothing is told; one may come. */
void tr__reports_send_limit(tr_transport *t, uint64_t now_us)
{
    uint32_t ssrcs[TR_TRANSPORT_MAX_SSRCS];
    size_t count = 0;
    for (uint32_t i = 0; i < t->ssrc_count; i++)
        if (!t->ssrcs[i].is_rtx && takes_remb(t->receivers[t->ssrcs[i].receiver])) ssrcs[count++] = t->ssrcs[i].ssrc;
    if (count) {
        uint8_t *slot;
        tr_pen pen;
        if (!begin_rtcp(t, &slot, &pen)) return;
        tr__rtcp_put_rr(&pen, t->rtcp_ssrc, NULL, 0);
        tr__rtcp_put_remb(&pen, t->rtcp_ssrc, t->limit_bps ? t->limit_bps : NO_LIMIT_BPS, ssrcs, count);
        end_rtcp(t, slot, &pen);
    }
    if (t->unlimited) t->unlimited--;
    t->limit_due_us = t->limit_bps || t->unlimited ? now_us + LIMIT_INTERVAL_US : UINT64_MAX;
}
