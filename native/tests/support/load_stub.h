/* load_stub: a line between simulated peers and the relay that loses, corrupts, doubles, delays and swaps RTP on the
 * way to the peers, and keeps exact count of what it did. One thread of its own. */
#ifndef TR_TEST_LOAD_STUB_H
#define TR_TEST_LOAD_STUB_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "demux.h"
#include "wire.h"

#define STUB_PEERS 8
#define STUB_SSRCS 64
#define STUB_HELD 256
#define STUB_QUIET 20 /* packets of each SSRC that pass unharmed first: an account begins with the first that comes */

/* One packet in so many of each SSRC, 0: none. */
typedef struct stub_plan {
    uint32_t drop, corrupt, duplicate, delay, swap;
    uint32_t delay_us;
} stub_plan;

typedef struct stub_counts {
    uint64_t rtp, dropped, corrupted, duplicated, delayed, reordered;
} stub_counts;

typedef struct stub_held {
    uint8_t data[1600];
    size_t size;
    int peer, ssrc;
    uint64_t due_us, forwarded; /* due_us 0: when the next of its SSRC has passed; how many had when it was held */
    bool is_used;
} stub_held;

typedef struct stub {
    stub_plan plan;
    stub_counts counts; /* the thread's, until it is joined */
    int listening, upstream[STUB_PEERS], peer_count;
    struct sockaddr_in relay, peers[STUB_PEERS];
    uint16_t port;
    struct {
        uint32_t ssrc;
        uint64_t seen, forwarded;
    } ssrcs[STUB_SSRCS];
    int ssrc_count;
    stub_held held[STUB_HELD];
    pthread_t thread;
    _Atomic bool should_stop;
    _Atomic uint64_t passed, waiting; /* RTP packets that went on intact, each once; that are held back now */
} stub;

static inline uint64_t stub_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static inline void stub_deliver(stub *s, int peer, const uint8_t *data, size_t size)
{
    sendto(s->listening, data, size, 0, (struct sockaddr *)&s->peers[peer], sizeof s->peers[peer]);
}

static inline void stub_release(stub *s, stub_held *h)
{
    stub_deliver(s, h->peer, h->data, h->size);
    atomic_fetch_add(&s->passed, 1);
    atomic_fetch_sub(&s->waiting, 1);
    s->counts.reordered += s->ssrcs[h->ssrc].forwarded != h->forwarded;
    h->is_used = false;
}

/* What was held for one more packet of this SSRC, and what has waited long enough (a swap whose second never came,
 * too). */
static inline void stub_release_due(stub *s, int ssrc, uint64_t now_us)
{
    for (int i = 0; i < STUB_HELD; i++) {
        stub_held *h = &s->held[i];
        if (h->is_used && ((h->ssrc == ssrc && !h->due_us) || (h->due_us && h->due_us <= now_us))) stub_release(s, h);
    }
}

static inline bool stub_hold(stub *s, int peer, int ssrc, const uint8_t *data, size_t size, uint64_t due_us)
{
    for (int i = 0; i < STUB_HELD; i++) {
        stub_held *h = &s->held[i];
        if (h->is_used) continue;
        memcpy(h->data, data, size);
        h->size = size;
        h->peer = peer;
        h->ssrc = ssrc;
        h->due_us = due_us;
        h->forwarded = s->ssrcs[ssrc].forwarded;
        h->is_used = true;
        atomic_fetch_add(&s->waiting, 1);
        return true;
    }
    return false;
}

static inline int stub_ssrc(stub *s, uint32_t ssrc)
{
    for (int i = 0; i < s->ssrc_count; i++)
        if (s->ssrcs[i].ssrc == ssrc) return i;
    if (s->ssrc_count == STUB_SSRCS) return STUB_SSRCS - 1;
    s->ssrcs[s->ssrc_count].ssrc = ssrc;
    return s->ssrc_count++;
}

static inline bool stub_strikes(uint64_t number, uint32_t one_in, uint32_t offset)
{
    return one_in && number % one_in == offset % one_in;
}

static inline void stub_on_rtp(stub *s, int peer, uint8_t *data, size_t size)
{
    int ssrc = stub_ssrc(s, tr__load32(data + 8));
    uint64_t n = s->ssrcs[ssrc].seen++, now_us = stub_now_us();
    s->counts.rtp++;
    if (n >= STUB_QUIET) {
        if (stub_strikes(n, s->plan.drop, 10)) {
            s->counts.dropped++;
            return;
        }
        if (stub_strikes(n, s->plan.corrupt, 57)) {
            s->counts.corrupted++;
            data[size / 2] ^= 0x40;
            stub_deliver(s, peer, data, size);
            return;
        }
        if (stub_strikes(n, s->plan.delay, 23) && stub_hold(s, peer, ssrc, data, size, now_us + s->plan.delay_us)) {
            s->counts.delayed++;
            return;
        }
        if (stub_strikes(n, s->plan.swap, 71) && stub_hold(s, peer, ssrc, data, size, 0)) return;
        if (stub_strikes(n, s->plan.duplicate, 33)) {
            s->counts.duplicated++;
            stub_deliver(s, peer, data, size);
        }
    }
    stub_deliver(s, peer, data, size);
    atomic_fetch_add(&s->passed, 1);
    s->ssrcs[ssrc].forwarded++;
    stub_release_due(s, ssrc, now_us);
}

static inline void stub_from_relay(stub *s, int peer)
{
    uint8_t data[1600];
    ssize_t size;
    while ((size = recv(s->upstream[peer], data, sizeof data, MSG_DONTWAIT)) > 0) {
        if (tr__demux(data, (size_t)size) == TR_CLASS_RTP && size > 12)
            stub_on_rtp(s, peer, data, (size_t)size);
        else
            stub_deliver(s, peer, data, (size_t)size);
    }
}

static inline int stub_peer(stub *s, const struct sockaddr_in *from)
{
    for (int i = 0; i < s->peer_count; i++)
        if (s->peers[i].sin_port == from->sin_port && s->peers[i].sin_addr.s_addr == from->sin_addr.s_addr) return i;
    if (s->peer_count == STUB_PEERS) return -1;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (connect(fd, (struct sockaddr *)&s->relay, sizeof s->relay) != 0) return -1;
    s->peers[s->peer_count] = *from;
    s->upstream[s->peer_count] = fd;
    return s->peer_count++;
}

static inline void stub_from_peers(stub *s)
{
    uint8_t data[1600];
    ssize_t size;
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    while ((size = recvfrom(s->listening, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size)) > 0) {
        int peer = stub_peer(s, &from);
        if (peer >= 0 && send(s->upstream[peer], data, (size_t)size, 0) < 0) continue;
    }
}

static inline void *stub_main(void *argument)
{
    stub *s = argument;
    while (!atomic_load(&s->should_stop)) {
        struct pollfd fds[STUB_PEERS + 1] = {{.fd = s->listening, .events = POLLIN}};
        for (int i = 0; i < s->peer_count; i++) fds[i + 1] = (struct pollfd){.fd = s->upstream[i], .events = POLLIN};
        poll(fds, (nfds_t)s->peer_count + 1, 1);
        stub_from_peers(s);
        for (int i = 0; i < s->peer_count; i++) stub_from_relay(s, i);
        stub_release_due(s, -1, stub_now_us());
    }
    return NULL;
}

static inline void stub_start(stub *s, uint16_t relay_port, const stub_plan *plan)
{
    memset(s, 0, sizeof *s);
    s->plan = *plan;
    s->relay = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(relay_port)};
    s->relay.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr_in at = s->relay;
    at.sin_port = 0;
    socklen_t size = sizeof at;
    s->listening = socket(AF_INET, SOCK_DGRAM, 0);
    int bytes = 4 << 20;
    setsockopt(s->listening, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    CHECK_EQ(0, bind(s->listening, (struct sockaddr *)&at, sizeof at));
    CHECK_EQ(0, getsockname(s->listening, (struct sockaddr *)&at, &size));
    s->port = ntohs(at.sin_port);
    CHECK_EQ(0, pthread_create(&s->thread, NULL, stub_main, s));
}

/* The counts are the caller's to read afterwards. */
static inline void stub_stop(stub *s)
{
    atomic_store(&s->should_stop, true);
    pthread_join(s->thread, NULL);
    close(s->listening);
    for (int i = 0; i < s->peer_count; i++) close(s->upstream[i]);
}

#endif
