/* test_codec: keyframes, frame starts and layers by codec; cut payloads are opaque; every short payload is survived. */
#include "codec.h"

#include "check.h"

/* In a heap block of its own size, so that a read past the payload is the sanitizer's. */
static tr_codec_info inspect(tr_codec codec, const uint8_t *payload, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, payload, size);
    tr_codec_info info = tr__codec_inspect(codec, copy, size);
    free(copy);
    return info;
}

enum { O = 0, R = 1, K = 2, S = 4, L = 8 }; /* opaque, readable, keyframe, frame start, has layers */

typedef struct row {
    const char *what;
    uint8_t payload[24];
    size_t size;
    unsigned flags;
    uint8_t temporal, spatial;
} row;

static void check_rows(tr_codec codec, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tr_codec_info info = inspect(codec, rows[i].payload, rows[i].size);
        unsigned flags = (info.is_readable ? R : 0u) | (info.is_keyframe ? K : 0u) | (info.is_frame_start ? S : 0u) |
                         (info.has_layers ? L : 0u);
        int before = check__failures;
        CHECK_EQ(rows[i].flags, flags);
        CHECK_EQ(rows[i].temporal, info.temporal_layer);
        CHECK_EQ(rows[i].spatial, info.spatial_layer);
        if (check__failures != before) fprintf(stderr, "row: %s\n", rows[i].what);
    }
}
#define CHECK_ROWS(codec, rows) check_rows(codec, rows, sizeof rows / sizeof *rows)

static void vp8_is_read(void)
{
    static const row ROWS[] = {
        {"empty", {0}, 0, O, 0, 0},
        {"descriptor alone", {0x10}, 1, O, 0, 0},
        {"keyframe", {0x10, 0x00}, 2, R | K | S, 0, 0},
        {"interframe", {0x10, 0x01}, 2, R | S, 0, 0},
        {"keyframe continued", {0x00, 0x00}, 2, R, 0, 0},
        {"start of partition 1", {0x11, 0x00}, 2, R, 0, 0},
        {"N and reserved bits", {0x70, 0x00}, 2, R | K | S, 0, 0},
        {"X without extension", {0x90}, 1, O, 0, 0},
        {"X, nothing in it", {0x90, 0x00, 0x00}, 3, R | K | S, 0, 0},
        {"7-bit PictureID", {0x90, 0x80, 0x7f, 0x00}, 4, R | K | S, 0, 0},
        {"15-bit PictureID", {0x90, 0x80, 0x81, 0x02, 0x00}, 5, R | K | S, 0, 0},
        {"15-bit PictureID cut", {0x90, 0x80, 0x81}, 3, O, 0, 0},
        {"15-bit PictureID, no payload", {0x90, 0x80, 0x81, 0x02}, 4, O, 0, 0},
        {"TL0PICIDX", {0x90, 0x40, 0x05, 0x01}, 4, R | S, 0, 0},
        {"TID 2", {0x90, 0x20, 0x80, 0x01}, 4, R | S | L, 2, 0},
        {"KEYIDX without TID: no layer", {0x90, 0x10, 0xdf, 0x01}, 4, R | S, 0, 0},
        {"all of it", {0x90, 0xf0, 0x81, 0x02, 0x05, 0xff, 0x00}, 7, R | K | S | L, 3, 0},
        {"all of it, interframe", {0x90, 0xf0, 0x81, 0x02, 0x05, 0x40, 0x01}, 7, R | S | L, 1, 0},
        {"all of it, no payload", {0x90, 0xf0, 0x81, 0x02, 0x05, 0x40}, 6, O, 0, 0},
        {"as Chromium sends a keyframe",
         {0x90, 0x80, 0x8a, 0xbc, 0x50, 0x42, 0x00, 0x9d, 0x01, 0x2a},
         10,
         R | K | S,
         0,
         0},
    };
    CHECK_ROWS(TR_CODEC_VP8, ROWS);
}

static void what_vp8_counts_is_found(void)
{
    static const struct {
        uint8_t payload[8];
        size_t size;
        uint8_t picture_at, picture_bits, tl0_at, tl0;
        uint16_t picture;
        bool is_sync;
    } rows[] = {
        {{0x10, 0x01}, 2, 0, 0, 0, 0, 0, false},
        {{0x90, 0x80, 0x7f, 0x01}, 4, 2, 7, 0, 0, 0x7f, false},
        {{0x90, 0x80, 0xff, 0xff, 0x01}, 5, 2, 15, 0, 0, 0x7fff, false},
        {{0x90, 0x40, 0x09, 0x01}, 4, 0, 0, 2, 9, 0, false},
        {{0x90, 0xe0, 0x81, 0x02, 0x05, 0xa0, 0x01}, 7, 2, 15, 4, 5, 0x102, true},
        {{0x80, 0xe0, 0x11, 0x05, 0x80, 0x01}, 6, 2, 7, 3, 5, 0x11, false},
        {{0x90, 0xd0, 0x81, 0x02, 0x05, 0xff, 0x01}, 7, 2, 15, 4, 5, 0x102, false}, /* Y without TID */
        {{0x90, 0xe0, 0x81, 0x02, 0x05, 0xa0}, 6, 0, 0, 0, 0, 0, false},            /* cut short */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = tr__codec_inspect(TR_CODEC_VP8, rows[i].payload, rows[i].size);
        CHECK_EQ(rows[i].picture_at, info.picture_at);
        CHECK_EQ(rows[i].picture_bits, info.picture_bits);
        CHECK_EQ(rows[i].picture, info.picture);
        CHECK_EQ(rows[i].tl0_at, info.tl0_at);
        CHECK_EQ(rows[i].tl0, info.tl0);
        CHECK_EQ(rows[i].is_sync, info.is_sync);
    }
}

static void a_keyframe_in_the_clear_shows_its_start_code(void)
{
    static const uint8_t key[] = {0x90, 0x80, 0x8a, 0xbc, 0x50, 0x42, 0x00, 0x9d, 0x01, 0x2a};
    CHECK(tr__codec_is_open(TR_CODEC_VP8, key, sizeof key));
    for (size_t size = 0; size < sizeof key; size++) CHECK(!tr__codec_is_open(TR_CODEC_VP8, key, size));
    uint8_t other[sizeof key];
    static const size_t told[] = {0, 4, 7, 8, 9}; /* S, P, the code */
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        memcpy(other, key, sizeof key);
        other[told[i]] ^= told[i] ? 0x01 : 0x10;
        CHECK(!tr__codec_is_open(TR_CODEC_VP8, other, sizeof other));
    }
    CHECK(!tr__codec_is_open(TR_CODEC_H264, key, sizeof key));
}

static void a_keyframe_of_vp9_shows_its_sync_code(void)
{
    static const struct {
        uint8_t key[20];
        size_t size;
    } rows[] = {
        {{0x0c, 0x82, 0x49, 0x83, 0x42}, 5},
        {{0xa8, 0x80, 0x64, 0x01, 0x05, 0x82, 0x49, 0x83, 0x42}, 9},
        {{0x2a, 0x01, 0x05, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0x14, 4, 0x24, 1, 0x82, 0x49, 0x83}, 20},
        {{0x3c, 0x01, 0x82, 0x49, 0x83, 0x42}, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool is_cut = i == 2; /* two layers with sizes, two pictures in a group; one byte too little */
        CHECK_EQ(!is_cut, tr__codec_is_open(TR_CODEC_VP9, rows[i].key, rows[i].size));
        for (size_t size = 0; size < rows[i].size; size++) CHECK(!tr__codec_is_open(TR_CODEC_VP9, rows[i].key, size));
        uint8_t longer[21] = {0};
        memcpy(longer, rows[i].key, rows[i].size);
        longer[20] = 0x42;
        if (is_cut) CHECK(tr__codec_is_open(TR_CODEC_VP9, longer, sizeof longer));
        longer[rows[i].size - 2] ^= 1;
        CHECK(!tr__codec_is_open(TR_CODEC_VP9, longer, rows[i].size));
    }
}

static void what_vp9_counts_and_where_it_may_be_joined(void)
{
    static const struct {
        uint8_t payload[8];
        size_t size;
        uint8_t picture_at, picture_bits, tl0_at, tl0;
        uint16_t picture;
        bool is_sync, is_end;
        uint8_t layers_at;
        bool needs_below;
    } rows[] = {
        {{0x0c, 0}, 2, 0, 0, 0, 0, 0, false, true, 0, false},
        {{0xa8, 0x81, 0x02, 0x31, 0x07, 0}, 6, 1, 15, 4, 7, 0x102, true, false, 3, true},
        {{0xac, 0x55, 0x20, 0x07, 0}, 5, 1, 7, 3, 7, 0x55, false, true, 2, false},
        {{0xb4, 0x55, 0x31, 0}, 4, 1, 7, 0, 0, 0x55, true, true, 2, true},
        {{0x28, 0x02, 0x07, 0}, 4, 0, 0, 2, 7, 0, false, false, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = tr__codec_inspect(TR_CODEC_VP9, rows[i].payload, rows[i].size);
        CHECK(info.is_readable);
        CHECK_EQ(rows[i].picture_at, info.picture_at);
        CHECK_EQ(rows[i].picture_bits, info.picture_bits);
        CHECK_EQ(rows[i].picture, info.picture);
        CHECK_EQ(rows[i].tl0_at, info.tl0_at);
        CHECK_EQ(rows[i].tl0, info.tl0);
        CHECK_EQ(rows[i].is_sync, info.is_sync);
        CHECK_EQ(rows[i].is_end, info.is_frame_end);
        CHECK_EQ(rows[i].layers_at, info.layers_at);
        CHECK_EQ(rows[i].needs_below, info.needs_layer_below);
    }
}

static void references_of_vp9_are_read_in_flexible_mode(void)
{
    static const struct {
        uint8_t payload[10];
        size_t size;
        uint8_t at, count, diffs[TR_VP9_DIFFS];
    } rows[] = {
        {{0xf8, 0x81, 0x02, 0x20, 0x08, 0}, 6, 4, 1, {4}},
        {{0xf8, 0x55, 0x20, 0x09, 0xfe, 0}, 6, 3, 2, {4, 127}},
        {{0xd8, 0x55, 0x03, 0x05, 0x07, 0}, 6, 2, 3, {1, 2, 3}}, /* no layers; three at the most */
        {{0xb8, 0x55, 0x20, 0x08, 0}, 5, 0, 0, {0}},             /* not predicted */
        {{0xe8, 0x55, 0x20, 0x08, 0}, 5, 0, 0, {0}},             /* not flexible */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = tr__codec_inspect(TR_CODEC_VP9, rows[i].payload, rows[i].size);
        CHECK(info.is_readable);
        CHECK_EQ(rows[i].at, info.diffs_at);
        CHECK_EQ(rows[i].count, info.diff_count);
        CHECK_BYTES(rows[i].diffs, info.diffs, TR_VP9_DIFFS);
    }
    CHECK(!tr__codec_inspect(TR_CODEC_VP9, (const uint8_t *)"\xf8\x55\x20\x09", 4).is_readable); /* cut short */
}

static void vp9_is_read(void)
{
    static const row ROWS[] = {
        {"descriptor alone", {0x08}, 1, O, 0, 0},
        {"keyframe", {0x08, 0}, 2, R | K | S, 0, 0},
        {"interframe", {0x48, 0}, 2, R | S, 0, 0},
        {"keyframe continued", {0x00, 0}, 2, R, 0, 0},
        {"end of a keyframe", {0x04, 0}, 2, R, 0, 0},
        {"7-bit PictureID", {0x88, 0x7f, 0}, 3, R | K | S, 0, 0},
        {"15-bit PictureID", {0x88, 0xff, 0xff, 0}, 4, R | K | S, 0, 0},
        {"15-bit PictureID cut", {0x88, 0xff}, 2, O, 0, 0},
        {"PictureID, no payload", {0x88, 0x01}, 2, O, 0, 0},
        {"layers, non-flexible", {0x28, 0x24, 0x09, 0}, 4, R | S | L, 1, 2},
        {"layers, non-flexible, TL0PICIDX cut", {0x28, 0x24}, 2, O, 0, 0},
        {"layers, flexible", {0x38, 0xe0, 0}, 3, R | K | S | L, 7, 0},
        {"keyframe's upper layer", {0x28, 0x03, 0x09, 0}, 4, R | S | L, 0, 1},
        {"keyframe's base layer", {0x28, 0x00, 0x09, 0}, 4, R | K | S | L, 0, 0},
        {"base layer of a later picture", {0x68, 0x20, 0x09, 0}, 4, R | S | L, 1, 0},
        {"with a scalability structure",
         {0x8a | 0x20, 0x01, 0x00, 0x00, 0x18, 1, 64, 0, 240, 0},
         10,
         R | K | S | L,
         0,
         0},
    };
    CHECK_ROWS(TR_CODEC_VP9, ROWS);
}

static void h264_is_read(void)
{
    static const row ROWS[] = {
        {"IDR slice", {0x65, 0x88}, 2, R | K | S, 0, 0},
        {"IDR slice, not the first", {0x65, 0x40}, 2, R | K, 0, 0},
        {"IDR header alone", {0x65}, 1, R | K, 0, 0},
        {"SPS", {0x67, 0x42}, 2, R | K | S, 0, 0},
        {"PPS", {0x68, 0xce}, 2, R | S, 0, 0},
        {"SEI", {0x06, 0x05}, 2, R | S, 0, 0},
        {"access unit delimiter", {0x09, 0xf0}, 2, R | S, 0, 0},
        {"slice", {0x41, 0x9a}, 2, R | S, 0, 0},
        {"slice, not the first", {0x41, 0x20}, 2, R, 0, 0},
        {"type 0", {0x60, 0}, 2, O, 0, 0},
        {"forbidden bit", {0xe5, 0x88}, 2, O, 0, 0},
        {"STAP-B", {0x79, 0, 0, 0, 1, 0x65}, 6, O, 0, 0},
        {"MTAP16", {0x7a, 0, 0, 0, 1, 0x65}, 6, O, 0, 0},
        {"FU-B", {0x7d, 0x85, 0, 0, 0}, 5, O, 0, 0},
        {"type 30", {0x7e, 0}, 2, O, 0, 0},
        {"STAP-A of SPS, PPS, IDR", {0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68, 0, 2, 0x65, 0x88}, 12, R | K | S, 0, 0},
        {"STAP-A of SEI, IDR", {0x78, 0, 1, 0x06, 0, 2, 0x65, 0x88}, 8, R | K | S, 0, 0},
        {"STAP-A of slices", {0x78, 0, 2, 0x41, 0x9a, 0, 2, 0x41, 0x20}, 9, R | S, 0, 0},
        {"STAP-A of later slices", {0x78, 0, 2, 0x41, 0x20, 0, 2, 0x41, 0x9a}, 9, R, 0, 0},
        {"STAP-A of nothing", {0x78}, 1, O, 0, 0},
        {"STAP-A with a cut size", {0x78, 0}, 2, O, 0, 0},
        {"STAP-A with an empty unit", {0x78, 0, 0, 0, 1, 0x65}, 6, O, 0, 0},
        {"STAP-A with a unit past the end", {0x78, 0, 1, 0x67, 0, 5, 0x65, 0x88}, 8, O, 0, 0},
        {"STAP-A of 65535", {0x78, 0xff, 0xff, 0x65}, 4, O, 0, 0},
        {"STAP-A in a STAP-A", {0x78, 0, 4, 0x78, 0, 1, 0x65}, 7, O, 0, 0},
        {"STAP-A with a tail", {0x78, 0, 1, 0x67, 0}, 5, O, 0, 0},
        {"FU-A start of an IDR", {0x7c, 0x85, 0x88}, 3, R | K | S, 0, 0},
        {"FU-A start of a later IDR slice", {0x7c, 0x85, 0x40}, 3, R | K, 0, 0},
        {"FU-A middle of an IDR", {0x7c, 0x05, 0x88}, 3, R, 0, 0},
        {"FU-A end of an IDR", {0x7c, 0x45, 0x88}, 3, R, 0, 0},
        {"FU-A start of a slice", {0x5c, 0x81, 0x9a}, 3, R | S, 0, 0},
        {"FU-A without a fragment header", {0x7c}, 1, O, 0, 0},
        {"FU-A without a fragment", {0x7c, 0x85}, 2, O, 0, 0},
    };
    CHECK_ROWS(TR_CODEC_H264, ROWS);
}

static void parameter_sets_may_have_come_before_a_keyframe_without_them(void)
{
    static const struct {
        tr_codec codec;
        uint8_t payload[16];
        size_t size;
        bool may;
    } rows[] = {
        {TR_CODEC_H264, {0x67, 0x42}, 2, false},
        {TR_CODEC_H264, {0x65, 0x88}, 2, true},
        {TR_CODEC_H264, {0x7c, 0x85, 0x88}, 3, true},
        {TR_CODEC_H264, {0x41, 0x9a}, 2, false}, /* no keyframe */
        {TR_CODEC_H264, {0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68, 0, 2, 0x65, 0x88}, 12, false},
        {TR_CODEC_H264, {0x78, 0, 1, 0x68, 0, 2, 0x65, 0x88}, 8, true},
        {TR_CODEC_H265, {0x40, 0x01, 0x0c}, 3, false},
        {TR_CODEC_H265, {0x42, 0x01, 0x01}, 3, true},
        {TR_CODEC_H265, {0x26, 0x01, 0x80}, 3, true},
        {TR_CODEC_H265, {0x02, 0x01, 0xd0}, 3, false}, /* no keyframe */
        {TR_CODEC_H265, {0x60, 0x01, 0, 2, 0x40, 0x01, 0, 2, 0x42, 0x01}, 10, false},
        {TR_CODEC_H265, {0x60, 0x01, 0, 2, 0x42, 0x01, 0, 3, 0x26, 0x01, 0x80}, 11, true},
        {TR_CODEC_VP8, {0x10, 0x00}, 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_EQ(rows[i].may, tr__codec_inspect(rows[i].codec, rows[i].payload, rows[i].size).begins_before);
}

static void h265_is_read(void)
{
    static const row ROWS[] = {
        {"one byte", {0x26}, 1, O, 0, 0},
        {"IDR_W_RADL", {0x26, 0x01, 0x80}, 3, R | K | S | L, 0, 0},
        {"IDR, a later slice", {0x26, 0x01, 0x00}, 3, R | K | L, 0, 0},
        {"BLA (16)", {0x20, 0x01, 0x80}, 3, R | K | S | L, 0, 0},
        {"CRA (21)", {0x2a, 0x01, 0x80}, 3, R | K | S | L, 0, 0},
        {"type 24 is no IRAP", {0x30, 0x01, 0x00}, 3, R | L, 0, 0},
        {"RASL_R (9) is none either", {0x12, 0x01, 0x80}, 3, R | S | L, 0, 0},
        {"VPS", {0x40, 0x01, 0x0c}, 3, R | K | S | L, 0, 0},
        {"SPS", {0x42, 0x01, 0x01}, 3, R | K | S | L, 0, 0},
        {"PPS", {0x44, 0x01, 0xc1}, 3, R | S | L, 0, 0},
        {"slice of sublayer 2", {0x02, 0x03, 0xd0}, 3, R | S | L, 2, 0},
        {"slice of layer 33", {0x03, 0x09, 0xd0}, 3, R | S | L, 0, 33},
        {"sublayer 0 is forbidden", {0x26, 0x00, 0x80}, 3, O, 0, 0},
        {"forbidden bit", {0xa6, 0x01, 0x80}, 3, O, 0, 0},
        {"AP of VPS, SPS", {0x60, 0x01, 0, 2, 0x40, 0x01, 0, 2, 0x42, 0x01}, 10, R | K | S | L, 0, 0},
        {"AP of slices", {0x60, 0x01, 0, 3, 0x02, 0x01, 0x00, 0, 2, 0x02, 0x01}, 11, R | L, 0, 0},
        {"AP of nothing", {0x60, 0x01}, 2, O, 0, 0},
        {"AP in an AP", {0x60, 0x01, 0, 2, 0x60, 0x01}, 6, O, 0, 0},
        {"AP with a unit of one byte", {0x60, 0x01, 0, 1, 0x40}, 5, O, 0, 0},
        {"AP with a unit past the end", {0x60, 0x01, 0, 9, 0x40, 0x01}, 6, O, 0, 0},
        {"FU start of an IDR", {0x62, 0x01, 0x93, 0x80}, 4, R | K | S | L, 0, 0},
        {"FU middle of an IDR", {0x62, 0x01, 0x13, 0x80}, 4, R | L, 0, 0},
        {"FU start of a slice", {0x62, 0x02, 0x81, 0x80}, 4, R | S | L, 1, 0},
        {"FU without a fragment", {0x62, 0x01, 0x93}, 3, O, 0, 0},
        {"PACI", {0x64, 0x01, 0, 0, 0}, 5, O, 0, 0},
        {"type 63", {0x7e, 0x01, 0, 0, 0}, 5, O, 0, 0},
    };
    CHECK_ROWS(TR_CODEC_H265, ROWS);
}

static void av1_is_read(void)
{
    static const row ROWS[] = {
        {"aggregation header alone", {0x18}, 1, O, 0, 0},
        {"new sequence, one element", {0x18, 0x08, 0}, 3, R | K | S, 0, 0},
        {"new sequence, two elements", {0x28, 2, 0x08, 0, 0x30, 1}, 6, R | K | S, 0, 0},
        {"new sequence, counted by length", {0x08, 2, 0x08, 0, 2, 0x30, 1}, 7, R | K | S, 0, 0},
        {"frame", {0x10, 0x30, 1}, 3, R | S, 0, 0},
        {"frame header", {0x10, 0x18, 1}, 3, R | S, 0, 0},
        {"metadata", {0x10, 0x28, 1}, 3, R | S, 0, 0},
        {"tile group: within a frame", {0x10, 0x20, 1}, 3, R, 0, 0},
        {"continued", {0x90, 0x30, 1}, 3, R, 0, 0},
        {"continued, to be continued", {0xd0, 0xff, 1}, 3, R, 0, 0},
        {"to be continued", {0x50, 0x30, 1}, 3, R | S, 0, 0},
        {"continued and a new sequence: neither", {0x98, 0x08, 0}, 3, O, 0, 0},
        {"layers", {0x10, 0x34, 0x48, 1}, 4, R | S | L, 2, 1},
        {"layers cut", {0x10, 0x34}, 2, O, 0, 0},
        {"layers cut by the element", {0x20, 1, 0x34, 0x48}, 4, O, 0, 0},
        {"forbidden bit", {0x10, 0xb0, 1}, 3, O, 0, 0},
        {"element past the end", {0x00, 5, 0x30, 1}, 4, O, 0, 0},
        {"empty element", {0x00, 0, 0x30, 1}, 4, O, 0, 0},
        {"length in four bytes", {0x00, 0x82, 0x80, 0x80, 0x00, 0x30, 1}, 7, R | S, 0, 0},
        {"length in five bytes", {0x00, 0x82, 0x80, 0x80, 0x80, 0x00, 0x30, 1}, 8, O, 0, 0},
        {"length cut", {0x00, 0x82}, 2, O, 0, 0},
    };
    CHECK_ROWS(TR_CODEC_AV1, ROWS);
}

static void sound_is_always_decodable(void)
{
    static const row ROWS[] = {
        {"a packet", {0x78, 1}, 2, R | K | S, 0, 0}, {"one byte", {0}, 1, R | K | S, 0, 0}, {"empty", {0}, 0, O, 0, 0}};
    CHECK_ROWS(TR_CODEC_OPUS, ROWS);
    CHECK_ROWS(TR_CODEC_RED, ROWS);
}

static void other_codecs_are_opaque(void)
{
    static const row ROWS[] = {{"like a keyframe of VP8", {0x10, 0}, 2, O, 0, 0}};
    CHECK_ROWS(TR_CODEC_OTHER, ROWS);
    CHECK_ROWS(TR_CODEC_COUNT, ROWS);
    CHECK_ROWS((tr_codec)200, ROWS);
}

/* An opaque payload says nothing else, a keyframe is readable, layers stay in their fields. */
static bool adds_up(const tr_codec_info *info)
{
    if (!info->is_readable)
        return !info->is_keyframe && !info->is_frame_start && !info->has_layers && !info->temporal_layer &&
               !info->spatial_layer;
    return (info->has_layers || (!info->temporal_layer && !info->spatial_layer)) && info->temporal_layer <= 7 &&
           info->spatial_layer <= 63;
}

static void every_payload_of_three_bytes_is_survived(void)
{
    uint8_t *payload[4];
    unsigned long wrong = 0, readable = 0;
    for (size_t size = 0; size <= 3; size++) payload[size] = malloc(size ? size : 1);
    for (int codec = 0; codec < TR_CODEC_COUNT; codec++)
        for (size_t size = 0; size <= 3; size++)
            for (uint32_t value = 0; value < 1u << 8 * size; value++) {
                for (size_t i = 0; i < size; i++) payload[size][i] = (uint8_t)(value >> 8 * i);
                tr_codec_info info = tr__codec_inspect((tr_codec)codec, payload[size], size);
                wrong += !adds_up(&info);
                readable += info.is_readable;
            }
    CHECK_EQ(0, wrong);
    CHECK(readable > 1000000);
    for (size_t size = 0; size <= 3; size++) free(payload[size]);
}

/* Aggregates of n units: 64 are read, 65 are an attack. */
static void aggregates_are_walked_so_far_and_no_further(void)
{
    for (unsigned units = 1; units <= 400; units++) {
        uint8_t h264[1400] = {0x78}, h265[1700] = {0x60, 0x01};
        for (unsigned i = 0; i < units; i++) {
            memcpy(h264 + 1 + 3 * i, "\0\1\x41", 3);
            memcpy(h265 + 2 + 4 * i, "\0\2\x02\x01", 4);
        }
        CHECK_EQ(units <= 64, inspect(TR_CODEC_H264, h264, 1 + 3 * units).is_readable);
        CHECK_EQ(units <= 64, inspect(TR_CODEC_H265, h265, 2 + 4 * units).is_readable);
    }
}

static const check_test TESTS[] = {
    TEST(vp8_is_read),
    TEST(what_vp8_counts_is_found),
    TEST(a_keyframe_in_the_clear_shows_its_start_code),
    TEST(a_keyframe_of_vp9_shows_its_sync_code),
    TEST(what_vp9_counts_and_where_it_may_be_joined),
    TEST(references_of_vp9_are_read_in_flexible_mode),
    TEST(vp9_is_read),
    TEST(h264_is_read),
    TEST(parameter_sets_may_have_come_before_a_keyframe_without_them),
    TEST(h265_is_read),
    TEST(av1_is_read),
    TEST(sound_is_always_decodable),
    TEST(other_codecs_are_opaque),
    TEST(every_payload_of_three_bytes_is_survived),
    TEST(aggregates_are_walked_so_far_and_no_further),
};
CHECK_MAIN("test_codec", TESTS)
