/* load: the border's functions: what control calls. Control thread, but for thread_main. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "border.h"
#include "engine.h"

/* Two thousand peers' commands, fifty thousand events: more than comes between two looks of the other side. */
#define RING_BYTES (4u << 20)

void tl_config_init(tl_config *config)
{
    *config = (tl_config){
        .seed = 1,
        .max_peers = 4096,
        .sockets = TL_SOCKETS_PACKED,
        .socket_count = 1,
        .bind_address = "0.0.0.0",
        .buffer_bytes = 32u << 20, /* 100 ms of 200,000 packets a second, at the kernel's 2.3 KiB each, is 46 MB */
        .has_gso = 1,
        .flight_us = 1000000,
        .ice_timeout_us = 15000000,
    };
}

static bool is_sane(const tl_config *c)
{
    return c->max_peers >= 1 && c->max_peers <= 65536 && c->sockets <= TL_SOCKETS_EACH && c->socket_count >= 1 &&
           c->socket_count <= TL_NET_SOCKETS && memchr(c->bind_address, 0, sizeof c->bind_address) &&
           (c->srtp_profile <= 1 || c->srtp_profile == 7 || c->srtp_profile == 8) && c->flight_us >= 1000 &&
           c->flight_us <= 60000000 && c->ice_timeout_us >= 1000;
}

/* ------------------------------------------------------------------ life */

static int make_ring(tr_ring *ring, void **memory)
{
    *memory = aligned_alloc(64, (tr__ring_footprint(RING_BYTES) + 63) & ~(size_t)63);
    if (!*memory) return TL_ERR_NO_MEMORY;
    tr__ring_create(ring, *memory, RING_BYTES);
    return TL_OK;
}

static int init_crypto(tl_engine *e)
{
    tr_certificate certificate;
    e->crypto = tr__crypto_new(TR_CRYPTO_AUTO);
    if (!e->crypto || tr_certificate_make(&certificate) != TR_OK) return TL_ERR_CRYPTO;
    memcpy(e->fingerprint, certificate.fingerprint, sizeof e->fingerprint);
    e->dtls = tr__dtls_context_new(&certificate);
    if (!e->dtls) return TL_ERR_CRYPTO;
    if (e->config.srtp_profile && !tr__dtls_context_only(e->dtls, (tr_srtp_profile)e->config.srtp_profile))
        return TL_ERR_CRYPTO;
    return TL_OK;
}

static int init_tables(tl_engine *e)
{
    const tl_config *c = &e->config;
    e->clients = calloc(c->max_peers, sizeof *e->clients);
    e->waiting = calloc(TL_ENGINE_WAITING, sizeof *e->waiting);
    e->taken_peers = calloc(c->max_peers, 1);
    e->taken_streams = calloc(TL_MAX_STREAMS / 8, 1);
    e->by_local = calloc(c->sockets == TL_SOCKETS_PACKED ? TL_NET_ADDRESSES : 1, sizeof *e->by_local);
    bool ok = e->clients && e->waiting && e->taken_peers && e->taken_streams && e->by_local &&
              tr__deadlines_init(&e->deadlines, tl__deadline_count(c)) == TR_OK;
    if (!ok) return TL_ERR_NO_MEMORY;
    int status = make_ring(&e->commands, &e->command_memory);
    return status == TL_OK ? make_ring(&e->events, &e->event_memory) : status;
}

static int init_files(tl_engine *e)
{
    int status = tl__net_open(&e->net, &e->config);
    if (status != TL_OK) return status;
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->command_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    e->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->epoll_fd < 0 || e->command_fd < 0 || e->event_fd < 0) return TL_ERR_SYSTEM;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = TL_WATCH_COMMANDS};
    return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->command_fd, &event) == 0 ? TL_OK : TL_ERR_SYSTEM;
}

static int init(tl_engine *e)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random) return TL_ERR_SYSTEM;
    int status = init_tables(e);
    if (status == TL_OK) status = init_crypto(e);
    if (status == TL_OK) status = init_files(e);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    e->shared.config = &e->config;
    e->shared.net = &e->net;
    e->shared.deadlines = &e->deadlines;
    e->shared.crypto = e->crypto;
    e->shared.dtls = e->dtls;
    e->shared.events = &e->events;
    e->shared.stamp = (uint32_t)random[0];
    e->shared.random = random[1];
    e->shared.now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    e->shared.now_us = e->shared.now_ns / 1000;
    return status;
}

int tl_engine_new(const tl_config *config, tl_engine **out)
{
    if (!config || !out || !is_sane(config)) return TL_ERR_ARGUMENT;
    tl_engine *e = calloc(1, sizeof *e);
    if (!e) return TL_ERR_NO_MEMORY;
    e->config = *config;
    e->epoll_fd = e->command_fd = e->event_fd = -1;
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->answered, NULL);
    int status = init(e);
    if (status != TL_OK) {
        int error = errno;
        tl_engine_free(e);
        errno = error;
        return status;
    }
    *out = e;
    return TL_OK;
}

static void *thread_main(void *engine)
{
    tl__engine_run(engine);
    return NULL;
}

int tl_engine_start(tl_engine *e)
{
    if (e->is_running) return TL_ERR_STATE;
    atomic_store(&e->should_stop, false);
    if (pthread_create(&e->thread, NULL, thread_main, e) != 0) return TL_ERR_SYSTEM;
    e->is_running = true;
    return TL_OK;
}

int tl_engine_stop(tl_engine *e)
{
    if (!e->is_running) return TL_OK;
    atomic_store_explicit(&e->should_stop, true, memory_order_release);
    tr__border_wake(e->command_fd);
    pthread_join(e->thread, NULL);
    e->is_running = false;
    return TL_OK;
}

void tl_engine_free(tl_engine *e)
{
    if (!e) return;
    tl_engine_stop(e);
    for (uint32_t i = 0; e->clients && i < e->config.max_peers; i++)
        if (e->clients[i]) tl__client_free(e->clients[i], TL_LEAVE_CLOSE);
    for (size_t i = 0; i < sizeof e->shared.sources / sizeof *e->shared.sources; i++) free(e->shared.sources[i]);
    tr__dtls_context_free(e->dtls);
    tr__crypto_free(e->crypto);
    tl__net_close(&e->net);
    tr__deadlines_dispose(&e->deadlines);
    int fds[] = {e->epoll_fd, e->command_fd, e->event_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    free(e->clients);
    free(e->waiting);
    free(e->taken_peers);
    free(e->taken_streams);
    free(e->by_local);
    free(e->command_memory);
    free(e->event_memory);
    pthread_mutex_destroy(&e->mutex);
    pthread_cond_destroy(&e->answered);
    free(e);
}

const char *tl_crypto_name(const tl_engine *e) { return tr__crypto_name(e->crypto); }
int tl_engine_event_fd(const tl_engine *e) { return e->event_fd; }

int tl_engine_fingerprint(const tl_engine *e, char *out)
{
    memcpy(out, e->fingerprint, sizeof e->fingerprint);
    return TL_OK;
}

int tl_engine_take(tl_engine *e, tl_event *event)
{
    uint16_t type;
    uint64_t tag;
    size_t size;
    if (tr__ring_pop(&e->events, &type, &tag, event, sizeof *event, &size) != 1) {
        /* Hush, then look once more: what was pushed in between has woken us again, or is found now. */
        tr__border_hush(e->event_fd);
        if (tr__ring_pop(&e->events, &type, &tag, event, sizeof *event, &size) != 1) return 0;
    }
    if (event->type == TL_EVENT_GONE) e->taken_peers[event->peer] = 0;
    return 1;
}

/* ------------------------------------------------------------------ commands */

static bool is_text(const char *text, size_t room, size_t least)
{
    const char *end = memchr(text, 0, room);
    return end && (size_t)(end - text) >= least;
}

static int post(tl_engine *e, tl_command command, uint32_t peer, const void *body, size_t size)
{
    int status = tr__ring_push(&e->commands, (uint16_t)command, peer, body, size);
    if (status != TR_OK) return TL_ERR_FULL;
    tr__border_wake(e->command_fd);
    return TL_OK;
}

static bool is_known(const tl_engine *e, uint32_t peer) { return peer < e->config.max_peers && e->taken_peers[peer]; }

static int order(tl_engine *e, tl_command command, uint32_t peer, uint32_t value, uint64_t at_ns)
{
    if (!is_known(e, peer)) return TL_ERR_NOT_FOUND;
    tl_order body = {.peer = peer, .value = value, .at_ns = at_ns};
    return post(e, command, peer, &body, sizeof body);
}

/* An address of its own, not used for a long time: a server may still hold the transport of the one that had it. */
static void choose_local(tl_engine *e, tl_route *route, char address[46], uint16_t *port)
{
    uint32_t local = 1 + e->next_local++ % (TL_NET_ADDRESSES - 2), socket = local % e->net.socket_count;
    *route = (tl_route){.is_packed = true, .socket = (uint8_t)socket, .local = local, .fd = e->net.fds[socket]};
    snprintf(address, 46, "127.%u.%u.%u", 64 + (local >> 16), local >> 8 & 255, local & 255);
    *port = e->net.ports[socket];
}

int tl_engine_add_peer(tl_engine *e, const tl_peer *peer, char *address, uint16_t *port)
{
    if (peer->peer >= e->config.max_peers || !is_text(peer->local_ufrag, sizeof peer->local_ufrag, 4) ||
        !is_text(peer->local_pwd, sizeof peer->local_pwd, 22))
        return TL_ERR_ARGUMENT;
    if (e->taken_peers[peer->peer]) return TL_ERR_EXISTS;
    tl_add_peer add = {.params = *peer};
    if (e->net.is_packed) {
        choose_local(e, &add.route, address, port);
    } else {
        int status = tl__net_open_one(&e->net, &add.route.fd, address, port);
        if (status != TL_OK) return status;
    }
    int status = post(e, TL_COMMAND_ADD_PEER, peer->peer, &add, sizeof add);
    if (status == TL_OK)
        e->taken_peers[peer->peer] = 1;
    else if (!e->net.is_packed)
        close(add.route.fd);
    return status;
}

int tl_engine_set_remote(tl_engine *e, const tl_remote *remote)
{
    bool has_size = remote->fingerprint_size == 32 || remote->fingerprint_size == 48 || remote->fingerprint_size == 64;
    uint8_t ip[16];
    if (!has_size || !is_text(remote->ufrag, sizeof remote->ufrag, 1) || !is_text(remote->pwd, sizeof remote->pwd, 1) ||
        !is_text(remote->address, sizeof remote->address, 2) || !remote->port ||
        (inet_pton(AF_INET, remote->address, ip) != 1 && inet_pton(AF_INET6, remote->address, ip) != 1) ||
        (e->net.is_packed && !tl__net_is_local(remote->address)))
        return TL_ERR_ARGUMENT;
    if (!is_known(e, remote->peer)) return TL_ERR_NOT_FOUND;
    return post(e, TL_COMMAND_SET_REMOTE, remote->peer, remote, sizeof *remote);
}

int tl_engine_add_send(tl_engine *e, const tl_send *send)
{
    if (send->stream >= TL_MAX_STREAMS || !tl__outbound_is_sane(send)) return TL_ERR_ARGUMENT;
    if (!is_known(e, send->peer)) return TL_ERR_NOT_FOUND;
    uint8_t *taken = &e->taken_streams[send->stream / 8], bit = (uint8_t)(1 << send->stream % 8);
    if (*taken & bit) return TL_ERR_EXISTS;
    int status = post(e, TL_COMMAND_ADD_SEND, send->peer, send, sizeof *send);
    if (status == TL_OK) *taken |= bit;
    return status;
}

int tl_engine_add_receive(tl_engine *e, const tl_receive *receive)
{
    bool ok = receive->section < TL_MAX_RECEIVES && (receive->kind == TL_AUDIO || receive->kind == TL_VIDEO) &&
              receive->payload_count >= 1 && receive->payload_count <= TL_MAX_PAYLOADS &&
              is_text(receive->mid, sizeof receive->mid, 0);
    for (uint32_t i = 0; ok && i < receive->payload_count; i++) ok = receive->payloads[i].clock_rate != 0;
    if (!ok) return TL_ERR_ARGUMENT;
    if (!is_known(e, receive->peer)) return TL_ERR_NOT_FOUND;
    return post(e, TL_COMMAND_ADD_RECEIVE, receive->peer, receive, sizeof *receive);
}

int tl_engine_remove_receive(tl_engine *e, uint32_t peer, uint32_t section)
{
    if (section >= TL_MAX_RECEIVES) return TL_ERR_ARGUMENT;
    return order(e, TL_COMMAND_REMOVE_RECEIVE, peer, section, 0);
}

int tl_engine_start_sending(tl_engine *e, uint32_t peer, uint64_t at_ns)
{
    return order(e, TL_COMMAND_START, peer, 0, at_ns);
}

int tl_engine_stop_sending(tl_engine *e, uint32_t peer) { return order(e, TL_COMMAND_STOP, peer, 0, 0); }

int tl_engine_remove_peer(tl_engine *e, uint32_t peer, int leave)
{
    if (leave != TL_LEAVE_CLOSE && leave != TL_LEAVE_VANISH) return TL_ERR_ARGUMENT;
    return order(e, TL_COMMAND_REMOVE_PEER, peer, (uint32_t)leave, 0);
}

/* ------------------------------------------------------------------ questions */

static int ask(tl_engine *e, tl_question *question)
{
    if (!e->is_running) {
        tl__engine_answer(e, question);
        return question->result;
    }
    pthread_mutex_lock(&e->mutex);
    e->question = question;
    atomic_store_explicit(&e->is_asked, true, memory_order_release);
    tr__border_wake(e->command_fd);
    while (e->question) pthread_cond_wait(&e->answered, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
    return question->result;
}

int tl_engine_totals(tl_engine *e, tl_totals *out)
{
    return ask(e, &(tl_question){.topic = TL_TOPIC_TOTALS, .out = out});
}

int tl_engine_legs(tl_engine *e, tl_leg *out, uint32_t max)
{
    return ask(e, &(tl_question){.topic = TL_TOPIC_LEGS, .out = out, .max = max});
}

int tl_engine_histogram(tl_engine *e, int kind, tl_histogram *out, int resets)
{
    if (kind < 0 || kind >= TL_HISTOGRAM_COUNT) return TL_ERR_ARGUMENT;
    return ask(e, &(tl_question){.topic = TL_TOPIC_HISTOGRAM, .out = out, .kind = kind, .resets = resets != 0});
}
