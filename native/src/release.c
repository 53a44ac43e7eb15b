/* release: see release.h. Touches the senders whose packets wait. Worker thread. */
#include "release.h"

static void leave(tr_downlink *d, tr_tally *tally, const tr_pacer_ref *ref, uint64_t now_us)
{
    uint64_t waited_us = now_us - ref->put_us;
    tr_drop drop = tr__sender_release(ref->flow->sender, ref, now_us);
    if (drop != TR_DROP_NONE) {
        tr__count_drop(tally, drop);
        return;
    }
    if (waited_us > d->pacer->longest_us) d->pacer->longest_us = waited_us;
    tally->paced_packets++;
    tally->paced_us += waited_us;
}

void tr__release_due(tr_downlink *d, tr_tally *tally, uint64_t now_us)
{
    tr_pacer_ref ref;
    tr__downlink_set_pace(d, now_us);
    d->pacer->released_us = now_us;
    while (tr__pacer_is_open(d->pacer, now_us) && tr__pacer_next(d->pacer, &ref)) leave(d, tally, &ref, now_us);
}

void tr__release_all(tr_downlink *d, tr_tally *tally, uint64_t now_us)
{
    tr_pacer_ref ref;
    while (tr__pacer_next(d->pacer, &ref)) leave(d, tally, &ref, now_us);
}
