/* outbound: see outbound.h. Touches only what it is given. Engine thread. */
#include "outbound.h"

#include <stdlib.h>

#include "rtp.h"
#include "seq.h"
#include "stamp.h"

#define DEFAULT_MAX_PAYLOAD 1150 /* 1,232 bytes that any path carries, less header, extensions and tag */
#define MIN_MAX_PAYLOAD 200      /* heads and stamps of all parts fit */
#define MAX_MAX_PAYLOAD 1300
/* libwebrtc's encoders make one asked-for keyframe in 300 ms at the most. */
#define KEYFRAME_PAUSE_NS 300000000u
/* Further behind than this the plan is moved, not caught up with: nobody wants a second of frames at once. */
#define MAX_LATE_NS 1000000000u
#define AUDIO_LEVEL 0x9e /* voice, -30 dBov (RFC 6464) */

/* ------------------------------------------------------------------ headers */

static void put_text(tr_pen *pen, const tr_rtp_block *block, uint8_t id, const char *text)
{
    if (id && *text) tr__rtp_put_element(pen, block, id, text, (uint8_t)strlen(text));
}

/* Writes an element of zeros; where its bytes begin, 0: not negotiated. */
static uint8_t put_open(tr_pen *pen, const tr_rtp_block *block, uint8_t id, uint8_t size)
{
    static const uint8_t ZEROS[4];
    if (!id) return 0;
    tr__rtp_put_element(pen, block, id, ZEROS, size);
    return (uint8_t)(tr__pen_size(pen) - size);
}

static bool make_header(tl_header *header, const tl_send *p, bool is_rtx)
{
    *header = (tl_header){0};
    tr_pen pen = tr__pen(header->bytes, sizeof header->bytes);
    bool has_any = false, two_byte = strlen(p->mid) > 16;
    for (int i = 0; i < TL_EXT_COUNT; i++) {
        has_any |= p->extensions[i] != 0;
        two_byte |= p->extensions[i] > 14;
    }
    tr__rtp_put_header(&pen, has_any, false, is_rtx ? p->rtx_pt : p->pt, 0, 0, is_rtx ? p->rtx_ssrc : p->ssrc);
    if (has_any) {
        tr_rtp_block block = tr__rtp_begin_block(&pen, two_byte);
        put_text(&pen, &block, p->extensions[TL_EXT_MID], p->mid);
        put_text(&pen, &block, p->extensions[is_rtx ? TL_EXT_REPAIRED_RID : TL_EXT_RID], p->rid);
        header->twcc_at = put_open(&pen, &block, p->extensions[TL_EXT_TWCC], 2);
        header->send_time_at = put_open(&pen, &block, p->extensions[TL_EXT_ABS_SEND_TIME], 3);
        uint8_t level = AUDIO_LEVEL;
        if (p->kind == TL_AUDIO && p->extensions[TL_EXT_AUDIO_LEVEL])
            tr__rtp_put_element(&pen, &block, p->extensions[TL_EXT_AUDIO_LEVEL], &level, 1);
        tr__rtp_end_block(&pen, &block, 0);
    }
    header->size = (uint8_t)tr__pen_size(&pen);
    return tr__pen_ok(&pen);
}

static void put_header(const tl_header *header, uint8_t *out, uint16_t seq, bool marker, const tl_sent *sent)
{
    memcpy(out, header->bytes, header->size);
    if (marker) out[1] |= 0x80;
    tr__store16(out + 2, seq);
    tr__store32(out + 4, sent->ts);
    if (header->twcc_at) tr__store16(out + header->twcc_at, sent->twcc);
    if (header->send_time_at) tr__store24(out + header->send_time_at, sent->send_time);
}

/* ------------------------------------------------------------------ life */

bool tl__outbound_is_sane(const tl_send *p)
{
    tl_plan plan;
    tl_header header;
    return (p->kind == TL_AUDIO || p->kind == TL_VIDEO) && p->codec >= TL_CODEC_OPUS && p->codec <= TL_CODEC_H264 &&
           p->pattern <= TL_PATTERN_SMOOTH && p->ssrc && p->pt < 128 && (!p->rtx_ssrc || p->rtx_pt < 128) &&
           (!p->max_payload || (p->max_payload >= MIN_MAX_PAYLOAD && p->max_payload <= MAX_MAX_PAYLOAD)) &&
           memchr(p->mid, 0, sizeof p->mid) && memchr(p->rid, 0, sizeof p->rid) &&
           memchr(p->cname, 0, sizeof p->cname) && tl__plan_init(&plan, p, 0) && make_header(&header, p, false) &&
           make_header(&header, p, true);
}

int tl__outbound_init(tl_outbound *o, const tl_send *params, uint64_t seed, uint32_t engine, tl_source *source,
                      uint64_t flight_ns)
{
    *o = (tl_outbound){.params = *params, .engine = engine, .source = source, .flight_ns = flight_ns};
    tl_send *p = &o->params;
    if (!tl__outbound_is_sane(p)) return TL_ERR_ARGUMENT;
    if (!p->max_payload) p->max_payload = DEFAULT_MAX_PAYLOAD;
    tl__plan_init(&o->plan, p, seed);
    make_header(&o->header, p, false);
    make_header(&o->rtx_header, p, true);
    tl__payload_init(&o->maker, (tl_codec)p->codec, p->width, p->height);
    o->held_size = p->kind == TL_VIDEO ? TL_OUTBOUND_HELD_VIDEO : TL_OUTBOUND_HELD_AUDIO;
    o->held = calloc(o->held_size, sizeof *o->held);
    if (!o->held) return TL_ERR_NO_MEMORY;
    /* Below 2^15, so that the receiver's guess of the rollover is right (RFC 3711, 3.3.1). */
    o->first_index = tl__mix(o->plan.seed + 1) & 0x7fff;
    o->rtx_index = tl__mix(o->plan.seed + 2) & 0x7fff;
    o->first_ts = (uint32_t)tl__mix(o->plan.seed + 3);
    return TL_OK;
}

void tl__outbound_dispose(tl_outbound *o)
{
    free(o->held);
    o->held = NULL;
}

void tl__outbound_start(tl_outbound *o, uint64_t at_ns)
{
    if (o->is_sending) return;
    uint64_t ahead_ns = tl__plan_due_ns(&o->plan, o->plan.frame) - o->plan.phase_ns;
    o->start_ns = at_ns > ahead_ns ? at_ns - ahead_ns : 0;
    if (o->stopped_ns) {
        /* The media clock goes on while nothing is sent. */
        uint64_t pause_us = at_ns > o->stopped_ns ? (at_ns - o->stopped_ns) / 1000 : 0;
        o->first_ts += (uint32_t)(pause_us * o->plan.clock_rate / 1000000u);
        o->wants_keyframe = true;
    }
    o->is_sending = o->source->is_sending = true;
}

void tl__outbound_stop(tl_outbound *o, uint64_t now_ns)
{
    o->is_sending = o->source->is_sending = false;
    o->stopped_ns = now_ns;
    o->now.parts = 0;
}

uint64_t tl__outbound_at(const tl_outbound *o)
{
    if (!o->is_sending) return UINT64_MAX;
    if (!o->now.parts) return o->start_ns + tl__plan_due_ns(&o->plan, o->plan.frame);
    if (o->params.pattern == TL_PATTERN_BURST) return o->now.due_ns;
    return o->now.due_ns + tl__plan_interval_ns(&o->plan) * o->now.part / o->now.parts;
}

/* ------------------------------------------------------------------ packets */

static void begin_frame(tl_outbound *o, uint64_t now_ns, uint64_t *late_ns)
{
    uint64_t due_ns = tl__outbound_at(o);
    *late_ns = now_ns - due_ns;
    if (*late_ns > MAX_LATE_NS) {
        o->start_ns += *late_ns;
        due_ns = now_ns;
    }
    bool is_keyframe, wants_keyframe = o->wants_keyframe && now_ns - o->keyframe_ns >= KEYFRAME_PAUSE_NS;
    o->now.number = o->plan.frame;
    o->now.ts = o->first_ts + tl__plan_rtp_ts(&o->plan, o->plan.frame);
    uint32_t bytes = tl__plan_next(&o->plan, wants_keyframe, &is_keyframe);
    uint32_t most = (uint32_t)TL_PLAN_MAX_PARTS * o->params.max_payload;
    o->now.bytes = bytes > most ? most : bytes;
    o->now.part = 0;
    o->now.parts = tl__parts(o->now.bytes, o->params.max_payload);
    o->now.due_ns = due_ns;
    if (o->params.kind == TL_AUDIO) is_keyframe = true;
    o->now.is_keyframe = is_keyframe;
    o->frames++;
    if (!is_keyframe || o->params.kind == TL_AUDIO) return;
    o->keyframes++;
    o->keyframe_ns = now_ns;
    o->wants_keyframe = false;
}

static size_t write_payload(const tl_outbound *o, uint8_t *out, const tl_sent *sent)
{
    size_t head = tl__payload_head(&o->maker, out, sent->frame, sent->part, sent->parts, sent->is_keyframe, sent->size);
    tl_stamp stamp = {
        .stream = o->params.stream,
        .counter = sent->counter,
        .sent_ns = sent->sent_ns,
        .frame = sent->frame,
        .part = sent->part,
        .parts = sent->parts,
        .is_keyframe = sent->is_keyframe,
    };
    tl__stamp_write(out, head, sent->size, o->engine, &stamp);
    return sent->size;
}

/* Sound begins a talk spurt with the marker (RFC 3551, 4.1), pictures end a frame with it. */
static bool has_marker(const tl_outbound *o, const tl_sent *sent)
{
    return o->params.kind == TL_VIDEO ? sent->part == sent->parts - 1 : sent->counter == 0;
}

/* 24 bits: seconds in 6.18 fixed point. */
static uint32_t send_time(uint64_t real_ns)
{
    return (uint32_t)((((real_ns / 1000000000u & 63) << 18) + ((real_ns % 1000000000u << 18) / 1000000000u)) &
                      0xffffff);
}

static size_t write_packet(const tl_outbound *o, uint8_t *out, const tl_sent *sent)
{
    put_header(&o->header, out, (uint16_t)(o->first_index + sent->counter), has_marker(o, sent), sent);
    return o->header.size + write_payload(o, out + o->header.size, sent);
}

size_t tl__outbound_next(tl_outbound *o, uint64_t now_ns, uint64_t real_ns, uint16_t *twcc, uint8_t *out,
                         uint64_t *index, uint64_t *late_ns)
{
    *late_ns = UINT64_MAX;
    if (now_ns < tl__outbound_at(o)) return 0;
    if (!o->now.parts) begin_frame(o, now_ns, late_ns);
    uint64_t counter = o->source->next;
    tl_sent *sent = &o->held[counter & (o->held_size - 1)];
    *sent = (tl_sent){
        .counter = counter,
        .sent_ns = real_ns,
        .frame = (uint32_t)o->now.number,
        .ts = o->now.ts,
        .send_time = send_time(real_ns),
        .part = o->now.part,
        .parts = o->now.parts,
        .size = tl__part_size(o->now.bytes, o->now.parts, o->now.part),
        .twcc = o->header.twcc_at ? (*twcc)++ : 0,
        .is_keyframe = o->now.is_keyframe,
    };
    if (++o->now.part == o->now.parts) o->now.parts = 0;
    tl__source_on_packet(o->source, now_ns, o->flight_ns);
    o->bytes += sent->size;
    o->rtp_bytes += sent->size;
    *index = o->first_index + counter;
    return write_packet(o, out, sent);
}

size_t tl__outbound_resend(tl_outbound *o, uint16_t seq, uint64_t real_ns, uint16_t *twcc, uint8_t *out,
                           uint64_t *index)
{
    uint64_t next = o->source->next, asked = tr__seq_unwrap(o->first_index + next, seq);
    o->nacks++;
    uint64_t counter = asked - o->first_index;
    if (asked < o->first_index || counter >= next || next - counter > o->held_size) {
        o->nacks_unknown++;
        return 0;
    }
    tl_sent sent = o->held[counter & (o->held_size - 1)];
    o->resent++;
    o->rtp_bytes += sent.size;
    if (!o->params.rtx_ssrc || o->params.rtx_pt == TL_NO_PT) {
        *index = asked;
        return write_packet(o, out, &sent);
    }
    *index = o->rtx_index++;
    sent.twcc = o->rtx_header.twcc_at ? (*twcc)++ : 0;
    sent.send_time = send_time(real_ns);
    put_header(&o->rtx_header, out, (uint16_t)*index, has_marker(o, &sent), &sent);
    tr__store16(out + o->rtx_header.size, seq); /* RFC 4588, 4 */
    size_t head = o->rtx_header.size + 2u;
    return head + write_payload(o, out + head, &sent);
}

void tl__outbound_on_pli(tl_outbound *o)
{
    o->plis++;
    o->wants_keyframe = o->params.kind == TL_VIDEO;
}

void tl__outbound_put_sr(const tl_outbound *o, tr_pen *pen, uint64_t ntp, uint64_t now_ns,
                         const tr_rtcp_report *reports, size_t count)
{
    uint64_t zero_ns = o->start_ns + o->plan.phase_ns, since_us = now_ns > zero_ns ? (now_ns - zero_ns) / 1000 : 0;
    tr_rtcp_sr sr = {
        .ssrc = o->params.ssrc,
        .ntp = ntp,
        .rtp_ts = o->first_ts + (uint32_t)(since_us / 1000000u * o->plan.clock_rate +
                                           since_us % 1000000u * o->plan.clock_rate / 1000000u),
        .packets = (uint32_t)(o->source->next + o->resent),
        .bytes = (uint32_t)o->rtp_bytes,
    };
    tr__rtcp_put_sr(pen, &sr, reports, count);
}
