/* history: see history.h. Touches only ring and index that it was given. Worker thread.
 *
 * The ring is written lap after lap. What the lap before left behind the head is still whole; what it left before the
 * head has been overwritten. A lap that is to be shorter than the one before leaves that one's end as it is; only when
 * it is over does nothing whole lie there any more. */
#include "history.h"

#include <string.h>

#include "near.h"
#include "pages.h"

/* Bytes more that are taken into use at a time: a page, and more than a datagram. */
#define STEP 4096u

void tr__history_init(tr_history *history, tr_history_packet *packets, uint32_t count, uint8_t *ring, uint32_t size)
{
    *history = (tr_history){.ring = ring,
                            .packets = packets,
                            .mask = TR_HISTORY_FIRST_PACKETS - 1,
                            .last_mask = count - 1,
                            .size = size,
                            .limit = size < STEP ? size : STEP};
    memset(packets, 0, TR_HISTORY_FIRST_PACKETS * sizeof *packets);
}

/* Are its bytes still there? */
static bool is_whole(const tr_history *history, const tr_history_packet *packet)
{
    uint16_t laps = (uint16_t)(history->lap - packet->lap);
    return laps == 0 || (laps == 1 && packet->offset >= history->head);
}

/* Twice the entries: of those that shared a place some stay, the others move up by as many as there were. */
static void widen(tr_history *history)
{
    uint32_t count = history->mask + 1;
    for (uint32_t i = 0; i < count; i++) {
        tr_history_packet *low = &history->packets[i], *high = low + count;
        *high = (tr_history_packet){0};
        if (!(low->index & count)) continue;
        *high = *low;
        *low = (tr_history_packet){0};
    }
    history->mask = 2 * count - 1;
}

/* A lap that took so much longer than it had to is the last of its length; a little is left for frames of other sizes.
 * A keyframe in every second, or a camera switched on again, is not what the seconds in between need. */
static uint32_t next_limit(const tr_history *history, uint64_t lasted_us)
{
    if (lasted_us < TR_HISTORY_US + TR_HISTORY_US / 8) return history->limit;
    uint64_t needed = (uint64_t)history->limit * TR_HISTORY_US / lasted_us;
    needed = (needed + needed / 32 + STEP - 1) / STEP * STEP;
    if (needed < STEP) needed = STEP;
    return needed < history->limit ? (uint32_t)needed : history->limit;
}

/* Less than this is not worth the system call, and the pages that would have to be made again. */
#define FORGET_FROM 8192u

static void begin_lap(tr_history *history, uint64_t now_us)
{
    if (history->touched >= history->limit + FORGET_FROM) {
        tr__pages_forget(history->ring + history->limit, history->touched - history->limit);
        history->touched = history->limit;
    } else if (history->touched < history->limit) {
        history->touched = history->limit;
    }
    history->limit = next_limit(history, now_us - history->lap_at_us);
    history->head = history->mark = history->before = 0;
    history->mark_us = history->before_us = now_us;
    history->lap++;
    history->lap_at_us = now_us;
}

#define MARK_US (TR_HISTORY_US / 4)
#define LEAST_US (TR_HISTORY_US / 10) /* three frames */

/* Would so many bytes in that time fill more than this lap in one of TR_HISTORY_US? A quarter more is what frames
 * differ by. */
static bool is_too_fast(const tr_history *history, uint64_t bytes, uint64_t us)
{
    uint64_t limit = history->limit;
    return bytes * TR_HISTORY_US > (limit + limit / 4) * us;
}

/* At the rate of the latest quarters this lap would not last for a second: a keyframe, say, after a picture that stood
 * still. From the ring's start on it would run over its own beginning, which may wait for somebody's line yet. */
static bool is_burst(const tr_history *history, uint64_t now_us)
{
    uint64_t latest_us = now_us - history->mark_us;
    return is_too_fast(history, history->head - history->before, now_us - history->before_us) ||
           is_too_fast(history, history->head - history->mark, latest_us > LEAST_US ? latest_us : LEAST_US);
}

/* Room for `size` bytes at the head: further on while this lap is young, or in a burst, else from the ring's start. */
static void make_room(tr_history *history, uint32_t size, uint64_t now_us)
{
    while (history->limit - history->head < size && history->limit < history->size &&
           (now_us - history->lap_at_us < TR_HISTORY_US || is_burst(history, now_us)))
        history->limit = history->size - history->limit < STEP ? history->size : history->limit + STEP;
    if (history->limit - history->head >= size) return;
    begin_lap(history, now_us);
}

void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size, uint64_t now_us)
{
    if (!size || size > history->limit) return;
    tr_history_packet *packet = &history->packets[index & history->mask];
    /* What has its place is still whole: not bytes but entries are what there is too little of. */
    while (history->mask < history->last_mask && packet->bytes && is_whole(history, packet)) {
        widen(history);
        packet = &history->packets[index & history->mask];
    }
    /* A late packet does not push out the newer one that has its place. */
    if (packet->bytes && (int32_t)(packet->index - (uint32_t)index) > 0) return;
    if (!history->lap_at_us) history->lap_at_us = history->mark_us = history->before_us = now_us;
    if (now_us - history->mark_us >= MARK_US) {
        bool is_recent = now_us - history->mark_us < 2 * MARK_US; /* a silence is none of the rate */
        history->before = is_recent ? history->mark : history->head;
        history->before_us = is_recent ? history->mark_us : now_us;
        history->mark = history->head;
        history->mark_us = now_us;
    }
    if (history->limit - history->head < size) make_room(history, (uint32_t)size, now_us);
    memcpy(history->ring + history->head, data, size);
    *packet = (tr_history_packet){
        .index = (uint32_t)index, .offset = history->head, .lap = history->lap, .bytes = (uint16_t)size};
    history->head += (uint32_t)size;
}

void tr__history_near(const tr_history *history, uint16_t seq)
{
    tr__near(&history->packets[seq & history->mask], sizeof *history->packets);
    tr__near(history->ring + history->head, 1);
}

bool tr__history_has(const tr_history *history, uint64_t index)
{
    const tr_history_packet *packet = &history->packets[index & history->mask];
    return packet->bytes && packet->index == (uint32_t)index && is_whole(history, packet);
}

const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size)
{
    if (!tr__history_has(history, index)) return NULL;
    const tr_history_packet *packet = &history->packets[index & history->mask];
    *size = packet->bytes;
    return history->ring + packet->offset;
}
