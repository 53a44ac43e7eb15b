/* seqmap: see seqmap.h. Touches only the map it is given. Worker thread.
 *
 * The ranges lie in a ring, oldest first. A range ends where the next one begins: on the way in at the next range's
 * in_first (same source), on the way out at its out_first. A number between the two ends was omitted. */
#include "seqmap.h"

#include <stddef.h>

static tr_seqmap_range *at(tr_seqmap *map, uint32_t i) { return &map->ranges[(map->oldest + i) % TR_SEQMAP_RANGES]; }
static const tr_seqmap_range *at_const(const tr_seqmap *map, uint32_t i)
{
    return &map->ranges[(map->oldest + i) % TR_SEQMAP_RANGES];
}

static void append(tr_seqmap *map, tr_seqmap_range range)
{
    if (map->count == TR_SEQMAP_RANGES) {
        map->oldest = (map->oldest + 1) % TR_SEQMAP_RANGES;
        map->count--;
    }
    *at(map, map->count++) = range;
}

void tr__seqmap_init(tr_seqmap *map, uint64_t first_out) { *map = (tr_seqmap){.next_out = first_out}; }

void tr__seqmap_switch(tr_seqmap *map, uint32_t source, uint64_t in_index, const tr_rewrite *rewrite)
{
    append(map,
           (tr_seqmap_range){.in_first = in_index, .out_first = map->next_out, .source = source, .rewrite = *rewrite});
}

void tr__seqmap_change(tr_seqmap *map, uint64_t in_index, const tr_rewrite *rewrite)
{
    if (!map->count) return;
    tr_seqmap_range *last = at(map, map->count - 1);
    if (in_index < last->in_first) return;
    uint64_t out = last->out_first + (in_index - last->in_first);
    if (out < map->next_out) return;
    if (in_index == last->in_first)
        last->rewrite = *rewrite;
    else
        append(map,
               (tr_seqmap_range){.in_first = in_index, .out_first = out, .source = last->source, .rewrite = *rewrite});
}

void tr__seqmap_omit(tr_seqmap *map, uint64_t in_index, const tr_rewrite *after)
{
    if (!map->count) return;
    tr_seqmap_range *last = at(map, map->count - 1);
    if (in_index < last->in_first) return;
    uint64_t out = last->out_first + (in_index - last->in_first);
    if (out < map->next_out) return; /* a newer one has left already: the number stays a gap */
    if (in_index == last->in_first) {
        last->in_first++;
        if (after) last->rewrite = *after;
        return;
    }
    append(map, (tr_seqmap_range){.in_first = in_index + 1,
                                  .out_first = out,
                                  .source = last->source,
                                  .rewrite = after ? *after : last->rewrite});
}

bool tr__seqmap_out(tr_seqmap *map, uint64_t in_index, uint64_t *out_index, const tr_rewrite **rewrite)
{
    if (!map->count) return false;
    uint32_t source = at(map, map->count - 1)->source;
    uint64_t end = UINT64_MAX;
    for (uint32_t i = map->count; i-- > 0;) {
        const tr_seqmap_range *range = at(map, i);
        if (range->source != source) return false;
        if (in_index >= range->in_first) {
            uint64_t out = range->out_first + (in_index - range->in_first);
            if (out >= end) return false;
            if (out >= map->next_out) map->next_out = out + 1;
            *out_index = out;
            *rewrite = &range->rewrite;
            return true;
        }
        end = range->out_first;
    }
    return false;
}

const tr_rewrite *tr__seqmap_latest(const tr_seqmap *map)
{
    return map->count ? &at_const(map, map->count - 1)->rewrite : NULL;
}

bool tr__seqmap_in(const tr_seqmap *map, uint64_t out_index, uint32_t *source, uint64_t *in_index,
                   const tr_rewrite **rewrite)
{
    if (out_index >= map->next_out) return false;
    for (uint32_t i = map->count; i-- > 0;) {
        const tr_seqmap_range *range = at_const(map, i);
        if (out_index < range->out_first) continue;
        *source = range->source;
        *in_index = range->in_first + (out_index - range->out_first);
        *rewrite = &range->rewrite;
        return true;
    }
    return false;
}
