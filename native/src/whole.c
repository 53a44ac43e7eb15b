/* whole: see whole.h. Touches only the two values it is given. Worker thread. */
#include "whole.h"

#include "rtp.h"
#include "seq.h"

/* A picture that is further behind than ten seconds waits for nothing any more: no packet is asked for that long. RTP
 * clock of video (90 kHz). */
#define STALE_TICKS 900000
/* More packets than a picture has: one that begins so far back is never whole, unless it says where it begins. */
#define NO_PICTURE 0x10000u

static bool is_before(uint32_t number, uint32_t other) { return (int32_t)(number - other) < 0; }

void tr__whole_cut(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, bool is_start)
{
    for (int i = 0; i < TR_WHOLE_WAITING; i++) waiting->pictures[i].state = TR_WHOLE_IS_DONE;
    whole->has_keyframe = false;
    whole->now = (tr_whole_picture){
        .end = number - 1,
        .state = (uint8_t)(TR_WHOLE_HAS_END | TR_WHOLE_IS_CUT | (is_start ? TR_WHOLE_IS_DONE : 0)),
    };
}

/* The first number that may be of a picture behind this one: it has `count` numbers from its beginning on, at least. */
static uint32_t behind(const tr_whole_picture *picture)
{
    return picture->state & TR_WHOLE_HAS_END ? picture->end + 1 : picture->begin + picture->count;
}

static void look(tr_whole *whole, tr_whole_picture *picture)
{
    bool is_open = (picture->state & (TR_WHOLE_HAS_END | TR_WHOLE_IS_DONE)) == TR_WHOLE_HAS_END;
    if (!is_open || picture->count != picture->end - picture->begin + 1) return;
    picture->state |= TR_WHOLE_IS_DONE;
    tr__whole_note(whole, picture->is_keyframe);
}

static void add(tr_whole_picture *picture, uint32_t number, uint8_t marks)
{
    picture->count++;
    if (marks & TR_WHOLE_BEGINS) picture->begin = number;
    if (marks & TR_WHOLE_KEY) picture->is_keyframe = true;
    if (!(marks & TR_WHOLE_ENDS)) return;
    picture->end = number;
    picture->state |= TR_WHOLE_HAS_END;
}

/* ------------------------------------------------------------------ in order */

/* A place that is free, or else that of the oldest. */
static tr_whole_picture *place(tr_whole_waiting *waiting)
{
    tr_whole_picture *best = &waiting->pictures[0];
    for (int i = 0; i < TR_WHOLE_WAITING; i++) {
        tr_whole_picture *each = &waiting->pictures[i];
        if (each->state & TR_WHOLE_IS_DONE) return each;
        if (tr__ts_diff(each->ts, best->ts) < 0) best = each;
    }
    return best;
}

static void begin(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts, uint8_t marks)
{
    tr_whole_picture *now = &whole->now;
    uint8_t state = 0;
    uint32_t least = behind(now);
    if (now->state & TR_WHOLE_IS_CUT) {
        if (!(now->state & TR_WHOLE_IS_DONE)) state = TR_WHOLE_IS_DONE; /* its front may be missing */
    } else if (!(now->state & TR_WHOLE_IS_DONE)) {
        if (!(now->state & TR_WHOLE_HAS_END) && least == number) { /* all there is up to here was of it */
            now->end = number - 1;
            now->state |= TR_WHOLE_HAS_END;
            look(whole, now);
        } else {
            *place(waiting) = *now;
        }
    }
    *now = (tr_whole_picture){.ts = ts, .begin = least, .state = state};
    add(now, number, marks);
    look(whole, now);
}

/* ------------------------------------------------------------------ late */

/* Nothing below `least` is of a picture that is newer than `ts`. */
static void push_on(tr_whole *whole, tr_whole_picture *picture, uint32_t ts, uint32_t least)
{
    if (picture->state & TR_WHOLE_IS_DONE || tr__ts_diff(picture->ts, ts) <= 0) return;
    if (is_before(picture->begin, least)) picture->begin = least;
    look(whole, picture);
}

static tr_whole_picture *find(tr_whole_waiting *waiting, uint32_t ts)
{
    for (int i = 0; i < TR_WHOLE_WAITING; i++)
        if (!(waiting->pictures[i].state & TR_WHOLE_IS_DONE) && waiting->pictures[i].ts == ts)
            return &waiting->pictures[i];
    return NULL;
}

/* Of a picture that nothing came of yet. Where newer ones may begin is behind all that is older than those, so a number
 * among these that is no higher than its own is where it may begin as well. */
static tr_whole_picture *wait_for(const tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts)
{
    tr_whole_picture picture = {.ts = ts, .begin = number - NO_PICTURE};
    for (int i = -1; i < TR_WHOLE_WAITING; i++) {
        const tr_whole_picture *newer = i < 0 ? &whole->now : &waiting->pictures[i];
        if (i >= 0 && newer->state & TR_WHOLE_IS_DONE) continue;
        if (!is_before(number, newer->begin) && is_before(picture.begin, newer->begin)) picture.begin = newer->begin;
    }
    tr_whole_picture *oldest = place(waiting);
    if (!(oldest->state & TR_WHOLE_IS_DONE) && tr__ts_diff(oldest->ts, ts) > 0) return NULL; /* older than all */
    *oldest = picture;
    return oldest;
}

static void late(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts, uint8_t marks)
{
    for (int i = 0; i < TR_WHOLE_WAITING; i++)
        if (tr__ts_diff(whole->now.ts, waiting->pictures[i].ts) > STALE_TICKS)
            waiting->pictures[i].state |= TR_WHOLE_IS_DONE;
    tr_whole_picture *picture = find(waiting, ts);
    if (!picture && !(marks & TR_WHOLE_EMPTY)) picture = wait_for(whole, waiting, number, ts);
    if (picture) add(picture, number, marks);
    uint32_t least = picture ? behind(picture) : number + 1;
    if (picture) look(whole, picture);
    for (int i = 0; i < TR_WHOLE_WAITING; i++) push_on(whole, &waiting->pictures[i], ts, least);
    push_on(whole, &whole->now, ts, least);
}

void tr__whole_on_edge(tr_whole *whole, tr_whole_waiting *waiting, uint32_t number, uint32_t ts, uint8_t marks)
{
    tr_whole_picture *now = &whole->now;
    if (now->state & TR_WHOLE_IS_CUT || tr__ts_diff(ts, now->ts) > 0) {
        begin(whole, waiting, number, ts, marks);
    } else if (ts != now->ts) {
        late(whole, waiting, number, ts, marks);
    } else if (now->state & TR_WHOLE_IS_DONE && number == now->end + 1) {
        now->end = number; /* padding behind its last packet */
    } else {
        add(now, number, marks);
        look(whole, now);
    }
}
