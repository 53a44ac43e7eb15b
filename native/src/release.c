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

/* A packet of padding is worth so much of a cluster's time, as in the simulator; smaller ones do not count in it. */
#define PAD_US 4000
#define PAD_LEAST_BYTES 220 /* 200 at least, whatever sealing adds */
/* A packet for what was to be filled up. */
#define FILL_BYTES 500

/* Who can send padding: NULL: nobody. */
static tr_sender *padder(const tr_outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->sender_count; i++)
        if (tr__sender_can_pad(outlet->senders[i])) return outlet->senders[i];
    return NULL;
}

static bool pad(const tr_outlet *outlet, uint32_t bytes, uint64_t now_us)
{
    tr_sender *sender = padder(outlet);
    if (!sender || tr__sender_pad(sender, bytes, now_us) != TR_DROP_NONE) return false;
    outlet->tally->padding_packets++;
    return true;
}

static bool pad_probe(const tr_outlet *outlet, uint64_t now_us)
{
    uint64_t bytes = outlet->downlink->pacer->rate_bps * PAD_US / 8000000;
    return pad(outlet, bytes > PAD_LEAST_BYTES ? (uint32_t)(bytes < UINT16_MAX ? bytes : UINT16_MAX) : PAD_LEAST_BYTES,
               now_us);
}

/* One packet of the cluster. False: there is nothing to make it of. */
static bool probe(const tr_outlet *outlet, uint64_t now_us)
{
    tr_downlink *d = outlet->downlink;
    tr_pacer_ref ref;
    int64_t number = d->next_number;
    uint64_t charged = d->pacer->charged;
    bool is_padded = true;
    d->probe_id = d->probe.probe_id;
    if (tr__pacer_next(d->pacer, &ref))
        leave(d, outlet->tally, &ref, now_us);
    else
        is_padded = pad_probe(outlet, now_us);
    d->probe_id = TR_NO_PROBE;
    if (d->next_number != number) tr__pacer_probed(d->pacer, (uint32_t)(d->pacer->charged - charged), now_us);
    return is_padded;
}

void tr__release_due(const tr_outlet *outlet, uint64_t now_us)
{
    tr_downlink *d = outlet->downlink;
    tr_pacer_ref ref;
    tr__downlink_set_pace(d, now_us);
    d->pacer->released_us = now_us;
    while (tr__pacer_is_open(d->pacer, now_us)) {
        if (d->pacer->is_probing) {
            if (probe(outlet, now_us)) continue;
            tr__pacer_end_probe(d->pacer, now_us);
        } else if (tr__pacer_next(d->pacer, &ref)) {
            leave(d, outlet->tally, &ref, now_us);
        } else {
            return;
        }
    }
}

void tr__release_on_time(const tr_outlet *outlet, uint64_t now_us)
{
    tr_downlink *d = outlet->downlink;
    if (tr__downlink_has_probe(d, now_us) && (d->pacer->count || padder(outlet))) {
        d->has_probe = false;
        tr__pacer_begin_probe(d->pacer, d->probe.rate_bps, d->probe.least_bytes, d->probe.least_packets, now_us);
        return;
    }
    if (d->padding_bytes >= FILL_BYTES && tr__pacer_may(d->pacer, now_us)) {
        pad(outlet, FILL_BYTES, now_us);
        d->padding_bytes = 0;
    }
}

void tr__release_all(tr_downlink *d, tr_tally *tally, uint64_t now_us)
{
    tr_pacer_ref ref;
    while (tr__pacer_next(d->pacer, &ref)) leave(d, tally, &ref, now_us);
}
