/* shown: see shown.h. Touches only the values it is given. Worker thread. */
#include "shown.h"

/* Its first packet, for certain: H.264 and H.265 say "first" of several packets of one picture, AV1 without a structure
 * of each layer. */
static bool begins_picture(const tr_codec_info *info, tr_codec codec)
{
    bool is_told = codec == TR_CODEC_VP8 || codec == TR_CODEC_VP9 || (codec == TR_CODEC_AV1 && info->structure);
    return is_told && info->is_frame_start && info->spatial_layer == 0;
}

static bool read_keyframe(tr_picture *picture, const tr_media *media, tr_codec codec)
{
    uint16_t at = media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at;
    size_t size = at ? media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size : 0;
    return tr__picture_read(picture, codec, media->rtp.data + media->rtp.header_size, media->rtp.payload_size,
                            media->rtp.data + at, size);
}

void tr__shown_begin(tr_shown *shown, tr_whole *whole, uint32_t number, const tr_media *first)
{
    tr__whole_cut(whole, &shown->waiting, number, first->info.is_keyframe);
    shown->picture = (tr_picture){0};
}

void tr__shown_on_edge(tr_shown *shown, tr_whole *whole, const tr_media *media, const tr_codec_params *codecs,
                       uint32_t number, uint32_t ts, bool is_last)
{
    tr_codec codec = (tr_codec)codecs[media->codec_index].codec;
    uint8_t marks = is_last ? TR_WHOLE_ENDS : 0;
    if (!media->rtp.payload_size) {
        marks |= TR_WHOLE_EMPTY;
    } else {
        if (begins_picture(&media->info, codec)) marks |= TR_WHOLE_BEGINS;
        if (media->info.is_keyframe && read_keyframe(&shown->picture, media, codec)) marks |= TR_WHOLE_KEY;
    }
    tr__whole_on_edge(whole, &shown->waiting, number, ts, marks);
}
