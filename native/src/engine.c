/* engine: see engine.h. Worker thread. */
#include "engine.h"

#include <stdlib.h>

#include "counts.h"
#include "deadlines.h"
#include "demux.h"
#include "reports.h"
#include "rungs.h"

/* Failed checks that one source address may make of one transport in a second before its checks of that transport from
 * unknown paths go unheard: far fewer than guessing a password takes. Counted for each transport on its own, so that
 * one who guesses keeps nobody else behind his address, a hospital's for instance, from joining. */
#define STUN_FAILURES_PER_SECOND 200
#define STUN_SOURCES 1024 /* buckets, a power of two; two that share one share its limit */

/* Least time between two looks at all timers. */
#define TIMER_SPACING_US 1000

typedef struct path_entry {
    uint32_t hash, transport;
} path_entry; /* transport: index + 1, 0: free */
typedef struct stun_bucket {
    uint32_t second, failures;
} stun_bucket;

typedef struct handshake_datagram {
    uint32_t transport; /* id: a transport that went meanwhile is passed over */
    uint16_t size;
    tr_path path;
    uint8_t data[TR_MAX_DATAGRAM];
} handshake_datagram;

typedef struct stream_slot {
    void *object;
    uint32_t transport;
    uint32_t id;
} stream_slot; /* transport: index */

struct tr_engine {
    tr_shared shared;
    tr_outbox outbox;
    uint32_t max_transports;
    uint64_t random, hash_key;
    tr_transport **transports; /* by index */
    stream_slot *receivers, *senders;
    uint8_t *handshakes_waiting;
    uint32_t stream_slots;
    /* validated paths and local fragments, open addressing */
    path_entry *paths, *ufrags;
    uint32_t table_mask;
    stun_bucket stun_sources[STUN_SOURCES];
    /* handshakes */
    handshake_datagram *queue;
    uint32_t queue_head, queue_count;
    uint32_t early;         /* handshake datagrams this turn may still work off ahead of their time */
    tr_deadlines deadlines; /* of transports, by index */
    tr_downlink *woken;     /* whose time began to run with what they were sent */
    uint64_t looked_us;
};

/* splitmix64 (Steele, Lea, Flood 2014): spreads the seed the worker drew from the kernel; not used for secrets. */
static uint64_t next_random(tr_engine *e)
{
    uint64_t z = (e->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ------------------------------------------------------------------ tables */

static uint32_t mix(uint64_t key, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t h = key;
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return (uint32_t)(h >> 32);
}

static uint32_t hash_path(const tr_engine *e, const tr_path *path)
{
    uint64_t a, b;
    memcpy(&a, path->remote.ip, 8);
    memcpy(&b, path->remote.ip + 8, 8);
    uint64_t h = e->hash_key ^ (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu) ^
                 ((uint64_t)path->remote.port << 16 | (uint64_t)path->socket << 8 | path->kind);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    return (uint32_t)h;
}

static void table_add(tr_engine *e, path_entry *table, uint32_t hash, uint32_t transport)
{
    uint32_t at = hash & e->table_mask;
    while (table[at].transport) at = (at + 1) & e->table_mask;
    table[at] = (path_entry){hash, transport + 1};
}

/* Take one entry out and move later ones of the same run back, so that no search ends too early. */
static void table_remove(tr_engine *e, path_entry *table, uint32_t hash, uint32_t transport)
{
    uint32_t at = hash & e->table_mask;
    while (table[at].transport && !(table[at].hash == hash && table[at].transport == transport + 1))
        at = (at + 1) & e->table_mask;
    if (!table[at].transport) return;
    uint32_t hole = at;
    for (at = (at + 1) & e->table_mask; table[at].transport; at = (at + 1) & e->table_mask) {
        uint32_t home = table[at].hash & e->table_mask;
        if (((at - home) & e->table_mask) >= ((at - hole) & e->table_mask)) {
            table[hole] = table[at];
            hole = at;
        }
    }
    table[hole] = (path_entry){0, 0};
}

static bool has_path(const tr_transport *t, const tr_path *path)
{
    if (t->egress.has_path && tr__path_equal(&t->egress.path, path)) return true;
    for (uint32_t i = 0; i < t->ice.path_count; i++)
        if (tr__path_equal(&t->ice.paths[i].path, path)) return true;
    return false;
}

static tr_transport *find_by_path(const tr_engine *e, const tr_path *path)
{
    uint32_t hash = hash_path(e, path);
    for (uint32_t at = hash & e->table_mask; e->paths[at].transport; at = (at + 1) & e->table_mask) {
        if (e->paths[at].hash != hash) continue;
        tr_transport *t = e->transports[e->paths[at].transport - 1];
        if (t && has_path(t, path)) return t;
    }
    return NULL;
}

const void *tr__engine_bucket(const tr_engine *e, const tr_path *path)
{
    return &e->paths[hash_path(e, path) & e->table_mask];
}

const tr_transport *tr__engine_guess(const tr_engine *e, const tr_path *path)
{
    uint32_t hash = hash_path(e, path);
    const path_entry *entry = &e->paths[hash & e->table_mask];
    return entry->transport && entry->hash == hash ? e->transports[entry->transport - 1] : NULL;
}

/* The latest authenticated check says whose a path is: a port can pass from one peer connection to the next. */
static void claim_path(tr_engine *e, const tr_transport *t, const tr_path *path)
{
    uint32_t hash = hash_path(e, path);
    const tr_transport *owner = find_by_path(e, path);
    if (owner == t) return;
    if (owner) table_remove(e, e->paths, hash, owner->index);
    table_add(e, e->paths, hash, t->index);
}

static bool is_ufrag(const tr_ice_credentials *own, const uint8_t *ufrag, size_t size)
{
    return strlen(own->local_ufrag) == size && memcmp(own->local_ufrag, ufrag, size) == 0;
}

static tr_transport *find_by_ufrag(const tr_engine *e, const uint8_t *ufrag, size_t size)
{
    uint32_t hash = mix(e->hash_key, ufrag, size);
    for (uint32_t at = hash & e->table_mask; e->ufrags[at].transport; at = (at + 1) & e->table_mask) {
        if (e->ufrags[at].hash != hash) continue;
        tr_transport *t = e->transports[e->ufrags[at].transport - 1];
        if (t && (is_ufrag(&t->ice.now, ufrag, size) || is_ufrag(&t->ice.before, ufrag, size))) return t;
    }
    return NULL;
}

static tr_transport *find_transport(const tr_engine *e, uint32_t id)
{
    uint32_t index = id & 0xffff;
    tr_transport *t = index < e->max_transports ? e->transports[index] : NULL;
    return t && t->id == id ? t : NULL;
}

static stream_slot *find_stream(const tr_engine *e, stream_slot *table, uint32_t id)
{
    uint32_t index = id & 0xffff;
    return index < e->stream_slots && table[index].object && table[index].id == id ? &table[index] : NULL;
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
    e->max_transports = config->max_transports;
    e->stream_slots = 65536;
    e->early = TR_ENGINE_HANDSHAKES_PER_TURN;
    uint32_t slots = 64;
    while (slots < config->max_transports * TR_ICE_MAX_PATHS * 2) slots *= 2;
    e->table_mask = slots - 1;
    e->transports = calloc(config->max_transports, sizeof *e->transports);
    e->handshakes_waiting = calloc(config->max_transports, 1);
    e->receivers = calloc(e->stream_slots, sizeof *e->receivers);
    e->senders = calloc(e->stream_slots, sizeof *e->senders);
    e->paths = calloc(slots, sizeof *e->paths);
    e->ufrags = calloc(slots, sizeof *e->ufrags);
    e->queue = calloc(TR_ENGINE_HANDSHAKE_QUEUE, sizeof *e->queue);
    bool ok = e->transports && e->handshakes_waiting && e->receivers && e->senders && e->paths && e->ufrags &&
              e->queue && tr__outbox_init(&e->outbox, config->outbox_capacity) == TR_OK &&
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
    for (uint32_t i = 0; e->transports && i < e->max_transports; i++)
        if (e->transports[i]) remove_transport(e, e->transports[i], 0);
    tr__outbox_dispose(&e->outbox);
    tr__deadlines_dispose(&e->deadlines);
    free(e->transports);
    free(e->handshakes_waiting);
    free(e->receivers);
    free(e->senders);
    free(e->paths);
    free(e->ufrags);
    free(e->queue);
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
    if (!params->transport || index >= e->max_transports || params->is_admitted > 1 || params->is_tap > 1)
        return TR_ERR_ARGUMENT;
    /* RFC 8839, 5.4: at least 4 and 22 characters. */
    if (!is_ice_word(params->local_ufrag, 4, 32) || !is_ice_word(params->local_pwd, 22, 64)) return TR_ERR_ARGUMENT;
    size_t ufrag_size = strlen(params->local_ufrag);
    if (e->transports[index] || find_by_ufrag(e, (const uint8_t *)params->local_ufrag, ufrag_size))
        return TR_ERR_EXISTS;
    tr_transport *t = tr__transport_new(&e->shared, params, index, next_random(e), now_us);
    if (!t) return TR_ERR_NO_MEMORY;
    e->transports[index] = t;
    table_add(e, e->ufrags, mix(e->hash_key, params->local_ufrag, ufrag_size), index);
    return TR_OK;
}

static void forget_ufrag(tr_engine *e, const tr_transport *t, const char *ufrag)
{
    if (ufrag[0]) table_remove(e, e->ufrags, mix(e->hash_key, ufrag, strlen(ufrag)), t->index);
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
    table_add(e, e->ufrags, mix(e->hash_key, params->local_ufrag, ufrag_size), t->index);
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
    stream_slot *bound = find_stream(e, e->receivers, tr__sender_receiver_id(sender));
    if (bound) tr__receiver_remove_sender(bound->object, sender, now_us);
}

static void remove_sender(tr_engine *e, stream_slot *slot, uint64_t now_us)
{
    unbind(e, slot->object, now_us);
    tr__transport_remove_sender(e->transports[slot->transport], slot->object);
    *slot = (stream_slot){0};
}

static void remove_receiver(tr_engine *e, stream_slot *slot, uint64_t now_us)
{
    tr_sender *sender;
    while ((sender = tr__receiver_any_sender(slot->object)) != NULL)
        tr__receiver_remove_sender(slot->object, sender, now_us);
    tr__transport_remove_receiver(e->transports[slot->transport], slot->object, now_us);
    *slot = (stream_slot){0};
}

static void remove_transport(tr_engine *e, tr_transport *t, uint64_t now_us)
{
    while (t->sender_count) remove_sender(e, find_stream(e, e->senders, tr__sender_id(t->senders[0])), now_us);
    while (t->receiver_count)
        remove_receiver(e, find_stream(e, e->receivers, tr__receiver_params(t->receivers[0])->receiver), now_us);
    for (uint32_t i = 0; i < t->ice.path_count; i++)
        table_remove(e, e->paths, hash_path(e, &t->ice.paths[i].path), t->index);
    forget_ufrag(e, t, t->ice.now.local_ufrag);
    forget_ufrag(e, t, t->ice.before.local_ufrag);
    e->transports[t->index] = NULL;
    tr__deadlines_set(&e->deadlines, t->index, TR_DEADLINES_NEVER);
    e->handshakes_waiting[t->index] = 0;
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
    if (e->receivers[index].object) return TR_ERR_EXISTS;
    tr_receiver *receiver = NULL;
    int status = tr__transport_add_receiver(t, params, &receiver);
    if (status == TR_OK) e->receivers[index] = (stream_slot){receiver, t->index, params->receiver};
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
    if (e->senders[index].object) return TR_ERR_EXISTS;
    tr_sender *sender = NULL;
    int status = tr__transport_add_sender(t, params, next_random(e), &sender);
    if (status == TR_OK) e->senders[index] = (stream_slot){sender, t->index, params->sender};
    return status;
}

static int bind_sender(tr_engine *e, const tr_bind_sender *bind, uint64_t now_us)
{
    stream_slot *slot = find_stream(e, e->senders, bind->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    tr_transport *to = e->transports[slot->transport];
    if (bind->receiver == TR_NONE) {
        unbind(e, slot->object, now_us);
        return TR_OK;
    }
    stream_slot *source = find_stream(e, e->receivers, bind->receiver);
    if (!source) return TR_ERR_NOT_FOUND;
    tr_transport *from = e->transports[source->transport];
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
    stream_slot *source = find_stream(e, e->receivers, tr__sender_receiver_id(sender));
    if (!source) return;
    e->transports[source->transport]->due_us = now_us;
    wake(e, e->transports[source->transport]);
}

static int set_layer(tr_engine *e, const tr_set_layer *layer, uint64_t now_us)
{
    stream_slot *slot = find_stream(e, e->senders, layer->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    tr_layer want = {layer->encoding, layer->spatial, layer->temporal};
    tr__sender_set_layer(slot->object, want, now_us);
    wake_source(e, slot->object, now_us);
    return TR_OK;
}

static int set_redundancy(tr_engine *e, const tr_set_redundancy *params)
{
    stream_slot *slot = find_stream(e, e->senders, params->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    bool ok = params->count <= TR_MAX_COPIES;
    for (uint8_t i = 0; ok && i < params->count; i++)
        ok = params->distances[i] > (i ? params->distances[i - 1] : 0) && params->distances[i] <= TR_MAX_COPY_DISTANCE;
    return ok ? tr__sender_set_redundancy(slot->object, params->count, params->distances) : TR_ERR_ARGUMENT;
}

static int set_packet_time(tr_engine *e, const tr_set_packet_time *params, uint64_t now_us)
{
    stream_slot *slot = find_stream(e, e->senders, params->sender);
    if (!slot) return TR_ERR_NOT_FOUND;
    if (params->ms > TR_MAX_PACKET_MS) return TR_ERR_ARGUMENT;
    int status = tr__sender_set_packet_time(slot->object, params->ms, now_us);
    tr_transport *t = e->transports[slot->transport]; /* what is held has a time to go by */
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

/* Records of one page: with the widest of them it fits into half of the smallest event ring, the half that commands
 * leave free. And slots it looks at: a quarter of the stream tables, some tens of microseconds. */
#define INVENTORY_PAGE 128
#define INVENTORY_SCAN 16384

static bool describe(const tr_engine *e, uint8_t kind, uint32_t index, tr_inventory *out)
{
    *out = (tr_inventory){.kind = kind};
    if (kind == TR_INVENTORY_TRANSPORT) {
        const tr_transport *t = e->transports[index];
        if (!t) return false;
        out->id = out->transport = t->id;
        out->room = t->room;
        out->participant = t->participant;
        out->state = (uint8_t)t->state;
        out->is_admitted = t->egress.is_admitted;
        out->srtp_profile = t->srtp ? (uint8_t)tr__srtp_profile_of(t->srtp) : 0;
        memcpy(out->local_ufrag, t->ice.now.local_ufrag, sizeof out->local_ufrag);
        return true;
    }
    const stream_slot *slot = kind == TR_INVENTORY_RECEIVER ? &e->receivers[index] : &e->senders[index];
    if (!slot->object) return false;
    out->id = slot->id;
    out->transport = e->transports[slot->transport]->id;
    if (kind == TR_INVENTORY_SENDER) {
        out->receiver = tr__sender_receiver_id(slot->object);
        out->is_held = tr__sender_is_held(slot->object);
    }
    return true;
}

static int get_inventory(tr_engine *e, const tr_get_inventory *wanted)
{
    uint32_t slots = wanted->kind == TR_INVENTORY_TRANSPORT ? e->max_transports : e->stream_slots;
    if (wanted->kind < TR_INVENTORY_TRANSPORT || wanted->kind > TR_INVENTORY_SENDER || wanted->from >= slots)
        return TR_ERR_ARGUMENT;
    uint32_t index = wanted->from, last = index + INVENTORY_SCAN < slots ? index + INVENTORY_SCAN : slots;
    int status = TR_OK;
    for (int count = 0; index < last && count < INVENTORY_PAGE && status == TR_OK; index++) {
        tr_inventory found;
        if (!describe(e, wanted->kind, index, &found)) continue;
        status = tr__ring_push(e->shared.events, TR_EVENT_INVENTORY, 0, &found, sizeof found);
        count++;
    }
    if (status != TR_OK) return status;
    tr_inventory_end end = {.next = index < slots ? index : 0};
    return tr__ring_push(e->shared.events, TR_EVENT_INVENTORY_END, 0, &end, sizeof end);
}

static int get_counts(tr_engine *e, const tr_get_counts *wanted, uint64_t now_us)
{
    tr_counts page;
    if (!tr__counts_page(e->transports, e->max_transports, wanted->from, now_us, &page)) return TR_ERR_ARGUMENT;
    return tr__ring_push(e->shared.events, TR_EVENT_COUNTS, 0, &page, tr__counts_size(&page));
}

static int get_rates(tr_engine *e, const tr_get_rates *wanted, uint64_t now_us)
{
    tr_rate_page page;
    if (!tr__rates_page(e->transports, e->max_transports, wanted->from, now_us, &page)) return TR_ERR_ARGUMENT;
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
        stream_slot *slot = find_stream(e, e->receivers, one->id);
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
        stream_slot *slot = find_stream(e, e->senders, pause->sender);
        if (!slot) return TR_ERR_NOT_FOUND;
        tr__sender_pause(slot->object, pause->is_paused != 0, now_us);
        wake_source(e, slot->object, now_us);
        return TR_OK;
    }
    case TR_CMD_REMOVE_SENDER: {
        stream_slot *slot = find_stream(e, e->senders, one->id);
        if (!slot) return TR_ERR_NOT_FOUND;
        remove_sender(e, slot, now_us);
        return TR_OK;
    }
    case TR_CMD_REQUEST_KEYFRAME: {
        stream_slot *slot = find_stream(e, e->receivers, one->id);
        if (!slot) return TR_ERR_NOT_FOUND;
        tr__receiver_request_keyframe(slot->object, now_us);
        e->transports[slot->transport]->due_us = now_us;
        wake(e, e->transports[slot->transport]);
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
        return get_inventory(e, body);
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

static stun_bucket *stun_source(tr_engine *e, const tr_transport *t, const tr_path *path, uint64_t now_us)
{
    stun_bucket *bucket =
        &e->stun_sources[mix(e->hash_key ^ (uint64_t)t->id << 32, path->remote.ip, 16) & (STUN_SOURCES - 1)];
    uint32_t second = (uint32_t)(now_us / 1000000);
    if (bucket->second != second) *bucket = (stun_bucket){second, 0};
    return bucket;
}

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
    stun_bucket *bucket = stun_source(e, t, path, now_us);
    if (bucket->failures >= STUN_FAILURES_PER_SECOND && !has_path(t, path)) return TR_DROP_STUN_RATE;
    tr_ice_answer answer = {0};
    drop = tr__transport_on_stun(t, &stun, path, now_us, &answer);
    if (drop == TR_DROP_STUN_INTEGRITY) bucket->failures++;
    if (answer.path_removed) table_remove(e, e->paths, hash_path(e, &answer.removed), t->index);
    if (answer.is_restarted) {
        forget_ufrag(e, t, answer.voided_ufrag);
        for (uint32_t i = 0; i < answer.voided_count; i++)
            table_remove(e, e->paths, hash_path(e, &answer.voided[i]), t->index);
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
    if (e->queue_count == TR_ENGINE_HANDSHAKE_QUEUE ||
        e->handshakes_waiting[t->index] >= TR_ENGINE_HANDSHAKE_PER_TRANSPORT)
        return TR_DROP_DTLS_LIMIT;
    handshake_datagram *datagram = &e->queue[(e->queue_head + e->queue_count++) % TR_ENGINE_HANDSHAKE_QUEUE];
    datagram->transport = t->id;
    datagram->size = (uint16_t)size;
    datagram->path = *path;
    memcpy(datagram->data, data, size);
    e->handshakes_waiting[t->index]++;
    return TR_DROP_NONE;
}

static void work_off(tr_engine *e, uint32_t limit, uint64_t now_us)
{
    for (; limit && e->queue_count; limit--) {
        handshake_datagram *datagram = &e->queue[e->queue_head];
        e->queue_head = (e->queue_head + 1) % TR_ENGINE_HANDSHAKE_QUEUE;
        e->queue_count--;
        tr_transport *t = find_transport(e, datagram->transport);
        if (!t) continue;
        e->handshakes_waiting[t->index]--;
        tr_drop drop = tr__transport_on_dtls(t, &datagram->path, datagram->data, datagram->size, now_us);
        if (drop != TR_DROP_NONE) tr__count_drop(e->shared.tally, drop);
        wake(e, t);
    }
}

/* Media right behind the peer's last handshake message, before that had its turn: the first packets of a call are not
 * to be lost for it. Only while few wait, and within the turn's own bound. */
static void finish_handshake(tr_engine *e, const tr_transport *t, uint64_t now_us)
{
    if (t->egress.srtp || !e->handshakes_waiting[t->index] || e->queue_count > e->early) return;
    e->early -= e->queue_count;
    work_off(e, e->queue_count, now_us);
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
            stream_slot *source = find_stream(e, e->receivers, tr__sender_receiver_id(t->senders[i]));
            if (!source) continue;
            tr_transport *from = e->transports[source->transport];
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
    e->early = TR_ENGINE_HANDSHAKES_PER_TURN;
    work_off(e, limit, now_us);
    return e->queue_count > 0;
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
        tr_transport *t = e->transports[woken->owner];
        if (tr__downlink_at(woken) < t->due_us) t->due_us = tr__downlink_at(woken);
        wake(e, t);
    }
    /* One look at each: what stays due, a datagram that found no room, comes again with the next look. */
    uint64_t next;
    while ((next = tr__deadlines_next(&e->deadlines)) <= now_us) {
        uint32_t index = tr__deadlines_first(&e->deadlines);
        tr_transport *t = e->transports[index];
        if (t->due_us <= now_us) tr__transport_on_timer(t, now_us);
        if (t->downlink && tr__downlink_release_at(t->downlink) <= now_us) tr__transport_release(t, now_us);
        uint64_t at_us = tr__transport_at(t);
        tr__deadlines_set(&e->deadlines, index, at_us > now_us ? at_us : now_us + 1);
    }
}

void tr__engine_close(tr_engine *e)
{
    for (uint32_t i = 0; i < e->max_transports; i++)
        if (e->transports[i]) tr__transport_close(e->transports[i]);
}
