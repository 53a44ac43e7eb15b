/* stream: see stream.h. Touches only the stream it is given. Worker thread. */
#include "stream.h"

#include "seq.h"

#define RATE_WINDOW_US 1000000

static uint32_t missing_room(uint8_t kind) { return kind == TR_VIDEO ? TR_NACK_VIDEO_MISSING : TR_NACK_AUDIO_MISSING; }
static uint32_t packet_room(uint8_t kind)
{
    return kind == TR_VIDEO ? TR_HISTORY_VIDEO_PACKETS : TR_HISTORY_AUDIO_PACKETS;
}

static size_t rounded(size_t size) { return (size + 15) & ~(size_t)15; }
static size_t meter_room(uint8_t kind) { return kind == TR_VIDEO ? rounded(sizeof(tr_meter)) : 0; }
/* At the end: few streams have any. */
static size_t structure_room(uint8_t kind) { return kind == TR_VIDEO ? rounded(sizeof(tr_structure)) : 0; }

size_t tr__stream_memory(uint8_t kind, uint32_t history_bytes)
{
    size_t ring = rounded(history_bytes);
    return meter_room(kind) + missing_room(kind) * sizeof(tr_nack_missing) +
           packet_room(kind) * sizeof(tr_history_packet) + ring + structure_room(kind);
}

/* The index comes first: of audio it and the gaps there ever are share a page. */
void tr__stream_init(tr_stream *stream, const tr_encoding *encoding, uint8_t kind, uint32_t history_bytes,
                     uint8_t *memory)
{
    uint32_t gaps = missing_room(kind), packets = packet_room(kind);
    tr_history_packet *index = (tr_history_packet *)(memory + meter_room(kind));
    tr_nack_missing *missing = (tr_nack_missing *)(index + packets);
    memset(stream, 0, sizeof *stream);
    if (kind == TR_VIDEO) {
        stream->meter = (tr_meter *)memory;
        stream->structure = (tr_structure *)(memory + tr__stream_memory(kind, history_bytes) - structure_room(kind));
    }
    stream->ssrc = encoding->ssrc;
    stream->rtx_ssrc = encoding->rtx_ssrc;
    memcpy(stream->rid, encoding->rid, sizeof stream->rid);
    stream->rid[sizeof stream->rid - 1] = 0;
    tr__history_init(&stream->history, index, packets, (uint8_t *)(missing + gaps), history_bytes);
    tr__nack_init(&stream->nack, missing, gaps);
    stream->first_cycle = TR_STREAM_FIRST_CYCLE;
}

void tr__stream_restart(tr_stream *stream, uint32_t ssrc)
{
    stream->ssrc = ssrc;
    stream->rtx_ssrc = 0;
    stream->generation++;
    stream->expected_before += tr__stream_expected(stream);
    /* A cycle in between, so that no sender takes it for a small step ahead. */
    stream->first_cycle = (stream->highest | 0xffff) + 1 + TR_STREAM_FIRST_CYCLE;
    stream->is_started = false;
    tr__nack_restart(&stream->nack);
    stream->has_transit = stream->has_keyframe = stream->has_structure = stream->has_sr = stream->is_opaque = false;
    stream->received = stream->expected_prior = stream->received_prior = 0;
    stream->jitter_q4 = 0;
}

void tr__stream_request_keyframe(tr_stream *stream, uint64_t now_us)
{
    (void)now_us;
    tr__stream_wish_keyframe(stream);
    stream->keyframe_can_wait = false;
}

void tr__stream_wish_keyframe(tr_stream *stream)
{
    if (stream->keyframe_wanted) return;
    stream->keyframe_wanted = stream->keyframe_can_wait = true;
    stream->fir_number++; /* repeats of one request carry one number (RFC 5104, 4.3.1.1) */
}

bool tr__stream_is_active(const tr_stream *stream, uint64_t now_us)
{
    return stream->last_packet_us && now_us - stream->last_packet_us < TR_STREAM_IDLE_US;
}

void tr__stream_on_keyframe(tr_stream *stream, uint64_t index, uint32_t ts, uint64_t now_us)
{
    if (stream->has_keyframe && ts == stream->keyframe_ts) {
        /* Another packet of its start: parameter sets and picture travel apart in H.264. */
        if (index >= stream->keyframe_index) return;
        stream->keyframe_index = index;
        stream->keyframe_wanted = false; /* who could not begin with it without that can now */
        return;
    }
    stream->keyframes++;
    stream->keyframe_wanted = false;
    if (stream->has_keyframe && index < stream->keyframe_index) return;
    stream->has_keyframe = true;
    stream->keyframe_index = index;
    stream->keyframe_ts = ts;
    stream->keyframe_us = now_us;
}

void tr__stream_on_structure(tr_stream *stream, uint64_t index, const uint8_t *descriptor, size_t size)
{
    tr_structure structure;
    if (stream->has_structure && index < stream->structure_index) return; /* late: a newer one is in force */
    bool is_read = tr__structure_read(&structure, descriptor, size);
    bool is_same = is_read && stream->structure_number && memcmp(&structure, stream->structure, sizeof structure) == 0;
    if (!stream->has_structure || !is_same) stream->structure_index = index;
    stream->has_structure = true;
    if (is_same) return;
    /* One that cannot be read holds for nothing: no number is ever its. */
    *stream->structure = is_read ? structure : (tr_structure){0};
    if (++stream->structure_number == 0) stream->structure_number++;
}

void tr__stream_on_jitter(tr_stream *stream, uint32_t ts, uint64_t arrival_us)
{
    /* RFC 3550, A.8. Both clocks are taken modulo 2^32: only differences count. */
    uint32_t arrival =
        (uint32_t)(arrival_us / 1000000 * stream->clock_rate + arrival_us % 1000000 * stream->clock_rate / 1000000);
    uint32_t transit = arrival - ts;
    if (stream->has_transit) {
        int64_t d = tr__ts_diff(transit, stream->transit);
        if (d < 0) d = -d;
        stream->jitter_q4 = (uint32_t)((int64_t)stream->jitter_q4 + d - ((stream->jitter_q4 + 8) >> 4));
    }
    stream->has_transit = true;
    stream->transit = transit;
}

void tr__stream_on_bytes(tr_stream *stream, size_t bytes, uint64_t now_us)
{
    stream->rx_packets++;
    stream->rx_bytes += bytes;
    uint64_t elapsed_us = now_us - stream->rate_window_us;
    if (elapsed_us >= RATE_WINDOW_US) {
        uint64_t rate_bps = stream->rate_window_us ? stream->rate_window_bytes * 8000000 / elapsed_us : 0;
        stream->rate_bps = rate_bps < UINT32_MAX ? (uint32_t)rate_bps : UINT32_MAX;
        stream->rate_window_us = now_us;
        stream->rate_window_bytes = 0;
    }
    stream->rate_window_bytes += bytes;
    stream->last_packet_us = now_us;
}

/* A third of a second of packets of 20 ms: a cough is not speech. */
#define LOUDNESS_SHARE 16
/* A codec that sends nothing in silence (DTX) still sends every 400 ms. */
#define QUIET_US 500000

void tr__stream_on_level(tr_stream *stream, uint8_t level)
{
    int32_t now = (int32_t)(127 - (level & 0x7f)) << 8, before = (int32_t)stream->loudness_q8;
    stream->loudness_q8 = (uint32_t)(before + (now - before) / LOUDNESS_SHARE);
}

uint8_t tr__stream_loudness(const tr_stream *stream, uint64_t now_us)
{
    return now_us - stream->last_packet_us < QUIET_US ? (uint8_t)(stream->loudness_q8 >> 8) : 0;
}

int64_t tr__stream_expected(const tr_stream *stream)
{
    return stream->is_started ? (int64_t)(stream->highest - stream->first + 1) : 0;
}

bool tr__stream_report(tr_stream *stream, tr_rtcp_report *report, uint64_t now_us)
{
    if (!stream->is_started) return false;
    /* RFC 3550, A.3. Resends under an SSRC of their own do not hide the loss (RFC 4588, 6.3 keeps the two apart). */
    uint64_t expected = (uint64_t)tr__stream_expected(stream);
    uint64_t expected_interval = expected - stream->expected_prior;
    uint64_t received_interval = stream->received - stream->received_prior;
    int64_t lost = (int64_t)expected - (int64_t)stream->received;
    if (lost > 0x7fffff) lost = 0x7fffff;
    if (lost < -0x800000) lost = -0x800000;
    uint64_t fraction = 0;
    if (expected_interval > received_interval)
        fraction = ((expected_interval - received_interval) << 8) / expected_interval;
    *report = (tr_rtcp_report){
        .ssrc = stream->ssrc,
        .fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction),
        .lost = (int32_t)lost,
        .highest_seq = (uint32_t)(stream->highest - stream->first_cycle),
        .jitter = stream->jitter_q4 >> 4,
    };
    if (stream->has_sr) {
        uint64_t delay_us = now_us - stream->sr_arrival_us;
        report->last_sr = (uint32_t)(stream->sr_ntp >> 16);
        report->delay_since_sr = delay_us < 65536000000u ? (uint32_t)(delay_us * 65536 / 1000000) : UINT32_MAX;
    }
    stream->expected_prior = expected;
    stream->received_prior = stream->received;
    return true;
}
