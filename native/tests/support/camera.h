/* camera: a scripted publisher of VP8 simulcast with temporal layers, whose frames say in their payload what they are
 * and which frames they were predicted from; and a watcher, who has a decoder's rules and no decoder: what it takes
 * must be whole, in order without a gap, and predicted from what it has. */
#ifndef TR_TEST_CAMERA_H
#define TR_TEST_CAMERA_H

#include "support/sender.h"

#define FRAME_US 33333
#define ENCODINGS 3
#define REFERENCES 3
#define PICTURES 4096 /* of an encoding in one run */
#define NO_PICTURE UINT32_MAX

/* What a frame's packets carry behind the descriptor and the frame header. */
typedef struct content {
    uint32_t magic, encoding, picture, part, parts, shot; /* picture: counted from 0; shot: when it was taken, frames */
    uint32_t references[REFERENCES];
} content;
#define MAGIC 0x1a7e55ed

typedef struct camera {
    uint32_t temporal_layers, picture_bits;
    uint16_t picture_base[ENCODINGS], seq[ENCODINGS], rtx_seq[ENCODINGS];
    uint8_t tl0[ENCODINGS];
    uint32_t ts_base[ENCODINGS], pictures[ENCODINGS];
    uint32_t buffers[ENCODINGS][3]; /* last, golden, altref: which picture is in them */
    uint32_t place[ENCODINGS];      /* in the pattern */
    uint32_t shots;
    bool is_off[ENCODINGS];
    bool is_key_wanted;
} camera;

/* libwebrtc's pattern of three temporal layers: 0 2 1 2, twice; in the second half layer 1 and 2 refer to what the
 * first half left in their buffers. reads, writes: bits of last, golden and altref. */
typedef struct frame_plan {
    uint8_t layer, reads, writes;
    bool is_sync;
} frame_plan;
static const frame_plan PLAN_3[8] = {
    {0, 1, 1, false}, {2, 1, 4, true},  {1, 1, 2, true},  {2, 7, 0, false},
    {0, 1, 1, false}, {2, 3, 4, false}, {1, 3, 2, false}, {2, 7, 0, false},
};
static const frame_plan PLAN_2[4] = {{0, 1, 1, false}, {1, 1, 2, true}, {0, 1, 1, false}, {1, 3, 2, false}};
static const frame_plan PLAN_1[1] = {{0, 1, 1, false}};

static inline camera make_camera(uint32_t temporal_layers, uint64_t *seed)
{
    camera c = {.temporal_layers = temporal_layers, .picture_bits = 15};
    for (int e = 0; e < ENCODINGS; e++) {
        /* All wraps are near: of picture ids, TL0PICIDX, sequence numbers and time. */
        c.picture_base[e] = (uint16_t)(0x7fff - check_random(seed) % 200);
        c.tl0[e] = (uint8_t)check_random(seed);
        c.seq[e] = (uint16_t)(0xffff - check_random(seed) % 500);
        c.ts_base[e] = (uint32_t)(0u - check_random(seed) % 900000);
    }
    return c;
}

static inline uint32_t parts_of(int encoding, bool is_key) { return (is_key ? 3u : 1u) * (uint32_t)(1 + encoding); }

static inline packet make_part(const camera *c, int e, const frame_plan *plan, const content *what, bool is_key)
{
    uint8_t payload[200], *at = payload;
    uint16_t picture = (uint16_t)(c->picture_base[e] + what->picture);
    *at++ = (uint8_t)(0x80 | (what->part == 0 ? 0x10 : 0));
    *at++ = c->temporal_layers > 1 ? 0xe0 : 0xc0; /* I, L, and T */
    if (c->picture_bits == 15) *at++ = (uint8_t)(0x80 | (picture >> 8 & 0x7f));
    *at++ = (uint8_t)(c->picture_bits == 15 ? picture : picture & 0x7f);
    *at++ = c->tl0[e];
    if (c->temporal_layers > 1) *at++ = (uint8_t)(plan->layer << 6 | (plan->is_sync ? 0x20 : 0));
    memcpy(at, is_key ? "\x10\x02\x00\x9d\x01\x2a" : "\x11\x02\x00\x00\x00\x00", 6);
    at += 6;
    memcpy(at, what, sizeof *what);
    at += sizeof *what;
    return make_packet(1000 + 10 * (uint32_t)e, 96, c->seq[e], c->ts_base[e] + what->shot * 3000,
                       what->part + 1 == what->parts, payload, (size_t)(at - payload));
}

/* The frame an encoding makes next: its packets. */
static inline size_t shoot(camera *c, int e, packet parts[16])
{
    bool is_key = c->is_key_wanted || c->pictures[e] == 0;
    if (is_key) c->place[e] = 0;
    frame_plan plan = c->temporal_layers == 3   ? PLAN_3[c->place[e] % 8]
                      : c->temporal_layers == 2 ? PLAN_2[c->place[e] % 4]
                                                : PLAN_1[0];
    if (is_key) plan = (frame_plan){.layer = 0, .reads = 0, .writes = 7};
    c->place[e]++;
    if (plan.layer == 0) c->tl0[e]++;
    content what = {.magic = MAGIC,
                    .encoding = (uint32_t)e,
                    .picture = c->pictures[e]++,
                    .parts = parts_of(e, is_key),
                    .shot = c->shots};
    for (int b = 0; b < REFERENCES; b++) {
        what.references[b] = plan.reads >> b & 1 ? c->buffers[e][b] : NO_PICTURE;
        if (plan.writes >> b & 1) c->buffers[e][b] = what.picture;
    }
    for (what.part = 0; what.part < what.parts; what.part++, c->seq[e]++)
        parts[what.part] = make_part(c, e, &plan, &what, is_key);
    return what.parts;
}

/* ------------------------------------------------------------------ the watcher */

typedef struct taken {
    bool is_taken, is_start, marker;
    size_t size; /* of the payload, 0: it fills a hole */
    uint32_t ts;
    uint16_t picture;
    uint8_t tl0, layer;
    content what;
} taken;

#define TAKEN 16384
typedef struct watcher {
    taken of[TAKEN];
    uint64_t first, highest; /* 0: nothing yet */
    uint64_t asked[TAKEN];
    bool has_rtx;
    /* of what was looked at */
    uint32_t frames, holes, gaps, pictures_missed, undecodable, repeats;
    uint32_t cut; /* frames whose end another encoding's keyframe took the place of: a decoder passes them over */
    uint32_t longest_us; /* between frames, by when they were taken */
} watcher;
static watcher w;

static inline void watcher_take(const uint8_t *data, const tr_rtp *parsed, bool is_rtx)
{
    uint16_t seq = parsed->seq;
    const uint8_t *payload = data + parsed->header_size;
    size_t size = parsed->payload_size;
    if (is_rtx) {
        seq = tr__load16(payload);
        payload += 2;
        size -= 2;
    }
    uint64_t index = w.highest ? tr__seq_unwrap(w.highest, seq) : 65536u + seq;
    if (!w.highest) w.first = index;
    if (index > w.highest) w.highest = index;
    if (index < w.first || index - w.first >= TAKEN) return;
    taken *t = &w.of[index - w.first];
    if (t->is_taken) {
        w.repeats++;
        return;
    }
    *t = (taken){.is_taken = true, .marker = parsed->marker, .size = size, .ts = parsed->ts};
    if (!size) return;
    tr_codec_info info = tr__codec_inspect(TR_CODEC_VP8, payload, size);
    t->is_start = info.is_frame_start;
    t->picture = info.picture;
    t->tl0 = info.tl0;
    t->layer = info.temporal_layer;
    memcpy(&t->what, payload + size - sizeof t->what, sizeof t->what);
    CHECK_EQ(MAGIC, t->what.magic);
}

/* What left, with a share of it lost on the way; what is missing is asked for. */
static inline void watch(uint64_t *seed, uint32_t loss_percent)
{
    uint64_t index;
    while (rig_take_sealed(&r, &out)) {
        if (check_random(seed) % 100 < loss_percent) continue;
        if (tr__srtp_open_rtp(r.theirs, out.data, &out.size, &index) != TR_DROP_NONE) continue;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, out.data, out.size));
        watcher_take(out.data, &rtp, rtp.ssrc == 5001);
    }
    if (!w.highest) return;
    uint64_t from = w.highest - w.first > 200 ? w.highest - 200 : w.first;
    for (uint64_t i = from; i < w.highest; i++) {
        if (i - w.first >= TAKEN || w.of[i - w.first].is_taken || now - w.asked[i - w.first] < 40 * MS) continue;
        w.asked[i - w.first] = now;
        uint16_t missing = (uint16_t)i;
        tr__sender_on_nack(sender, &missing, 1, now);
    }
}

/* A decoder's look at all that was taken. */
static inline void look(const camera *c)
{
    static bool is_decoded[ENCODINGS][PICTURES];
    memset(is_decoded, 0, sizeof is_decoded);
    uint16_t mask = c->picture_bits == 15 ? 0x7fff : 0x7f;
    const taken *last = NULL;
    bool has_hole = false;
    for (uint64_t i = 0; w.highest && i <= w.highest - w.first && i < TAKEN;) {
        const taken *t = &w.of[i];
        if (!t->is_taken || !t->size) {
            w.gaps += !t->is_taken;
            w.holes += t->is_taken;
            has_hole = true;
            i++;
            continue;
        }
        uint32_t parts = 0;
        bool is_whole = t->is_start;
        for (; i < TAKEN && w.of[i].is_taken && w.of[i].size && w.of[i].ts == t->ts; i++, parts++)
            is_whole &= w.of[i].what.part == parts && w.of[i].picture == t->picture;
        is_whole &= parts == t->what.parts && w.of[i - 1].marker;
        bool is_key = true, can = is_whole;
        for (int r_ = 0; r_ < REFERENCES; r_++) {
            if (t->what.references[r_] == NO_PICTURE) continue;
            is_key = false;
            can &= is_decoded[t->what.encoding][t->what.references[r_]];
        }
        if (last && last->what.encoding != t->what.encoding) CHECK(is_key);
        bool is_cut = !is_whole && i < TAKEN && w.of[i].is_taken && w.of[i].size && w.of[i].is_start &&
                      w.of[i].what.encoding != t->what.encoding;
        w.cut += is_cut;
        if (is_cut) {
            last = t;
            has_hole = false;
            continue;
        }
        w.frames++;
        w.undecodable += !can;
        is_decoded[t->what.encoding][t->what.picture] = can;
        if (last) {
            if (!has_hole) {
                CHECK_EQ(((last->picture + 1) & mask), t->picture);
                CHECK_EQ((uint8_t)(last->tl0 + (t->layer == 0)), t->tl0);
            } else {
                w.pictures_missed += ((last->picture + 1) & mask) != t->picture;
            }
            CHECK(tr__ts_diff(t->ts, last->ts) > 0);
            uint32_t since_us = (t->what.shot - last->what.shot) * FRAME_US;
            CHECK(t->what.shot > last->what.shot || is_key);
            if (t->what.shot > last->what.shot && since_us > w.longest_us) w.longest_us = since_us;
        }
        last = t;
        has_hole = false;
    }
}

#endif
