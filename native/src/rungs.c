/* rungs: see rungs.h. Worker thread. */
#include "rungs.h"

static tr_sender *find_sender(const tr_transport *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->sender_count; i++)
        if (tr__sender_id(t->senders[i]) == id) return t->senders[i];
    return NULL;
}

/* What finds its ring full is told with the next look. */
static void tell_held(tr_transport *t)
{
    t->are_held_untold = false;
    for (uint32_t i = 0; i < t->sender_count; i++) {
        tr_sender *sender = t->senders[i];
        if (tr__sender_is_held_told(sender)) continue;
        tr_sender_held event = {
            .transport = t->id, .sender = tr__sender_id(sender), .is_held = tr__sender_is_held(sender)};
        if (tr__ring_push(t->shared->events, TR_EVENT_SENDER_HELD, 0, &event, sizeof event) == TR_OK)
            tr__sender_on_held_told(sender);
        else
            t->are_held_untold = true;
    }
}

static void apply(tr_transport *t, uint64_t now_us)
{
    tr_rung change;
    while (tr__ladder_next_change(t->ladder, &change)) {
        tr_sender *sender = find_sender(t, change.sender);
        if (!sender) continue; /* it went meanwhile */
        if (!change.is_paused)
            tr__sender_set_layer(sender, (tr_layer){change.encoding, change.spatial, change.temporal}, now_us);
        tr__sender_hold(sender, change.is_paused != 0, now_us);
        t->are_held_untold |= !tr__sender_is_held_told(sender);
    }
    if (t->are_held_untold) tell_held(t);
}

/* False: nothing is estimated. */
static bool climb(tr_transport *t, uint64_t now_us)
{
    tr_estimator *estimator = t->downlink ? t->downlink->estimator : NULL;
    if (!estimator) return false;
    tr_rates rates;
    tr_estimator_rates(estimator, &rates);
    if (tr__egress_is_open(&t->egress)) tr__ladder_begin(t->ladder, (int64_t)now_us);
    uint32_t queue_us = rates.queue_us < UINT32_MAX ? (uint32_t)rates.queue_us : UINT32_MAX;
    tr__ladder_on_estimate(t->ladder, rates.estimate_bps, queue_us, (int64_t)now_us);
    tr_estimator_on_demand(estimator, (int64_t)now_us, tr__ladder_wanted_bps(t->ladder));
    return true;
}

void tr__rungs_on_time(tr_transport *t, uint64_t now_us)
{
    if (!climb(t, now_us)) return;
    apply(t, now_us);
    /* Where everything is held back nothing may be sent, and still there is something to wait for. */
    if (t->ladder->is_held && t->downlink->due_us == UINT64_MAX) t->downlink->due_us = now_us + TR_DOWNLINK_INTERVAL_US;
}

static bool is_named(const tr_rung *rungs, uint32_t count, uint32_t sender)
{
    for (uint32_t i = 0; i < count; i++)
        if (rungs[i].sender == sender) return true;
    return false;
}

int tr__rungs_set(tr_transport *t, const tr_set_ladder *params, uint64_t now_us)
{
    bool is_first = !t->ladder;
    if (is_first && !(t->ladder = tr_ladder_new())) return TR_ERR_NO_MEMORY;
    bool was_named[TR_TRANSPORT_MAX_SENDERS];
    for (uint32_t i = 0; i < t->sender_count; i++)
        was_named[i] = is_named(t->ladder->rungs, t->ladder->count, tr__sender_id(t->senders[i]));
    int status = tr__ladder_set(t->ladder, params->rungs, params->count, (int64_t)now_us);
    if (status != TR_OK) return status;
    for (uint32_t i = 0; i < t->sender_count; i++) {
        tr_sender *sender = t->senders[i];
        if (!was_named[i] || is_named(params->rungs, params->count, tr__sender_id(sender))) continue;
        tr__sender_set_layer(sender, TR_LAYERS_ALL, now_us);
        tr__sender_hold(sender, false, now_us);
        t->are_held_untold |= !tr__sender_is_held_told(sender);
    }
    if (t->ladder->is_placed || climb(t, now_us)) apply(t, now_us);
    return TR_OK;
}
