/* layers: what is forwarded and left out of one encoding, and the picture ids that follow from it. */
#include "layers.h"

#include "check.h"

static tr_layers layers;
static tr_rewrite rewrite;
static const tr_codec_info NO_INFO;

static const uint8_t OPEN_KEY[] = {0x90, 0xe0, 0x81, 0x02, 0x05, 0x00, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a};

/* A frame of VP8: its first packet. */
static tr_codec_info frame(uint16_t picture, uint8_t tl0, uint8_t temporal, bool is_sync, bool is_key)
{
    return (tr_codec_info){.is_readable = true,
                           .is_keyframe = is_key,
                           .is_frame_start = true,
                           .has_layers = true,
                           .temporal_layer = temporal,
                           .is_sync = is_sync,
                           .picture_at = 2,
                           .picture_bits = 15,
                           .picture = picture,
                           .tl0_at = 4,
                           .tl0 = tl0};
}

static void begin_with(uint16_t picture, uint8_t tl0)
{
    tr_codec_info key = frame(picture, tl0, 0, false, true);
    rewrite = (tr_rewrite){0};
    tr__layers_begin(&layers, TR_CODEC_VP8, &key, OPEN_KEY, sizeof OPEN_KEY, &rewrite);
}

static tr_layers_verdict next(uint16_t picture, uint8_t tl0, uint8_t temporal, bool is_sync)
{
    tr_codec_info info = frame(picture, tl0, temporal, is_sync, false);
    tr_layers_verdict verdict = tr__layers_next(&layers, &info, NULL, &rewrite);
    if (verdict != TR_LAYERS_OMIT) tr__layers_on_sent(&layers, &info, &rewrite);
    return verdict;
}

static void nothing_is_asked_while_everything_is_wanted(void)
{
    tr__layers_init(&layers);
    CHECK(!tr__layers_matter(&layers, &NO_INFO));
    begin_with(7, 1);
    CHECK(!tr__layers_matter(&layers, &NO_INFO));
    CHECK_EQ(0, rewrite.picture_offset);
    CHECK_EQ(0, rewrite.tl0_offset);
    tr_codec_info top = frame(8, 1, 3, false, false);
    CHECK(!tr__layers_are_above(&rewrite, &top));
    CHECK(!tr__layers_must_write(&rewrite, &top));
    layers.want.temporal = 1;
    CHECK(tr__layers_matter(&layers, &NO_INFO));
}

static void steps_up_go_one_layer_at_a_time(void)
{
    static const struct {
        uint8_t want, temporal;
        bool is_sync, is_key;
        tr_layers_verdict verdict;
        uint8_t now;
    } rows[] = {
        {2, 0, false, false, TR_LAYERS_FORWARD, 0},   {2, 1, false, false, TR_LAYERS_OMIT, 0},
        {2, 2, true, false, TR_LAYERS_OMIT, 0},       {2, 1, true, false, TR_LAYERS_CHANGE, 1},
        {2, 2, false, false, TR_LAYERS_OMIT, 1},      {2, 1, true, false, TR_LAYERS_FORWARD, 1},
        {2, 2, true, false, TR_LAYERS_CHANGE, 2},     {0, 2, false, false, TR_LAYERS_OMIT, 0},
        {1, 0, false, true, TR_LAYERS_CHANGE, 1},     {0, 0, false, false, TR_LAYERS_CHANGE, 0},
        {255, 0, false, true, TR_LAYERS_CHANGE, 255},
    };
    tr__layers_init(&layers);
    layers.want.temporal = 0;
    begin_with(0, 0);
    for (uint16_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        layers.want.temporal = rows[i].want;
        tr_codec_info info = frame((uint16_t)(1 + i), 0, rows[i].temporal, rows[i].is_sync, rows[i].is_key);
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, NULL, &rewrite));
        CHECK_EQ(rows[i].now, layers.temporal);
        CHECK_EQ(rows[i].now, rewrite.temporal);
    }
}

static void a_frame_is_forwarded_as_it_began(void)
{
    tr__layers_init(&layers);
    layers.want.temporal = 2;
    begin_with(100, 0);
    CHECK_EQ(TR_LAYERS_FORWARD, next(101, 0, 2, true));
    layers.want.temporal = 0;
    tr_codec_info rest = frame(101, 0, 2, true, false);
    rest.is_frame_start = false;
    CHECK_EQ(TR_LAYERS_FORWARD, tr__layers_next(&layers, &rest, NULL, &rewrite));
    CHECK_EQ(TR_LAYERS_OMIT, next(102, 0, 1, true));
    rest.picture = 102;
    rest.temporal_layer = 1;
    layers.want.temporal = 2;
    CHECK_EQ(TR_LAYERS_OMIT, tr__layers_next(&layers, &rest, NULL, &rewrite)); /* and left out as it began */
    CHECK_EQ(0x7fff, rewrite.picture_offset);                                  /* counted once */
}

static void pictures_close_up_through_their_wraps(void)
{
    for (unsigned bits = 7; bits <= 15; bits += 8) {
        uint16_t mask = (uint16_t)((1u << bits) - 1), expected = 0;
        tr__layers_init(&layers);
        layers.want.temporal = 0;
        begin_with((uint16_t)(mask - 9), 250);
        uint8_t payload[5];
        for (uint16_t i = 1; i < 700; i++) {
            tr_codec_info info = frame((uint16_t)(mask - 9 + i) & mask, (uint8_t)(250 + i / 2), i % 2, false, false);
            info.picture_bits = (uint8_t)bits;
            CHECK_EQ(i % 2 ? TR_LAYERS_OMIT : TR_LAYERS_FORWARD, tr__layers_next(&layers, &info, NULL, &rewrite));
            if (i % 2) continue;
            tr__layers_on_sent(&layers, &info, &rewrite);
            memset(payload, 0, sizeof payload);
            tr__layers_write(payload, &info, &rewrite);
            expected = (uint16_t)(mask - 9 + i / 2) & mask;
            CHECK_EQ(expected, bits == 7 ? payload[2] : tr__load16(payload + 2) & 0x7fff);
            if (bits == 15) CHECK(payload[2] & 0x80);
            CHECK_EQ(info.tl0, payload[4]);
            CHECK_EQ(expected, layers.picture);
        }
    }
}

static void another_encoding_goes_on_where_the_last_one_ended(void)
{
    tr__layers_init(&layers);
    begin_with(0x7ffe, 0xff);
    tr_codec_info key = frame(0x7ffe, 0xff, 0, false, true);
    tr__layers_on_sent(&layers, &key, &rewrite);
    next(0x7fff, 0xff, 1, true);
    begin_with(1000, 77);
    key = frame(1000, 77, 0, false, true);
    uint8_t payload[5] = {0};
    CHECK(tr__layers_must_write(&rewrite, &key));
    tr__layers_write(payload, &key, &rewrite);
    CHECK_BYTES("\0\0\x80\0\0", payload, 5);
    /* What cannot be read for certain is left as it is, and whole. */
    layers.want.temporal = 0;
    uint8_t closed[sizeof OPEN_KEY];
    memcpy(closed, OPEN_KEY, sizeof closed);
    closed[9] ^= 1;
    tr__layers_begin(&layers, TR_CODEC_VP8, &key, closed, sizeof closed, &rewrite);
    CHECK(!tr__layers_matter(&layers, &NO_INFO));
    CHECK_EQ(0, rewrite.picture_offset);
    CHECK_EQ(0, rewrite.tl0_offset);
    CHECK_EQ(TR_LAYER_ANY, rewrite.temporal);
}

static void descriptors_without_numbers_stay_as_they_are(void)
{
    tr__layers_init(&layers);
    layers.want.temporal = 0;
    begin_with(5, 5);
    tr_codec_info bare = {.is_readable = true, .is_frame_start = true};
    CHECK_EQ(TR_LAYERS_FORWARD, tr__layers_next(&layers, &bare, NULL, &rewrite));
    rewrite.picture_offset = 9;
    CHECK(!tr__layers_must_write(&rewrite, &bare));
    uint8_t payload[2] = {1, 2};
    tr__layers_write(payload, &bare, &rewrite);
    CHECK_BYTES("\1\2", payload, 2);
}

/* VP9: a layer frame's first packet. sync: U. */
static tr_codec_info vp9_frame(uint8_t spatial, uint8_t temporal, bool is_sync, bool is_key)
{
    return (tr_codec_info){.is_readable = true,
                           .is_keyframe = is_key && spatial == 0,
                           .is_frame_start = true,
                           .is_frame_end = true,
                           .has_layers = true,
                           .spatial_layer = spatial,
                           .temporal_layer = temporal,
                           .is_sync = is_sync,
                           .picture_at = 1,
                           .picture_bits = 15,
                           .picture = 100};
}

static const uint8_t VP9_KEY[] = {0xa8, 0x80, 0x64, 0x01, 0x05, 0x82, 0x49, 0x83, 0x42};

static void begin_vp9(tr_layer want)
{
    tr_codec_info key = vp9_frame(0, 0, false, true);
    tr__layers_init(&layers);
    layers.want = want;
    rewrite = (tr_rewrite){0};
    tr__layers_begin(&layers, TR_CODEC_VP9, &key, VP9_KEY, sizeof VP9_KEY, &rewrite);
    CHECK_EQ(TR_LAYERS_VP9, layers.rule);
}

static void spatial_layers_go_with_a_picture_and_come_with_a_keyframe(void)
{
    static const struct {
        uint8_t want, spatial;
        bool is_key, waits;
        tr_layers_verdict verdict;
        uint8_t now;
        bool ends;
    } rows[] = {
        {2, 0, false, false, TR_LAYERS_FORWARD, 2, false},   {2, 1, false, false, TR_LAYERS_FORWARD, 2, false},
        {0, 2, false, false, TR_LAYERS_FORWARD, 2, true}, /* the picture comes to its end as it began */
        {0, 0, false, false, TR_LAYERS_CHANGE, 0, true},     {0, 1, false, false, TR_LAYERS_OMIT, 0, false},
        {1, 0, false, false, TR_LAYERS_FORWARD, 0, true},    {1, 1, false, true, TR_LAYERS_OMIT, 0, false},
        {1, 2, false, false, TR_LAYERS_OMIT, 0, false},      {1, 0, true, false, TR_LAYERS_CHANGE, 1, false},
        {1, 1, true, false, TR_LAYERS_FORWARD, 1, true},     {1, 2, true, false, TR_LAYERS_OMIT, 1, false},
        {255, 0, true, false, TR_LAYERS_CHANGE, 255, false},
    };
    begin_vp9((tr_layer){0, 2, TR_LAYER_ANY});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = vp9_frame(rows[i].spatial, 0, true, rows[i].is_key);
        layers.want.spatial = rows[i].want;
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, NULL, &rewrite));
        CHECK_EQ(rows[i].now, layers.spatial);
        CHECK_EQ(rows[i].now, rewrite.spatial);
        CHECK_EQ(rows[i].waits, tr__layers_wait(&layers, &info));
        CHECK_EQ(rows[i].ends, tr__layers_end_picture(&rewrite, &info));
        CHECK_EQ(0, rewrite.picture_offset); /* references are told by picture ids */
    }
}

static void temporal_layers_of_vp9_come_where_nothing_above_is_needed(void)
{
    static const struct {
        uint8_t temporal;
        bool is_sync;
        tr_layers_verdict verdict;
        uint8_t now;
    } rows[] = {
        {0, false, TR_LAYERS_FORWARD, 0}, {1, true, TR_LAYERS_OMIT, 0},     {2, true, TR_LAYERS_OMIT, 0},
        {0, true, TR_LAYERS_CHANGE, 2},   {2, false, TR_LAYERS_FORWARD, 2},
    };
    begin_vp9((tr_layer){0, 0, 0});
    layers.want.temporal = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = vp9_frame(0, rows[i].temporal, rows[i].is_sync, false);
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, NULL, &rewrite));
        CHECK_EQ(rows[i].now, layers.temporal);
    }
}

/* With k-SVC: after a loss of all that a lower layer has of a picture the upper one has to wait for it. */
static void upper_layers_of_k_svc_say_that_they_need_the_lower(void)
{
    enum { NONE = -1 };
    static const struct {
        uint16_t picture;
        uint8_t spatial;
        bool needs_below, is_next;
        int32_t frame; /* by dependency descriptor */
        bool is_changed, leaves_needing;
    } rows[] = {
        {100, 0, false, true, NONE, false, false},
        {100, 1, true, true, NONE, true, true}, /* of a keyframe */
        {101, 0, false, true, NONE, false, false},
        {101, 1, false, true, NONE, false, true},
        {102, 1, false, false, NONE, false, true}, /* the lower layer is missing, and comes late */
        {102, 2, false, true, NONE, false, true},
        {103, 0, false, false, NONE, false, false},
        {103, 2, false, false, NONE, false, true},
        {104, 0, false, true, NONE, false, false},
        {104, 1, false, true, NONE, false, true},
        {105, 1, false, true, NONE, true, false}, /* it is not there */
        {106, 0, false, true, NONE, false, false},
        {107, 1, false, false, NONE, true, true}, /* it may be missing, and more likely is */
        {108, 0, false, true, NONE, false, false},
        {108, 1, true, true, NONE, false, true}, /* all are predicted, or a keyframe comes */
        {109, 1, false, true, NONE, true, false},
        {110, 0, false, true, NONE, false, false},
        {110, 1, false, true, 0xfffe, true, true},
        {111, 1, false, false, 0, false, true}, /* frame 0xffff is missing: the lower layer */
        {112, 1, false, false, 1, true, false}, /* a packet is, but no frame */
        {113, 1, false, false, NONE, true, true},
        {114, 1, false, false, 2, false, true},
        {115, 0, false, true, 3, false, false},
        {115, 1, false, true, 4, false, true},
        {116, 0, false, true, 5, false, false},
        {117, 1, false, false, 8, false, true}, /* 6 and 7 are missing: an upper layer and a lower */
        {118, 0, false, true, 9, false, false},
        {119, 1, false, false, 11, true, false}, /* but one: it cannot be both */
    };
    begin_vp9((tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY});
    CHECK(tr__layers_matter(&layers, &NO_INFO)); /* also of who takes all there is */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = vp9_frame(rows[i].spatial, 0, true, false);
        tr_follows follows = {rows[i].is_next, false, rows[i].frame != NONE, (uint16_t)rows[i].frame, rows[i].picture};
        info.picture = rows[i].picture;
        info.layers_at = 3;
        info.needs_layer_below = rows[i].needs_below;
        CHECK(tr__layers_may_tie(&layers, &info));
        CHECK_EQ(rows[i].is_changed, tr__layers_tie(&layers, &info, &follows, &rewrite));
        uint8_t indices = (uint8_t)(rows[i].spatial << 1 | rows[i].needs_below);
        uint8_t payload[] = {0xa8, 0x80 | (uint8_t)(rows[i].picture >> 8), (uint8_t)rows[i].picture, indices, 0};
        if (tr__layers_must_write(&rewrite, &info)) tr__layers_write(payload, &info, &rewrite);
        CHECK_EQ(rows[i].leaves_needing, payload[3] & 1);
        CHECK_EQ(indices & 0xfe, payload[3] & 0xfe);
        /* The rest of the frame is written as it began. */
        follows.is_next = true;
        CHECK(!tr__layers_tie(&layers, &info, &follows, &rewrite));
    }
    /* A new epoch knows nothing yet. */
    tr_codec_info key = vp9_frame(0, 0, false, true);
    tr__layers_begin(&layers, TR_CODEC_VP9, &key, VP9_KEY, sizeof VP9_KEY, &rewrite);
    CHECK(!rewrite.ties_layers);
}

/* Another server may leave the lower layers out of all pictures but keyframes: what is missing is none of them then. */
static void where_the_lower_layer_never_comes_it_is_not_waited_for(void)
{
    tr_codec_info key = vp9_frame(0, 0, false, true), info = vp9_frame(1, 0, true, false);
    tr_follows next = {.is_next = true}, behind_gap = {.is_next = false};
    begin_vp9((tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY});
    key.layers_at = info.layers_at = 3;
    next.picture = behind_gap.picture = 200;
    CHECK(!tr__layers_tie(&layers, &info, &behind_gap, &rewrite)); /* nothing was seen of either layer yet */
    for (uint32_t alone = 1; alone < 12; alone++) {
        begin_vp9((tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY});
        next.picture = 100;
        (void)tr__layers_tie(&layers, &key, &next, &rewrite);
        CHECK(tr__layers_tie(&layers, &info, &next, &rewrite));
        for (uint32_t i = 0; i < alone; i++) {
            next.picture++;
            (void)tr__layers_tie(&layers, &info, &next, &rewrite);
            CHECK(!rewrite.ties_layers);
        }
        behind_gap.picture = next.picture + 2;
        (void)tr__layers_tie(&layers, &info, &behind_gap, &rewrite);
        CHECK_EQ(alone < 8, rewrite.ties_layers);
    }
}

static void a_picture_that_was_left_out_is_not_named_as_needed(void)
{
    static const struct {
        uint16_t picture;
        uint8_t temporal, diff;
        tr_layers_verdict verdict;
        uint8_t out;
    } rows[] = {
        {101, 2, 1, TR_LAYERS_OMIT, 0},         {102, 1, 2, TR_LAYERS_OMIT, 0},   {103, 2, 1, TR_LAYERS_OMIT, 0},
        {104, 0, 4, TR_LAYERS_FORWARD, 4},      {105, 2, 1, TR_LAYERS_OMIT, 0},   {106, 1, 2, TR_LAYERS_OMIT, 0},
        {107, 0, 4, TR_LAYERS_CHANGE, 3}, /* its encoder counted one more, which it dropped */
        {107, 0, 4, TR_LAYERS_FORWARD, 3},      {108, 2, 1, TR_LAYERS_OMIT, 0},   {109, 1, 2, TR_LAYERS_OMIT, 0},
        {110, 2, 1, TR_LAYERS_OMIT, 0},         {111, 0, 4, TR_LAYERS_CHANGE, 4}, {112, 2, 1, TR_LAYERS_OMIT, 0},
        {116, 0, 5, TR_LAYERS_FORWARD, 5},      /* pictures in between are missing: it is there */
        {117, 0, 6, TR_LAYERS_FORWARD, 6},      /* of the missing nothing was left out */
        {0x4075, 0, 65, TR_LAYERS_FORWARD, 65}, /* too long ago to tell */
    };
    begin_vp9((tr_layer){0, TR_LAYER_ANY, 0});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = vp9_frame(0, rows[i].temporal, true, false);
        info.picture = rows[i].picture;
        info.layers_at = 3;
        info.diffs_at = 4;
        info.diff_count = 2;
        info.diffs[0] = rows[i].diff;
        info.diffs[1] = 0x7f;
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, NULL, &rewrite));
        if (rows[i].verdict == TR_LAYERS_OMIT) continue;
        uint8_t payload[] = {0xf8, 0x80, 0x65, 0, (uint8_t)(rows[i].diff << 1 | 1), 0xfe, 9};
        if (tr__layers_must_write(&rewrite, &info)) tr__layers_write(payload, &info, &rewrite);
        CHECK_EQ(rows[i].out, payload[4] >> 1);
        CHECK_EQ(1, payload[4] & 1); /* more follow */
        CHECK_EQ(0xfe, payload[5]);
        CHECK_EQ(9, payload[6]);
    }
}

static void a_picture_without_an_end_needs_a_keyframe(void)
{
    enum { NONE = -1 };
    static const struct {
        uint16_t picture;
        uint8_t spatial, temporal;
        bool is_end, is_next, is_key;
        int32_t frame;
        bool is_stuck;
    } rows[] = {
        {100, 0, 0, false, true, true, NONE, false},
        {101, 0, 0, false, true, false, NONE, false}, /* none has ended yet */
        {101, 1, 0, true, true, false, NONE, false},
        {102, 0, 0, false, true, false, NONE, false},
        {103, 0, 2, false, true, false, NONE, true},
        {104, 0, 0, false, true, false, NONE, false},  /* nothing needs the one before */
        {105, 0, 0, false, false, false, NONE, false}, /* the end may be missing */
        {106, 0, 0, false, true, true, NONE, false},   /* here is one */
        {107, 0, 0, false, true, false, 7, true},
        {108, 0, 0, false, false, false, 8, true}, /* packets are missing, but no frame */
        {109, 0, 0, false, false, false, 10, false},
    };
    for (uint8_t spatial = 0; spatial < 2; spatial++) {
        begin_vp9((tr_layer){0, spatial, TR_LAYER_ANY});
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            tr_codec_info info = vp9_frame(rows[i].spatial, rows[i].temporal, true, rows[i].is_key);
            tr_follows follows = {rows[i].is_next, rows[i].is_end, rows[i].frame != NONE, (uint16_t)rows[i].frame,
                                  rows[i].picture};
            info.picture = rows[i].picture;
            info.layers_at = 3;
            /* Where the layer that is missing is left out anyway, the relay sets the marker. */
            CHECK_EQ(rows[i].is_stuck && spatial, tr__layers_are_stuck(&layers, &info, &follows, &rewrite));
            (void)tr__layers_tie(&layers, &info, &follows, &rewrite);
        }
    }
}

static void layers_of_frames_without_picture_ids_are_left_as_they_are(void)
{
    begin_vp9((tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY});
    for (uint8_t spatial = 0; spatial < 2; spatial++) {
        tr_codec_info info = vp9_frame(spatial, 0, true, false);
        info.picture_at = 0;
        info.layers_at = 1;
        CHECK(!tr__layers_may_tie(&layers, &info));
        CHECK(!tr__layers_must_write(&rewrite, &info));
    }
}

/* Three temporal layers of AV1, by a structure as encoders make it: 00 01 02 02. */
static void layers_of_av1_go_by_the_structure_and_its_switches(void)
{
    static const tr_structure structure = {.template_count = 1, .target_count = 3, .targets = {{0, 0}, {0, 1}, {0, 2}}};
    static const uint64_t SWITCHES[] = {0x2a, 0x24, 0x10}; /* SSS, -DS, --D */
    static const struct {
        uint8_t want, temporal, structure;
        bool is_key;
        tr_layers_verdict verdict;
        uint8_t now, known;
    } rows[] = {
        {2, 2, 1, false, TR_LAYERS_OMIT, 0, 1},
        {2, 1, 1, false, TR_LAYERS_OMIT, 0, 1}, /* itself not decodable */
        {2, 0, 1, false, TR_LAYERS_CHANGE, 2, 1},
        {2, 2, 1, false, TR_LAYERS_FORWARD, 2, 1},
        {1, 2, 1, false, TR_LAYERS_OMIT, 1, 1},
        {1, 0, 0, false, TR_LAYERS_OMIT, 1, 1}, /* of another structure */
        {1, 0, 2, true, TR_LAYERS_CHANGE, 1, 2},
        {255, 1, 2, false, TR_LAYERS_CHANGE, 255, 0},
        {255, 0, 2, false, TR_LAYERS_FORWARD, 255, 0},
        {255, 0, 3, true, TR_LAYERS_FORWARD, 255, 0},
    };
    tr_codec_info key = {.is_keyframe = true, .is_frame_start = true, .structure = 1, .indications = 0x2a};
    tr__layers_init(&layers);
    layers.want.temporal = 0;
    tr__layers_begin(&layers, TR_CODEC_AV1, &key, (const uint8_t *)"", 0, &rewrite);
    CHECK_EQ(TR_LAYERS_TOLD, layers.rule);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = {.is_readable = true,
                              .is_keyframe = rows[i].is_key,
                              .is_frame_start = true,
                              .has_layers = true,
                              .temporal_layer = rows[i].temporal,
                              .structure = rows[i].structure,
                              .indications = SWITCHES[rows[i].temporal]};
        layers.want.temporal = rows[i].want;
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, &structure, &rewrite));
        CHECK_EQ(rows[i].now, layers.temporal);
        CHECK_EQ(rows[i].known, rewrite.structure);
        CHECK_EQ(!rows[i].known || rows[i].structure == rows[i].known, tr__layers_can_tell(&rewrite, &info));
    }
    key.structure = 0;
    tr__layers_begin(&layers, TR_CODEC_AV1, &key, (const uint8_t *)"", 0, &rewrite);
    CHECK(!tr__layers_matter(&layers, &NO_INFO));
}

static tr_codec_info av1_frame(uint8_t spatial, uint8_t structure, bool is_key)
{
    return (tr_codec_info){.is_readable = true,
                           .is_keyframe = is_key && !spatial,
                           .is_frame_start = true,
                           .is_frame_end = true,
                           .has_layers = true,
                           .spatial_layer = spatial,
                           .structure = structure,
                           .is_spatial = structure != 0,
                           .needs_layer_below = is_key && spatial};
}

/* Pictures of AV1 have no numbers: packets of one have one time. */
static void upper_layers_of_av1_say_that_they_need_the_lower_in_their_descriptors(void)
{
    static const tr_structure structure = {.template_count = 1, .target_count = 1, .targets = {{1, 0}}};
    static const struct {
        uint32_t ts;
        uint16_t frame;
        uint8_t spatial, structure;
        bool is_key, is_next, is_changed;
        tr_layers_verdict verdict;
        bool is_tied;
        uint8_t known;
    } rows[] = {
        {3000, 0xfffd, 0, 1, true, true, false, TR_LAYERS_FORWARD, false, 0},
        {3000, 0xfffe, 1, 1, true, true, true, TR_LAYERS_FORWARD, false, 1}, /* it says so itself */
        {6000, 0xffff, 0, 1, false, true, false, TR_LAYERS_FORWARD, false, 1},
        {6000, 0, 1, 1, false, true, false, TR_LAYERS_FORWARD, true, 1},
        {9000, 2, 1, 1, false, false, false, TR_LAYERS_FORWARD, true, 1}, /* frame 1 is missing */
        {12000, 3, 1, 1, false, true, true, TR_LAYERS_FORWARD, false, 0}, /* there is none below */
        {15000, 4, 0, 1, false, true, false, TR_LAYERS_FORWARD, false, 0},
        {15000, 5, 1, 1, false, true, true, TR_LAYERS_FORWARD, true, 1},
        {18000, 7, 0, 2, true, false, false, TR_LAYERS_CHANGE, false, 2}, /* another structure */
        {18000, 8, 1, 2, true, true, false, TR_LAYERS_FORWARD, false, 2},
        {21000, 9, 0, 0, false, true, false, TR_LAYERS_CHANGE, false, 0}, /* of none that is known: it may come yet */
        {21000, 10, 1, 2, false, true, true, TR_LAYERS_FORWARD, true, 2},
    };
    tr_codec_info key = av1_frame(0, 1, true);
    tr__layers_init(&layers);
    rewrite = (tr_rewrite){0};
    CHECK(!tr__layers_matter(&layers, &key)); /* before it began */
    tr__layers_begin(&layers, TR_CODEC_AV1, &key, (const uint8_t *)"", 0, &rewrite);
    CHECK_EQ(TR_LAYERS_TOLD, layers.rule);
    CHECK(!tr__layers_matter(&layers, &NO_INFO));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info info = av1_frame(rows[i].spatial, rows[i].structure, rows[i].is_key);
        tr_follows follows = {
            .is_next = rows[i].is_next, .has_frame = true, .frame = rows[i].frame, .picture = rows[i].ts};
        CHECK(tr__layers_matter(&layers, &info));
        CHECK_EQ(rows[i].structure != 0, tr__layers_may_tie(&layers, &info));
        if (rows[i].structure) CHECK_EQ(rows[i].is_changed, tr__layers_tie(&layers, &info, &follows, &rewrite));
        CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, &structure, &rewrite));
        CHECK_EQ(rows[i].is_tied, tr__layers_tie_frame(&rewrite, &info));
        CHECK_EQ(rows[i].known, rewrite.structure);
    }
}

/* Of VP9 the payload tells layers; a descriptor beside it is tied by its structure, and nothing is left out for want of
 * one. */
static void upper_layers_of_vp9_say_so_in_a_descriptor_that_comes_with_them(void)
{
    static const struct {
        uint16_t picture;
        uint8_t spatial, structure;
        tr_layers_verdict verdict;
        bool is_tied;
        uint8_t known;
    } rows[] = {
        {101, 0, 1, TR_LAYERS_FORWARD, false, 0}, {101, 1, 1, TR_LAYERS_FORWARD, true, 1},
        {102, 0, 1, TR_LAYERS_FORWARD, false, 1}, {102, 1, 0, TR_LAYERS_CHANGE, false, 0}, /* it has none */
        {103, 0, 0, TR_LAYERS_FORWARD, false, 0}, {103, 1, 2, TR_LAYERS_CHANGE, true, 2},
        {104, 1, 2, TR_LAYERS_FORWARD, false, 0}, /* there is none below */
    };
    for (uint32_t is_limited = 0; is_limited < 2; is_limited++) {
        begin_vp9((tr_layer){0, is_limited ? 1 : TR_LAYER_ANY, TR_LAYER_ANY});
        CHECK_EQ(TR_LAYERS_VP9, layers.rule);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            tr_codec_info info = vp9_frame(rows[i].spatial, 0, true, false);
            tr_follows follows = {.is_next = true, .picture = rows[i].picture};
            info.picture = rows[i].picture;
            info.layers_at = 3;
            info.structure = rows[i].structure;
            (void)tr__layers_tie(&layers, &info, &follows, &rewrite);
            CHECK_EQ(rows[i].verdict, tr__layers_next(&layers, &info, NULL, &rewrite));
            CHECK_EQ(rows[i].is_tied, tr__layers_tie_frame(&rewrite, &info));
            CHECK_EQ(rows[i].known, rewrite.structure);
        }
    }
}

/* libwebrtc's VP8 beside a dependency descriptor has no numbers and no layers of its own; whose has, is closed up too;
 * and what is sealed goes by the descriptor alone, whatever its payload looks like. */
static void vp8_goes_by_a_descriptor_that_comes_with_it(void)
{
    static const tr_structure structure = {.template_count = 1, .target_count = 3, .targets = {{0, 0}, {0, 1}, {0, 2}}};
    static const uint8_t OPEN[] = {0x10, 0x10, 0x6e, 0x00, 0x9d, 0x01, 0x2a};
    static const uint8_t SEALED[] = {0x10, 0x10, 0x6e, 0x00, 0x11, 0x22, 0x33};
    static const struct {
        const uint8_t *payload;
        uint8_t picture_at;
        bool closes_up;
    } rows[] = {{OPEN, 0, false}, {OPEN, 2, true}, {SEALED, 2, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_codec_info key = {.is_keyframe = true,
                             .is_frame_start = true,
                             .structure = 1,
                             .indications = 0x2a, /* SSS */
                             .picture_at = rows[i].picture_at,
                             .picture_bits = 15,
                             .picture = 7};
        tr__layers_init(&layers);
        layers.want.temporal = 0;
        rewrite = (tr_rewrite){0};
        tr__layers_begin(&layers, TR_CODEC_VP8, &key, rows[i].payload, sizeof OPEN, &rewrite);
        CHECK_EQ(TR_LAYERS_TOLD, layers.rule);
        CHECK_EQ(TR_LAYERS_FORWARD, tr__layers_next(&layers, &key, &structure, &rewrite));
        tr_codec_info above = key;
        above.is_keyframe = false;
        above.temporal_layer = 2;
        above.picture = 8;
        CHECK_EQ(TR_LAYERS_OMIT, tr__layers_next(&layers, &above, &structure, &rewrite));
        CHECK_EQ(rows[i].closes_up ? 0x7fff : 0, rewrite.picture_offset);
        layers.want.temporal = 2;
        tr_codec_info base = key;
        base.is_keyframe = false;
        base.picture = 9;
        CHECK_EQ(TR_LAYERS_CHANGE, tr__layers_next(&layers, &base, &structure, &rewrite));
        CHECK_EQ(2, layers.temporal);
    }
}

static const check_test tests[] = {
    TEST(nothing_is_asked_while_everything_is_wanted),
    TEST(steps_up_go_one_layer_at_a_time),
    TEST(a_frame_is_forwarded_as_it_began),
    TEST(pictures_close_up_through_their_wraps),
    TEST(another_encoding_goes_on_where_the_last_one_ended),
    TEST(descriptors_without_numbers_stay_as_they_are),
    TEST(spatial_layers_go_with_a_picture_and_come_with_a_keyframe),
    TEST(temporal_layers_of_vp9_come_where_nothing_above_is_needed),
    TEST(a_picture_that_was_left_out_is_not_named_as_needed),
    TEST(a_picture_without_an_end_needs_a_keyframe),
    TEST(upper_layers_of_k_svc_say_that_they_need_the_lower),
    TEST(where_the_lower_layer_never_comes_it_is_not_waited_for),
    TEST(upper_layers_of_av1_say_that_they_need_the_lower_in_their_descriptors),
    TEST(upper_layers_of_vp9_say_so_in_a_descriptor_that_comes_with_them),
    TEST(layers_of_frames_without_picture_ids_are_left_as_they_are),
    TEST(layers_of_av1_go_by_the_structure_and_its_switches),
    TEST(vp8_goes_by_a_descriptor_that_comes_with_it),
};
CHECK_MAIN("test_layers", tests)
