/* engine: the loop; see engine.h. Engine thread. */
#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "border.h"
#include "demux.h"
#include "near.h"

/* Commands of one turn: a join storm must not hold media up. */
#define COMMANDS_PER_TURN 64
/* Batches taken from one socket before timers get their turn. */
#define BATCHES_PER_TURN 64
/* Timers of one turn, before sockets are read again. */
#define TIMERS_PER_TURN 64u
/* Datagrams of one peer's handshake that wait: more than a server's longest flight takes is that flight again, because
 * we are slow, and would only make us slower. */
#define HANDSHAKES_OF_A_PEER 4
/* Sends wait for others to share a system call with, but no longer than this many datagrams: what waits is stamped. */
#define FLUSH_AT 64u
/* DTLS datagrams worked off between media: each may cost public-key arithmetic, longer than a batch of packets. */
#define HANDSHAKES_PER_TURN 2
/* While packets come, a turn begins once in so long: long against a system call, short against a frame's 33 ms. */
#define TICK_NS 1000000u
/* From so many datagrams a turn frames wait for the tick, too, and leave together: with fewer each leaves at its time.
 */
#define BUSY_FROM 8u
/* Of so many datagrams at a time what they touch is fetched: it fits the first caches. */
#define AHEAD 16u
/* Three readings of a clock take a hundredth of this; what passes is a tenth of what latency is worth telling. */
#define CLOCK_GAP_NS 10000u

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void read_clock(tl_shared *shared)
{
    shared->now_ns = clock_ns(CLOCK_MONOTONIC);
    shared->now_us = shared->now_ns / 1000;
}

/* Where the wall clock stands to ours. A pause of the thread between the two readings would be in the difference, and
 * in every latency of the turn: such a measurement is thrown away, and the one before stands. */
static void compare_clocks(tl_shared *shared)
{
    for (int i = 0; i < 3 || !shared->real_to_monotonic_ns; i++) {
        uint64_t before_ns = clock_ns(CLOCK_MONOTONIC), real_ns = clock_ns(CLOCK_REALTIME);
        uint64_t after_ns = clock_ns(CLOCK_MONOTONIC);
        if (after_ns - before_ns > CLOCK_GAP_NS && shared->real_to_monotonic_ns) continue;
        shared->real_to_monotonic_ns = (int64_t)(before_ns + (after_ns - before_ns) / 2 - real_ns);
        return;
    }
}

/* ------------------------------------------------------------------ commands */

static void tell_failure(tl_engine *e, uint32_t peer, const char *reason)
{
    tl__shared_tell(&e->shared, TL_EVENT_FAILED, peer, 0, 0, e->shared.now_ns, reason);
}

static void add_peer(tl_engine *e, const tl_add_peer *add)
{
    uint32_t id = add->params.peer;
    tl_client *c = tl__client_new(&e->shared, &add->params, &add->route, ++e->serial);
    if (!c) {
        tell_failure(e, id, "no_memory");
        return;
    }
    e->clients[id] = c;
    if (c->route.is_packed) {
        e->by_local[c->route.local] = id + 1;
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = id};
    if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, c->route.fd, &event) != 0) tl__client_fail(c, "socket");
}

void tl__engine_remove(tl_engine *e, uint32_t peer, int leave)
{
    tl_client *c = e->clients[peer];
    if (c) {
        if (c->route.is_packed) e->by_local[c->route.local] = 0;
        e->clients[peer] = NULL;
        tl__client_free(c, leave);
    }
    tl__shared_tell(&e->shared, TL_EVENT_GONE, peer, 0, 0, e->shared.now_ns, "");
}

static void obey(tl_client *c, uint16_t type, const void *body)
{
    const tl_order *order = body;
    int status = TL_OK;
    switch ((tl_command)type) {
    case TL_COMMAND_SET_REMOTE:
        tl__client_set_remote(c, body);
        break;
    case TL_COMMAND_ADD_SEND:
        status = tl__client_add_send(c, body);
        break;
    case TL_COMMAND_ADD_RECEIVE:
        status = tl__client_add_receive(c, body);
        break;
    case TL_COMMAND_REMOVE_RECEIVE:
        tl__client_remove_receive(c, order->value);
        break;
    case TL_COMMAND_START:
        tl__client_start(c, order->at_ns);
        break;
    case TL_COMMAND_STOP:
        tl__client_stop(c);
        break;
    case TL_COMMAND_ADD_PEER:
    case TL_COMMAND_REMOVE_PEER:
        break;
    }
    static const char *const REASONS[] = {[-TL_ERR_NO_MEMORY] = "no_memory",
                                          [-TL_ERR_EXISTS] = "exists",
                                          [-TL_ERR_FULL] = "argument",
                                          [-TL_ERR_ARGUMENT] = "argument"};
    if (status != TL_OK) tl__client_fail(c, REASONS[-status]);
}

static bool take_commands(tl_engine *e)
{
    union {
        uint8_t bytes[TR_RING_MAX_BODY];
        tl_add_peer add;
        tl_order order;
        tl_remote remote;
        tl_send send;
        tl_receive receive;
    } body;
    uint16_t type;
    uint64_t tag;
    size_t size;
    for (int i = 0; i < COMMANDS_PER_TURN; i++) {
        if (tr__ring_pop(&e->commands, &type, &tag, body.bytes, sizeof body, &size) != 1) return false;
        if (type == TL_COMMAND_ADD_PEER)
            add_peer(e, &body.add);
        else if (type == TL_COMMAND_REMOVE_PEER)
            tl__engine_remove(e, body.order.peer, (int)body.order.value);
        else if (e->clients[tag])
            obey(e->clients[tag], type, &body);
        else
            tell_failure(e, (uint32_t)tag, "not_found");
    }
    return !tr__ring_is_empty(&e->commands);
}

/* ------------------------------------------------------------------ receiving */

/* Behind what already waits, so that a connection's datagrams stay in order. */
static void put_waiting(tl_engine *e, tl_client *c, const tl_datagram *in)
{
    bool is_full = e->waiting_put - e->waiting_taken == TL_ENGINE_WAITING || in->size > TL_NET_SLOT;
    bool is_handshake = tr__demux(in->data, in->size) == TR_CLASS_DTLS;
    if (is_full || (is_handshake && c->waiting >= HANDSHAKES_OF_A_PEER)) {
        e->shared.totals.handshake_overflows++;
        return;
    }
    tl_waiting *w = &e->waiting[e->waiting_put++ % TL_ENGINE_WAITING];
    w->peer = c->id;
    w->serial = c->serial;
    w->size = in->size;
    w->arrival_ns = in->arrival_ns;
    memcpy(w->data, in->data, in->size);
    c->waiting++;
}

static void take_in(tl_engine *e, tl_client *c, const tl_datagram *in)
{
    uint64_t arrival_ns = in->arrival_ns ? in->arrival_ns : e->shared.now_ns - (uint64_t)e->shared.real_to_monotonic_ns;
    if (!tl__client_on_datagram(c, in->data, in->size, arrival_ns)) put_waiting(e, c, in);
}

static bool is_from(const tl_sockaddr *from, const tl_sockaddr *remote)
{
    return from->v4.sin_family == AF_INET && from->v4.sin_port == remote->v4.sin_port &&
           from->v4.sin_addr.s_addr == remote->v4.sin_addr.s_addr;
}

static void fetch_ahead(const tl_engine *e, const tl_datagram *in, uint32_t count)
{
    const tl_client *clients[AHEAD];
    uint32_t locals[AHEAD], n = 0, known = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (in[i].local >= TL_NET_ADDRESSES || (n && in[i].local == locals[n - 1])) continue;
        locals[n++] = in[i].local;
        tr__near(&e->by_local[in[i].local], 1);
    }
    if (n < 2) return;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = e->by_local[locals[i]];
        if (id && (clients[known] = e->clients[id - 1])) tl__client_near(clients[known++]);
    }
    for (uint32_t i = 0; i < known; i++) tl__client_near_more(clients[i]);
    for (uint32_t i = 0; i < known; i++) tl__client_near_most(clients[i]);
}

static uint32_t receive_packed(tl_engine *e)
{
    uint32_t total = 0;
    for (uint32_t s = 0; s < e->net.socket_count; s++) {
        for (int batch = 0; batch < BATCHES_PER_TURN; batch++) {
            const tl_datagram *in;
            uint32_t count = tl__net_receive(&e->net, e->net.fds[s], &in);
            read_clock(&e->shared);
            for (uint32_t i = 0; i < count; i++) {
                if (i % AHEAD == 0) fetch_ahead(e, in + i, count - i < AHEAD ? count - i : AHEAD);
                uint32_t id = in[i].local < TL_NET_ADDRESSES ? e->by_local[in[i].local] : 0;
                tl_client *c = id ? e->clients[id - 1] : NULL;
                if (c && is_from(&in[i].from, &c->route.remote))
                    take_in(e, c, &in[i]);
                else
                    e->shared.totals.unknown_packets++;
            }
            total += count;
            if (count < TL_NET_MESSAGES) break;
        }
    }
    return total;
}

static uint32_t receive_each(tl_engine *e)
{
    uint32_t total = 0;
    for (uint32_t r = 0; r < e->ready_count; r++) {
        tl_client *c = e->clients[e->ready[r]];
        if (!c) continue;
        const tl_datagram *in;
        uint32_t count = tl__net_receive(&e->net, c->route.fd, &in);
        if (r % 16 == 0) read_clock(&e->shared);
        for (uint32_t i = 0; i < count; i++) take_in(e, c, &in[i]);
        total += count;
    }
    e->ready_count = 0;
    return total;
}

/* Public-key arithmetic is dear: a few steps between media, and what media waits behind them. */
static bool work_off_handshakes(tl_engine *e)
{
    uint32_t steps = 0;
    while (e->waiting_taken != e->waiting_put && steps < HANDSHAKES_PER_TURN) {
        tl_waiting *w = &e->waiting[e->waiting_taken++ % TL_ENGINE_WAITING];
        tl_client *c = e->clients[w->peer];
        if (!c || c->serial != w->serial) continue;
        c->waiting--;
        steps += tr__demux(w->data, w->size) == TR_CLASS_DTLS;
        read_clock(&e->shared);
        tl__client_on_waiting(c, w->data, w->size, w->arrival_ns);
    }
    return e->waiting_taken != e->waiting_put;
}

/* ------------------------------------------------------------------ time */

static void on_deadline(tl_engine *e, uint32_t index)
{
    uint32_t peers = e->config.max_peers;
    if (index < peers)
        tl__client_on_timer(e->clients[index]);
    else
        tl__client_send_media(e->clients[(index - peers) / TL_MAX_SENDS], (index - peers) % TL_MAX_SENDS);
}

static tl_client *client_of(const tl_engine *e, uint32_t index)
{
    uint32_t peers = e->config.max_peers;
    return e->clients[index < peers ? index : (index - peers) / TL_MAX_SENDS];
}

/* The same for what is about to be sent. */
static void fetch_due(const tl_engine *e)
{
    uint32_t due[AHEAD], peers = e->config.max_peers;
    uint32_t n = tr__deadlines_due(&e->deadlines, e->shared.now_ns, due, AHEAD);
    if (n < 2) return;
    for (uint32_t i = 0; i < n; i++) tl__client_near(client_of(e, due[i]));
    for (uint32_t i = 0; i < n; i++)
        if (due[i] >= peers) tl__client_near_send(client_of(e, due[i]), (due[i] - peers) % TL_MAX_SENDS);
    for (uint32_t i = 0; i < n; i++)
        if (due[i] >= peers) tl__client_near_send_more(client_of(e, due[i]), (due[i] - peers) % TL_MAX_SENDS);
}

static bool run_timers(tl_engine *e)
{
    for (uint32_t i = 0; i < TIMERS_PER_TURN; i++) {
        read_clock(&e->shared); /* for the stamp: what is sent now is stamped now */
        if (i % AHEAD == 0) fetch_due(e);
        if (tr__deadlines_next(&e->deadlines) > e->shared.now_ns) return false;
        on_deadline(e, tr__deadlines_first(&e->deadlines));
        if (tl__net_pending(&e->net) >= FLUSH_AT) tl__net_flush(&e->net);
    }
    return true;
}

static void fetch_ready(tl_engine *e, const struct timespec *timeout)
{
    struct epoll_event events[256];
    int count = epoll_pwait2(e->epoll_fd, events, 256, timeout, NULL);
    e->ready_count = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == TL_WATCH_COMMANDS)
            tr__border_hush(e->command_fd);
        else
            e->ready[e->ready_count++] = events[i].data.u32;
    }
}

/* Shared sockets are watched only while we sleep: a socket in an epoll set calls it for every packet, and whoever sends
 * pays for that. */
static void sleep_for_packed(tl_engine *e, const struct timespec *timeout)
{
    struct pollfd fds[TL_NET_SOCKETS + 1] = {{.fd = e->command_fd, .events = POLLIN}};
    for (uint32_t i = 0; i < e->net.socket_count; i++)
        fds[i + 1] = (struct pollfd){.fd = e->net.fds[i], .events = POLLIN};
    if (ppoll(fds, e->net.socket_count + 1, timeout, NULL) > 0 && fds[0].revents) tr__border_hush(e->command_fd);
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* While packets come, sleep until the tick and take many at once: arrival is stamped by the kernel, so that costs no
 * truth. While none do, sleep until a socket wakes us. */
static void wait_for_work(tl_engine *e, uint64_t begun_ns, uint32_t received, bool has_more)
{
    read_clock(&e->shared);
    uint64_t now_ns = e->shared.now_ns, due_ns = tr__deadlines_next(&e->deadlines), tick_ns = begun_ns + TICK_NS;
    if (has_more || !tr__ring_is_empty(&e->commands)) due_ns = tick_ns = 0;
    if (received) {
        uint64_t until_ns = received < BUSY_FROM && due_ns < tick_ns ? due_ns : tick_ns;
        struct timespec none = {0, 0}, until = to_timespec(until_ns);
        if (until_ns > now_ns) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (!e->net.is_packed) fetch_ready(e, &none);
        return;
    }
    if (e->net.is_packed && due_ns <= now_ns) return;
    struct timespec timeout = to_timespec(due_ns > now_ns ? due_ns - now_ns : 0);
    const struct timespec *limit = due_ns == TR_DEADLINES_NEVER ? NULL : &timeout;
    if (e->net.is_packed)
        sleep_for_packed(e, limit);
    else
        fetch_ready(e, limit);
}

/* ------------------------------------------------------------------ the loop */

static void answer_question(tl_engine *e)
{
    if (!atomic_load_explicit(&e->is_asked, memory_order_acquire)) return;
    pthread_mutex_lock(&e->mutex);
    if (e->question) {
        tl__engine_answer(e, e->question);
        e->question = NULL;
        atomic_store_explicit(&e->is_asked, false, memory_order_relaxed);
        pthread_cond_signal(&e->answered);
    }
    pthread_mutex_unlock(&e->mutex);
}

/* Before our own signalling, which may share the processor: a frame that waits for Python is lateness of ours. Without
 * the right to it (CAP_SYS_NICE) we do without. */
#define NICE (-15)

static void prepare(void)
{
    setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone (setpriority(2), C library differences) */
    prctl(PR_SET_NAME, "telerelay-load");
    prctl(PR_SET_TIMERSLACK, 1000UL); /* the default of 50 us would be lateness of ours */
}

void tl__engine_run(tl_engine *e)
{
    tl_shared *shared = &e->shared;
    uint64_t told = 0;
    prepare();
    while (!atomic_load_explicit(&e->should_stop, memory_order_acquire)) {
        read_clock(shared);
        uint64_t begun_ns = shared->now_ns;
        compare_clocks(shared);
        bool has_more = take_commands(e);
        uint32_t received = e->net.is_packed ? receive_packed(e) : receive_each(e);
        has_more |= work_off_handshakes(e);
        has_more |= run_timers(e);
        tl__net_flush(&e->net);
        atomic_store_explicit(&e->cpu_ns, (int64_t)clock_ns(CLOCK_THREAD_CPUTIME_ID), memory_order_relaxed);
        answer_question(e);
        if (tr__ring_written(&e->events) != told) {
            told = tr__ring_written(&e->events);
            tr__border_wake(e->event_fd);
        }
        wait_for_work(e, begun_ns, received, has_more);
    }
    atomic_store(&e->cpu_ns, (int64_t)clock_ns(CLOCK_THREAD_CPUTIME_ID));
}
