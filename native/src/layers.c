/* layers: see layers.h. Touches only the value, the rewrite and the payload it is given. Worker thread.
 *
 * A picture id that is missing keeps a receiver from decoding frames of higher layers behind it (it cannot know that
 * nothing refers to it), so they close up as sequence numbers do. TL0PICIDX counts frames of the lowest layer, which
 * all leave: it moves where another encoding begins, and nowhere else. KEYIDX (RFC 7741, 4.2) is left as it is: it
 * tells of keyframes lost, and each encoding begins with one. */
#include "layers.h"

#define PICTURE_MASK 0x7fffu

void tr__layers_init(tr_layers *layers)
{
    *layers = (tr_layers){.want = TR_LAYERS_ALL, .spatial = TR_LAYER_ANY, .temporal = TR_LAYER_ANY};
}

void tr__layers_begin(tr_layers *layers, tr_codec codec, const tr_codec_info *info, const uint8_t *payload, size_t size,
                      tr_rewrite *rewrite)
{
    layers->is_open = tr__codec_is_open(codec, payload, size);
    layers->has_left_out = false;
    layers->spatial = TR_LAYER_ANY;
    layers->temporal = layers->is_open ? layers->want.temporal : TR_LAYER_ANY;
    rewrite->spatial = layers->spatial;
    rewrite->temporal = layers->temporal;
    rewrite->picture_offset = 0;
    rewrite->tl0_offset = 0;
    if (!layers->is_open) return;
    if (layers->has_picture && info->picture_at)
        rewrite->picture_offset = (uint16_t)(layers->picture + 1u - info->picture) & PICTURE_MASK;
    if (layers->has_tl0 && info->tl0_at) rewrite->tl0_offset = (uint8_t)(layers->tl0 + 1u - info->tl0);
}

/* Frames are forwarded whole or not at all: another set of layers begins with a frame's first packet. */
static bool changes(tr_layers *layers, const tr_codec_info *info)
{
    uint8_t want = layers->want.temporal;
    if (!info->is_frame_start || layers->temporal == want) return false;
    if (want < layers->temporal || info->is_keyframe)
        layers->temporal = want;
    else if (info->is_sync && info->temporal_layer == layers->temporal + 1)
        layers->temporal++;
    else
        return false;
    return true;
}

tr_layers_verdict tr__layers_next(tr_layers *layers, const tr_codec_info *info, tr_rewrite *rewrite)
{
    bool is_changed = changes(layers, info);
    rewrite->temporal = layers->temporal;
    if (!tr__layers_are_above(rewrite, info)) return is_changed ? TR_LAYERS_CHANGE : TR_LAYERS_FORWARD;
    if (info->picture_at && !(layers->has_left_out && layers->left_out == info->picture)) {
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
}
