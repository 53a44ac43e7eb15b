/* inbound: see inbound.h. Touches only what it is given. Engine thread. */
#include "inbound.h"

#include <stdlib.h>

/* libwebrtc asks 200 ms after the last decodable frame; a resend should have had its time. */
#define STUCK_US 300000u
/* And not again before an answer can have come from the publisher. */
#define PLI_PAUSE_US 1000000u

tl_inbound *tl__inbound_new(uint32_t ssrc, uint16_t section, const tl_payload *payload)
{
    tl_inbound *in = calloc(1, sizeof *in);
    if (!in) return NULL;
    in->ssrc = ssrc;
    in->section = section;
    in->clock_rate = payload->clock_rate;
    in->has_pli = payload->has_pli;
    if (payload->has_nack) {
        in->nack = malloc(sizeof *in->nack + TR_NACK_VIDEO_MISSING * sizeof(tr_nack_missing));
        if (!in->nack) {
            free(in);
            return NULL;
        }
        tr__nack_init(in->nack, (tr_nack_missing *)(in->nack + 1), TR_NACK_VIDEO_MISSING);
    }
    return in;
}

void tl__inbound_free(tl_inbound *in)
{
    if (!in) return;
    free(in->nack);
    free(in);
}

static void measure_jitter(tl_inbound *in, uint32_t rtp_ts, uint64_t arrival_us)
{
    uint64_t ticks = arrival_us / 1000000u * in->clock_rate + arrival_us % 1000000u * in->clock_rate / 1000000u;
    int64_t transit = (int32_t)((uint32_t)ticks - rtp_ts), step = transit - in->transit;
    if (in->has_any) {
        uint32_t size = (uint32_t)(step < 0 ? -step : step);
        /* A server that switches streams makes the clock jump: that is no jitter. */
        if (size < in->clock_rate) in->jitter16 += size - ((in->jitter16 + 8) >> 4);
    }
    in->transit = transit;
}

bool tl__inbound_on_rtp(tl_inbound *in, uint64_t index, uint32_t rtp_ts, bool is_rtx, uint64_t arrival_us,
                        uint64_t now_us)
{
    if (!is_rtx) {
        measure_jitter(in, rtp_ts, arrival_us);
        if (!in->has_any) in->first_index = in->highest_index = index;
        if (index > in->highest_index) in->highest_index = index;
        in->has_any = true;
        in->received++;
    }
    if (!in->nack) return is_rtx;
    uint64_t repaired = in->nack->repaired;
    tr__nack_on_packet(in->nack, index, is_rtx, now_us);
    return is_rtx || in->nack->repaired != repaired;
}

void tl__inbound_on_sr(tl_inbound *in, const tr_rtcp_sr *sr, uint64_t now_us)
{
    in->last_sr = (uint32_t)(sr->ntp >> 16);
    in->last_sr_us = now_us;
}

void tl__inbound_report(tl_inbound *in, tr_rtcp_report *report, uint64_t now_us)
{
    uint64_t expected = in->highest_index - in->first_index + 1;
    uint64_t expected_since = expected - in->expected_before, received_since = in->received - in->received_before;
    /* RFC 3550, 6.4.1: 24 bits with a sign, and duplicates may make more of it than was sent. */
    int64_t lost = (int64_t)expected - (int64_t)in->received;
    if (lost > 0x7fffff) lost = 0x7fffff;
    if (lost < -0x800000) lost = -0x800000;
    /* A.3: 256ths, of which there is no word for all. */
    uint64_t lost_since = expected_since > received_since ? expected_since - received_since : 0;
    uint64_t fraction = expected_since ? (lost_since << 8) / expected_since : 0;
    in->expected_before = expected;
    in->received_before = in->received;
    uint64_t delay_us = in->last_sr_us ? now_us - in->last_sr_us : 0;
    *report = (tr_rtcp_report){
        .ssrc = in->ssrc,
        .fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction),
        .lost = (int32_t)lost,
        .highest_seq = (uint32_t)in->highest_index,
        .jitter = in->jitter16 >> 4,
        .last_sr = in->last_sr,
        .delay_since_sr = (uint32_t)(delay_us * 65536u / 1000000u),
    };
}

bool tl__inbound_wants_keyframe(tl_inbound *in, uint64_t now_us)
{
    if (!in->has_pli || !in->way || tl__frames_stuck_us(&in->way->frames, now_us) < STUCK_US) return false;
    if (in->pli_us && now_us - in->pli_us < PLI_PAUSE_US) return false;
    in->pli_us = now_us;
    return true;
}
