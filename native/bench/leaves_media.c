/* leaves of media: RTP, RTCP and what is remembered of a stream, each in a loop; see leaves.h. One thread. */
#include <stdlib.h>

#include "clock.h"
#include "deadlines.h"
#include "demux.h"
#include "estimator.h"
#include "ladder.h"
#include "layers.h"
#include "leaf_inputs.h"
#include "leaves.h"
#include "meter.h"
#include "opus.h"
#include "outbox.h"
#include "pacer.h"
#include "picture.h"
#include "resends.h"
#include "ring.h"
#include "seqmap.h"
#include "twcc.h"
#include "whole.h"

#define SSRC_OUT 0x99aabbccu
#define PACKET_US 1000 /* between packets: a busy publisher, 9 Mbit/s */
#define HISTORY_BYTES (256 * 1024)
#define IN_HISTORY 200  /* packets of video that fit, and some to spare */
#define TRANSPORTS 1000 /* of a worker: things that are due */
#define FEEDBACK_PACKETS 100

static packet media[INPUTS], compounds[INPUTS], mixed[INPUTS];
static tr_rtp views[INPUTS];
static tr_rtp_extensions found[INPUTS];
static const uint8_t extension_ids[TR_EXT_COUNT] = {[TR_EXT_MID] = EXT_ID_MID,
                                                    [TR_EXT_TWCC] = EXT_ID_TWCC,
                                                    [TR_EXT_ABS_SEND_TIME] = EXT_ID_ABS_SEND_TIME,
                                                    [TR_EXT_AUDIO_LEVEL] = EXT_ID_AUDIO_LEVEL};
static uint8_t put_ring[HISTORY_BYTES], get_ring[HISTORY_BYTES];
static tr_history_packet put_packets[TR_HISTORY_VIDEO_PACKETS], get_packets[TR_HISTORY_VIDEO_PACKETS];
static tr_history put_history, get_history;
static uint64_t put_index, get_last;
static tr_seqmap out_map, in_map;
static uint64_t out_index;
static tr_nack nack;
static tr_nack_missing nack_missing[TR_NACK_VIDEO_MISSING];
static uint64_t nack_index;
static tr_twcc packet_twcc, feedback_twcc;
static uint64_t feedback_base;
static uint16_t twcc_seq;
static tr_stream stream;
static tr_clock their_clock;
static uint64_t reports, stream_us = 1000000;
static tr_deadlines deadlines;
static tr_outbox outbox;
static tr_estimator *estimator;
static int64_t estimator_seq;
static tr_ring ring;
static tr_ladder ladder;
static int64_t ladder_index;

/* Everything that lasts, in the state of a call that has gone on for a while. */
__attribute__((constructor)) static void make_state(void)
{
    for (uint16_t i = 0; i < INPUTS; i++) {
        media[i] = make_media(i);
        compounds[i] = make_compound(i);
        mixed[i] = i == 6 ? make_check(i, "relay:peer", "password of the relay") : i == 7 ? compounds[i] : media[i];
        if (tr__rtp_parse(&views[i], media[i].data, media[i].size) != TR_DROP_NONE) abort();
        tr__rtp_find_extensions(&views[i], extension_ids, &found[i]);
    }
    mixed[5].data[0] = 22; /* a DTLS record */

    tr__history_init(&put_history, put_packets, TR_HISTORY_VIDEO_PACKETS, put_ring, sizeof put_ring);
    tr__history_init(&get_history, get_packets, TR_HISTORY_VIDEO_PACKETS, get_ring, sizeof get_ring);
    for (get_last = 0; get_last < 4 * TR_HISTORY_VIDEO_PACKETS; get_last++)
        tr__history_put(&get_history, get_last, media[get_last % 6].data, media[get_last % 6].size,
                        1 + get_last * PACKET_US);

    tr__seqmap_init(&out_map, 100);
    tr__seqmap_init(&in_map, 100);
    tr__seqmap_switch(&out_map, 1, 0, &(tr_rewrite){0});
    for (uint32_t source = 0; source < TR_SEQMAP_RANGES; source++) {
        uint64_t out;
        const tr_rewrite *rewrite;
        tr__seqmap_switch(&in_map, source, 1000, &(tr_rewrite){.ts_offset = source * 77});
        for (uint64_t i = 0; i < 16; i++) tr__seqmap_out(&in_map, 1000 + i, &out, &rewrite);
    }

    tr__nack_init(&nack, nack_missing, TR_NACK_VIDEO_MISSING);
    tr__twcc_init(&packet_twcc);
    tr__twcc_init(&feedback_twcc);
    for (uint16_t seq = 1; seq <= FEEDBACK_PACKETS; seq++)
        if (seq % 50 != 25) tr__twcc_on_packet(&feedback_twcc, seq, 1000000 + seq * PACKET_US + seq % 7 * 130, 1000000);
    feedback_base = feedback_twcc.base;

    tr_encoding encoding = {.ssrc = VIDEO_SSRC};
    uint8_t *kept = calloc(1, tr__stream_memory(TR_VIDEO, 16384));
    if (!kept) abort();
    tr__stream_init(&stream, &encoding, TR_VIDEO, 16384, kept);
    stream.clock_rate = 90000;
    stream.is_started = stream.has_sr = true;
    stream.first = stream.highest = TR_STREAM_FIRST_CYCLE + 10;
    tr__clock_init(&their_clock);

    tr_rung rungs[40];
    for (uint32_t i = 0; i < 40; i++)
        rungs[i] = (tr_rung){.sender = i % 4,
                             .cost_bps = 100000 + i * 90000,
                             .encoding = (uint8_t)(i / 16),
                             .temporal = (uint8_t)(i / 4 % 3)};
    tr__ladder_init(&ladder);
    if (tr__ladder_set(&ladder, rungs, 40, 0) != TR_OK) abort();

    void *memory = aligned_alloc(64, (tr__ring_footprint(65536) + 63) & ~(size_t)63);
    if (!memory || tr__deadlines_init(&deadlines, TRANSPORTS) != TR_OK || tr__outbox_init(&outbox, 512) != TR_OK)
        abort();
    tr__ring_create(&ring, memory, 65536);
    if (!(estimator = tr_estimator_new(2500000, 100000, 20000000))) abort();
    for (uint32_t i = 0; i < TRANSPORTS; i++) tr__deadlines_set(&deadlines, i, 1000 + i * 7919 % 100000);
}

/* ------------------------------------------------------------------ one packet */

uint64_t bench_demux(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) sum += tr__demux(mixed[AT(i)].data, mixed[AT(i)].size);
    return sum;
}

uint64_t bench_rtp_parse(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_rtp rtp;
        if (tr__rtp_parse(&rtp, media[AT(i)].data, media[AT(i)].size) != TR_DROP_NONE) return 0;
        sum += rtp.payload_size;
    }
    return sum;
}

uint64_t bench_rtp_extensions(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_rtp_extensions extensions;
        if (tr__rtp_find_extensions(&views[AT(i)], extension_ids, &extensions) != TR_DROP_NONE) return 0;
        sum += extensions.of[TR_EXT_TWCC].at;
    }
    return sum;
}

/* A header as a sender writes it, with a block of three elements; the payload is not copied. */
uint64_t bench_rtp_rewrite(uint32_t iterations)
{
    uint64_t sum = 0;
    uint8_t out[256];
    for (uint32_t i = 0; i < iterations; i++) {
        const tr_rtp *rtp = &views[AT(i)];
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtp_put_header(&pen, true, rtp->marker, 120, (uint16_t)i, rtp->ts + 77, SSRC_OUT);
        tr_rtp_block block = tr__rtp_begin_block(&pen, false);
        for (int ext = 0; ext < TR_EXT_COUNT; ext++)
            if (found[AT(i)].of[ext].at)
                tr__rtp_put_element(&pen, &block, extension_ids[ext], rtp->data + found[AT(i)].of[ext].at,
                                    found[AT(i)].of[ext].size);
        tr__rtp_end_block(&pen, &block, 12);
        if (!tr__pen_ok(&pen)) return 0;
        sum += tr__pen_size(&pen) + out[3];
    }
    return sum;
}

/* ------------------------------------------------------------------ what a payload says */

/* The clear head of a payload: what a packet has behind it is not looked at. */
typedef struct head {
    size_t size;
    uint8_t data[32];
} head;

static uint64_t inspect(tr_codec codec, const head heads[INPUTS], uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_codec_info info = tr__codec_inspect(codec, heads[AT(i)].data, heads[AT(i)].size);
        if (!info.is_readable) return 0;
        sum += 1u + info.is_keyframe + info.is_frame_start + info.temporal_layer + info.spatial_layer;
    }
    return sum;
}

uint64_t bench_codec_vp8(uint32_t iterations)
{
    static const head heads[INPUTS] = {{32, {0x90, 0xf0, 0x81, 0x02, 0x05, 0x20, 0x00}},
                                       {32, {0x80, 0xf0, 0x81, 0x02, 0x05, 0x20, 0x77}},
                                       {32, {0x80, 0xf0, 0x81, 0x02, 0x05, 0x20, 0x31}},
                                       {32, {0x90, 0xf0, 0x81, 0x03, 0x05, 0xa0, 0x01}},
                                       {32, {0x80, 0xf0, 0x81, 0x03, 0x05, 0xa0, 0x66}},
                                       {32, {0x90, 0x80, 0x81, 0x04, 0x01}},
                                       {32, {0x80, 0x80, 0x81, 0x04, 0x55}},
                                       {32, {0x10, 0x01}}};
    return inspect(TR_CODEC_VP8, heads, iterations);
}

uint64_t bench_codec_vp9(uint32_t iterations)
{
    static const head heads[INPUTS] = {{32, {0x88, 0xff, 0xff, 0x82}},       {32, {0x80, 0xff, 0xff, 0x82}},
                                       {32, {0xc8, 0xff, 0xfe, 0x82}},       {32, {0xc4, 0xff, 0xfe, 0x82}},
                                       {32, {0xa8, 0x81, 0x02, 0x00, 0x09}}, {32, {0xa8, 0x81, 0x02, 0x03, 0x09}},
                                       {32, {0xe8, 0x81, 0x03, 0x20, 0x0a}}, {32, {0xe4, 0x81, 0x03, 0x23, 0x0a}}};
    return inspect(TR_CODEC_VP9, heads, iterations);
}

uint64_t bench_codec_h264(uint32_t iterations)
{
    static const head heads[INPUTS] = {
        {12, {0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68, 0, 2, 0x65, 0x88}},
        {32, {0x7c, 0x85, 0x88}},
        {32, {0x7c, 0x05, 0x88}},
        {32, {0x7c, 0x45, 0x88}},
        {32, {0x5c, 0x81, 0x9a}},
        {32, {0x5c, 0x01, 0x9a}},
        {32, {0x41, 0x9a}},
        {32, {0x41, 0x20}},
    };
    return inspect(TR_CODEC_H264, heads, iterations);
}

uint64_t bench_codec_h265(uint32_t iterations)
{
    static const head heads[INPUTS] = {
        {10, {0x60, 0x01, 0, 2, 0x40, 0x01, 0, 2, 0x42, 0x01}},
        {32, {0x62, 0x01, 0x93, 0x80}},
        {32, {0x62, 0x01, 0x13, 0x80}},
        {32, {0x62, 0x01, 0x53, 0x80}},
        {32, {0x62, 0x02, 0x81, 0x80}},
        {32, {0x62, 0x02, 0x01, 0x80}},
        {32, {0x26, 0x01, 0x80}},
        {32, {0x02, 0x01, 0x80}},
    };
    return inspect(TR_CODEC_H265, heads, iterations);
}

uint64_t bench_codec_av1(uint32_t iterations)
{
    static const head heads[INPUTS] = {
        {7, {0x08, 2, 0x08, 0, 2, 0x30, 1}},
        {32, {0xd0, 0xff, 1}},
        {32, {0x90, 0x30, 1}},
        {32, {0x50, 0x30, 1}},
        {32, {0x90, 0x30, 1}},
        {32, {0x10, 0x30, 1}},
        {32, {0x10, 0x34, 0x48, 1}},
        {32, {0x10, 0x20, 1}},
    };
    return inspect(TR_CODEC_AV1, heads, iterations);
}

uint64_t bench_descriptor_read(uint32_t iterations)
{
    static const head heads[INPUTS] = {{24, {0x80, 0x00, 0x01, 0x80, 0x00, 0x1e, 0xa8}},
                                       {3, {0x00, 0x00, 0x01}},
                                       {3, {0x40, 0x00, 0x01}},
                                       {3, {0xc1, 0x00, 0x02}},
                                       {3, {0x82, 0x00, 0x03}},
                                       {3, {0x42, 0x00, 0x03}},
                                       {5, {0x83, 0x00, 0x04, 0x10, 0x20}},
                                       {3, {0x43, 0x00, 0x04}}};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_descriptor descriptor;
        if (!tr__descriptor_read(&descriptor, heads[AT(i)].data, heads[AT(i)].size)) return 0;
        sum += descriptor.frame + descriptor.is_frame_start + descriptor.is_keyframe;
    }
    return sum;
}

/* One to three blocks, the older ones of 4 to 12 bytes. */
uint64_t bench_red_parse(uint32_t iterations)
{
    static const head heads[INPUTS] = {
        {32, {0x6f, 0x78}},
        {32, {0xef, 0x0f, 0x00, 0x04, 0x6f}},
        {32, {0xef, 0x0f, 0x00, 0x08, 0x6f}},
        {32, {0xef, 0x1e, 0x00, 0x04, 0xef, 0x0f, 0x00, 0x04, 0x6f}},
        {32, {0xef, 0x0f, 0x00, 0x0c, 0x6f}},
        {30, {0xef, 0x1e, 0x00, 0x08, 0xef, 0x0f, 0x00, 0x04, 0x6f}},
        {31, {0xef, 0x0f, 0x00, 0x06, 0x6f}},
        {32, {0x6f, 0x0b}},
    };
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_red red;
        if (!tr__red_parse(&red, heads[AT(i)].data, heads[AT(i)].size)) return 0;
        sum += red.primary_at + red.count;
    }
    return sum;
}

/* Forty rungs of four senders, an estimate each 25 ms that wanders over all of them: it is climbed and fallen down. */
uint64_t bench_ladder_estimate(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        int64_t now_us = ++ladder_index * 25000;
        uint64_t wave = (uint64_t)ladder_index / 4 % 800;
        tr_rung change;
        if (tr__ladder_on_estimate(&ladder, (wave < 400 ? wave : 800 - wave) * 10000, 0, now_us))
            while (tr__ladder_next_change(&ladder, &change)) sum += change.sender;
        sum += tr__ladder_wanted_bps(&ladder);
    }
    return sum;
}

/* Of three temporal layers two are forwarded; what is kept is written. */
uint64_t bench_layers_packet(uint32_t iterations)
{
    static const uint8_t pattern[4] = {0, 2, 1, 2};
    tr_layers layers;
    tr_rewrite rewrite = {0};
    uint8_t payload[16] = {0};
    uint64_t sum = 0;
    tr__layers_init(&layers);
    layers.want.temporal = 1;
    layers.rule = TR_LAYERS_VP8;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_codec_info info = {.is_readable = true,
                              .is_frame_start = true,
                              .has_layers = true,
                              .temporal_layer = pattern[i & 3],
                              .picture_at = 2,
                              .picture_bits = 15,
                              .picture = (uint16_t)(i & 0x7fff),
                              .tl0_at = 4,
                              .tl0 = (uint8_t)(i >> 2)};
        if (tr__layers_next(&layers, &info, NULL, &rewrite) == TR_LAYERS_OMIT) continue;
        tr__layers_on_sent(&layers, &info, &rewrite);
        tr__layers_write(payload, &info, &rewrite);
        sum += 1u + payload[3];
    }
    return sum;
}

/* Pictures of five packets as they leave; one in a hundred packets comes after the next picture's first. */
uint64_t bench_whole_packet(uint32_t iterations)
{
    static tr_whole whole;
    static tr_whole_waiting waiting;
    static uint32_t number, missing;
    if (!number) tr__whole_cut(&whole, &waiting, ++number, true);
    uint32_t before = whole.pictures;
    for (uint32_t i = 0; i < iterations; i++, number++) {
        uint32_t at = number % 5, ts = number / 5 * 3000;
        uint8_t marks = (uint8_t)(at == 0 ? TR_WHOLE_BEGINS : at == 4 ? TR_WHOLE_ENDS : 0);
        if (missing && at == 1) {
            tr__whole_on_sent(&whole, &waiting, missing, missing / 5 * 3000, 0);
            missing = 0;
        }
        if (at == 2 && number / 5 % 20 == 0)
            missing = number;
        else
            tr__whole_on_sent(&whole, &waiting, number, ts, marks);
    }
    return 1 + whole.pictures - before;
}

/* What a keyframe brings: VP8, VP9 with the sizes of three layers, a parameter set of H.264. */
uint64_t bench_picture_read(uint32_t iterations)
{
    static const struct {
        tr_codec codec;
        head payload;
    } keyframes[] = {
        {TR_CODEC_VP8,
         {32, {0x90, 0x80, 0x81, 0x02, 0xb0, 0x94, 0x01, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02, 0x00, 0x47}}},
        {TR_CODEC_VP9, {32, {0xaa, 0x81, 0x02, 0x00, 0x05, 0x50, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68,
                             0x05, 0x00, 0x02, 0xd0, 0x82, 0x49, 0x83, 0x42, 0x00, 0x4f, 0xf0, 0x2c, 0xf6}}},
        {TR_CODEC_H264, {24, {0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00,
                              0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}}},
    };
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const head *payload = &keyframes[i % 3].payload;
        tr_picture picture = {0};
        if (!tr__picture_read(&picture, keyframes[i % 3].codec, payload->data, payload->size, NULL, 0)) return 0;
        sum += picture.heights[0];
    }
    return sum;
}

/* Three packets of 20 ms are read and become one. */
uint64_t bench_opus_join(uint32_t iterations)
{
    static uint8_t data[INPUTS + 2][90];
    uint8_t out[400];
    uint64_t sum = 0;
    for (int i = 0; i < INPUTS + 2; i++) data[i][0] = 0x78;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_opus packets[3];
        tr_pen pen = tr__pen(out, sizeof out);
        for (uint32_t k = 0; k < 3; k++)
            if (!tr__opus_parse(&packets[k], data[AT(i) + k], 60 + (AT(i) + k) * 3)) return 0;
        tr__opus_put(&pen, packets, 3);
        sum += tr__pen_size(&pen);
    }
    return sum;
}

/* Three temporal layers of one spatial layer. */
uint64_t bench_meter_packet(uint32_t iterations)
{
    static tr_meter meter;
    static uint64_t at_us;
    for (uint32_t i = 0; i < iterations; i++)
        tr__meter_on_packet(&meter, 0, (uint8_t)(i % 3), (uint32_t)media[AT(i)].size, at_us += PACKET_US);
    return at_us + meter.bytes[0];
}

/* What control asks for once a second, of an encoding of all layers there may be. */
uint64_t bench_meter_tell(uint32_t iterations)
{
    static tr_meter meter;
    tr_layer_rate rates[TR_MAX_SPATIAL][TR_MAX_TEMPORAL];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 6000; i++)
        tr__meter_on_packet(&meter, (uint8_t)(i & 3), (uint8_t)(i >> 2 & 3), 1000, 1000000 + i * PACKET_US);
    for (uint32_t i = 0; i < iterations; i++) {
        tr__meter_tell(&meter, 7000000 + i, rates);
        sum += rates[3][3].peak_bps;
    }
    return sum;
}

/* One packet in 50 is asked for again. */
uint64_t bench_resends_packet(uint32_t iterations)
{
    static tr_resends resends;
    static uint64_t at;
    uint64_t sum = 1;
    if (!resends.of && !tr__resends_init(&resends, TR_VIDEO, false)) return 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr__resends_on_sent(&resends, (uint32_t)media[AT(i)].size);
        if (++at % 50 == 0 && tr__resends_may(&resends, at - 20, 1200, 40000, at * PACKET_US)) {
            tr__resends_spend(&resends, 1200);
            sum++;
        }
    }
    return sum;
}

/* ------------------------------------------------------------------ what is remembered of a stream */

/* In order, one in 64 left out on purpose. */
uint64_t bench_seqmap_out(uint32_t iterations)
{
    uint64_t sum = 0, out;
    const tr_rewrite *rewrite;
    for (uint32_t i = 0; i < iterations; i++) {
        if (!(++out_index & 63))
            tr__seqmap_omit(&out_map, out_index, NULL);
        else if (tr__seqmap_out(&out_map, out_index, &out, &rewrite))
            sum += out + rewrite->ts_offset;
        else
            return 0;
    }
    return sum + 1;
}

/* Numbers of a NACK, over all ranges that are remembered. */
uint64_t bench_seqmap_in(uint32_t iterations)
{
    uint64_t sum = 0, in;
    uint32_t source;
    const tr_rewrite *rewrite;
    for (uint32_t i = 0; i < iterations; i++) {
        if (!tr__seqmap_in(&in_map, in_map.next_out - 1 - i * 37 % 900, &source, &in, &rewrite)) return 0;
        sum += in + source;
    }
    return sum;
}

/* One packet in 50 is lost and comes 20 packets later; what is due is asked for. */
uint64_t bench_nack_packet(uint32_t iterations)
{
    uint64_t sum = 0;
    uint16_t seqs[16];
    for (uint32_t i = 0; i < iterations; i++) {
        uint64_t now_us = ++nack_index * PACKET_US, place = nack_index % 50;
        if (place == 30 && tr__nack_on_packet(&nack, nack_index - 20, false, now_us) != TR_NACK_RECOVERED) return 0;
        if (place != 10) sum += 1u + tr__nack_on_packet(&nack, nack_index, false, now_us);
        if (now_us >= tr__nack_at(&nack)) sum += tr__nack_next(&nack, now_us, seqs, 16);
    }
    return sum + 1;
}

/* Packets of a frame of video, copied. */
uint64_t bench_history_put(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        const packet *p = &media[put_index % 6];
        put_index++;
        tr__history_put(&put_history, put_index, p->data, p->size, put_index * PACKET_US);
    }
    return tr__history_has(&put_history, put_index) ? put_index : 0;
}

uint64_t bench_history_get(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t size;
        const uint8_t *data = tr__history_get(&get_history, get_last - 1 - i * 37 % IN_HISTORY, &size);
        if (!data) return 0;
        sum += size + data[1];
    }
    return sum;
}

/* Arrivals with a little jitter, one in 50 lost. */
uint64_t bench_twcc_packet(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        twcc_seq = (uint16_t)(twcc_seq + (twcc_seq % 50 ? 1 : 2));
        uint64_t at_us = 1000000 + i * PACKET_US;
        tr__twcc_on_packet(&packet_twcc, twcc_seq, at_us + i % 7 * 130, at_us);
    }
    return packet_twcc.highest;
}

/* One feedback of FEEDBACK_PACKETS packets, two of them lost, told again and again. */
uint64_t bench_twcc_feedback(uint32_t iterations)
{
    uint64_t sum = 0;
    uint8_t out[1200];
    for (uint32_t i = 0; i < iterations; i++) {
        feedback_twcc.base = feedback_base;
        feedback_twcc.pending = FEEDBACK_PACKETS - 2;
        tr_pen pen = tr__pen(out, sizeof out);
        if (!tr__twcc_put_feedback(&feedback_twcc, &pen, SSRC_OUT, VIDEO_SSRC, 2000000)) return 0;
        sum += tr__pen_size(&pen);
    }
    return feedback_twcc.pending ? 0 : sum;
}

/* Jitter and bytes. */
uint64_t bench_stream_packet(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        stream_us += PACKET_US + i % 5 * 50;
        tr__stream_on_jitter(&stream, (uint32_t)(stream_us / 1000 * 90), stream_us);
        tr__stream_on_bytes(&stream, media[AT(i)].size, stream_us);
    }
    return stream.rx_bytes;
}

uint64_t bench_stream_report(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        tr_rtcp_report report;
        stream.highest += 50;
        stream.received += 49;
        if (!tr__stream_report(&stream, &report, stream_us + i)) return 0;
        sum += 1u + report.fraction_lost + report.jitter;
    }
    return sum;
}

uint64_t bench_clock_report(uint32_t iterations)
{
    for (uint32_t i = 0; i < iterations; i++) {
        uint64_t now_us = ++reports * 1000000;
        tr__clock_on_report(&their_clock, tr__ntp_from_us(now_us), tr__ntp_from_us(now_us + 20000 + i % 7 * 900),
                            now_us);
    }
    return (uint64_t)their_clock.offset_us;
}

/* ------------------------------------------------------------------ RTCP */

/* Checked whole, then each part read as the relay reads it. */
uint64_t bench_rtcp_read(uint32_t iterations)
{
    uint64_t sum = 0, rate_bps;
    for (uint32_t i = 0; i < iterations; i++) {
        const packet *p = &compounds[AT(i)];
        tr_rtcp_part part;
        tr_rtcp_sr sr;
        tr_rtcp_report report;
        uint16_t seqs[64];
        if (tr__rtcp_validate(p->data, p->size) != TR_DROP_NONE) return 0;
        for (size_t at = 0; tr__rtcp_next(p->data, p->size, &at, &part);) {
            if (part.type == TR_RTCP_SR && tr__rtcp_read_sr(&part, &sr)) sum += sr.packets;
            if (part.type <= TR_RTCP_RR && tr__rtcp_read_report(&part, 0, &report)) sum += report.highest_seq;
            if (part.type == TR_RTCP_RTPFB) sum += tr__rtcp_read_nack(&part, seqs, 64);
            if (part.type == TR_RTCP_PSFB && part.count == TR_PSFB_PLI) sum += tr__rtcp_media_ssrc(&part);
            if (part.type == TR_RTCP_PSFB && tr__rtcp_read_remb(&part, &rate_bps)) sum += rate_bps;
        }
    }
    return sum;
}

/* Sender report with one block, and SDES. */
uint64_t bench_rtcp_write_report(uint32_t iterations)
{
    uint64_t sum = 0;
    uint8_t out[256];
    for (uint32_t i = 0; i < iterations; i++) {
        tr_rtcp_sr sr = {.ssrc = SSRC_OUT, .rtp_ts = i, .packets = i, .bytes = i, .ntp = i};
        tr_rtcp_report report = {.ssrc = VIDEO_SSRC, .lost = (int32_t)i, .highest_seq = i};
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_sr(&pen, &sr, &report, 1);
        tr__rtcp_put_sdes(&pen, SSRC_OUT, "0123456789abcdef");
        if (!tr__pen_ok(&pen)) return 0;
        sum += tr__pen_size(&pen) + out[19];
    }
    return sum;
}

/* Eight numbers in three runs. */
uint64_t bench_rtcp_write_nack(uint32_t iterations)
{
    uint64_t sum = 0;
    uint8_t out[256];
    for (uint32_t i = 0; i < iterations; i++) {
        uint16_t seqs[] = {0, 1, 2, 30, 33, 90, 91, 105};
        for (size_t k = 0; k < 8; k++) seqs[k] = (uint16_t)(seqs[k] + i);
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_nack(&pen, SSRC_OUT, VIDEO_SSRC, seqs, 8);
        if (!tr__pen_ok(&pen)) return 0;
        sum += tr__pen_size(&pen) + out[13];
    }
    return sum;
}

/* One packet is sent, and its share of what comes with it: feedback of 100 and a tick each 25. */
uint64_t bench_estimator_packet(uint32_t iterations)
{
    static tr_arrival arrivals[FEEDBACK_PACKETS];
    tr_rates rates = {0};
    for (uint32_t i = 0; i < iterations; i++) {
        int64_t seq = estimator_seq++, now_us = 1000000 + seq * PACKET_US;
        tr_estimator_on_packet_sent(estimator, now_us, seq, 1200, TR_NO_PROBE);
        arrivals[seq % FEEDBACK_PACKETS] = (tr_arrival){seq, now_us + 20000 + seq % 7 * 130};
        if (seq % FEEDBACK_PACKETS == FEEDBACK_PACKETS - 1)
            tr_estimator_on_feedback(estimator, now_us, arrivals, FEEDBACK_PACKETS);
        if (seq % 25 == 0) tr_estimator_on_time(estimator, now_us, 0);
    }
    tr_estimator_rates(estimator, &rates);
    return rates.target_bps;
}

/* A packet of four tracks waits behind eight others, another leaves. */
uint64_t bench_pacer_packet(uint32_t iterations)
{
    static tr_pacer_flow flows[4];
    static tr_pacer *pacer;
    static uint64_t index, now_us;
    uint64_t sum = 0;
    if (!pacer) pacer = tr__pacer_new(1000000000);
    for (uint32_t i = 0; i < iterations; i++) {
        tr_pacer_ref ref;
        now_us += 100;
        if (!tr__pacer_put(pacer, &flows[i & 3], TR_PACER_MEDIA, 0, ++index, (uint32_t)media[AT(i)].size, now_us))
            return 0;
        if (pacer->count <= 8) continue;
        if (!tr__pacer_is_open(pacer, now_us) || !tr__pacer_next(pacer, &ref)) return 0;
        tr__pacer_charge(pacer, ref.bytes, now_us);
        sum += ref.index + (uint64_t)tr__pacer_at(pacer);
    }
    return sum + 1;
}

/* ------------------------------------------------------------------ between the parts of a worker */

/* The earliest of TRANSPORTS is served and due again later. */
uint64_t bench_deadlines_turn(uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        uint64_t at = tr__deadlines_next(&deadlines);
        tr__deadlines_set(&deadlines, tr__deadlines_first(&deadlines), at + 20000 + i * 7919 % 80000);
        sum += at;
    }
    return sum;
}

/* A record of 64 bytes, there and back. */
uint64_t bench_ring_push_pop(uint32_t iterations)
{
    uint64_t sum = 0, tag;
    uint8_t body[TR_RING_MAX_BODY] = {0};
    uint16_t type;
    size_t size;
    for (uint32_t i = 0; i < iterations; i++) {
        if (tr__ring_push(&ring, (uint16_t)(i & 7), i, body, 64) != TR_OK) return 0;
        if (tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size) != 1) return 0;
        sum += size + tag;
    }
    return sum;
}

/* A slot is taken and kept; every 128 the pass ends. */
uint64_t bench_outbox_turn(uint32_t iterations)
{
    static const tr_path path = {.remote = {.family = 4, .ip = {127, 0, 0, 1}, .port = 20000}};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        uint8_t *slot = tr__outbox_reserve(&outbox);
        if (!slot) return 0;
        slot[0] = (uint8_t)i;
        tr__outbox_commit(&outbox, &path, i, media[AT(i)].size);
        sum += outbox.items[0].size;
        if (outbox.count == 128) tr__outbox_clear(&outbox);
    }
    tr__outbox_clear(&outbox);
    return sum;
}
