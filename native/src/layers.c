/* layers: see layers.h. Touches only the value, the rewrite and the payload it is given. Worker thread.
 *
 * VP8: a picture id that is missing keeps a receiver from decoding frames of higher layers behind it (it cannot know
 * that nothing refers to it), so they close up as sequence numbers do. VP9: references are told in picture ids, by
 * P_DIFF or by a picture's place in its group, and a receiver knows from them which are needed: they stay as they are.
 * libwebrtc counts a picture that its encoder dropped in P_DIFF and not in picture ids: what it says then is one
 * picture too far back. That does no harm as long as all pictures leave, which are there and older than the right one.
 * Where it names a picture of a temporal layer that is left out, which a frame of a lower one cannot need, it is made
 * to name the newest that such a frame can need, or its receiver would wait for that picture until the next keyframe.
 * AV1: the same by frame numbers, as with VP8 that comes with a dependency descriptor. TL0PICIDX counts frames of the
 * lowest layer, which all leave: it moves where another encoding begins, and nowhere else. KEYIDX (RFC 7741, 4.2) is
 * left as it is: it tells of keyframes lost, and each encoding begins with one.
 *
 * Of spatial layers all below are forwarded too, also where they are needed at keyframes alone (k-SVC): so that a line
 * that gets worse is answered with the next picture and not with a keyframe, the largest there is.
 * With k-SVC an upper layer's frame may be decoded without the one below it, and is said not to need it (VP9, D). But
 * both are sent, and the lower one is needed by the next of its own layer. libwebrtc takes a picture for whole when it
 * has what its last frame needs; what of the lower layer is repaired later is too old then, and it waits for the next
 * keyframe. So D is set where the layer below is forwarded too, and of AV1 the frame before is said to be needed, in
 * the dependency descriptor, which counts frames over all layers: a picture is whole with all of them. The mask of
 * active decode targets in a dependency descriptor stays as it is: it is the publisher's word on what it encodes. */
#include "layers.h"

#define PICTURE_MASK 0x7fffu
#define MOST_BACK 0x7fu /* P_DIFF has seven bits */
/* An encoder that is short of time leaves the lower layer out of a picture or two; another server does of all. */
#define MANY_ALONE 8

/* How many pictures after `picture` this one is. */
static uint16_t back(const tr_codec_info *info, uint16_t picture)
{
    return (uint16_t)(info->picture - picture) & (info->picture_bits == 7 ? 0x7fu : PICTURE_MASK);
}

void tr__layers_init(tr_layers *layers)
{
    *layers = (tr_layers){.want = TR_LAYERS_ALL, .spatial = TR_LAYER_ANY, .temporal = TR_LAYER_ANY};
}

static tr_layers_rule rule_of(tr_codec codec, const tr_codec_info *info, bool is_open)
{
    if (info->structure && codec != TR_CODEC_VP9) return TR_LAYERS_TOLD;
    if (!is_open) return TR_LAYERS_UNTOLD;
    return codec == TR_CODEC_VP8 ? TR_LAYERS_VP8 : TR_LAYERS_VP9;
}

/* May packets be left out? */
static bool is_limited(const tr_rewrite *rewrite) { return (rewrite->spatial & rewrite->temporal) != TR_LAYER_ANY; }

static void note_structure(const tr_layers *layers, const tr_codec_info *info, tr_rewrite *rewrite)
{
    bool is_needed = rewrite->ties_layers || (layers->rule == TR_LAYERS_TOLD && is_limited(rewrite));
    rewrite->structure = is_needed ? info->structure : 0;
}

static void note_limits(const tr_layers *layers, const tr_codec_info *info, tr_rewrite *rewrite)
{
    rewrite->spatial = layers->spatial;
    rewrite->temporal = layers->temporal;
    note_structure(layers, info, rewrite);
}

void tr__layers_begin(tr_layers *layers, tr_codec codec, const tr_codec_info *info, const uint8_t *payload, size_t size,
                      tr_rewrite *rewrite)
{
    bool is_open = tr__codec_is_open(codec, payload, size); /* never of AV1, whose payload has no numbers */
    layers->rule = (uint8_t)rule_of(codec, info, is_open);
    layers->closes_up = is_open && codec == TR_CODEC_VP8;
    bool is_told = layers->rule != TR_LAYERS_UNTOLD;
    layers->has_left_out = layers->has_seen = layers->has_seen_frame = layers->has_ends = layers->has_past =
        layers->is_cut = false;
    layers->spatial = is_told && layers->rule != TR_LAYERS_VP8 ? layers->want.spatial : TR_LAYER_ANY;
    layers->temporal = is_told ? layers->want.temporal : TR_LAYER_ANY;
    layers->is_spatial = false;
    layers->alone = MANY_ALONE;
    rewrite->picture_offset = 0;
    rewrite->tl0_offset = 0;
    rewrite->ties_layers = false;
    note_limits(layers, info, rewrite);
    rewrite->diff = rewrite->diff_out = 0;
    if (!is_open) return;
    layers->has_past = codec == TR_CODEC_VP9 && info->picture_at;
    layers->past = info->picture;
    layers->past_temporal = 0;
    layers->past_left_out = 0;
    for (int i = 0; i < TR_VP9_LAYERS; i++) layers->kept[i] = info->picture;
    if (layers->has_picture && info->picture_at)
        rewrite->picture_offset = (uint16_t)(layers->picture + 1u - info->picture) & PICTURE_MASK;
    if (layers->has_tl0 && info->tl0_at) rewrite->tl0_offset = (uint8_t)(layers->tl0 + 1u - info->tl0);
}

/* Frames that lie between a packet of an upper layer and the newest one before it, if all layers are sent. */
static int between(const tr_layers *layers, const tr_codec_info *info, bool of_same)
{
    int above = info->spatial_layer - layers->seen_spatial;
    if (of_same) return above - 1;
    return (above > 0 ? above : 0) + info->spatial_layer;
}

/* The first packet that comes of a frame says that there is a layer below where the packet before it was of that; that
 * there is none (an encoder under pressure drops it, or whoever made this stream left it out) where too little is
 * missing in between for it to be among that: no packet, or too few frames. Else neither can be told, and there
 * is one, for that is more often so, unless of late there never was. Of keyframes all layers are sent. */
bool tr__layers_tie(tr_layers *layers, const tr_codec_info *info, const tr_follows *follows, tr_rewrite *rewrite)
{
    bool tied = rewrite->ties_layers, of_same = layers->has_seen && layers->seen == follows->picture;
    bool is_first = !of_same || layers->seen_spatial != info->spatial_layer;
    bool has_below = of_same && layers->seen_spatial == info->spatial_layer - 1;
    if (is_first && info->spatial_layer) {
        bool is_counted = layers->has_seen_frame && follows->has_frame;
        uint16_t missing = (uint16_t)(follows->frame - layers->seen_frame - 1);
        bool is_next = layers->has_seen && follows->is_next;
        bool is_told = is_next || (is_counted && missing < between(layers, info, of_same));
        bool has_none = is_told && !has_below;
        if (has_below)
            layers->alone = 0;
        else if (has_none && layers->alone < MANY_ALONE)
            layers->alone++;
        if (!info->needs_layer_below || has_below) rewrite->ties_layers = !has_none && layers->alone < MANY_ALONE;
        if (rewrite->ties_layers != tied) note_structure(layers, info, rewrite);
    }
    layers->is_spatial = info->is_spatial;
    layers->has_seen = true;
    layers->seen = follows->picture;
    layers->seen_spatial = info->spatial_layer;
    layers->seen_temporal = info->temporal_layer;
    layers->seen_end = follows->is_end;
    layers->seen_frame_end = info->is_frame_end;
    layers->has_ends |= follows->is_end;
    layers->has_seen_frame = follows->has_frame;
    layers->seen_frame = follows->frame;
    return rewrite->ties_layers != tied;
}

bool tr__layers_are_stuck(const tr_layers *layers, const tr_codec_info *info, const tr_follows *follows,
                          const tr_rewrite *rewrite)
{
    bool is_counted = layers->has_seen_frame && follows->has_frame && layers->seen_frame_end;
    bool is_next = follows->is_next || (is_counted && follows->frame == (uint16_t)(layers->seen_frame + 1u));
    bool is_new = layers->has_seen && layers->seen != follows->picture && is_next && !info->is_keyframe;
    return is_new && layers->has_ends && !layers->seen_end && layers->seen_temporal == 0 &&
           layers->seen_spatial < rewrite->spatial;
}

/* Of VP9 in the clear: the first packet of a picture that is newer than all before it. */
static void note_picture(tr_layers *layers, const tr_codec_info *info)
{
    if (layers->past == info->picture) return;
    if (!(layers->past_left_out & 1))
        for (uint8_t i = layers->past_temporal; i < TR_VP9_LAYERS; i++) layers->kept[i] = layers->past;
    uint16_t steps = back(info, layers->past);
    layers->past_left_out = steps < 64 ? layers->past_left_out << steps : 0;
    layers->past = info->picture;
    layers->past_temporal = info->temporal_layer;
}

/* Which P_DIFF of a frame names a picture that was left out, and which is right; 0: none does. */
static void refer(const tr_layers *layers, const tr_codec_info *info, tr_rewrite *rewrite)
{
    uint16_t right = back(info, layers->kept[info->temporal_layer]);
    rewrite->diff = rewrite->diff_out = 0;
    for (uint8_t i = 0; i < info->diff_count; i++) {
        uint8_t diff = info->diffs[i];
        if (diff >= 64 || !(layers->past_left_out >> diff & 1) || !right || right > MOST_BACK) continue;
        rewrite->diff = diff;
        rewrite->diff_out = (uint8_t)right;
    }
}

/* Temporal layers that may be added with this frame, which is no keyframe: the highest. */
static uint8_t temporal_from(const tr_layers *layers, const tr_codec_info *info, const tr_structure *structure)
{
    uint8_t want = layers->want.temporal, now = layers->temporal;
    switch (layers->rule) {
    case TR_LAYERS_VP8: /* the frame itself is of the layer, and needs the lowest alone */
        return info->is_sync && info->temporal_layer == now + 1 ? now + 1 : now;
    case TR_LAYERS_VP9: /* it has the layers that are forwarded, and those above need nothing above from before it */
        return info->is_sync && info->temporal_layer <= now ? want : now;
    case TR_LAYERS_TOLD: {
        int target = info->structure ? tr__structure_target(structure, layers->spatial, want) : -1;
        bool may = target >= 0 && info->temporal_layer <= now && info->spatial_layer <= layers->spatial &&
                   tr__indication(info->indications, target) == TR_TARGET_SWITCH;
        return may ? want : now;
    }
    default:
        return now;
    }
}

/* Pictures are forwarded whole or not at all, and end where they say: another set of layers begins with the first
 * packet of one. Temporal layers may be added with any frame of it, as all frames of a picture are of the same. */
static void change(tr_layers *layers, const tr_codec_info *info, const tr_structure *structure)
{
    if (!info->is_frame_start) return;
    uint8_t temporal = layers->temporal;
    uint8_t want = layers->rule == TR_LAYERS_VP8 ? TR_LAYER_ANY : layers->want.spatial;
    if (info->is_keyframe) {
        layers->spatial = want;
        layers->temporal = layers->want.temporal;
    } else {
        if (info->spatial_layer == 0 && want < layers->spatial) layers->spatial = want;
        if (info->spatial_layer == 0 && layers->want.temporal < temporal) layers->temporal = layers->want.temporal;
        if (layers->want.temporal > temporal) layers->temporal = temporal_from(layers, info, structure);
    }
}

tr_layers_verdict tr__layers_next(tr_layers *layers, const tr_codec_info *info, const tr_structure *structure,
                                  tr_rewrite *rewrite)
{
    bool notes = layers->has_past && info->picture_at;
    uint8_t diff = rewrite->diff, diff_out = rewrite->diff_out;
    if (notes) note_picture(layers, info);
    if (info->is_keyframe) layers->is_cut = false;
    change(layers, info, structure);
    /* Once another structure is in force: what is of none cannot be decoded, for its keyframe was lost. Where all
     * leaves it may have come late, though; else what was left out is missing from it then. */
    if (layers->rule == TR_LAYERS_TOLD && rewrite->structure && !info->structure) {
        layers->is_cut = is_limited(rewrite);
        if (layers->is_cut) return TR_LAYERS_OMIT;
        rewrite->ties_layers = layers->has_seen = layers->has_seen_frame = false;
        rewrite->structure = 0;
        return TR_LAYERS_CHANGE;
    }
    bool is_changed = layers->spatial != rewrite->spatial || layers->temporal != rewrite->temporal ||
                      ((rewrite->structure || rewrite->ties_layers) && rewrite->structure != info->structure);
    if (is_changed) note_limits(layers, info, rewrite);
    if (!tr__layers_are_above(rewrite, info)) {
        if (notes) refer(layers, info, rewrite);
        is_changed |= rewrite->diff != diff || rewrite->diff_out != diff_out;
        return is_changed ? TR_LAYERS_CHANGE : TR_LAYERS_FORWARD;
    }
    if (notes && info->temporal_layer > rewrite->temporal) layers->past_left_out |= 1;
    bool closes_up = layers->closes_up && info->picture_at;
    if (closes_up && !(layers->has_left_out && layers->left_out == info->picture)) {
        layers->has_left_out = true;
        layers->left_out = info->picture;
        rewrite->picture_offset = (uint16_t)(rewrite->picture_offset - 1u) & PICTURE_MASK;
    }
    return TR_LAYERS_OMIT;
}

static uint16_t picture_out(const tr_codec_info *info, const tr_rewrite *rewrite)
{
    return (uint16_t)((info->picture + rewrite->picture_offset) & (info->picture_bits == 7 ? 0x7fu : PICTURE_MASK));
}

void tr__layers_on_sent(tr_layers *layers, const tr_codec_info *info, const tr_rewrite *rewrite)
{
    if (info->picture_at) {
        layers->has_picture = true;
        layers->picture = picture_out(info, rewrite);
    }
    if (info->tl0_at) {
        layers->has_tl0 = true;
        layers->tl0 = (uint8_t)(info->tl0 + rewrite->tl0_offset);
    }
}

void tr__layers_write(uint8_t *payload, const tr_codec_info *info, const tr_rewrite *rewrite)
{
    if (info->picture_at) {
        uint16_t picture = picture_out(info, rewrite);
        if (info->picture_bits == 7)
            payload[info->picture_at] = (uint8_t)picture;
        else
            tr__store16(payload + info->picture_at, (uint16_t)(0x8000u | picture));
    }
    if (info->tl0_at) payload[info->tl0_at] = (uint8_t)(info->tl0 + rewrite->tl0_offset);
    if (info->layers_at && info->spatial_layer && rewrite->ties_layers) payload[info->layers_at] |= 0x01;
    for (uint8_t i = 0; rewrite->diff && i < info->diff_count; i++)
        if (info->diffs[i] == rewrite->diff)
            payload[info->diffs_at + i] = (uint8_t)(rewrite->diff_out << 1 | (payload[info->diffs_at + i] & 1));
}
