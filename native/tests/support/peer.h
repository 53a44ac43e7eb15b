/* peer: the other end of a transport, for tests and benchmarks: checks, DTLS, SRTP, on the relay's own modules in the
 * client role. Talks to an engine in memory, or through any function that carries datagrams. */
#ifndef TR_TEST_PEER_H
#define TR_TEST_PEER_H

#include "check.h"
#include "dtls.h"
#include "engine.h"
#include "stun.h"

typedef struct peer {
    uint32_t transport;
    char local_ufrag[33], local_pwd[65];   /* the relay's */
    char remote_ufrag[33], remote_pwd[65]; /* ours */
    tr_path path;                          /* as the relay sees it */
    tr_dtls *dtls;
    tr_srtp *srtp;
    uint64_t random;
    /* the latest plain packets, a ring */
    struct {
        uint8_t data[TR_OUTBOX_SLOT];
        size_t size;
        bool is_rtcp;
    } got[256];
    uint64_t got_count;
    uint64_t stun_answers, dtls_received, auth_failures;
} peer;

/* One world: an engine with everything it borrows, and the peers that talk to it in memory. */
typedef struct world {
    tr_engine *engine;
    tr_crypto *crypto;
    tr_dtls_context *relay_context, *peer_context;
    tr_certificate relay_certificate, peer_certificate;
    tr_ring events;
    void *events_memory;
    tr_tally tally;
    uint64_t now_us;
    peer *peers[512];
    int peer_count;
    tr_transport_state states[65536];
} world;

static inline void world_read_fingerprint(const tr_certificate *certificate, tr_fingerprint *out)
{
    memset(out, 0, sizeof *out);
    out->size = 32;
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        sscanf(certificate->fingerprint + 3 * i, "%2x", &byte);
        out->bytes[i] = (uint8_t)byte;
    }
}

static inline void world_init(world *w, uint64_t seed, int crypto)
{
    memset(w, 0, sizeof *w);
    w->crypto = tr__crypto_new(crypto);
    tr_certificate_make(&w->relay_certificate);
    tr_certificate_make(&w->peer_certificate);
    w->relay_context = tr__dtls_context_new(&w->relay_certificate);
    w->peer_context = tr__dtls_context_new(&w->peer_certificate);
    w->events_memory = aligned_alloc(64, tr__ring_footprint(1 << 20));
    tr__ring_create(&w->events, w->events_memory, 1 << 20);
    w->now_us = 1000000;
    tr_engine_config config = {
        .max_transports = 2048,
        .outbox_capacity = 4096,
        .video_history_bytes = 256 * 1024,
        .audio_history_bytes = 16 * 1024,
        .consent_timeout_us = 30000000,
        .ntp_offset_us = 3900000000000000u,
        .seed = seed,
        .crypto = w->crypto,
        .dtls = w->relay_context,
        .events = &w->events,
        .tally = &w->tally,
    };
    w->engine = tr__engine_new(&config);
}

static inline void peer_free(peer *p)
{
    tr__srtp_free(p->srtp);
    tr__dtls_free(p->dtls);
    free(p);
}

static inline void world_dispose(world *w)
{
    for (int i = 0; i < w->peer_count; i++) peer_free(w->peers[i]);
    tr__engine_free(w->engine);
    tr__dtls_context_free(w->relay_context);
    tr__dtls_context_free(w->peer_context);
    tr__crypto_free(w->crypto);
    free(w->events_memory);
}

static inline int world_command(world *w, uint16_t type, const void *body, size_t size)
{
    return tr__engine_command(w->engine, type, body, size, w->now_us);
}

/* A transport at the relay and a peer for it. */
static inline peer *world_add_peer(world *w, uint32_t transport, uint32_t room, bool is_admitted)
{
    peer *p = calloc(1, sizeof *p);
    p->transport = transport;
    p->random = transport * 7919u;
    snprintf(p->local_ufrag, sizeof p->local_ufrag, "relay%08x", transport);
    snprintf(p->local_pwd, sizeof p->local_pwd, "relaypassword%016x", transport);
    snprintf(p->remote_ufrag, sizeof p->remote_ufrag, "peer%08x", transport);
    snprintf(p->remote_pwd, sizeof p->remote_pwd, "peerpassword0%016x", transport);
    p->path = (tr_path){.remote = {.family = 4,
                                   .ip = {127, 1, (uint8_t)(transport >> 8), (uint8_t)transport},
                                   .port = (uint16_t)(20000 + (transport & 0x3fff))}};
    p->dtls = tr__dtls_new(w->peer_context, true);
    tr_add_transport add = {.transport = transport, .room = room, .participant = transport, .is_admitted = is_admitted};
    memcpy(add.local_ufrag, p->local_ufrag, sizeof add.local_ufrag);
    memcpy(add.local_pwd, p->local_pwd, sizeof add.local_pwd);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_ADD_TRANSPORT, &add, sizeof add));
    tr_set_remote remote = {.transport = transport};
    memcpy(remote.ufrag, p->remote_ufrag, sizeof p->remote_ufrag);
    memcpy(remote.pwd, p->remote_pwd, sizeof p->remote_pwd);
    world_read_fingerprint(&w->peer_certificate, &remote.fingerprints[0]);
    CHECK_EQ(TR_OK, world_command(w, TR_CMD_SET_REMOTE, &remote, sizeof remote));
    w->peers[w->peer_count++] = p;
    return p;
}

static inline tr_drop peer_send(world *w, peer *p, const void *data, size_t size)
{
    uint8_t copy[2048];
    memcpy(copy, data, size);
    return tr__engine_receive(w->engine, &p->path, copy, size, w->now_us, w->now_us);
}

static inline size_t peer_write_check(peer *p, uint8_t *out, size_t room, bool nominates)
{
    uint8_t transaction[12];
    for (int i = 0; i < 12; i++) transaction[i] = (uint8_t)check_random(&p->random);
    char username[80];
    snprintf(username, sizeof username, "%s:%s", p->local_ufrag, p->remote_ufrag);
    return tr__stun_write_request(out, room, transaction, username, 1845501695, nominates, 77, p->local_pwd,
                                  strlen(p->local_pwd));
}

static inline tr_drop peer_check(world *w, peer *p)
{
    uint8_t request[256];
    size_t size = peer_write_check(p, request, sizeof request, true);
    return peer_send(w, p, request, size);
}

/* One datagram from the relay. */
static inline void peer_receive(peer *p, const uint8_t *data, size_t size)
{
    if (data[0] < 4) {
        p->stun_answers++;
    } else if (data[0] < 64) {
        tr_drop drop;
        p->dtls_received++;
        tr__dtls_receive(p->dtls, data, size, &drop);
    } else if (p->srtp) {
        uint64_t at = p->got_count % 256, index;
        memcpy(p->got[at].data, data, size);
        p->got[at].size = size;
        p->got[at].is_rtcp = data[1] >= 192 && data[1] < 224;
        tr_drop drop = p->got[at].is_rtcp ? tr__srtp_open_rtcp(p->srtp, p->got[at].data, &p->got[at].size)
                                          : tr__srtp_open_rtp(p->srtp, p->got[at].data, &p->got[at].size, &index);
        if (drop == TR_DROP_NONE)
            p->got_count++;
        else
            p->auth_failures++;
    }
}

static inline void world_take_events(world *w)
{
    tr_event event;
    size_t size;
    while (tr__ring_pop(&w->events, &event.type, &event.tag, event.body, sizeof event.body, &size) == 1) {
        if (event.type != TR_EVENT_TRANSPORT_STATE) continue;
        tr_transport_changed changed;
        memcpy(&changed, event.body, sizeof changed);
        w->states[changed.transport & 0xffff] = (tr_transport_state)changed.state;
    }
}

/* Everything the relay has to send goes to the peers whose address it has; then their handshakes answer. */
static inline void world_deliver(world *w)
{
    tr_outbox *outbox = tr__engine_outbox(w->engine);
    for (uint32_t i = 0; i < outbox->count; i++)
        for (int k = 0; k < w->peer_count; k++)
            if (tr__address_equal(&w->peers[k]->path.remote, &outbox->items[i].path.remote))
                peer_receive(w->peers[k], outbox->items[i].data, outbox->items[i].size);
    tr__outbox_clear(outbox);
    uint8_t out[1500];
    size_t size;
    for (int k = 0; k < w->peer_count; k++)
        while ((size = tr__dtls_next(w->peers[k]->dtls, out, sizeof out)) > 0) peer_send(w, w->peers[k], out, size);
    while (tr__engine_handshakes(w->engine, 64, w->now_us)) {}
    world_take_events(w);
}

/* Time passes: timers fire, datagrams are delivered. */
static inline void world_run(world *w, uint64_t us)
{
    for (uint64_t end = w->now_us + us; w->now_us < end;) {
        w->now_us += 1000;
        tr__engine_on_timer(w->engine, w->now_us);
        world_deliver(w);
    }
}

/* Checks, handshake, keys: from nothing to CONNECTED. */
static inline bool world_connect(world *w, peer *p)
{
    tr_fingerprint relay;
    world_read_fingerprint(&w->relay_certificate, &relay);
    peer_check(w, p);
    tr__dtls_set_fingerprints(p->dtls, &relay, 1);
    tr__dtls_start(p->dtls);
    for (int i = 0; i < 8 && !p->srtp; i++) {
        world_deliver(w);
        if (tr__dtls_state_of(p->dtls) == TR_DTLS_CONNECTED) p->srtp = tr__dtls_make_srtp(p->dtls, w->crypto);
    }
    world_deliver(w);
    return p->srtp != NULL && w->states[p->transport & 0xffff] == TR_TRANSPORT_CONNECTED;
}

/* ------------------------------------------------------------------ media */

#define PEER_OPUS_PT 111
#define PEER_VP8_PT 96
#define PEER_RTX_PT 97

static inline tr_add_receiver peer_receiver(uint32_t receiver, uint32_t transport, tr_kind kind, uint32_t ssrc)
{
    tr_add_receiver add = {
        .receiver = receiver, .transport = transport, .kind = (uint8_t)kind, .codec_count = 1, .encoding_count = 1};
    add.mid[0] = kind == TR_AUDIO ? '0' : '1';
    add.encodings[0].ssrc = ssrc;
    if (kind == TR_AUDIO) {
        add.codecs[0] =
            (tr_codec_params){.pt = PEER_OPUS_PT, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_OPUS, .clock_rate = 48000};
    } else {
        add.codecs[0] = (tr_codec_params){.pt = PEER_VP8_PT,
                                          .rtx_pt = PEER_RTX_PT,
                                          .codec = TR_CODEC_VP8,
                                          .has_nack = 1,
                                          .has_pli = 1,
                                          .has_twcc = 1,
                                          .clock_rate = 90000};
        add.encodings[0].rtx_ssrc = ssrc + 1;
    }
    add.extensions[TR_EXT_MID] = 1;
    add.extensions[TR_EXT_TWCC] = 3;
    return add;
}

static inline tr_add_sender peer_sender(uint32_t sender, uint32_t transport, tr_kind kind, uint32_t ssrc)
{
    tr_add_sender add = {.sender = sender,
                         .transport = transport,
                         .kind = (uint8_t)kind,
                         .may_pad = true,
                         .ssrc = ssrc,
                         .mid = "2",
                         .cname = "c"};
    if (kind == TR_VIDEO) add.rtx_ssrc = ssrc + 1;
    add.extensions[TR_EXT_MID] = 4;
    return add;
}

static inline tr_bind_sender peer_bind(uint32_t sender, uint32_t receiver, uint8_t pt, uint8_t rtx_pt)
{
    tr_bind_sender bind = {.sender = sender, .receiver = receiver};
    memset(bind.pts, TR_NO_PT, sizeof bind.pts);
    memset(bind.rtx_pts, TR_NO_PT, sizeof bind.rtx_pts);
    bind.pts[0] = pt;
    bind.rtx_pts[0] = rtx_pt;
    return bind;
}

/* A plain packet: header, transport-wide number, `size` bytes of payload that say which packet this is. VP8 payloads
 * begin with a descriptor: keyframe or not. */
static inline size_t peer_write_rtp(uint8_t *out, size_t room, uint8_t pt, uint64_t index, uint32_t ts, uint32_t ssrc,
                                    bool is_keyframe, bool marker, uint16_t twcc, size_t payload)
{
    tr_pen pen = tr__pen(out, room);
    tr__rtp_put_header(&pen, true, marker, pt, (uint16_t)index, ts, ssrc);
    tr_rtp_block block = tr__rtp_begin_block(&pen, false);
    uint8_t number[2];
    tr__store16(number, twcc);
    tr__rtp_put_element(&pen, &block, 3, number, 2);
    tr__rtp_end_block(&pen, &block, 0);
    uint8_t *at = tr__put(&pen, payload);
    if (!at) return 0;
    memset(at, (int)(index & 0xff), payload);
    if (payload >= 12) {
        at[0] = 0x10;                /* VP8 descriptor: start of partition 0 */
        at[1] = is_keyframe ? 0 : 1; /* frame header: P bit */
        memcpy(at + 4, &index, 8);
    }
    return tr__pen_size(&pen);
}

static inline tr_drop peer_send_rtp(world *w, peer *p, uint8_t *packet, size_t size, uint64_t index)
{
    size_t sealed = tr__srtp_seal_rtp(p->srtp, packet, size, index);
    return peer_send(w, p, packet, sealed);
}

#endif
