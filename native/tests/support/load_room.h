/* load_room: a relay worker and a load engine in one process, over loopback sockets: what control would do for both,
 * without signalling. */
#ifndef TR_TEST_LOAD_ROOM_H
#define TR_TEST_LOAD_ROOM_H

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "telerelay.h"
#include "telerelay_load.h"

#define ROOM_WAIT_US 20000000u /* a sanitized build on a busy machine needs seconds for a handshake */
#define ROOM_MAX_EVENTS 4096

typedef struct load_room {
    tr_worker *worker;
    tl_engine *engine;
    tr_worker_config worker_config;
    tl_config config;
    uint64_t tag;
    uint32_t senders; /* of the relay, ever added */
    uint16_t port;    /* the peers send to: the worker's, or that of a stub before it */
    bool is_passive;  /* peers wait for the relay's ClientHello */
    bool has_no_nack; /* subscribers ask for nothing again */
    tl_event events[ROOM_MAX_EVENTS];
    int event_count;
} load_room;

static inline uint64_t room_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void room_fingerprint(const char *text, uint8_t *out)
{
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        sscanf(text + 3 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
}

/* `change` may be NULL: what differs from the defaults. */
static inline void room_init(load_room *r, void (*change)(load_room *))
{
    memset(r, 0, sizeof *r);
    tr_worker_config_init(&r->worker_config);
    tl_config_init(&r->config);
    r->config.max_peers = 256;
    if (change) change(r);
    CHECK_EQ(TR_OK, tr_certificate_make(&r->worker_config.certificate));
    CHECK_EQ(TR_OK, tr_worker_new(&r->worker_config, &r->worker));
    CHECK_EQ(TR_OK, tr_worker_start(r->worker));
    r->port = (uint16_t)tr_worker_port(r->worker, 0);
    CHECK_EQ(TL_OK, tl_engine_new(&r->config, &r->engine));
    CHECK_EQ(TL_OK, tl_engine_start(r->engine));
}

static inline void room_dispose(load_room *r)
{
    tl_engine_free(r->engine);
    tr_worker_free(r->worker);
}

/* Posts to the relay's worker and waits for the result. */
static inline int room_command(load_room *r, uint16_t type, const void *body, size_t size)
{
    tr_event event;
    CHECK_EQ(TR_OK, tr_worker_post(r->worker, type, ++r->tag, body, size));
    for (uint64_t until = room_now_ns() + ROOM_WAIT_US * 1000ull; room_now_ns() < until;) {
        if (tr_worker_take(r->worker, &event) != 1) {
            struct pollfd fd = {.fd = tr_worker_event_fd(r->worker), .events = POLLIN};
            poll(&fd, 1, 10);
            continue;
        }
        if (event.type != TR_EVENT_RESULT || event.tag != r->tag) continue;
        tr_result result;
        memcpy(&result, event.body, sizeof result);
        return result.status;
    }
    return TR_ERR_STATE;
}

/* A peer of the engine and its transport at the relay, in `room`; checks begin. */
static inline void room_add_peer(load_room *r, uint32_t peer, uint32_t room)
{
    char address[46], fingerprint[96];
    uint16_t port;
    tl_peer add = {.peer = peer, .is_controlling = 1, .extensions = {[TL_EXT_MID] = 1, [TL_EXT_TWCC] = 3}};
    snprintf(add.local_ufrag, sizeof add.local_ufrag, "peer%08x", peer);
    snprintf(add.local_pwd, sizeof add.local_pwd, "peerpassword0%016x", peer);
    CHECK_EQ(TL_OK, tl_engine_add_peer(r->engine, &add, address, &port));
    uint32_t id = 0x10000 | peer;
    tr_add_transport transport = {.transport = id, .room = room, .participant = id, .is_admitted = 1};
    snprintf(transport.local_ufrag, sizeof transport.local_ufrag, "relay%08x", peer);
    snprintf(transport.local_pwd, sizeof transport.local_pwd, "relaypassword%016x", peer);
    CHECK_EQ(TR_OK, room_command(r, TR_CMD_ADD_TRANSPORT, &transport, sizeof transport));
    tr_set_remote theirs = {.transport = id, .is_dtls_client = r->is_passive};
    memcpy(theirs.ufrag, add.local_ufrag, sizeof add.local_ufrag);
    memcpy(theirs.pwd, add.local_pwd, sizeof add.local_pwd);
    tl_engine_fingerprint(r->engine, fingerprint);
    theirs.fingerprints[0].size = 32;
    room_fingerprint(fingerprint, theirs.fingerprints[0].bytes);
    CHECK_EQ(TR_OK, room_command(r, TR_CMD_SET_REMOTE, &theirs, sizeof theirs));
    tl_remote ours = {.peer = peer,
                      .address = "127.0.0.1",
                      .port = r->port,
                      .fingerprint_size = 32,
                      .is_dtls_client = !r->is_passive};
    memcpy(ours.ufrag, transport.local_ufrag, sizeof transport.local_ufrag);
    memcpy(ours.pwd, transport.local_pwd, sizeof transport.local_pwd);
    room_fingerprint(r->worker_config.certificate.fingerprint, ours.fingerprint);
    CHECK_EQ(TL_OK, tl_engine_set_remote(r->engine, &ours));
}

static inline tl_send room_video(uint32_t peer, uint32_t stream)
{
    return (tl_send){.peer = peer,
                     .stream = stream,
                     .kind = TL_VIDEO,
                     .codec = TL_CODEC_VP8,
                     .pt = 96,
                     .rtx_pt = 97,
                     .ssrc = 100000 + 2 * stream,
                     .rtx_ssrc = 100001 + 2 * stream,
                     .clock_rate = 90000,
                     .mid = "1",
                     .extensions = {[TL_EXT_MID] = 1, [TL_EXT_TWCC] = 3},
                     .cname = "c",
                     .bitrate_bps = 1500000,
                     .frames_per_s_milli = 30000,
                     .keyframe_interval_ms = 10000,
                     .keyframe_ratio_milli = 4000,
                     .jitter_milli = 200};
}

static inline tl_send room_audio(uint32_t peer, uint32_t stream)
{
    return (tl_send){.peer = peer,
                     .stream = stream,
                     .kind = TL_AUDIO,
                     .codec = TL_CODEC_OPUS,
                     .pt = 111,
                     .rtx_pt = TL_NO_PT,
                     .ssrc = 100000 + 2 * stream,
                     .clock_rate = 48000,
                     .mid = "0",
                     .extensions = {[TL_EXT_MID] = 1, [TL_EXT_TWCC] = 3},
                     .cname = "c",
                     .bitrate_bps = 32000,
                     .frames_per_s_milli = 50000};
}

/* The engine publishes it, and the relay receives it; its receiver's id is the stream's. */
static inline void room_publish(load_room *r, const tl_send *send)
{
    CHECK_EQ(TL_OK, tl_engine_add_send(r->engine, send));
    tr_add_receiver add = {.receiver = 0x10000 | send->stream,
                           .transport = 0x10000 | send->peer,
                           .kind = send->kind,
                           .codec_count = 1,
                           .encoding_count = 1};
    bool is_video = send->kind == TL_VIDEO;
    memcpy(add.mid, send->mid, sizeof add.mid);
    add.codecs[0] = (tr_codec_params){.pt = send->pt,
                                      .rtx_pt = send->rtx_pt,
                                      .codec = is_video ? TR_CODEC_VP8 : TR_CODEC_OPUS,
                                      .has_nack = is_video,
                                      .has_pli = is_video,
                                      .has_twcc = 1,
                                      .clock_rate = send->clock_rate};
    add.encodings[0].ssrc = send->ssrc;
    add.encodings[0].rtx_ssrc = send->rtx_ssrc;
    add.extensions[TR_EXT_MID] = 1;
    add.extensions[TR_EXT_TWCC] = 3;
    CHECK_EQ(TR_OK, room_command(r, TR_CMD_ADD_RECEIVER, &add, sizeof add));
}

/* The relay forwards the stream to the peer, in a section that is the peer's. */
static inline void room_subscribe(load_room *r, uint32_t peer, uint32_t section, const tl_send *of)
{
    bool is_video = of->kind == TL_VIDEO;
    uint32_t sender = 0x10000 | ++r->senders;
    tr_add_sender add = {
        .sender = sender, .transport = 0x10000 | peer, .kind = of->kind, .ssrc = 500000 + 2 * sender, .cname = "c"};
    if (is_video) add.rtx_ssrc = add.ssrc + 1;
    snprintf(add.mid, sizeof add.mid, "s%u", section);
    add.extensions[TR_EXT_MID] = 1;
    tr_bind_sender bind = {.sender = sender, .receiver = 0x10000 | of->stream};
    memset(bind.pts, TR_NO_PT, sizeof bind.pts);
    memset(bind.rtx_pts, TR_NO_PT, sizeof bind.rtx_pts);
    bind.pts[0] = is_video ? 120 : 109;
    bind.rtx_pts[0] = is_video ? 121 : TR_NO_PT;
    tl_receive receive = {.peer = peer, .section = section, .kind = of->kind, .payload_count = 1};
    memcpy(receive.mid, add.mid, sizeof receive.mid);
    receive.payloads[0] = (tl_payload){.pt = bind.pts[0],
                                       .rtx_pt = bind.rtx_pts[0],
                                       .has_nack = is_video && !r->has_no_nack,
                                       .has_pli = is_video,
                                       .clock_rate = of->clock_rate};
    CHECK_EQ(TL_OK, tl_engine_add_receive(r->engine, &receive));
    CHECK_EQ(TR_OK, room_command(r, TR_CMD_ADD_SENDER, &add, sizeof add));
    CHECK_EQ(TR_OK, room_command(r, TR_CMD_BIND_SENDER, &bind, sizeof bind));
}

/* Takes what events there are; how many of `type` have come so far. */
static inline int room_count(load_room *r, tl_event_type type)
{
    int count = 0;
    while (r->event_count < ROOM_MAX_EVENTS && tl_engine_take(r->engine, &r->events[r->event_count]) == 1)
        r->event_count++;
    for (int i = 0; i < r->event_count; i++) count += r->events[i].type == type;
    return count;
}

static inline bool room_wait(load_room *r, tl_event_type type, int count)
{
    for (uint64_t until = room_now_ns() + ROOM_WAIT_US * 1000ull; room_now_ns() < until;) {
        if (room_count(r, type) >= count) return true;
        struct pollfd fd = {.fd = tl_engine_event_fd(r->engine), .events = POLLIN};
        poll(&fd, 1, 10);
    }
    return false;
}

/* Until `what(room)`: the world is asked every few milliseconds. */
static inline bool room_until(load_room *r, bool (*what)(load_room *))
{
    for (uint64_t until = room_now_ns() + ROOM_WAIT_US * 1000ull; room_now_ns() < until; usleep(5000))
        if (what(r)) return true;
    return false;
}

#endif
