/* fuzz_picture: the first byte picks the codec, the second is how long a dependency descriptor is, the rest is that and
 * a payload. Whatever they are, the answer is whole, the same twice, and no size is told of what is not known to be a
 * keyframe. */
#include "picture.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    tr_codec codec = (tr_codec)(data[0] % (TR_CODEC_COUNT + 1));
    size_t first = data[1] < size - 2 ? data[1] : size - 2, rest = size - 2 - first;
    tr_picture picture = {0}, again = {.heights = {1, 2, 3, 4}, .told = 77};
    bool is_told = tr__picture_read(&picture, codec, data + 2 + first, rest, data + 2, first);
    require(is_told == (picture.told != TR_KEYFRAMES_UNTOLD));
    if (!is_told)
        for (int i = 0; i < TR_MAX_SPATIAL; i++) require(picture.heights[i] == 0);
    if (rest == 0) require(!is_told);
    require(is_told == tr__picture_read(&again, codec, data + 2 + first, rest, data + 2, first));
    require(picture.told == again.told);
    if (codec != TR_CODEC_H264) require(memcmp(picture.heights, again.heights, sizeof picture.heights) == 0);
    return 0;
}
