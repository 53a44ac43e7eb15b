/* stamp: see stamp.h. Touches the payload it is given, and a table that is made when the library is loaded and only
 * read from then on. Engine thread. */
#include "stamp.h"

#include <string.h>

#include "wire.h"

#define WORDS (2 * TL_STAMP_FILL / 8)
#define KEYFRAME 1

/* Bytes without zeros, so that no start code of H.264 appears in a payload by chance (RFC 6184 has no escape for one).
 * The same in every process. */
static uint8_t filler[2 * TL_STAMP_FILL];

__attribute__((constructor)) static void make_filler(void)
{
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t word = tl__mix(i);
        for (size_t k = 0; k < 8; k++) filler[8 * i + k] = (uint8_t)((word >> (8 * k)) % 255u + 1);
    }
}

/* The `size` bytes before the stamp; they end at one place whatever the size, so that a server that made the descriptor
 * longer or shorter changes nothing. */
static const uint8_t *filler_of(const tl_stamp *stamp, size_t size)
{
    uint64_t offset = tl__mix(stamp->counter ^ (uint64_t)stamp->stream << 32) % TL_STAMP_FILL;
    return filler + offset + TL_STAMP_FILL - size;
}

static uint64_t checksum(const uint8_t *data)
{
    uint64_t sum = tl__mix(tr__load32(data + TL_STAMP_SIZE - 12));
    for (size_t i = 0; i + 8 <= TL_STAMP_SIZE - 12; i += 8) sum = tl__mix(sum ^ tr__load64(data + i));
    return sum;
}

void tl__stamp_write(uint8_t *payload, size_t head, size_t size, uint32_t engine, const tl_stamp *stamp)
{
    uint8_t *at = payload + size - TL_STAMP_SIZE;
    size_t fill = size - TL_STAMP_SIZE - head;
    memcpy(payload + head, filler_of(stamp, fill), fill);
    tr__store32(at, engine);
    tr__store32(at + 4, stamp->stream);
    tr__store64(at + 8, stamp->counter);
    tr__store64(at + 16, stamp->sent_ns);
    tr__store32(at + 24, stamp->frame);
    tr__store16(at + 28, stamp->part);
    tr__store16(at + 30, stamp->parts);
    at[32] = stamp->is_keyframe ? KEYFRAME : 0;
    tr__store24(at + 33, (uint32_t)size);
    tr__store64(at + 36, checksum(at));
}

tl_stamp_verdict tl__stamp_read(const uint8_t *payload, size_t size, uint32_t engine, tl_stamp *stamp)
{
    if (size < TL_STAMP_SIZE) return TL_STAMP_ABSENT;
    const uint8_t *at = payload + size - TL_STAMP_SIZE;
    if (tr__load32(at) != engine) return TL_STAMP_ABSENT;
    if (tr__load64(at + 36) != checksum(at)) return TL_STAMP_CORRUPT;
    *stamp = (tl_stamp){
        .stream = tr__load32(at + 4),
        .counter = tr__load64(at + 8),
        .sent_ns = tr__load64(at + 16),
        .frame = tr__load32(at + 24),
        .part = tr__load16(at + 28),
        .parts = tr__load16(at + 30),
        .is_keyframe = at[32] & KEYFRAME,
    };
    size_t written = tr__load24(at + 33);
    if (written > TL_STAMP_HEAD + TL_STAMP_SIZE) {
        size_t compared = written - TL_STAMP_HEAD - TL_STAMP_SIZE;
        if (compared > TL_STAMP_FILL || size < TL_STAMP_SIZE + compared) return TL_STAMP_CORRUPT;
        if (memcmp(at - compared, filler_of(stamp, compared), compared) != 0) return TL_STAMP_CORRUPT;
    }
    return TL_STAMP_OK;
}
