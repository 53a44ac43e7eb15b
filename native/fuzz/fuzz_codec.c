/* fuzz_codec: the first byte picks the codec, the rest is a payload, a RED payload, a dependency descriptor. Whatever
 * it is, the answer is whole, and the same twice. */
#include "codec.h"
#include "descriptor.h"
#include "red.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    tr_codec codec = (tr_codec)(data[0] % (TR_CODEC_COUNT + 1));
    tr_codec_info info = tr__codec_inspect(codec, data + 1, size - 1);
    tr_codec_info again = tr__codec_inspect(codec, data + 1, size - 1);
    require(info.is_keyframe == again.is_keyframe && info.is_frame_start == again.is_frame_start);
    if (!info.is_readable) require(!info.is_keyframe && !info.is_frame_start && !info.has_layers);
    if (!info.has_layers) require(!info.temporal_layer && !info.spatial_layer);
    if (size == 1) require(!info.is_readable);
    tr_red red;
    require(tr__red_parse(&red, data + 1, size - 1) == (red.count > 0));
    if (red.count) require(red.count <= TR_RED_MAX_BLOCKS && red.primary_size > 0);
    if (red.count) require((size_t)red.primary_at + red.primary_size == size - 1);
    tr_descriptor descriptor;
    require(tr__descriptor_read(&descriptor, data + 1, size - 1) == (size > TR_DESCRIPTOR_MIN));
    return 0;
}
