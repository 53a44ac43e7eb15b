/* worker: see worker.h. Worker thread, but for init and dispose. */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "ahead.h"
#include "handshakes.h"

/* Commands of one turn: a join storm must not keep media waiting. */
#define COMMANDS_PER_TURN 64
/* Batches taken from one socket before others, and timers, get their turn. */
#define BATCHES_PER_TURN 4
/* Counters are copied out this often while the worker is busy; before it sleeps they always are. */
#define PUBLISH_INTERVAL_US 20000
/* Commands that wait for a slow control are looked at again so soon: it may be stopped for a minute, and a worker that
 * went round all the while would have its core to itself. */
#define HELD_INTERVAL_US 2000
/* While few datagrams come the worker wakes for each of them; above this rate it looks once a TICK: passes then carry
 * several, and so do the runs it sends; a packet waits a tick at the most. Two thresholds, so that it does not waver
 * between them. */
#define TICK_US 1000
#define TICK_ABOVE_PER_S 3000
#define TICK_BELOW_PER_S 1500
/* Over how long the rate is taken: a frame's burst must not look like a load. */
#define RATE_WINDOW_US 50000
/* Seconds from 1900 (NTP) to 1970 (Unix): RFC 5905. */
#define NTP_UNIX_SECONDS 2208988800u

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static int64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ------------------------------------------------------------------ life */

int tr__worker_init(tr_worker *w, const tr_worker_config *config)
{
    w->config = *config;
    w->border = (tr_border){.memory_fd = -1, .command_fd = -1, .event_fd = -1};
    int status = tr__udp_open(&w->udp, config->binds, config->bind_count,
                              &(tr_udp_options){.buffer_bytes = config->socket_buffer_bytes,
                                                .outbox_capacity = TR_WORKER_OUTBOX,
                                                .owners = config->max_transports,
                                                .has_gro = config->udp_gro});
    if (status != TR_OK) return status;
    if ((status = tr__border_create(&w->border, config->command_ring_bytes, config->event_ring_bytes)) != TR_OK)
        return status;
    w->crypto = tr__crypto_new(config->crypto);
    w->dtls = tr__dtls_context_new(&config->certificate);
    if (!w->crypto || !w->dtls) return TR_ERR_CRYPTO;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return TR_ERR_SYSTEM;
    tr_engine_config engine = {
        .max_transports = config->max_transports,
        .outbox_capacity = TR_WORKER_OUTBOX,
        .video_history_bytes = config->video_history_bytes,
        .audio_history_bytes = config->audio_history_bytes,
        .consent_timeout_us = config->consent_timeout_us,
        .ntp_offset_us = clock_us(CLOCK_REALTIME) + (uint64_t)NTP_UNIX_SECONDS * 1000000u - clock_us(CLOCK_MONOTONIC),
        .seed = seed,
        .crypto = w->crypto,
        .dtls = w->dtls,
        .events = &w->border.events,
        .tally = &w->tally,
    };
    w->engine = tr__engine_new(&engine);
    return w->engine ? TR_OK : TR_ERR_NO_MEMORY;
}

void tr__worker_dispose(tr_worker *w)
{
    tr__engine_free(w->engine);
    tr__dtls_context_free(w->dtls);
    tr__crypto_free(w->crypto);
    tr__udp_close(w->udp);
    tr__border_close(&w->border);
}

/* ------------------------------------------------------------------ the loop */

/* Control goes in at the top of a turn, between batches. Each command has one result, in order. */
static bool take_commands(tr_worker *w, uint64_t now_us, bool *is_held)
{
    uint8_t body[TR_RING_MAX_BODY];
    uint16_t type;
    uint64_t tag;
    size_t size;
    for (int i = 0; i < COMMANDS_PER_TURN; i++) {
        /* A result must find room, and so must the statistics a command asks for: control is slow, commands can wait.
         */
        if (tr__ring_used_percent(&w->border.events) > 50) {
            *is_held = !tr__ring_is_empty(&w->border.commands);
            return false;
        }
        if (tr__ring_pop(&w->border.commands, &type, &tag, body, sizeof body, &size) != 1) return false;
        tr_result result = {.status = tr__engine_command(w->engine, type, body, size, now_us), .command = type};
        if (tr__ring_push(&w->border.events, TR_EVENT_RESULT, tag, &result, sizeof result) != TR_OK)
            tr__count_drop(&w->tally, TR_DROP_EVENTS_FULL);
    }
    return !tr__ring_is_empty(&w->border.commands);
}

/* Whether a socket may hold more than a turn takes: then no tick is waited for. */
static bool receive(tr_worker *w)
{
    tr_outbox *outbox = tr__engine_outbox(w->engine);
    bool has_more = false;
    for (uint32_t socket = 0; socket < tr__udp_socket_count(w->udp); socket++) {
        for (int batch = 0; batch < BATCHES_PER_TURN; batch++) {
            const tr_incoming *incoming = NULL;
            bool is_full = false;
            uint64_t now_us = clock_us(CLOCK_MONOTONIC);
            uint32_t count = tr__udp_receive(w->udp, socket, now_us, &incoming, &is_full, &w->tally);
            for (uint32_t i = 0; i < count; i++) {
                const tr_incoming *in = &incoming[i];
                if (i % TR_AHEAD == 0) tr__ahead(w->engine, in, count - i < TR_AHEAD ? count - i : TR_AHEAD);
                tr__engine_receive(w->engine, &in->path, in->data, in->size, in->arrival_us, now_us);
                /* A large room can fill the outbox within a batch. */
                if (outbox->count > outbox->capacity / 2) tr__udp_send(w->udp, outbox, &w->tally);
            }
            tr__engine_on_timer(w->engine, now_us);
            tr__udp_send(w->udp, outbox, &w->tally);
            if (!is_full) break;
            has_more |= batch == BATCHES_PER_TURN - 1;
        }
    }
    return has_more;
}

static void pin(const tr_worker *w)
{
    if (w->config.cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)w->config.cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* Another control from now on: its border takes the place of ours, which goes back to whoever brought it. */
static void take_over(tr_worker *w, tr_border *next)
{
    tr_border old = w->border;
    w->border = *next;
    *next = old;
    tr__border_publish(&w->border, &w->tally, thread_cpu_ns());
    sem_post(&w->renewed);
}

/* Whether the worker ticks, by the datagrams of the last window. */
static void measure_rate(tr_worker *w, uint64_t now_us)
{
    uint64_t elapsed_us = now_us - w->rate_since_us;
    if (elapsed_us < RATE_WINDOW_US) return;
    uint64_t per_s = (w->tally.rx_packets - w->rate_from) * 1000000u / elapsed_us;
    w->is_ticking = per_s > (w->is_ticking ? TICK_BELOW_PER_S : TICK_ABOVE_PER_S);
    w->rate_from = w->tally.rx_packets;
    w->rate_since_us = now_us;
}

/* Until the next tick, but for a timer that is due before. A command waits for the tick, too. */
static void wait_for_tick(tr_worker *w, uint64_t begun_us, uint64_t now_us)
{
    uint64_t until_us = begun_us + TICK_US, at_us = tr__engine_at(w->engine);
    if (at_us < until_us) until_us = at_us;
    if (until_us <= now_us) return;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000u), .tv_nsec = (long)(until_us % 1000000u) * 1000};
    w->tally.wakes++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Sockets are watched only while we sleep: one in an epoll set calls it for every datagram that comes and for every one
 * that has left, and both are paid for in the forward path. */
static void sleep_for(tr_worker *w, const struct timespec *timeout)
{
    struct pollfd fds[TR_MAX_BINDS + 1] = {{.fd = w->border.command_fd, .events = POLLIN}};
    uint32_t count = tr__udp_socket_count(w->udp);
    for (uint32_t i = 0; i < count; i++)
        fds[i + 1] = (struct pollfd){.fd = tr__udp_socket(w->udp, i)->fd, .events = POLLIN};
    if (ppoll(fds, count + 1, timeout, NULL) > 0 && fds[0].revents) tr__border_hush(w->border.command_fd);
}

static void wait_for_work(tr_worker *w, bool has_more, bool is_held, uint64_t now_us)
{
    struct timespec timeout = {0, 0};
    uint64_t at_us = tr__engine_at(w->engine);
    if (is_held && at_us > now_us + HELD_INTERVAL_US) at_us = now_us + HELD_INTERVAL_US;
    if (!has_more && at_us > now_us) {
        timeout.tv_sec = (time_t)((at_us - now_us) / 1000000u);
        timeout.tv_nsec = (long)((at_us - now_us) % 1000000u) * 1000;
    }
    w->tally.wakes++;
    sleep_for(w, !has_more && at_us == UINT64_MAX ? NULL : &timeout);
}

void tr__worker_run(tr_worker *w)
{
    pin(w);
    uint64_t published_us = 0, told = 0; /* told: events in the ring when control was last woken */
    while (!atomic_load_explicit(&w->should_stop, memory_order_acquire)) {
        tr_border *next = atomic_exchange_explicit(&w->next, NULL, memory_order_acq_rel);
        if (next) {
            take_over(w, next);
            told = 0;
        }
        uint64_t now_us = clock_us(CLOCK_MONOTONIC), begun_us = now_us;
        measure_rate(w, now_us);
        bool is_held = false, has_more = take_commands(w, now_us, &is_held);
        has_more |= receive(w);
        has_more |= tr__engine_handshakes(w->engine, TR_HANDSHAKES_PER_TURN, now_us);
        now_us = clock_us(CLOCK_MONOTONIC);
        tr__engine_on_timer(w->engine, now_us);
        tr__udp_send(w->udp, tr__engine_outbox(w->engine), &w->tally);
        if (tr__ring_written(&w->border.events) != told) {
            told = tr__ring_written(&w->border.events);
            tr__border_wake(w->border.event_fd);
        }
        uint64_t at_us = tr__engine_at(w->engine);
        bool sleeps = !has_more && !w->is_ticking && (at_us == UINT64_MAX || at_us > now_us + PUBLISH_INTERVAL_US);
        if (sleeps || now_us - published_us > PUBLISH_INTERVAL_US) {
            tr__border_publish(&w->border, &w->tally, thread_cpu_ns());
            published_us = now_us;
        }
        if (w->is_ticking && !has_more)
            wait_for_tick(w, begun_us, now_us);
        else
            wait_for_work(w, has_more, is_held, now_us);
    }
    tr__engine_close(w->engine);
    tr__udp_send(w->udp, tr__engine_outbox(w->engine), &w->tally);
    tr__border_publish(&w->border, &w->tally, thread_cpu_ns());
    tr__ring_push(&w->border.events, TR_EVENT_STOPPED, 0, NULL, 0);
    tr__border_wake(w->border.event_fd);
}
