/* engine: see engine.h. Worker thread. */
#include "engine.h"

#include <stdlib.h>

#include "counts.h"
#include "deadlines.h"
#include "demux.h"
#include "guesses.h"
#include "handshakes.h"
#include "hash.h"
#include "owners.h"
#include "registry.h"
#include "reports.h"
#include "rungs.h"
#include "splitmix.h"

/* Least time between two looks at all timers. */
#define TIMER_SPACING_US 1000

struct tr_engine {
    tr_shared shared;
    tr_outbox outbox;
    uint64_t random, hash_key;
    tr_registry registry;
    tr_owners paths, ufrags; /* validated paths; local fragments */
    tr_handshakes handshakes;
    tr_deadlines deadlines; /* of transports, by index */
    tr_downlink *woken;     /* whose time began to run with what they were sent */
    uint64_t looked_us;
    tr_guesses guesses;
};

/* Spreads the seed the worker drew from the kernel. */
static uint64_t next_random(tr_engine *e) { return tr__splitmix(&e->random); }

/* ------------------------------------------------------------------ whose it is */

static bool has_path(const tr_transport *t, const tr_path *path)
{
    if (t->egress.has_path && tr__path_equal(&t->egress.path, path)) return true;
    for (uint32_t i = 0; i < t->ice.path_count; i++)
        if (tr__path_equal(&t->ice.paths[i].path, path)) return true;
    return false;
}

static tr_transport *find_by_path(const tr_engine *e, const tr_path *path)
{
    uint32_t hash = tr__hash_path(e->hash_key, path), at = hash, index;
    while (tr__owners_next(&e->paths, hash, &at, &index)) {
        tr_transport *t = e->registry.transports[index];
        if (t && has_path(t, path)) return t;
    }
    return NULL;
}

const void *tr__engine_bucket(const tr_engine *e, const tr_path *path)
{
    return tr__owners_bucket(&e->paths, tr__hash_path(e->hash_key, path));
}

const tr_transport *tr__engine_guess(const tr_engine *e, const tr_path *path)
{
    uint32_t hash = tr__hash_path(e->hash_key, path);
    const tr_owner *owner = tr__owners_bucket(&e->paths, hash);
    return owner->transport && owner->hash == hash ? e->registry.transports[owner->transport - 1] : NULL;
}

/* The latest authenticated check says whose a path is: a port can pass from one peer connection to the next. */
static void claim_path(tr_engine *e, const tr_transport *t, const tr_path *path)
{
    uint32_t hash = tr__hash_path(e->hash_key, path);
    const tr_transport *owner = find_by_path(e, path);
    if (owner == t) return;
    if (owner) tr__owners_remove(&e->paths, hash, owner->index);
    tr__owners_add(&e->paths, hash, t->index);
}

static bool is_ufrag(const tr_ice_credentials *own, const uint8_t *ufrag, size_t size)
{
    return strlen(own->local_ufrag) == size && memcmp(own->local_ufrag, ufrag, size) == 0;
}

static tr_transport *find_by_ufrag(const tr_engine *e, const uint8_t *ufrag, size_t size)
{
    uint32_t hash = tr__hash_bytes(e->hash_key, ufrag, size), at = hash, index;
    while (tr__owners_next(&e->ufrags, hash, &at, &index)) {
        tr_transport *t = e->registry.transports[index];
        if (t && (is_ufrag(&t->ice.now, ufrag, size) || is_ufrag(&t->ice.before, ufrag, size))) return t;
    }
    return NULL;
}

static tr_transport *find_transport(const tr_engine *e, uint32_t id)
{
    return tr__registry_transport(&e->registry, id);
}

/* A time that moved back is left as it is: the heap looks once too early and finds out. */
static inline void wake(tr_engine *e, const tr_transport *t)
{
    uint64_t at_us = tr__transport_at(t);
    if (at_us < tr__deadlines_at(&e->deadlines, t->index)) tr__deadlines_set(&e->deadlines, t->index, at_us);
}

/* ------------------------------------------------------------------ life */

tr_engine *tr__engine_new(const tr_engine_config *config)
{
    tr_engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->random = config->seed;
    e->hash_key = next_random(e);
    e->guesses.key = e->hash_key;
    uint32_t paths = config->max_transports * TR_ICE_MAX_PATHS;
    bool ok = tr__registry_init(&e->registry, config->max_transports) == TR_OK &&
              tr__owners_init(&e->paths, paths) == TR_OK && tr__owners_init(&e->ufrags, paths) == TR_OK &&
              tr__handshakes_init(&e->handshakes, config->max_transports) == TR_OK &&
              tr__outbox_init(&e->outbox, config->outbox_capacity) == TR_OK &&
              tr__deadlines_init(&e->deadlines, config->max_transports) == TR_OK;
    if (!ok) {
        tr__engine_free(e);
        return NULL;
    }
    e->shared = (tr_shared){
        .outbox = &e->outbox,
        .tally = config->tally,
        .events = config->events,
        .woken = &e->woken,
        .crypto = config->crypto,
        .dtls = config->dtls,
        .consent_timeout_us = config->consent_timeout_us,
        .video_history_bytes = config->video_history_bytes,
        .audio_history_bytes = config->audio_history_bytes,
        .ntp_offset_us = config->ntp_offset_us,
    };
    return e;
}

static void remove_transport(tr_engine *e, tr_transport *t, uint64_t now_us);

void tr__engine_free(tr_engine *e)
{
    if (!e) return;
    for (uint32_t i = 0; i < e->registry.max_transports; i++)
        if (e->registry.transports[i]) remove_transport(e, e->registry.transports[i], 0);
    tr__outbox_dispose(&e->outbox);
    tr__deadlines_dispose(&e->deadlines);
    tr__registry_dispose(&e->registry);
    tr__owners_dispose(&e->paths);
    tr__owners_dispose(&e->ufrags);
    tr__handshakes_dispose(&e->handshakes);
    free(e);
}

tr_outbox *tr__engine_outbox(tr_engine *e) { return &e->outbox; }

/* ------------------------------------------------------------------ commands */

static bool is_ice_word(const char *text, size_t least, size_t most)
{
    size_t size = strnlen(text, most + 1);
    if (size < least || size > most) return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
        if (!ok) return false;
    }
    return true;
}

static int add_transport(tr_engine *e, const tr_add_transport *params, uint64_t now_us)
{
    uint32_t index = params->transport & 0xffff;
    if (!params->transport || index >= e->registry.max_transports || params->is_admitted > 1 || params->is_tap > 1)
        return TR_ERR_ARGUMENT;
    /* RFC 8839, 5.4: at least 4 and 22 characters. */
    if (!is_ice_word(params->local_ufrag, 4, 32) || !is_ice_word(params->local_pwd, 22, 64)) return TR_ERR_ARGUMENT;
    size_t ufrag_size = strlen(params->local_ufrag);
    if (e->registry.transports[index] || find_by_ufrag(e, (const uint8_t *)params->local_ufrag, ufrag_size))
        return TR_ERR_EXISTS;
    tr_transport *t = tr__transport_new(&e->shared, params, index, next_random(e), now_us);
    if (!t) return TR_ERR_NO_MEMORY;
    e->registry.transports[index] = t;
    tr__owners_add(&e->ufrags, tr__hash_bytes(e->hash_key, params->local_ufrag, ufrag_size), index);
    return TR_OK;
}

static void forget_ufrag(tr_engine *e, const tr_transport *t, const char *ufrag)
{
    if (ufrag[0]) tr__owners_remove(&e->ufrags, tr__hash_bytes(e->hash_key, ufrag, strlen(ufrag)), t->index);
}

static int restart_ice(tr_engine *e, const tr_restart_ice *params)
{
    tr_transport *t = find_transport(e, params->transport);
    if (!t) return TR_ERR_NOT_FOUND;
    if (!is_ice_word(params->local_ufrag, 4, 32) || !is_ice_word(params->local_pwd, 22, 64)) return TR_ERR_ARGUMENT;
    size_t ufrag_size = strlen(params->local_ufrag);
    if (find_by_ufrag(e, (const uint8_t *)params->local_ufrag, ufrag_size)) return TR_ERR_EXISTS;
    if (t->ice.is_restarting) forget_ufrag(e, t, t->ice.now.local_ufrag);
    tr__transport_restart_ice(t, params);
    tr__owners_add(&e->ufrags, tr__hash_bytes(e->hash_key, params->local_ufrag, ufrag_size), t->index);
    return TR_OK;
}

static int set_remote(tr_engine *e, const tr_set_remote *remote, uint64_t now_us)
{
    tr_transport *t = find_transport(e, remote->transport);
    if (!t) return TR_ERR_NOT_FOUND;
    if (!memchr(remote->ufrag, 0, sizeof remote->ufrag) || !memchr(remote->pwd, 0, sizeof remote->pwd))
        return TR_ERR_ARGUMENT;
    bool has_fingerprint = false;
    for (int i = 0; i < TR_MAX_FINGERPRINTS; i++) {
        uint8_t size = remote->fingerprints[i].size;
        if (size != 0 && size != 32 && size != 48 && size != 64) return TR_ERR_ARGUMENT;
        has_fingerprint |= size != 0;
    }
    if (!has_fingerprint) return TR_ERR_ARGUMENT;
    int status = tr__transport_set_remote(t, remote, now_us);
    wake(e, t);
    return status;
}

static int set_admitted(tr_engine *e, const tr_set_admitted *params, uint64_t now_us)
{
    tr_transport *t = find_transport(e, params->transport);
    if (!t) return TR_ERR_NOT_FOUND;
    tr__transport_set_admitted(t, params->is_admitted != 0, now_us);
    wake(e, t);
    return TR_OK;
}

static void unbind(tr_engine *e, tr_sender *sender, uint64_t now_us)
{
    tr_stream_slot *bound = tr__registry_receiver(&e->registry, tr__sender_receiver_id(sender));
    if (bound) tr__receiver_remove_sender(bound->object, sender, now_us);
}

static void remove_sender(tr_engine *e, tr_stream_slot *slot, uint64_t now_us)
{
    unbind(e, slot->object, now_us);
    tr__transport_remove_sender(tr__registry_owner(&e->registry, slot), slot->object);
    *slot = (tr_stream_slot){0};
}

static void remove_receiver(tr_engine *e, tr_stream_slot *slot, uint64_t now_us)
{
    tr_sender *sender;
    while ((sender = tr__receiver_any_sender(slot->object)) != NULL)
        tr__receiver_remove_sender(slot->object, sender, now_us);
    tr__transport_remove_receiver(tr__registry_owner(&e->registry, slot), slot->object, now_us);
    *slot = (tr_stream_slot){0};
}

static void remove_transport(tr_engine *e, tr_transport *t, uint64_t now_us)
{
    while (t->sender_count) remove_sender(e, tr__registry_sender(&e->registry, tr__sender_id(t->senders[0])), now_us);
    while (t->receiver_count)
        remove_receiver(e, tr__registry_receiver(&e->registry, tr__receiver_params(t->receivers[0])->receiver), now_us);
    for (uint32_t i = 0; i < t->ice.path_count; i++)
        tr__owners_remove(&e->paths, tr__hash_path(e->hash_key, &t->ice.paths[i].path), t->index);
    forget_ufrag(e, t, t->ice.now.local_ufrag);
    forget_ufrag(e, t, t->ice.before.local_ufrag);
    e->registry.transports[t->index] = NULL;
    tr__deadlines_set(&e->deadlines, t->index, TR_DEADLINES_NEVER);
    tr__handshakes_forget(&e->handshakes, t->index);
    tr__transport_free(t);
}

static bool is_text(const char *text, size_t room) { return memchr(text, 0, room) != NULL; }

static int add_receiver(tr_engine *e, const tr_add_receiver *params, uint64_t now_us)
{
    tr_transport *t = find_transport(e, params->transport);
    uint32_t index = params->receiver & 0xffff;
    if (!t) return TR_ERR_NOT_FOUND;
    bool ok = params->receiver && (params->kind == TR_AUDIO || params->kind == TR_VIDEO) && params->codec_count >= 1 &&
              params->codec_count <= TR_MAX_CODECS && params->encoding_count >= 1 &&
              params->encoding_count <= TR_MAX_ENCODINGS && is_text(params->mid, sizeof params->mid);
    for (int i = 0; ok && i < params->encoding_count; i++)
        ok = is_text(params->encodings[i].rid, sizeof params->encodings[i].rid);
    for (int i = 0; ok && i < params->codec_count; i++) {
        const tr_codec_params *c = &params->codecs[i];
        ok = c->pt < 128 && (c->rtx_pt < 128 || c->rtx_pt == TR_NO_PT) && c->codec < TR_CODEC_COUNT &&
             c->clock_rate >= 1000;
    }
    if (!ok) return TR_ERR_ARGUMENT;
    if (e->registry.receivers[index].object) return TR_ERR_EXISTS;
    tr_receiver *receiver = NULL;
    int status = tr__transport_add_receiver(t, params, &receiver);
    if (status == TR_OK) e->registry.receivers[index] = (tr_stream_slot){receiver, t->index, params->receiver};
    (void)now_us;
    return status;
}

static int add_sender(tr_engine *e, const tr_add_sender *params)
{
    tr_transport *t = find_transport(e, params->transport);
    uint32_t index = params->sender & 0xffff;
    if (!t) return TR_ERR_NOT_FOUND;
    bool ok = params->sender && (params->kind == TR_AUDIO || params->kind == TR_VIDEO) && params->ssrc &&
              params->ssrc != params->rtx_ssrc && is_text(params->mid, sizeof params->mid) &&
              is_text(params->cname, sizeof params->cname);
    if (!ok) return TR_ERR_ARGUMENT;
    if (e->registry.senders[index].object) return TR_ERR_EXISTS;
    tr_sender *sender = NULL;
    int status = tr__transport_add_sender(t, params, next_random(e), &sender);
    if (status == TR_OK) e->registry.senders[index] = (tr_stream_slot){sender, t->index, params->sender};
    return status;
}

static int bind_sender(tr_engine *e, const tr_bind_sender *bind, uint64_t now_us)
{
    tr_stream_slot *slot = tr__registry_sender(&e->registry, bind->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    tr_transport *to = tr__registry_owner(&e->registry, slot);
    if (bind->receiver == TR_NONE) {
        unbind(e, slot->object, now_us);
        return TR_OK;
    }
    tr_stream_slot *source = tr__registry_receiver(&e->registry, bind->receiver);
    if (!source) return TR_ERR_NOT_FOUND;
    tr_transport *from = tr__registry_owner(&e->registry, source);
    /* The lines no media crosses, whatever control says: another room, and the waiting room. */
    if (from->room != to->room || from == to || !from->egress.is_admitted || !to->egress.is_admitted)
        return TR_ERR_FORBIDDEN;
    unbind(e, slot->object, now_us);
    int status = tr__receiver_add_sender(source->object, slot->object, bind, now_us);
    /* A video sender asked its source for a keyframe just now. */
    from->due_us = now_us;
    wake(e, from);
    to->due_us = now_us;
    wake(e, to);
    return status;
}

/* A sender may have asked its source for a keyframe just now. */
static void wake_source(tr_engine *e, const tr_sender *sender, uint64_t now_us)
{
    tr_stream_slot *source = tr__registry_receiver(&e->registry, tr__sender_receiver_id(sender));
    if (!source) return;
    tr__registry_owner(&e->registry, source)->due_us = now_us;
    wake(e, tr__registry_owner(&e->registry, source));
}

static int set_layer(tr_engine *e, const tr_set_layer *layer, uint64_t now_us)
{
    tr_stream_slot *slot = tr__registry_sender(&e->registry, layer->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    tr_layer want = {layer->encoding, layer->spatial, layer->temporal};
    tr__sender_set_layer(slot->object, want, now_us);
    wake_source(e, slot->object, now_us);
    return TR_OK;
}

static int set_redundancy(tr_engine *e, const tr_set_redundancy *params)
{
    tr_stream_slot *slot = tr__registry_sender(&e->registry, params->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    bool ok = params->count <= TR_MAX_COPIES;
    for (uint8_t i = 0; ok && i < params->count; i++)
        ok = params->distances[i] > (i ? params->distances[i - 1] : 0) && params->distances[i] <= TR_MAX_COPY_DISTANCE;
    return ok ? tr__sender_set_redundancy(slot->object, params->count, params->distances) : TR_ERR_ARGUMENT;
}

static int set_packet_time(tr_engine *e, const tr_set_packet_time *params, uint64_t now_us)
{
    tr_stream_slot *slot = tr__registry_sender(&e->registry, params->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    if (params->ms > TR_MAX_PACKET_MS) return TR_ERR_ARGUMENT;
    int status = tr__sender_set_packet_time(slot->object, params->ms, now_us);
    tr_transport *t = tr__registry_owner(&e->registry, slot); /* what is held has a time to go by */
    t->due_us = now_us;
    wake(e, t);
    return status;
}

static int set_ladder(tr_engine *e, const tr_set_ladder *params, size_t size, uint64_t now_us)
{
    tr_transport *t = find_transport(e, params->transport);
    if (!t) return TR_ERR_NOT_FOUND;
    if (params->count > TR_MAX_RUNGS || size < offsetof(tr_set_ladder, rungs) + params->count * sizeof(tr_rung))
        return TR_ERR_ARGUMENT;
    int status = tr__rungs_set(t, params, now_us);
    for (uint32_t i = 0; i < t->sender_count; i++) wake_source(e, t->senders[i], now_us);
    return status;
}

static int get_stats(tr_engine *e, uint32_t id, uint64_t now_us)
{
    const tr_transport *t = find_transport(e, id);
    if (!t) return TR_ERR_NOT_FOUND;
    tr_transport_stats stats;
    tr__transport_stats(t, now_us, &stats);
    int status = tr__ring_push(e->shared.events, TR_EVENT_TRANSPORT_STATS, 0, &stats, sizeof stats);
    for (uint32_t i = 0; i < t->receiver_count; i++) {
        for (int encoding = 0; encoding < tr__receiver_source(t->receivers[i])->count; encoding++) {
            tr_receiver_stats receiver;
            tr__receiver_stats(t->receivers[i], encoding, now_us, &receiver);
            tr__receiver_layer_stats(t->receivers[i], encoding, now_us, &receiver);
            if (status == TR_OK)
                status = tr__ring_push(e->shared.events, TR_EVENT_RECEIVER_STATS, 0, &receiver, sizeof receiver);
        }
    }
    for (uint32_t i = 0; i < t->sender_count; i++) {
        tr_sender_stats sender;
        tr__sender_stats(t->senders[i], now_us, &sender);
        if (status == TR_OK) status = tr__ring_push(e->shared.events, TR_EVENT_SENDER_STATS, 0, &sender, sizeof sender);
    }
    return status;
}

static int get_counts(tr_engine *e, const tr_get_counts *wanted, uint64_t now_us)
{
    tr_counts page;
    if (!tr__counts_page(e->registry.transports, e->registry.max_transports, wanted->from, now_us, &page))
        return TR_ERR_ARGUMENT;
    return tr__ring_push(e->shared.events, TR_EVENT_COUNTS, 0, &page, tr__counts_size(&page));
}

static int get_rates(tr_engine *e, const tr_get_rates *wanted, uint64_t now_us)
{
    tr_rate_page page;
    if (!tr__rates_page(e->registry.transports, e->registry.max_transports, wanted->from, now_us, &page))
        return TR_ERR_ARGUMENT;
    return tr__ring_push(e->shared.events, TR_EVENT_RATES, 0, &page, tr__rates_size(&page));
}

static int get_seen(tr_engine *e, const tr_get_seen *wanted, size_t size, uint64_t now_us)
{
    if (wanted->count > TR_MAX_SEEN_TRANSPORTS ||
        size < offsetof(tr_get_seen, transports) + wanted->count * sizeof *wanted->transports)
        return TR_ERR_ARGUMENT;
    tr_transport *transports[TR_MAX_SEEN_TRANSPORTS];
    for (uint32_t i = 0; i < wanted->count; i++) transports[i] = find_transport(e, wanted->transports[i]);
    tr_seen_page page;
    tr__seen_page(transports, wanted->count, wanted->from, now_us, &page);
    return tr__ring_push(e->shared.events, TR_EVENT_SEEN, 0, &page, tr__seen_size(&page));
}

static int set_limit(tr_engine *e, const tr_set_limit *params, uint64_t now_us)
{
    tr_transport *t = find_transport(e, params->transport);
    if (!t) return TR_ERR_NOT_FOUND;
    tr__reports_set_limit(t, params->bps, now_us);
    wake(e, t);
    return TR_OK;
}

/* Smallest body each command may come with. */
static const uint16_t command_sizes[] = {
    [TR_CMD_ADD_TRANSPORT] = sizeof(tr_add_transport),
    [TR_CMD_SET_REMOTE] = sizeof(tr_set_remote),
    [TR_CMD_SET_ADMITTED] = sizeof(tr_set_admitted),
    [TR_CMD_REMOVE_TRANSPORT] = sizeof(tr_one_id),
    [TR_CMD_ADD_RECEIVER] = sizeof(tr_add_receiver),
    [TR_CMD_REMOVE_RECEIVER] = sizeof(tr_one_id),
    [TR_CMD_ADD_SENDER] = sizeof(tr_add_sender),
    [TR_CMD_BIND_SENDER] = sizeof(tr_bind_sender),
    [TR_CMD_PAUSE_SENDER] = sizeof(tr_pause_sender),
    [TR_CMD_REMOVE_SENDER] = sizeof(tr_one_id),
    [TR_CMD_REQUEST_KEYFRAME] = sizeof(tr_one_id),
    [TR_CMD_SEND_DATA] = offsetof(tr_data, bytes),
    [TR_CMD_GET_STATS] = sizeof(tr_one_id),
    [TR_CMD_RESTART_ICE] = sizeof(tr_restart_ice),
    [TR_CMD_GET_INVENTORY] = sizeof(tr_get_inventory),
    [TR_CMD_GET_COUNTS] = sizeof(tr_get_counts),
    [TR_CMD_SET_LAYER] = sizeof(tr_set_layer),
    [TR_CMD_SET_DOWNLINK] = sizeof(tr_set_downlink),
    [TR_CMD_SET_LIMIT] = sizeof(tr_set_limit),
    [TR_CMD_SET_REDUNDANCY] = sizeof(tr_set_redundancy),
    [TR_CMD_SET_PACKET_TIME] = sizeof(tr_set_packet_time),
    [TR_CMD_SET_LADDER] = offsetof(tr_set_ladder, rungs),
    [TR_CMD_GET_RATES] = sizeof(tr_get_rates),
    [TR_CMD_GET_SEEN] = offsetof(tr_get_seen, transports),
};

int tr__engine_command(tr_engine *e, uint16_t type, const void *body, size_t size, uint64_t now_us)
{
    if (type == 0 || type >= sizeof command_sizes / sizeof *command_sizes || size < command_sizes[type])
        return TR_ERR_ARGUMENT;
    const tr_one_id *one = body;
    switch ((tr_command_type)type) {
    case TR_CMD_ADD_TRANSPORT:
        return add_transport(e, body, now_us);
    case TR_CMD_SET_REMOTE:
        return set_remote(e, body, now_us);
    case TR_CMD_SET_ADMITTED:
        return set_admitted(e, body, now_us);
    case TR_CMD_REMOVE_TRANSPORT: {
        tr_transport *t = find_transport(e, one->id);
        if (!t) return TR_ERR_NOT_FOUND;
        tr__transport_close(t);
        remove_transport(e, t, now_us);
        return TR_OK;
    }
    case TR_CMD_ADD_RECEIVER:
        return add_receiver(e, body, now_us);
    case TR_CMD_REMOVE_RECEIVER: {
        tr_stream_slot *slot = tr__registry_receiver(&e->registry, one->id);
        if (!slot) return TR_ERR_NOT_FOUND;
        remove_receiver(e, slot, now_us);
        return TR_OK;
    }
    case TR_CMD_ADD_SENDER:
        return add_sender(e, body);
    case TR_CMD_BIND_SENDER:
        return bind_sender(e, body, now_us);
    case TR_CMD_PAUSE_SENDER: {
        const tr_pause_sender *pause = body;
        tr_stream_slot *slot = tr__registry_sender(&e->registry, pause->sender);
        if (!slot) return TR_ERR_NOT_FOUND;
        tr__sender_pause(slot->object, pause->is_paused != 0, now_us);
        wake_source(e, slot->object, now_us);
        return TR_OK;
    }
    case TR_CMD_REMOVE_SENDER: {
        tr_stream_slot *slot = tr__registry_sender(&e->registry, one->id);
        if (!slot) return TR_ERR_NOT_FOUND;
        remove_sender(e, slot, now_us);
        return TR_OK;
    }
    case TR_CMD_REQUEST_KEYFRAME: {
        tr_stream_slot *slot = tr__registry_receiver(&e->registry, one->id);
        if (!slot) return TR_ERR_NOT_FOUND;
        tr__receiver_request_keyframe(slot->object, now_us);
        tr__registry_owner(&e->registry, slot)->due_us = now_us;
        wake(e, tr__registry_owner(&e->registry, slot));
        return TR_OK;
    }
    case TR_CMD_SEND_DATA: {
        const tr_data *data = body;
        tr_transport *t = find_transport(e, data->transport);
        if (!t) return TR_ERR_NOT_FOUND;
        if (data->size > sizeof data->bytes || offsetof(tr_data, bytes) + data->size > size) return TR_ERR_ARGUMENT;
        return tr__transport_send_data(t, data->bytes, data->size);
    }
    case TR_CMD_RESTART_ICE:
        return restart_ice(e, body);
    case TR_CMD_GET_STATS:
        return get_stats(e, one->id, now_us);
    case TR_CMD_GET_INVENTORY:
        return tr__registry_tell(&e->registry, body, e->shared.events);
    case TR_CMD_GET_COUNTS:
        return get_counts(e, body, now_us);
    case TR_CMD_SET_LAYER:
        return set_layer(e, body, now_us);
    case TR_CMD_SET_DOWNLINK: {
        const tr_set_downlink *set = body;
        tr_transport *t = find_transport(e, set->transport);
        return t ? tr__transport_set_downlink(t, set, now_us) : TR_ERR_NOT_FOUND;
    }
    case TR_CMD_SET_LIMIT:
        return set_limit(e, body, now_us);
    case TR_CMD_SET_REDUNDANCY:
        return set_redundancy(e, body);
    case TR_CMD_SET_PACKET_TIME:
        return set_packet_time(e, body, now_us);
    case TR_CMD_SET_LADDER:
        return set_ladder(e, body, size, now_us);
    case TR_CMD_GET_RATES:
        return get_rates(e, body, now_us);
    case TR_CMD_GET_SEEN:
        return get_seen(e, body, size, now_us);
    }
    return TR_ERR_ARGUMENT;
}

/* ------------------------------------------------------------------ the gate */

static tr_drop receive_stun(tr_engine *e, const tr_path *path, const uint8_t *data, size_t size, uint64_t now_us)
{
    tr_stun stun;
    tr_drop drop = tr__stun_parse(&stun, data, size);
    if (drop != TR_DROP_NONE) return drop;
    size_t ufrag_size = 0;
    const uint8_t *ufrag = tr__stun_local_ufrag(&stun, &ufrag_size);
    tr_transport *t = ufrag_size ? find_by_ufrag(e, ufrag, ufrag_size) : NULL;
    if (!t) return stun.class == TR_STUN_REQUEST ? TR_DROP_STUN_UNKNOWN_USER : TR_DROP_STUN_UNEXPECTED;
    /* A peer whose path is validated is never held back by what others behind its address do. */
    tr_guess *guess = tr__guesses_of(&e->guesses, t->id, &path->remote, now_us);
    if (guess->failures >= TR_GUESSES_PER_SECOND && !has_path(t, path)) return TR_DROP_STUN_RATE;
    tr_ice_answer answer = {0};
    drop = tr__transport_on_stun(t, &stun, path, now_us, &answer);
    if (drop == TR_DROP_STUN_INTEGRITY) guess->failures++;
    if (answer.path_removed) tr__owners_remove(&e->paths, tr__hash_path(e->hash_key, &answer.removed), t->index);
    if (answer.is_restarted) {
        forget_ufrag(e, t, answer.voided_ufrag);
        for (uint32_t i = 0; i < answer.voided_count; i++)
            tr__owners_remove(&e->paths, tr__hash_path(e->hash_key, &answer.voided[i]), t->index);
    }
    if (drop == TR_DROP_NONE && has_path(t, path)) claim_path(e, t, path);
    wake(e, t);
    return drop;
}

/* Handshakes wait their turn behind media; established associations (data channels) do not. */
static tr_drop receive_dtls(tr_engine *e, tr_transport *t, const tr_path *path, const uint8_t *data, size_t size,
                            uint64_t now_us)
{
    if (t->state == TR_TRANSPORT_CONNECTED) {
        tr_drop drop = tr__transport_on_dtls(t, path, data, size, now_us);
        wake(e, t);
        return drop;
    }
    bool has_room = tr__handshakes_put(&e->handshakes, t->index, t->id, path, data, size);
    return has_room ? TR_DROP_NONE : TR_DROP_DTLS_LIMIT;
}

static void work_off(tr_engine *e, uint32_t limit, uint64_t now_us)
{
    tr_handshake *datagram;
    for (; limit && (datagram = tr__handshakes_take(&e->handshakes)) != NULL; limit--) {
        tr_transport *t = find_transport(e, datagram->transport);
        if (!t) continue;
        tr__handshakes_taken(&e->handshakes, t->index);
        tr_drop drop = tr__transport_on_dtls(t, &datagram->path, datagram->data, datagram->size, now_us);
        if (drop != TR_DROP_NONE) tr__count_drop(e->shared.tally, drop);
        wake(e, t);
    }
}

/* See tr__handshakes_early. */
static void finish_handshake(tr_engine *e, const tr_transport *t, uint64_t now_us)
{
    if (!t->egress.srtp) work_off(e, tr__handshakes_early(&e->handshakes, t->index), now_us);
}

static tr_drop gate(tr_engine *e, const tr_path *path, uint8_t *data, size_t size, uint64_t arrival_us, uint64_t now_us)
{
    if (size == 0 || size > TR_MAX_DATAGRAM) return TR_DROP_SIZE;
    tr_class class = tr__demux(data, size);
    if (class == TR_CLASS_OTHER) return TR_DROP_CLASS;
    if (class == TR_CLASS_STUN) return receive_stun(e, path, data, size, now_us);
    tr_transport *t = find_by_path(e, path);
    if (!t) return TR_DROP_UNKNOWN_PATH;
    tr_drop drop = TR_DROP_NONE;
    switch (class) {
    case TR_CLASS_DTLS:
        return receive_dtls(e, t, path, data, size, now_us);
    case TR_CLASS_RTP:
        finish_handshake(e, t, now_us);
        drop = tr__transport_on_rtp(t, data, size, arrival_us, now_us);
        break;
    case TR_CLASS_RTCP:
        drop = tr__reports_take(t, data, size, now_us);
        /* A keyframe request of this peer is due at the publisher, whoever that is. */
        for (uint32_t i = 0; i < t->sender_count; i++) {
            tr_stream_slot *source = tr__registry_receiver(&e->registry, tr__sender_receiver_id(t->senders[i]));
            if (!source) continue;
            tr_transport *from = tr__registry_owner(&e->registry, source);
            uint64_t at = tr__receiver_feedback_at(source->object);
            if (at < from->due_us) from->due_us = at;
            wake(e, from);
        }
        break;
    case TR_CLASS_OTHER:
    case TR_CLASS_STUN:
        break;
    }
    wake(e, t);
    return drop;
}

tr_drop tr__engine_receive(tr_engine *e, const tr_path *path, uint8_t *data, size_t size, uint64_t arrival_us,
                           uint64_t now_us)
{
    e->shared.tally->rx_packets++;
    e->shared.tally->rx_bytes += size;
    tr_drop drop = gate(e, path, data, size, arrival_us, now_us);
    if (drop != TR_DROP_NONE) tr__count_drop(e->shared.tally, drop);
    return drop;
}

bool tr__engine_handshakes(tr_engine *e, uint32_t limit, uint64_t now_us)
{
    tr__handshakes_turn(&e->handshakes);
    work_off(e, limit, now_us);
    return e->handshakes.count > 0;
}

/* ------------------------------------------------------------------ time */

/* Timers of many transports are worked off together: nothing of theirs minds a millisecond. */
uint64_t tr__engine_at(const tr_engine *e)
{
    uint64_t next = tr__deadlines_next(&e->deadlines), soonest = e->looked_us + TIMER_SPACING_US;
    return next > soonest && !e->woken ? next : soonest;
}

void tr__engine_on_timer(tr_engine *e, uint64_t now_us)
{
    if (tr__engine_at(e) > now_us) return;
    e->looked_us = now_us;
    tr_downlink *woken;
    while ((woken = tr__downlink_take_woken(&e->woken)) != NULL) {
        tr_transport *t = e->registry.transports[woken->owner];
        if (tr__downlink_at(woken) < t->due_us) t->due_us = tr__downlink_at(woken);
        wake(e, t);
    }
    /* One look at each: what stays due, a datagram that found no room, comes again with the next look. */
    uint64_t next;
    while ((next = tr__deadlines_next(&e->deadlines)) <= now_us) {
        uint32_t index = tr__deadlines_first(&e->deadlines);
        tr_transport *t = e->registry.transports[index];
        if (t->due_us <= now_us) tr__transport_on_timer(t, now_us);
        if (t->downlink && tr__downlink_release_at(t->downlink) <= now_us) tr__transport_release(t, now_us);
        uint64_t at_us = tr__transport_at(t);
        tr__deadlines_set(&e->deadlines, index, at_us > now_us ? at_us : now_us + 1);
    }
}

void tr__engine_close(tr_engine *e)
{
    for (uint32_t i = 0; i < e->registry.max_transports; i++)
        if (e->registry.transports[i]) tr__transport_close(e->registry.transports[i]);
}
