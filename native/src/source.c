/* source: see source.h. Touches the packet it reads and nothing else. Worker thread. */
#include "source.h"

/* Of packets before a keyframe's slices so many are looked at: delimiter, parameter sets and SEI, each on its own. */
#define MAX_BEFORE 16

uint32_t tr__source_codec(const tr_source *source, uint8_t pt)
{
    uint32_t i = 0;
    while (i < source->codec_count && source->codecs[i].pt != pt) i++;
    return i;
}

static bool read_red(const tr_source *source, tr_media *media)
{
    const uint8_t *payload = media->rtp.data + media->rtp.header_size;
    if (!tr__red_parse(&media->red, payload, media->rtp.payload_size)) return false;
    for (uint32_t i = 0; i < media->red.count; i++) {
        uint32_t codec = tr__source_codec(source, payload[TR_RED_HEADER * i] & 0x7f);
        if (codec == source->codec_count || source->codecs[codec].codec == TR_CODEC_RED) return false;
    }
    return true;
}

/* AV1 and VP8: a frame's layers; of VP9, whose payload says them, the structure alone. Without a structure there is
 * nothing that says where layers may be added, so they are none. What came before the present structure cannot be told
 * any more. libwebrtc tells of VP8's layers here alone: its payload descriptor is the shortest there is, without
 * numbers or layers, where a dependency descriptor goes with it.
 */
static void describe(const tr_stream *stream, tr_codec codec, tr_media *media)
{
    tr_codec_info *info = &media->info;
    const uint8_t *data = media->rtp.data + media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at;
    tr_frame_layers frame;
    if (!stream->structure_number || media->index < stream->structure_index ||
        !tr__structure_look_up(stream->structure, data, media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size,
                               &frame))
        return;
    info->structure = stream->structure_number;
    if (codec == TR_CODEC_VP9) return;
    info->has_layers = true;
    info->spatial_layer = frame.spatial;
    info->temporal_layer = frame.temporal;
    info->is_spatial = tr__structure_is_spatial(stream->structure);
    info->needs_layer_below = frame.needs_before;
    info->indications = frame.indications;
}

tr_drop tr__source_inspect(const tr_source *source, tr_media *media)
{
    tr_codec codec = (tr_codec)source->codecs[media->codec_index].codec;
    if (!media->rtp.payload_size) return TR_DROP_NONE;
    if (codec == TR_CODEC_RED && !read_red(source, media)) return TR_DROP_RED_MALFORMED;
    if (source->kind != TR_VIDEO) return TR_DROP_NONE;
    media->info = tr__codec_inspect(codec, media->rtp.data + media->rtp.header_size, media->rtp.payload_size);
    /* A publisher whose descriptors bring structures is believed: they are there for payloads that nobody but the ends
     * can read, and what a cipher wrote may look like a keyframe. */
    const tr_stream *stream = &source->streams[media->encoding];
    tr_descriptor descriptor;
    bool is_described = tr__media_descriptor(media, &descriptor) && (stream->has_structure || descriptor.is_keyframe);
    if (is_described) {
        media->info.is_readable = true;
        media->info.is_keyframe = descriptor.is_keyframe;
        media->info.is_frame_start = descriptor.is_frame_start;
        media->info.begins_before = false;
    }
    if (codec == TR_CODEC_AV1) {
        media->info.has_layers = false;
        media->info.spatial_layer = media->info.temporal_layer = 0;
    } else if (codec != TR_CODEC_VP8 && codec != TR_CODEC_VP9) {
        return TR_DROP_NONE;
    }
    if (is_described) {
        if (codec != TR_CODEC_VP9) media->info.is_frame_end = descriptor.is_frame_end;
        describe(stream, codec, media);
    }
    return TR_DROP_NONE;
}

bool tr__source_load(const tr_source *source, uint8_t encoding, uint64_t index, tr_media *media)
{
    size_t size;
    const uint8_t *data = tr__history_get(&source->streams[encoding].history, index, &size);
    *media = (tr_media){.index = index, .encoding = encoding, .is_repair = true};
    if (!data || tr__rtp_parse(&media->rtp, data, size) != TR_DROP_NONE ||
        tr__rtp_find_extensions(&media->rtp, source->extensions, &media->extensions) != TR_DROP_NONE)
        return false;
    media->codec_index = (uint8_t)tr__source_codec(source, media->rtp.pt);
    if (media->codec_index == source->codec_count) return false;
    return tr__source_inspect(source, media) == TR_DROP_NONE;
}

bool tr__source_begins(const tr_source *source, uint8_t encoding, uint64_t index, uint64_t sent)
{
    tr_media media, before;
    if (!tr__source_load(source, encoding, index, &media)) return false;
    if (!media.info.begins_before) return true;
    for (uint64_t at = index - 1; at > sent && index - at <= MAX_BEFORE; at--) {
        if (!tr__source_load(source, encoding, at, &before)) return false;
        if (before.rtp.ts != media.rtp.ts) return true;
    }
    return true;
}
