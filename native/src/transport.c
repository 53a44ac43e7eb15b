/* transport: see transport.h. Worker thread. */
#include "transport.h"

#include <stdlib.h>

#include "near.h"
#include "release.h"
#include "reports.h"
#include "rungs.h"

/* Receiver reports and silence checks once a second: what browsers do for video, and early enough for their estimators.
 */
#define REPORT_INTERVAL_US 1000000
/* How often senders look whether another encoding should be forwarded. */
#define TICK_INTERVAL_US 100000
/* An event that found its ring full is offered again after this time. */
#define RETELL_INTERVAL_US 20000
/* The list of senders grows by this many: an audience of one has a camera and a microphone. */
#define SENDERS_STEP 8
#define NEVER UINT64_MAX

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }
static void wake_at(tr_transport *t, uint64_t at_us) { t->due_us = earlier(t->due_us, at_us); }

/* ------------------------------------------------------------------ life */

tr_transport *tr__transport_new(const tr_shared *shared, const tr_add_transport *params, uint32_t index,
                                uint64_t random, uint64_t now_us)
{
    size_t room = (sizeof(tr_transport) + TR_LINE - 1) / TR_LINE * TR_LINE;
    tr_transport *t = aligned_alloc(TR_LINE, room);
    if (!t) return NULL;
    memset(t, 0, room);
    t->shared = shared;
    t->id = params->transport;
    t->index = index;
    t->room = params->room;
    t->participant = params->participant;
    t->rtcp_ssrc = (uint32_t)random | 1;
    tr__ice_init(&t->ice, params->local_ufrag, params->local_pwd);
    t->egress = (tr_egress){.outbox = shared->outbox,
                            .tally = shared->tally,
                            .owner = index,
                            .id = t->id,
                            .is_admitted = params->is_admitted != 0};
    tr__clock_init(&t->clock);
    t->due_us = t->dtls_due_us = t->report_due_us = t->tick_due_us = t->consent_due_us = t->limit_due_us = NEVER;
    if (params->is_tap) {
        t->state = TR_TRANSPORT_CONNECTED;
        t->egress.tap = shared->events;
        t->egress.has_path = true;
        t->due_us = t->report_due_us = now_us + REPORT_INTERVAL_US;
        t->tick_due_us = now_us + TICK_INTERVAL_US;
    }
    shared->tally->transports[t->state]++;
    return t;
}

void tr__transport_free(tr_transport *t)
{
    if (!t) return;
    for (uint32_t i = 0; i < t->sender_count; i++) tr__sender_free(t->senders[i]);
    free(t->senders);
    for (uint32_t i = 0; i < t->receiver_count; i++) tr__receiver_free(t->receivers[i]);
    t->shared->tally->senders -= t->sender_count;
    t->shared->tally->receivers -= t->receiver_count;
    t->shared->tally->transports[t->state]--;
    tr__srtp_free(t->srtp);
    tr__dtls_free(t->dtls);
    free(t->twcc);
    tr__downlink_free(t->downlink);
    tr_ladder_free(t->ladder);
    free(t);
}

/* ------------------------------------------------------------------ state and events */

static void tell_state(tr_transport *t)
{
    tr_transport_changed event = {.transport = t->id, .state = (uint8_t)t->state};
    if (t->srtp) event.srtp_profile = (uint8_t)tr__srtp_profile_of(t->srtp);
    memcpy(event.reason, t->reason, sizeof event.reason);
    t->state_untold = tr__ring_push(t->shared->events, TR_EVENT_TRANSPORT_STATE, 0, &event, sizeof event) != TR_OK;
}

/* What may happen to a transport. */
typedef enum lifecycle_event {
    ON_CHECK,           /* a path of its is selected and consented to, there are no keys yet */
    ON_CHECK_WITH_KEYS, /* the same, and there are */
    ON_KEYS,            /* DTLS is done and the fingerprint is right */
    ON_CONSENT_LOST,
    ON_FAILURE,
    ON_CLOSE, /* by an authenticated alert */
    EVENT_COUNT
} lifecycle_event;

#define NEW TR_TRANSPORT_NEW
#define CHECKED TR_TRANSPORT_CHECKED
#define CONNECTED TR_TRANSPORT_CONNECTED
#define DISCONNECTED TR_TRANSPORT_DISCONNECTED
#define FAILED TR_TRANSPORT_FAILED
#define CLOSED TR_TRANSPORT_CLOSED

/* docs/states.md has the same. Keys may come before a path is nominated, and while consent is lost. */
/* clang-format off */
static const uint8_t next_state[TR_TRANSPORT_STATE_COUNT][EVENT_COUNT] = {
    /*                 check         check, keys   keys          consent lost  failure close */
    [NEW]          = { CHECKED,      CONNECTED,    CONNECTED,    NEW,          FAILED, CLOSED },
    [CHECKED]      = { CHECKED,      CONNECTED,    CONNECTED,    DISCONNECTED, FAILED, CLOSED },
    [CONNECTED]    = { CONNECTED,    CONNECTED,    CONNECTED,    DISCONNECTED, FAILED, CLOSED },
    [DISCONNECTED] = { CHECKED,      CONNECTED,    DISCONNECTED, DISCONNECTED, FAILED, CLOSED },
    [FAILED]       = { FAILED,       FAILED,       FAILED,       FAILED,       FAILED, FAILED },
    [CLOSED]       = { CLOSED,       CLOSED,       CLOSED,       CLOSED,       CLOSED, CLOSED },
};
/* clang-format on */

#undef NEW
#undef CHECKED
#undef CONNECTED
#undef DISCONNECTED
#undef FAILED
#undef CLOSED

static void happens(tr_transport *t, lifecycle_event event)
{
    tr_transport_state state = (tr_transport_state)next_state[t->state][event];
    if (t->state == state) return;
    t->shared->tally->transports[t->state]--;
    t->shared->tally->transports[state]++;
    t->state = state;
    tell_state(t);
}

/* The end of a transport: nothing is sent or taken any more. */
static void end(tr_transport *t, lifecycle_event event, const char *reason)
{
    strncpy(t->reason, reason, sizeof t->reason - 1);
    t->egress.has_path = false;
    t->egress.srtp = NULL;
    happens(t, event);
}

static bool is_over(const tr_transport *t)
{
    return t->state == TR_TRANSPORT_FAILED || t->state == TR_TRANSPORT_CLOSED;
}

/* ------------------------------------------------------------------ DTLS */

/* Where handshake records go: the selected path; before there is one, where the latest record came from. */
static const tr_path *dtls_path(const tr_transport *t)
{
    const tr_path *selected = tr__ice_selected(&t->ice);
    return selected ? selected : t->has_dtls_path ? &t->dtls_path : NULL;
}

static void drain_dtls(tr_transport *t)
{
    const tr_path *path = dtls_path(t);
    uint8_t *slot;
    while (path && (slot = tr__outbox_reserve(t->shared->outbox)) != NULL) {
        size_t size = tr__dtls_next(t->dtls, slot, TR_MAX_DATAGRAM);
        if (!size) break;
        tr__outbox_commit(t->shared->outbox, path, t->index, size);
    }
}

/* The SSRCs the peer may have: resends apart, reports under one for each that it gets, and these, for what it has not
 * told of, or whose time is over. */
#define SPARE_SSRCS 16

/* False: no memory. Those there is no room for are refused, as always. */
static bool reserve_ssrcs(tr_transport *t)
{
    uint32_t count = SPARE_SSRCS + 2 * t->sender_count;
    for (uint32_t i = 0; i < t->receiver_count; i++) count += 2 * tr__receiver_source(t->receivers[i])->count;
    return !t->srtp || tr__srtp_reserve(t->srtp, count);
}

static void on_dtls_state(tr_transport *t, tr_dtls_state state, uint64_t now_us)
{
    switch (state) {
    case TR_DTLS_CONNECTED:
        if (t->srtp || is_over(t)) break;
        t->srtp = tr__dtls_make_srtp(t->dtls, t->shared->crypto);
        if (!t->srtp || !reserve_ssrcs(t)) {
            end(t, ON_FAILURE, "srtp_keys");
            break;
        }
        t->egress.srtp = t->srtp;
        t->shared->tally->dtls_handshakes++;
        t->report_due_us = now_us + REPORT_INTERVAL_US;
        t->tick_due_us = now_us + TICK_INTERVAL_US;
        happens(t, ON_KEYS);
        break;
    case TR_DTLS_FAILED:
        if (!is_over(t)) end(t, ON_FAILURE, tr__dtls_reason(t->dtls));
        break;
    case TR_DTLS_CLOSED:
        if (!is_over(t)) end(t, ON_CLOSE, "");
        break;
    case TR_DTLS_NEW:
    case TR_DTLS_HANDSHAKE:
    case TR_DTLS_UNVERIFIED:
        break;
    }
    drain_dtls(t);
    uint64_t timeout_us = tr__dtls_timeout_us(t->dtls);
    t->dtls_due_us = timeout_us == NEVER || is_over(t) ? NEVER : now_us + timeout_us;
    wake_at(t, t->dtls_due_us);
}

static bool make_dtls(tr_transport *t)
{
    if (t->dtls) return true;
    t->dtls = tr__dtls_new(t->shared->dtls, t->is_dtls_client);
    if (!t->dtls) return false;
    if (t->has_remote) tr__dtls_set_fingerprints(t->dtls, t->fingerprints, TR_MAX_FINGERPRINTS);
    return true;
}

/* As a client we open the handshake, but only towards a path that a check has validated. */
static void start_dtls_client(tr_transport *t, uint64_t now_us)
{
    if (!t->is_dtls_client || !t->has_remote || t->dtls || is_over(t) || !tr__ice_selected(&t->ice)) return;
    if (make_dtls(t)) on_dtls_state(t, tr__dtls_start(t->dtls), now_us);
}

static void read_data(tr_transport *t)
{
    tr_data data = {.transport = t->id};
    size_t size;
    while ((size = tr__dtls_read(t->dtls, data.bytes, sizeof data.bytes)) > 0) {
        data.size = (uint16_t)size;
        size_t body = offsetof(tr_data, bytes) + size;
        /* SCTP resends what is lost here, as it would on the network. */
        if (tr__ring_push(t->shared->events, TR_EVENT_DATA, 0, &data, body) != TR_OK)
            tr__count_drop(t->shared->tally, TR_DROP_EVENTS_FULL);
    }
}

tr_drop tr__transport_on_dtls(tr_transport *t, const tr_path *path, const uint8_t *data, size_t size, uint64_t now_us)
{
    if (is_over(t) || t->egress.tap || (t->is_dtls_client && !t->dtls)) return TR_DROP_DTLS_STATE;
    if (!make_dtls(t)) return TR_DROP_DTLS_LIMIT;
    t->dtls_path = *path;
    t->has_dtls_path = true;
    tr_drop drop = TR_DROP_NONE;
    tr_dtls_state state = tr__dtls_receive(t->dtls, data, size, &drop);
    read_data(t);
    on_dtls_state(t, state, now_us);
    return drop;
}

int tr__transport_send_data(tr_transport *t, const uint8_t *data, size_t size)
{
    if (t->state != TR_TRANSPORT_CONNECTED || !t->dtls) return TR_ERR_STATE;
    int status = tr__dtls_write(t->dtls, data, size);
    drain_dtls(t);
    return status;
}

void tr__transport_close(tr_transport *t)
{
    if (!t->dtls || is_over(t)) return;
    tr__dtls_close(t->dtls);
    drain_dtls(t);
}

/* ------------------------------------------------------------------ what control sets */

int tr__transport_set_remote(tr_transport *t, const tr_set_remote *remote, uint64_t now_us)
{
    if (is_over(t) || t->egress.tap) return TR_ERR_STATE;
    /* A role cannot change under a handshake that runs (RFC 8842, 5.5 wants a new association for that). */
    if (t->dtls && t->is_dtls_client != (remote->is_dtls_client != 0)) return TR_ERR_STATE;
    tr__ice_set_remote(&t->ice, remote->ufrag, remote->pwd);
    t->is_dtls_client = remote->is_dtls_client != 0;
    memcpy(t->fingerprints, remote->fingerprints, sizeof t->fingerprints);
    t->has_remote = true;
    if (t->dtls) on_dtls_state(t, tr__dtls_set_fingerprints(t->dtls, t->fingerprints, TR_MAX_FINGERPRINTS), now_us);
    start_dtls_client(t, now_us);
    return TR_OK;
}

void tr__transport_restart_ice(tr_transport *t, const tr_restart_ice *params)
{
    tr__ice_restart(&t->ice, params->local_ufrag, params->local_pwd);
}

void tr__transport_set_admitted(tr_transport *t, bool is_admitted, uint64_t now_us)
{
    t->egress.is_admitted = is_admitted;
    if (!is_admitted) return;
    for (uint32_t i = 0; i < t->receiver_count; i++) tr__receiver_request_keyframe(t->receivers[i], now_us);
    wake_at(t, now_us);
}

static bool add_ssrc(tr_transport *t, uint32_t ssrc, uint32_t receiver, uint8_t encoding, bool is_rtx)
{
    if (t->ssrc_count == TR_TRANSPORT_MAX_SSRCS) return false;
    t->ssrcs[t->ssrc_count++] = (tr_ssrc_entry){ssrc, (uint16_t)receiver, encoding, is_rtx};
    if (t->srtp) tr__srtp_keep_ssrc(t->srtp, ssrc);
    return true;
}

const tr_ssrc_entry *tr__transport_find_ssrc(const tr_transport *t, uint32_t ssrc)
{
    for (uint32_t i = 0; i < t->ssrc_count; i++)
        if (t->ssrcs[i].ssrc == ssrc) return &t->ssrcs[i];
    return NULL;
}

static void merge_extensions(tr_transport *t)
{
    memset(t->extensions, 0, sizeof t->extensions);
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        const tr_add_receiver *params = tr__receiver_params(t->receivers[i]);
        for (int e = 0; e < TR_EXT_COUNT; e++)
            if (params->extensions[e]) t->extensions[e] = params->extensions[e];
    }
}

int tr__transport_add_receiver(tr_transport *t, const tr_add_receiver *params, tr_receiver **out)
{
    if (t->receiver_count == TR_TRANSPORT_MAX_RECEIVERS) return TR_ERR_FULL;
    for (uint32_t i = 0; i < params->encoding_count; i++) {
        const tr_encoding *e = &params->encodings[i];
        if ((e->ssrc && tr__transport_find_ssrc(t, e->ssrc)) ||
            (e->rtx_ssrc && tr__transport_find_ssrc(t, e->rtx_ssrc)))
            return TR_ERR_EXISTS;
    }
    if (t->ssrc_count + 2 * params->encoding_count > TR_TRANSPORT_MAX_SSRCS) return TR_ERR_FULL;
    uint32_t history = params->kind == TR_VIDEO ? t->shared->video_history_bytes : t->shared->audio_history_bytes;
    if (params->extensions[TR_EXT_TWCC] && !t->twcc) {
        t->twcc = malloc(sizeof *t->twcc);
        if (!t->twcc) return TR_ERR_NO_MEMORY;
        tr__twcc_init(t->twcc);
    }
    tr_receiver *receiver = tr__receiver_new(params, history, &t->clock, t->shared->tally);
    if (!receiver) return TR_ERR_NO_MEMORY;
    uint32_t at = t->receiver_count++;
    t->receivers[at] = receiver;
    if (!reserve_ssrcs(t)) {
        t->receiver_count--;
        tr__receiver_free(receiver);
        return TR_ERR_NO_MEMORY;
    }
    t->active[at] = 0;
    for (uint8_t i = 0; i < params->encoding_count; i++) {
        if (params->encodings[i].ssrc) add_ssrc(t, params->encodings[i].ssrc, at, i, false);
        if (params->encodings[i].rtx_ssrc) add_ssrc(t, params->encodings[i].rtx_ssrc, at, i, true);
    }
    merge_extensions(t);
    t->shared->tally->receivers++;
    *out = receiver;
    return TR_OK;
}

void tr__transport_remove_receiver(tr_transport *t, tr_receiver *receiver, uint64_t now_us)
{
    (void)now_us;
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        if (t->receivers[i] != receiver) continue;
        uint32_t last = --t->receiver_count;
        t->receivers[i] = t->receivers[last];
        t->active[i] = t->active[last];
        for (uint32_t s = 0; s < t->ssrc_count;) {
            tr_ssrc_entry *entry = &t->ssrcs[s];
            if (entry->receiver == i) {
                if (t->srtp) tr__srtp_retire_ssrc(t->srtp, entry->ssrc);
                *entry = t->ssrcs[--t->ssrc_count];
                continue;
            }
            if (entry->receiver == last) entry->receiver = (uint16_t)i;
            s++;
        }
        tr__receiver_free(receiver);
        t->shared->tally->receivers--;
        merge_extensions(t);
        return;
    }
}

static int start_downlink(tr_transport *t)
{
    tr_downlink *downlink = tr__downlink_new(t->index, t->shared->woken);
    if (!downlink) return TR_ERR_NO_MEMORY;
    int status = t->downlink_set.transport ? tr__downlink_set(downlink, &t->downlink_set) : TR_OK;
    if (status != TR_OK) {
        tr__downlink_free(downlink);
        return status;
    }
    t->egress.downlink = t->downlink = downlink;
    return TR_OK;
}

int tr__transport_set_downlink(tr_transport *t, const tr_set_downlink *params, uint64_t now_us)
{
    if (!tr__downlink_may_set(params)) return TR_ERR_ARGUMENT;
    if (t->downlink && t->downlink->pacer && !params->is_on) {
        tr__release_all(t->downlink, t->shared->tally, now_us);
        tr__downlink_end_pacing(t->downlink);
    }
    int status = t->downlink ? tr__downlink_set(t->downlink, params) : TR_OK;
    if (status == TR_OK) t->downlink_set = *params;
    return status;
}

int tr__transport_add_sender(tr_transport *t, const tr_add_sender *params, uint64_t random, tr_sender **out)
{
    if (t->sender_count == TR_TRANSPORT_MAX_SENDERS) return TR_ERR_FULL;
    for (uint32_t i = 0; i < t->sender_count; i++) {
        uint32_t ssrc = tr__sender_ssrc(t->senders[i]), rtx = tr__sender_rtx_ssrc(t->senders[i]);
        if (ssrc == params->ssrc || ssrc == params->rtx_ssrc ||
            (rtx && (rtx == params->ssrc || rtx == params->rtx_ssrc)))
            return TR_ERR_EXISTS;
    }
    if (t->sender_count % SENDERS_STEP == 0) {
        tr_sender **grown = realloc(t->senders, (t->sender_count + SENDERS_STEP) * sizeof *grown);
        if (!grown) return TR_ERR_NO_MEMORY;
        t->senders = grown;
    }
    if (params->extensions[TR_EXT_TWCC] && !t->downlink) {
        int status = start_downlink(t);
        if (status != TR_OK) return status;
    }
    tr_sender *sender = tr__sender_new(params, &t->egress, (uint16_t)(random & 0x7fff),
                                       (uint16_t)(random >> 16 & 0x7fff), (uint32_t)(random >> 32));
    if (!sender) return TR_ERR_NO_MEMORY;
    t->senders[t->sender_count++] = sender;
    if (!reserve_ssrcs(t)) {
        t->sender_count--;
        tr__sender_free(sender);
        return TR_ERR_NO_MEMORY;
    }
    t->shared->tally->senders++;
    *out = sender;
    return TR_OK;
}

void tr__transport_remove_sender(tr_transport *t, tr_sender *sender)
{
    for (uint32_t i = 0; i < t->sender_count; i++) {
        if (t->senders[i] != sender) continue;
        t->senders[i] = t->senders[--t->sender_count];
        tr__sender_free(sender);
        t->shared->tally->senders--;
        return;
    }
}

/* ------------------------------------------------------------------ ICE */

static void follow_path(tr_transport *t, uint64_t now_us)
{
    const tr_path *path = tr__ice_selected(&t->ice);
    if (!path || is_over(t)) return;
    t->egress.path = *path;
    t->egress.has_path = true;
    t->consent_due_us = t->ice.consent_us + t->shared->consent_timeout_us;
    wake_at(t, t->consent_due_us);
    happens(t, t->srtp ? ON_CHECK_WITH_KEYS : ON_CHECK);
    start_dtls_client(t, now_us);
    if (t->dtls) drain_dtls(t);
}

/* For the operator's eyes only: a full ring may lose it. */
static void tell_path(const tr_transport *t, const tr_path *path)
{
    tr_path_changed event = {.transport = t->id};
    tr__address_text(&path->local, event.local, sizeof event.local);
    tr__address_text(&path->remote, event.remote, sizeof event.remote);
    if (tr__ring_push(t->shared->events, TR_EVENT_PATH, 0, &event, sizeof event) != TR_OK)
        tr__count_drop(t->shared->tally, TR_DROP_EVENTS_FULL);
}

tr_drop tr__transport_on_stun(tr_transport *t, const tr_stun *stun, const tr_path *path, uint64_t now_us,
                              tr_ice_answer *answer)
{
    uint8_t *slot = tr__outbox_reserve(t->shared->outbox);
    if (!slot) return TR_DROP_OUTBOX_FULL;
    tr_drop drop = tr__ice_on_stun(&t->ice, stun, path, now_us, slot, TR_OUTBOX_SLOT, answer);
    if (answer->size) tr__outbox_commit(t->shared->outbox, path, t->index, answer->size);
    if (drop == TR_DROP_NONE) {
        t->shared->tally->stun_requests++;
        follow_path(t, now_us);
        if (answer->selected_changed) tell_path(t, tr__ice_selected(&t->ice));
    }
    return drop;
}

/* ------------------------------------------------------------------ RTP in */

void tr__transport_near(const tr_transport *t)
{
    tr__near(t, offsetof(tr_transport, receivers) + TR_LINE);
    tr__near(t->ssrcs, TR_LINE);
}

/* SSRCs an encoding had before the one it has now. */
static void forget_old_ssrcs(tr_transport *t, uint32_t receiver, uint8_t encoding)
{
    const tr_stream *stream = &tr__receiver_source(t->receivers[receiver])->streams[encoding];
    for (uint32_t s = 0; s < t->ssrc_count;) {
        tr_ssrc_entry *entry = &t->ssrcs[s];
        bool is_old = entry->receiver == receiver && entry->encoding == encoding &&
                      entry->ssrc != (entry->is_rtx ? stream->rtx_ssrc : stream->ssrc);
        if (!is_old) {
            s++;
            continue;
        }
        tr__srtp_retire_ssrc(t->srtp, entry->ssrc);
        *entry = t->ssrcs[--t->ssrc_count];
    }
}

/* An SSRC nobody declared: the authenticated packet's own MID and RID say whose it is, or a payload type that only one
 * receiver has (RFC 8843, 9.2). */
static const tr_ssrc_entry *learn_ssrc(tr_transport *t, const tr_rtp *rtp, const tr_rtp_extensions *found,
                                       uint64_t now_us)
{
    const uint8_t *mid = NULL, *rid = NULL;
    size_t mid_size = 0, rid_size = 0;
    bool is_rtx = false;
    if (found->of[TR_EXT_MID].at) {
        mid = rtp->data + found->of[TR_EXT_MID].at;
        mid_size = found->of[TR_EXT_MID].size;
    }
    tr_ext rid_kind = found->of[TR_EXT_REPAIRED_RID].at ? TR_EXT_REPAIRED_RID : TR_EXT_RID;
    if (found->of[rid_kind].at) {
        rid = rtp->data + found->of[rid_kind].at;
        rid_size = found->of[rid_kind].size;
    }
    int only = -1;
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        const tr_add_receiver *params = tr__receiver_params(t->receivers[i]);
        bool as_rtx = false;
        if (!tr__receiver_has_pt(t->receivers[i], rtp->pt, &as_rtx)) continue;
        if (mid) {
            if (strlen(params->mid) != mid_size || memcmp(params->mid, mid, mid_size) != 0) continue;
        } else if (only >= 0) {
            return NULL;
        }
        only = (int)i;
        is_rtx = as_rtx;
        if (mid) break;
    }
    if (only < 0) return NULL;
    int encoding = tr__receiver_find_rid(t->receivers[only], rid, rid_size);
    if (encoding < 0 || t->ssrc_count == TR_TRANSPORT_MAX_SSRCS) return NULL;
    if (!tr__receiver_learn_ssrc(t->receivers[only], encoding, rtp->ssrc, is_rtx, now_us)) return NULL;
    forget_old_ssrcs(t, (uint32_t)only, (uint8_t)encoding);
    add_ssrc(t, rtp->ssrc, (uint32_t)only, (uint8_t)encoding, is_rtx);
    return &t->ssrcs[t->ssrc_count - 1];
}

static void tell_active(tr_transport *t, uint32_t receiver, uint8_t encoding, bool is_active)
{
    tr_receiver_event event = {.receiver = tr__receiver_params(t->receivers[receiver])->receiver,
                               .encoding = encoding,
                               .ssrc = tr__receiver_source(t->receivers[receiver])->streams[encoding].ssrc};
    uint16_t type = is_active ? TR_EVENT_RECEIVER_ACTIVE : TR_EVENT_RECEIVER_IDLE;
    /* When the ring is full the bit stays as it was, and the next look tells again. */
    if (tr__ring_push(t->shared->events, type, 0, &event, sizeof event) == TR_OK)
        t->active[receiver] = (uint8_t)(t->active[receiver] ^ 1u << encoding);
}

tr_drop tr__transport_on_rtp(tr_transport *t, uint8_t *data, size_t size, uint64_t arrival_us, uint64_t now_us)
{
    if (!t->egress.is_admitted) return TR_DROP_NOT_ADMITTED;
    if (!t->egress.srtp) return TR_DROP_SRTP_NO_KEYS;
    if (size < 12) return TR_DROP_SRTP_SHORT;
    uint32_t ssrc = tr__load32(data + 8);
    const tr_ssrc_entry *entry = tr__transport_find_ssrc(t, ssrc);
    if (!entry && !tr__strangers_may(&t->strangers, ssrc, now_us)) return TR_DROP_SRTP_SSRC_LIMIT;
    uint64_t srtp_index;
    tr_drop drop = tr__srtp_open_rtp(t->srtp, data, &size, &srtp_index);
    if (drop != TR_DROP_NONE) return drop;
    t->rx_packets++;
    t->rx_bytes += size;
    t->shared->tally->rx_rtp_packets++;
    tr_rtp rtp;
    tr_rtp_extensions found;
    if ((drop = tr__rtp_parse(&rtp, data, size)) != TR_DROP_NONE) return drop;
    rtp.rollover = (uint32_t)(srtp_index >> 16);
    rtp.has_rollover = true;
    const uint8_t *ids = entry ? tr__receiver_params(t->receivers[entry->receiver])->extensions : t->extensions;
    if ((drop = tr__rtp_find_extensions(&rtp, ids, &found)) != TR_DROP_NONE) return drop;
    /* It was found by an id that a receiver gave, so there is twcc. */
    if (found.of[TR_EXT_TWCC].at && found.of[TR_EXT_TWCC].size >= 2) {
        tr__twcc_on_packet(t->twcc, tr__load16(data + found.of[TR_EXT_TWCC].at), arrival_us, now_us);
        wake_at(t, tr__twcc_at(t->twcc));
    }
    if (!entry) {
        if (!(entry = learn_ssrc(t, &rtp, &found, now_us))) {
            tr__srtp_retire_ssrc(t->srtp, ssrc);
            tr__strangers_note(&t->strangers, ssrc, now_us);
            return TR_DROP_RTP_UNKNOWN_SSRC;
        }
        /* By the ids of this receiver, as every packet after it. The block was found sound. */
        tr__rtp_find_extensions(&rtp, tr__receiver_params(t->receivers[entry->receiver])->extensions, &found);
    }
    tr_receiver *receiver = t->receivers[entry->receiver];
    drop = tr__receiver_on_rtp(receiver, entry->encoding, entry->is_rtx, data, &rtp, &found, arrival_us, now_us);
    wake_at(t, tr__receiver_feedback_at(receiver));
    if (!entry->is_rtx && !(t->active[entry->receiver] & 1u << entry->encoding))
        tell_active(t, entry->receiver, entry->encoding, true);
    return drop;
}

/* ------------------------------------------------------------------ timers */

static void look_at_silence(tr_transport *t, uint64_t now_us)
{
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        const tr_source *source = tr__receiver_source(t->receivers[i]);
        for (uint8_t e = 0; e < source->count; e++)
            if ((t->active[i] & 1u << e) && !tr__stream_is_active(&source->streams[e], now_us))
                tell_active(t, i, e, false);
    }
}

static void look_at_consent(tr_transport *t, uint64_t now_us)
{
    if (tr__ice_has_consent(&t->ice, now_us, t->shared->consent_timeout_us)) {
        t->consent_due_us = t->ice.consent_us + t->shared->consent_timeout_us;
        return;
    }
    t->consent_due_us = NEVER;
    t->egress.has_path = false;
    happens(t, ON_CONSENT_LOST);
}

/* What finds its ring full is told with the next look, as it is then. */
static void tell_estimate(const tr_transport *t, uint64_t now_us)
{
    tr_estimate event;
    uint8_t rung = t->ladder ? (uint8_t)tr_ladder_rung(t->ladder) : 0;
    if (!tr__downlink_has_news(t->downlink, rung, now_us, &event)) return;
    event.transport = t->id;
    if (tr__ring_push(t->shared->events, TR_EVENT_ESTIMATE, 0, &event, sizeof event) == TR_OK)
        tr__downlink_on_told(t->downlink, &event, now_us);
}

static tr_outlet outlet_of(const tr_transport *t)
{
    return (tr_outlet){t->downlink, t->senders, t->sender_count, t->shared->tally};
}

void tr__transport_release(tr_transport *t, uint64_t now_us)
{
    tr_outlet outlet = outlet_of(t);
    tr__release_due(&outlet, now_us);
}

void tr__transport_on_timer(tr_transport *t, uint64_t now_us)
{
    if (t->state_untold) tell_state(t);
    if (t->dtls && t->dtls_due_us <= now_us) on_dtls_state(t, tr__dtls_on_timer(t->dtls), now_us);
    if (t->consent_due_us <= now_us) look_at_consent(t, now_us);
    bool can_send = tr__egress_is_open(&t->egress);
    if (can_send) {
        if (t->tick_due_us <= now_us) {
            for (uint32_t i = 0; i < t->sender_count; i++) tr__sender_on_tick(t->senders[i], now_us);
            t->tick_due_us = now_us + TICK_INTERVAL_US;
        }
        tr__reports_send_feedback(t, now_us);
        tr__reports_send_sender(t, now_us);
        if (t->limit_due_us <= now_us) tr__reports_send_limit(t, now_us);
    }
    if (t->downlink && tr__downlink_at(t->downlink) <= now_us) {
        tr__downlink_on_time(t->downlink, now_us);
        if (t->ladder) tr__rungs_on_time(t, now_us);
        tr_outlet outlet = outlet_of(t);
        if (outlet.downlink->pacer && can_send) tr__release_on_time(&outlet, now_us);
        tell_estimate(t, now_us);
    }
    if (t->report_due_us <= now_us) {
        if (can_send) tr__reports_send_receiver(t, now_us);
        look_at_silence(t, now_us);
        t->report_due_us = now_us + REPORT_INTERVAL_US;
    }
    uint64_t due = earlier(t->dtls_due_us, earlier(t->consent_due_us, t->report_due_us));
    if (t->state_untold) due = earlier(due, now_us + RETELL_INTERVAL_US);
    if (t->downlink) due = earlier(due, tr__downlink_at(t->downlink));
    if (can_send) {
        due = earlier(due, t->limit_due_us);
        if (t->twcc) due = earlier(due, tr__twcc_at(t->twcc));
        for (uint32_t i = 0; i < t->receiver_count; i++) due = earlier(due, tr__receiver_feedback_at(t->receivers[i]));
        for (uint32_t i = 0; i < t->sender_count; i++) {
            due = earlier(due, tr__sender_report_at(t->senders[i]));
            if (tr__sender_has_choice(t->senders[i])) due = earlier(due, t->tick_due_us);
        }
    }
    t->due_us = due;
}

void tr__transport_stats(const tr_transport *t, uint64_t now_us, tr_transport_stats *stats)
{
    *stats = (tr_transport_stats){
        .transport = t->id,
        .state = (uint8_t)t->state,
        .is_admitted = t->egress.is_admitted,
        .rx_packets = t->rx_packets,
        .rx_bytes = t->rx_bytes,
        .tx_packets = t->egress.tx_packets,
        .tx_bytes = t->egress.tx_bytes,
        .rtt_us = t->egress.rtt_us,
        .last_consent_us = t->ice.consent_us ? now_us - t->ice.consent_us : 0,
    };
}
