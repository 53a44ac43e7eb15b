/* source: see source.h. Touches the packet it reads and nothing else. Worker thread. */
#include "source.h"

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

tr_drop tr__source_inspect(const tr_source *source, tr_media *media)
{
    tr_codec codec = (tr_codec)source->codecs[media->codec_index].codec;
    if (!media->rtp.payload_size) return TR_DROP_NONE;
    if (codec == TR_CODEC_RED && !read_red(source, media)) return TR_DROP_RED_MALFORMED;
    if (source->kind != TR_VIDEO) return TR_DROP_NONE;
    media->info = tr__codec_inspect(codec, media->rtp.data + media->rtp.header_size, media->rtp.payload_size);
    /* A publisher whose descriptors bring structures is believed: they are there for payloads that nobody but the ends
     * can read, and what a cipher wrote may look like a keyframe. */
    tr_descriptor descriptor;
    if (tr__media_descriptor(media, &descriptor) &&
        (source->streams[media->encoding].has_structure || descriptor.is_keyframe)) {
        media->info.is_readable = true;
        media->info.is_keyframe = descriptor.is_keyframe;
        media->info.is_frame_start = descriptor.is_frame_start;
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
