/* receiver: see receiver.h. Touches its own streams, the clock and tally it was given, and the senders bound to it.
 * Worker thread. */
#include "receiver.h"

#include <stdlib.h>

#include "near.h"
#include "pages.h"
#include "seq.h"

/* Numbers in one request: a burst of loss, and a part that leaves room for others in the compound. */
#define MAX_NACKS 128
#define NACK_HEADER_SIZE 12
#define NACK_ENTRY_SIZE 4
#define FIR_SIZE 20
/* A receiver's list of senders grows by this many. */
#define SENDERS_STEP 8

struct tr_receiver {
    /* given */
    tr_add_receiver params;
    /* owned */
    tr_source source;
    tr_sender **senders;
    uint32_t sender_count, sender_capacity;
    uint8_t *memory; /* of the streams, pages */
    size_t memory_size;
    uint64_t keyframe_asked_us; /* of any encoding, 0: never */
    /* borrowed */
    tr_clock *clock;
    tr_tally *tally;
    tr_stream streams[]; /* params.encoding_count */
};

/* ------------------------------------------------------------------ life */

static void take_codec(tr_stream *stream, const tr_codec_params *codec)
{
    stream->clock_rate = codec->clock_rate;
    stream->has_nack = codec->has_nack;
    stream->has_pli = codec->has_pli;
    stream->has_fir = codec->has_fir;
}

tr_receiver *tr__receiver_new(const tr_add_receiver *params, uint32_t history_bytes, tr_clock *clock, tr_tally *tally)
{
    uint32_t count = params->encoding_count;
    if (!count || count > TR_MAX_ENCODINGS || !params->codec_count || params->codec_count > TR_MAX_CODECS) return NULL;
    size_t memory = tr__stream_memory(params->kind, history_bytes);
    tr_receiver *receiver = calloc(1, sizeof *receiver + count * sizeof(tr_stream));
    if (!receiver) return NULL;
    receiver->memory_size = count * memory;
    receiver->memory = tr__pages_new(receiver->memory_size);
    if (!receiver->memory) {
        free(receiver);
        return NULL;
    }
    receiver->params = *params;
    receiver->clock = clock;
    receiver->tally = tally;
    for (uint32_t i = 0; i < count; i++) {
        tr__stream_init(&receiver->streams[i], &params->encodings[i], params->kind, history_bytes,
                        receiver->memory + i * memory);
        take_codec(&receiver->streams[i], &params->codecs[0]);
    }
    receiver->source = (tr_source){
        .streams = receiver->streams,
        .count = (uint8_t)count,
        .kind = params->kind,
        .codec_count = params->codec_count,
        .codecs = receiver->params.codecs,
        .extensions = receiver->params.extensions,
        .clock = clock,
    };
    return receiver;
}

void tr__receiver_free(tr_receiver *receiver)
{
    if (!receiver) return;
    free(receiver->senders);
    tr__pages_free(receiver->memory, receiver->memory_size);
    free(receiver);
}

const tr_add_receiver *tr__receiver_params(const tr_receiver *receiver) { return &receiver->params; }
const tr_source *tr__receiver_source(const tr_receiver *receiver) { return &receiver->source; }

/* ------------------------------------------------------------------ whose packet is it */

int tr__receiver_find_rid(const tr_receiver *receiver, const uint8_t *rid, size_t rid_size)
{
    if (!rid_size) return receiver->source.count == 1 ? 0 : -1;
    for (int i = 0; i < receiver->source.count; i++) {
        const char *own = receiver->streams[i].rid;
        if (strlen(own) == rid_size && memcmp(own, rid, rid_size) == 0) return i;
    }
    return -1;
}

bool tr__receiver_learn_ssrc(tr_receiver *receiver, int encoding, uint32_t ssrc, bool is_rtx, uint64_t now_us)
{
    tr_stream *stream = &receiver->streams[encoding];
    uint32_t *known = is_rtx ? &stream->rtx_ssrc : &stream->ssrc;
    if (*known && *known != ssrc) {
        if (is_rtx || !stream->is_started || tr__stream_is_active(stream, now_us)) return false;
        tr__stream_restart(stream, ssrc);
    }
    *known = ssrc;
    return true;
}

/* Index in the codec table, -1: none. */
static int find_codec(const tr_receiver *receiver, uint8_t pt, bool is_rtx)
{
    for (int i = 0; i < receiver->params.codec_count; i++)
        if ((is_rtx ? receiver->params.codecs[i].rtx_pt : receiver->params.codecs[i].pt) == pt) return i;
    return -1;
}

bool tr__receiver_has_pt(const tr_receiver *receiver, uint8_t pt, bool *is_rtx)
{
    *is_rtx = false;
    if (find_codec(receiver, pt, false) >= 0) return true;
    *is_rtx = find_codec(receiver, pt, true) >= 0;
    return *is_rtx;
}

/* ------------------------------------------------------------------ a packet comes in */

void tr__receiver_near(const tr_receiver *receiver, int encoding)
{
    tr__near(receiver, sizeof *receiver);
    tr__near(&receiver->streams[encoding], sizeof(tr_stream));
}

void tr__receiver_near_more(const tr_receiver *receiver, int encoding, uint16_t seq)
{
    if (receiver->sender_count) tr__near(receiver->senders, sizeof *receiver->senders);
    tr__history_near(&receiver->streams[encoding].history, seq);
}

/* RFC 4588, 4: behind the header stands the number the packet had. The header moves two bytes towards it, so that
 * what remains is the packet as it was. */
static tr_drop unwrap_rtx(const tr_receiver *receiver, const tr_stream *stream, uint8_t *data, tr_rtp *rtp)
{
    int codec = find_codec(receiver, rtp->pt, true);
    if (codec < 0) return TR_DROP_RTP_PAYLOAD_TYPE;
    /* Padding probes by browsers, and resends of what we never saw the first of. */
    if (rtp->payload_size < 2 || !stream->ssrc || !stream->is_started) return TR_DROP_RTX_UNWANTED;
    rtp->seq = tr__load16(data + rtp->header_size);
    memmove(data + 2, data, rtp->header_size);
    data += 2;
    rtp->data = data;
    rtp->size = (uint16_t)(rtp->size - 2);
    rtp->payload_size = (uint16_t)(rtp->payload_size - 2);
    rtp->pt = receiver->params.codecs[codec].pt;
    rtp->ssrc = stream->ssrc;
    data[1] = (uint8_t)((rtp->marker ? 0x80 : 0) | rtp->pt);
    tr__store16(data + 2, rtp->seq);
    tr__store32(data + 8, rtp->ssrc);
    return TR_DROP_NONE;
}

/* Numbers the packet and decides whether it is new. */
static tr_drop admit(tr_stream *stream, bool is_rtx, tr_media *media)
{
    if (!stream->is_started) {
        stream->is_started = true;
        stream->first = stream->highest = stream->first_cycle + media->rtp.seq;
        stream->first_rollover = media->rtp.rollover;
    }
    media->index = tr__seq_unwrap(stream->highest, media->rtp.seq);
    /* Where 2^15 packets or more were lost the number alone would put the packet into the past, and the stream would be
     * deaf until it had caught up. SRTP knows which cycle it is of. */
    int64_t cycles =
        (int32_t)(media->rtp.rollover - stream->first_rollover); /* -1: from just before the first packet */
    if (media->rtp.has_rollover && !is_rtx && cycles >= -1)
        media->index = stream->first_cycle + (uint64_t)(cycles * 65536) + media->rtp.seq;
    /* A resend may bring what was newest when it was lost, but it does not lead a stream away. */
    if (is_rtx && media->index > stream->highest + TR_NACK_MAX_GAP) return TR_DROP_RTX_UNWANTED;
    if (media->index > stream->highest + 1) stream->gaps++;
    uint64_t repaired = stream->nack.repaired;
    switch (tr__nack_on_packet(&stream->nack, media->index, is_rtx, media->now_us)) {
    case TR_NACK_RESET: /* each sender sees the gap and begins again */
    case TR_NACK_NEW:
    case TR_NACK_RECOVERED:
        break;
    case TR_NACK_DUPLICATE_OR_OLD:
        if (is_rtx) return TR_DROP_RTX_UNWANTED;
        return tr__history_has(&stream->history, media->index) ? TR_DROP_RTP_DUPLICATE : TR_DROP_RTP_OLD;
    }
    if (media->index > stream->highest) stream->highest = media->index;
    media->is_repair = is_rtx || stream->nack.repaired != repaired;
    if (media->is_repair) stream->repaired++;
    if (!is_rtx) stream->received++;
    return TR_DROP_NONE;
}

/* What the packet is, and what follows from that for its stream. */
static tr_drop inspect(const tr_receiver *receiver, tr_stream *stream, tr_media *media)
{
    tr_descriptor descriptor;
    if (receiver->params.kind == TR_VIDEO && tr__media_descriptor(media, &descriptor) && descriptor.is_keyframe)
        tr__stream_on_structure(stream, media->index,
                                media->rtp.data + media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at,
                                media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size);
    tr_drop drop = tr__source_inspect(&receiver->source, media);
    if (drop != TR_DROP_NONE || receiver->params.kind != TR_VIDEO) return drop;
    stream->is_opaque = !media->info.is_readable;
    if (media->info.is_readable && media->info.is_keyframe)
        tr__stream_on_keyframe(stream, media->index, media->rtp.ts, media->now_us);
    return TR_DROP_NONE;
}

tr_drop tr__receiver_on_rtp(tr_receiver *receiver, int encoding, bool is_rtx, uint8_t *data, const tr_rtp *rtp,
                            const tr_rtp_extensions *extensions, uint64_t arrival_us, uint64_t now_us)
{
    tr_stream *stream = &receiver->streams[encoding];
    tr_media media = {.rtp = *rtp, .extensions = *extensions, .now_us = now_us, .encoding = (uint8_t)encoding};
    tr_drop drop;
    if (is_rtx && (drop = unwrap_rtx(receiver, stream, data, &media.rtp)) != TR_DROP_NONE) return drop;
    int codec = find_codec(receiver, media.rtp.pt, false);
    if (codec < 0) return TR_DROP_RTP_PAYLOAD_TYPE;
    media.codec_index = (uint8_t)codec;
    if ((drop = admit(stream, is_rtx, &media)) != TR_DROP_NONE) return drop;

    const tr_codec_params *params = &receiver->params.codecs[codec];
    take_codec(stream, params);
    tr__stream_on_bytes(stream, rtp->size, now_us);
    if (!media.is_repair) tr__stream_on_jitter(stream, media.rtp.ts, arrival_us);
    if (extensions->of[TR_EXT_AUDIO_LEVEL].at && extensions->of[TR_EXT_AUDIO_LEVEL].size)
        tr__stream_on_level(stream, media.rtp.data[extensions->of[TR_EXT_AUDIO_LEVEL].at]);
    bool is_read = receiver->params.kind == TR_VIDEO || params->codec == TR_CODEC_RED;
    if (is_read && media.rtp.payload_size && (drop = inspect(receiver, stream, &media)) != TR_DROP_NONE) return drop;
    if (stream->meter)
        tr__meter_on_packet(stream->meter, media.info.spatial_layer, media.info.temporal_layer, rtp->size, now_us);
    tr__history_put(&stream->history, media.index, media.rtp.data, media.rtp.size, now_us);

    if (!receiver->sender_count) return TR_DROP_NO_SUBSCRIBER;
    /* The fan-out. */
    for (uint32_t i = 0; i < receiver->sender_count; i++) {
        if (!media.rtp.payload_size) {
            tr__sender_skip(receiver->senders[i], &media);
            continue;
        }
        drop = tr__sender_offer(receiver->senders[i], &media);
        if (drop != TR_DROP_NONE) tr__count_drop(receiver->tally, drop);
    }
    return TR_DROP_NONE;
}

void tr__receiver_on_sr(tr_receiver *receiver, int encoding, const tr_rtcp_sr *sr, uint64_t now_us, uint64_t now_ntp)
{
    tr_stream *stream = &receiver->streams[encoding];
    stream->has_sr = true;
    stream->sr_ntp = sr->ntp;
    stream->sr_rtp_ts = sr->rtp_ts;
    stream->sr_arrival_us = now_us;
    tr__clock_on_report(receiver->clock, sr->ntp, now_ntp, now_us);
}

void tr__receiver_on_bye(tr_receiver *receiver, int encoding) { receiver->streams[encoding].last_packet_us = 0; }

/* ------------------------------------------------------------------ feedback to the publisher */

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t nack_at(const tr_stream *stream)
{
    return stream->has_nack && stream->ssrc ? tr__nack_at(&stream->nack) : UINT64_MAX;
}

/* Before `other`: whom nobody who waits has a picture of; then what was asked for longest ago. */
static bool is_before(const tr_stream *stream, const tr_stream *other)
{
    if (stream->keyframe_can_wait != other->keyframe_can_wait) return other->keyframe_can_wait;
    return stream->keyframe_asked_us < other->keyframe_asked_us;
}

/* One keyframe request for all encodings in TR_KEYFRAME_INTERVAL_US, the first at once: an encoder that makes several
 * encodings of one camera answers for all of them, and where it did not, the next one is asked for when that time is
 * over. NULL: none is wanted. */
static tr_stream *next_keyframe(const tr_receiver *receiver)
{
    tr_stream *next = NULL;
    for (uint32_t i = receiver->source.count; i-- > 0;) {
        tr_stream *stream = &receiver->source.streams[i];
        if (tr__stream_is_keyframe_due(stream) && (!next || is_before(stream, next))) next = stream;
    }
    return next;
}

static uint64_t patience_us(const tr_receiver *receiver)
{
    uint64_t others = receiver->sender_count ? receiver->sender_count - 1 : 0;
    uint64_t patience = others * TR_KEYFRAME_PATIENCE_US;
    return patience < TR_KEYFRAME_PATIENCE_MOST_US ? patience : TR_KEYFRAME_PATIENCE_MOST_US;
}

static uint64_t keyframe_at(const tr_receiver *receiver, const tr_stream *stream)
{
    if (!receiver->keyframe_asked_us) return 0;
    uint64_t wait = TR_KEYFRAME_INTERVAL_US + (stream->keyframe_can_wait ? patience_us(receiver) : 0);
    return receiver->keyframe_asked_us + wait;
}

uint64_t tr__receiver_feedback_at(const tr_receiver *receiver)
{
    uint64_t at = UINT64_MAX;
    for (uint32_t i = 0; i < receiver->source.count; i++) at = earlier(at, nack_at(&receiver->streams[i]));
    const tr_stream *next = next_keyframe(receiver);
    return next ? earlier(at, keyframe_at(receiver, next)) : at;
}

static size_t room(const tr_pen *pen) { return pen->failed ? 0 : (size_t)(pen->end - pen->at); }

static bool put_nack(tr_receiver *receiver, tr_stream *stream, tr_pen *pen, uint32_t sender_ssrc, uint64_t now_us)
{
    if (nack_at(stream) > now_us || room(pen) < NACK_HEADER_SIZE + NACK_ENTRY_SIZE) return false;
    size_t max = (room(pen) - NACK_HEADER_SIZE) / NACK_ENTRY_SIZE;
    uint16_t seqs[MAX_NACKS];
    uint64_t given_up = stream->nack.given_up;
    size_t count = tr__nack_next(&stream->nack, now_us, seqs, max < MAX_NACKS ? max : MAX_NACKS);
    if (stream->nack.given_up != given_up && receiver->params.kind == TR_VIDEO && receiver->sender_count)
        tr__stream_request_keyframe(stream, now_us);
    if (!count) return false;
    tr__rtcp_put_nack(pen, sender_ssrc, stream->ssrc, seqs, count);
    stream->nacks += count;
    receiver->tally->nacks_tx += count;
    return true;
}

static bool put_keyframe_request(tr_receiver *receiver, tr_pen *pen, uint32_t sender_ssrc, uint64_t now_us)
{
    tr_stream *stream = next_keyframe(receiver);
    if (!stream || keyframe_at(receiver, stream) > now_us || room(pen) < FIR_SIZE) return false;
    if (stream->has_pli)
        tr__rtcp_put_pli(pen, sender_ssrc, stream->ssrc);
    else
        tr__rtcp_put_fir(pen, sender_ssrc, stream->ssrc, stream->fir_number);
    stream->keyframe_asked_us = receiver->keyframe_asked_us = now_us;
    stream->plis++;
    receiver->tally->plis_tx++;
    return true;
}

bool tr__receiver_put_feedback(tr_receiver *receiver, tr_pen *pen, uint32_t sender_ssrc, uint64_t now_us)
{
    bool written = false;
    for (uint32_t i = 0; i < receiver->source.count; i++)
        written |= put_nack(receiver, &receiver->streams[i], pen, sender_ssrc, now_us);
    return put_keyframe_request(receiver, pen, sender_ssrc, now_us) || written;
}

size_t tr__receiver_reports(tr_receiver *receiver, tr_rtcp_report *reports, size_t max, uint64_t now_us)
{
    size_t written = 0;
    for (uint32_t i = 0; i < receiver->source.count && written < max; i++)
        written += tr__stream_report(&receiver->streams[i], &reports[written], now_us);
    return written;
}

void tr__receiver_request_keyframe(tr_receiver *receiver, uint64_t now_us)
{
    if (receiver->params.kind != TR_VIDEO) return;
    for (uint32_t i = receiver->source.count; i-- > 0;) {
        if (!tr__stream_is_active(&receiver->streams[i], now_us)) continue;
        tr__stream_request_keyframe(&receiver->streams[i], now_us);
        return;
    }
}

/* ------------------------------------------------------------------ senders */

int tr__receiver_add_sender(tr_receiver *receiver, tr_sender *sender, const tr_bind_sender *bind, uint64_t now_us)
{
    bool is_known = false;
    for (uint32_t i = 0; i < receiver->sender_count; i++) is_known |= receiver->senders[i] == sender;
    if (!is_known) {
        if (receiver->sender_count == receiver->sender_capacity) {
            uint32_t capacity = receiver->sender_capacity + SENDERS_STEP;
            tr_sender **grown = realloc(receiver->senders, capacity * sizeof *grown);
            if (!grown) return TR_ERR_NO_MEMORY;
            receiver->senders = grown;
            receiver->sender_capacity = capacity;
        }
        receiver->senders[receiver->sender_count++] = sender;
    }
    tr__sender_bind(sender, &receiver->source, bind, now_us);
    return TR_OK;
}

void tr__receiver_remove_sender(tr_receiver *receiver, tr_sender *sender, uint64_t now_us)
{
    for (uint32_t i = 0; i < receiver->sender_count; i++) {
        if (receiver->senders[i] != sender) continue;
        receiver->senders[i] = receiver->senders[--receiver->sender_count];
        tr__sender_bind(sender, NULL, NULL, now_us);
        break;
    }
    /* Nobody waits any more. */
    for (uint32_t i = 0; i < receiver->source.count && !receiver->sender_count; i++)
        receiver->streams[i].keyframe_wanted = false;
}

tr_sender *tr__receiver_any_sender(const tr_receiver *receiver)
{
    return receiver->sender_count ? receiver->senders[0] : NULL;
}

void tr__receiver_stats(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_receiver_stats *stats)
{
    const tr_stream *stream = &receiver->streams[encoding];
    bool is_active = tr__stream_is_active(stream, now_us);
    /* What is still being asked for is not lost yet. */
    int64_t lost = stream->expected_before + tr__stream_expected(stream) - (int64_t)stream->rx_packets -
                   (stream->has_nack ? stream->nack.count : 0);
    *stats = (tr_receiver_stats){
        .receiver = receiver->params.receiver,
        .encoding = (uint8_t)encoding,
        .is_active = is_active,
        .ssrc = stream->ssrc,
        .rx_packets = stream->rx_packets,
        .rx_bytes = stream->rx_bytes,
        .keyframes = stream->keyframes,
        .lost_packets = lost > 0 ? (uint64_t)lost : 0,
        .repaired_packets = stream->repaired,
        .nacks = stream->nacks,
        .plis = stream->plis,
        .gaps = stream->gaps,
        .rate_bps = is_active ? stream->rate_bps : 0,
        .jitter_us =
            stream->clock_rate ? (uint32_t)((uint64_t)(stream->jitter_q4 >> 4) * 1000000 / stream->clock_rate) : 0,
    };
}

void tr__receiver_layer_stats(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_receiver_stats *stats)
{
    const tr_stream *stream = &receiver->streams[encoding];
    if (!stream->meter) return;
    tr__meter_count(stream->meter, now_us, &stats->spatial_layers, &stats->temporal_layers);
    tr__meter_tell(stream->meter, now_us, stats->layers);
}
