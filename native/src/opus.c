/* opus: see opus.h. Touches the packets it is given and the pen. Worker thread. */
#include "opus.h"

/* Of a frame, by configuration (RFC 6716, table 2), in ticks: SILK 10 to 60 ms, hybrid 10 and 20, CELT 2.5 to 20. */
static const uint16_t FRAME_TICKS[32] = {
    480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960,
    120, 240, 480,  960,  120, 240, 480,  960,  120, 240, 480,  960,  120, 240, 480, 960,
};

/* Up to 251 a length has one byte, then two (RFC 6716, 3.2.1). */
#define LONG_LENGTH 252u

static uint16_t take_length(tr_cursor *c)
{
    uint8_t first = tr__take8(c);
    return first < LONG_LENGTH ? first : (uint16_t)(first + 4 * tr__take8(c));
}

static void put_length(tr_pen *pen, uint16_t size)
{
    if (size < LONG_LENGTH) {
        tr__put8(pen, (uint8_t)size);
        return;
    }
    uint8_t first = (uint8_t)(LONG_LENGTH + (size & 3));
    tr__put8(pen, first);
    tr__put8(pen, (uint8_t)((size - first) / 4));
}

static bool share(tr_opus *opus, size_t left)
{
    if (left % opus->count || left / opus->count > TR_OPUS_MAX_SIZE) return false;
    for (uint8_t i = 0; i < opus->count; i++) opus->sizes[i] = (uint16_t)(left / opus->count);
    return true;
}

/* The last frame is what the others leave. */
static bool rest(tr_opus *opus, size_t left)
{
    for (uint8_t i = 0; i + 1 < opus->count; i++) {
        if (opus->sizes[i] > left || opus->sizes[i] > TR_OPUS_MAX_SIZE) return false;
        left -= opus->sizes[i];
    }
    if (left > TR_OPUS_MAX_SIZE) return false;
    opus->sizes[opus->count - 1] = (uint16_t)left;
    return true;
}

/* Any number of frames (3.2.5): a byte of how many, padding, and where they differ the sizes of all but the last. */
static bool parse_many(tr_opus *opus, tr_cursor *c, uint16_t frame_ticks)
{
    uint8_t head = tr__take8(c);
    opus->count = head & 0x3f;
    if (!opus->count || opus->count > TR_OPUS_FRAMES || opus->count * frame_ticks > TR_OPUS_TICKS) return false;
    size_t padding = 0;
    for (uint8_t more = head & 0x40 ? 255 : 0; more == 255;) {
        more = tr__take8(c);
        padding += more == 255 ? 254 : more;
        if (!tr__cursor_ok(c)) return false;
    }
    bool is_even = !(head & 0x80);
    for (uint8_t i = 0; !is_even && i + 1 < opus->count; i++) opus->sizes[i] = take_length(c);
    size_t left = tr__cursor_left(c);
    if (!tr__cursor_ok(c) || padding > left) return false;
    return is_even ? share(opus, left - padding) : rest(opus, left - padding);
}

bool tr__opus_parse(tr_opus *opus, const uint8_t *data, size_t size)
{
    tr_cursor c = tr__cursor(data, size);
    opus->toc = tr__take8(&c);
    opus->count = opus->toc & 3 ? 2 : 1;
    if (!tr__cursor_ok(&c)) return false;
    uint16_t frame_ticks = FRAME_TICKS[opus->toc >> 3];
    bool is_sound = false;
    switch (opus->toc & 3) {
    case 0:
    case 1:
        is_sound = share(opus, tr__cursor_left(&c));
        break;
    case 2:
        opus->sizes[0] = take_length(&c);
        is_sound = tr__cursor_ok(&c) && rest(opus, tr__cursor_left(&c));
        break;
    case 3:
        is_sound = parse_many(opus, &c, frame_ticks);
        break;
    }
    if (!is_sound) return false;
    opus->ticks = (uint16_t)(opus->count * frame_ticks);
    opus->frames = c.at;
    size_t bytes = 0;
    for (uint8_t i = 0; i < opus->count; i++) bytes += opus->sizes[i];
    opus->bytes = (uint16_t)bytes;
    return bytes <= UINT16_MAX;
}

void tr__opus_put(tr_pen *pen, const tr_opus *packets, size_t count)
{
    uint16_t sizes[TR_OPUS_FRAMES];
    size_t frames = 0;
    uint32_t ticks = 0;
    bool is_even = true;
    for (size_t i = 0; i < count; i++) {
        ticks += packets[i].ticks;
        if (frames + packets[i].count > TR_OPUS_FRAMES || ticks > TR_OPUS_TICKS ||
            !tr__opus_is_alike(packets[0].toc, packets[i].toc)) {
            pen->failed = true;
            return;
        }
        for (uint8_t k = 0; k < packets[i].count; k++) {
            sizes[frames++] = packets[i].sizes[k];
            is_even &= packets[i].sizes[k] == sizes[0];
        }
    }
    if (!frames) {
        pen->failed = true;
        return;
    }
    uint8_t toc = packets[0].toc & 0xfc;
    if (frames > 2) {
        tr__put8(pen, toc | 3);
        tr__put8(pen, (uint8_t)(frames | (is_even ? 0 : 0x80)));
    } else {
        tr__put8(pen, (uint8_t)(toc | (frames == 1 ? 0 : is_even ? 1 : 2)));
    }
    for (size_t i = 0; !is_even && i + 1 < frames; i++) put_length(pen, sizes[i]);
    for (size_t i = 0; i < count; i++) tr__put_bytes(pen, packets[i].frames, packets[i].bytes);
}
