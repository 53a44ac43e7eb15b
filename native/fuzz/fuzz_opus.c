/* fuzz_opus: the first byte says where the rest is cut in two; both are read as Opus packets. What is read lies in its
 * packet, and joined it is the same frames: a packet that is read again, as long and no longer than it must be. */
#include <stdlib.h>

#include "opus.h"

static void require(bool condition)
{
    if (!condition) abort();
}

static void check(const tr_opus *opus, const uint8_t *data, size_t size)
{
    size_t bytes = 0;
    require(opus->count >= 1 && opus->count <= TR_OPUS_FRAMES && opus->ticks <= TR_OPUS_TICKS);
    for (uint8_t i = 0; i < opus->count; i++) {
        require(opus->sizes[i] <= TR_OPUS_MAX_SIZE);
        bytes += opus->sizes[i];
    }
    require(bytes == opus->bytes && opus->frames >= data && opus->frames + bytes <= data + size);
}

static void join(const tr_opus *packets, size_t count)
{
    static uint8_t out[131072];
    tr_pen pen = tr__pen(out, sizeof out);
    tr__opus_put(&pen, packets, count);
    size_t frames = 0, bytes = 0, ticks = 0;
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        frames += packets[i].count;
        bytes += packets[i].bytes;
        ticks += packets[i].ticks;
        fits &= tr__opus_is_alike(packets[0].toc, packets[i].toc);
    }
    require(tr__pen_ok(&pen) == (fits && frames <= TR_OPUS_FRAMES && ticks <= TR_OPUS_TICKS));
    if (!tr__pen_ok(&pen)) return;
    tr_opus again;
    require(tr__opus_parse(&again, out, tr__pen_size(&pen)));
    check(&again, out, tr__pen_size(&pen));
    require(again.count == frames && again.bytes == bytes && again.ticks == ticks);
    require(tr__pen_size(&pen) <= bytes + 2 + 2 * frames);
    const uint8_t *at = again.frames;
    size_t frame = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint8_t k = 0; k < packets[i].count; k++) require(again.sizes[frame++] == packets[i].sizes[k]);
        require(memcmp(at, packets[i].frames, packets[i].bytes) == 0);
        at += packets[i].bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t first = data[0] < size ? data[0] : size - 1, second = size - 1 - first;
    const uint8_t *rest = data + 1 + first;
    tr_opus packets[2];
    bool is_first = tr__opus_parse(&packets[0], data + 1, first);
    bool is_second = tr__opus_parse(&packets[is_first], rest, second);
    if (is_first) check(&packets[0], data + 1, first);
    if (is_second) check(&packets[is_first], rest, second);
    for (size_t count = 1; count <= (size_t)is_first + is_second; count++) join(packets, count);
    return 0;
}
