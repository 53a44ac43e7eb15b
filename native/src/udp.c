/* udp: see udp.h. Worker thread. */
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Room for one message. A datagram of its own is above TR_MAX_DATAGRAM, so that oversize is seen as such; a run that
 * the kernel joined is up to 64 KiB. Neither is a multiple of a page: buffers would share their places in the cache. */
#define DATAGRAM_BYTES 2112
#define RUN_BYTES (65536 + 2112)
#define RUN_SEGMENTS 128    /* UDP_MAX_SEGMENTS: of a run that loopback gives as it was sent; GRO itself joins 64 */
#define GSO_MAX_SEGMENTS 64 /* UDP_MAX_SEGMENTS of older kernels */
#define GSO_MAX_BYTES 65000 /* below the 65,507 bytes an IPv4 datagram may carry */
#define SEND_BATCH 64       /* messages of one sendmmsg */
#define NOBODY UINT32_MAX

typedef union control {
    struct cmsghdr align;
    uint8_t
        bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
} control; /* a run's segment size is 16 bits out and an int in */

typedef union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} sockaddr_any;

struct tr_udp {
    tr_udp_socket sockets[TR_MAX_BINDS];
    uint32_t count;
    bool has_gso, has_gro;
    int64_t real_to_monotonic_us; /* refreshed once a batch */
    /* receiving */
    uint8_t *memory;
    tr_incoming *incoming; /* what a batch can hold at most */
    uint32_t incoming_capacity;
    struct mmsghdr rx[TR_UDP_BATCH];
    struct iovec rx_iov[TR_UDP_BATCH];
    sockaddr_any rx_from[TR_UDP_BATCH];
    control rx_control[TR_UDP_BATCH];
    /* sending: outgoing datagrams chained by owner */
    uint32_t *next, *last_of_owner; /* index in the outbox, NOBODY: none */
    uint8_t *is_head;
    struct iovec *tx_iov;
    struct mmsghdr tx[SEND_BATCH];
    sockaddr_any tx_to[SEND_BATCH];
    control tx_control[SEND_BATCH];
    uint32_t tx_segments[SEND_BATCH]; /* datagrams in each message */
    uint32_t tx_count, iov_count;
};

/* ------------------------------------------------------------------ addresses */

static void from_sockaddr(tr_address *out, const sockaddr_any *in)
{
    *out = (tr_address){0};
    if (in->any.sa_family == AF_INET) {
        out->family = 4;
        memcpy(out->ip, &in->v4.sin_addr, 4);
        out->port = ntohs(in->v4.sin_port);
    } else {
        out->family = 6;
        memcpy(out->ip, &in->v6.sin6_addr, 16);
        out->port = ntohs(in->v6.sin6_port);
    }
}

static socklen_t to_sockaddr(sockaddr_any *out, const tr_address *in)
{
    memset(out, 0, sizeof *out);
    if (in->family == 4) {
        out->v4.sin_family = AF_INET;
        memcpy(&out->v4.sin_addr, in->ip, 4);
        out->v4.sin_port = htons(in->port);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    memcpy(&out->v6.sin6_addr, in->ip, 16);
    out->v6.sin6_port = htons(in->port);
    return sizeof out->v6;
}

/* ------------------------------------------------------------------ open and close */

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static int open_socket(tr_udp_socket *s, const tr_bind *bind_to, const tr_udp_options *options)
{
    sockaddr_any address;
    memset(&address, 0, sizeof address);
    socklen_t size;
    if (inet_pton(AF_INET, bind_to->address, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(bind_to->port);
        size = sizeof address.v4;
        s->is_wildcard = address.v4.sin_addr.s_addr == INADDR_ANY;
    } else if (inet_pton(AF_INET6, bind_to->address, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(bind_to->port);
        size = sizeof address.v6;
        s->is_wildcard = IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr);
    } else {
        return TR_ERR_ARGUMENT;
    }
    s->family = address.any.sa_family;
    s->fd = socket(s->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (s->fd < 0) return TR_ERR_SYSTEM;
    bool ok = set(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    if (s->family == AF_INET6) ok = ok && set(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (s->is_wildcard && s->family == AF_INET) ok = ok && set(s->fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (s->is_wildcard && s->family == AF_INET6) ok = ok && set(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (!ok || bind(s->fd, &address.any, size) != 0 || getsockname(s->fd, &address.any, &size) != 0)
        return TR_ERR_SYSTEM;
    /* The FORCE variants go past the system's limit and need CAP_NET_ADMIN; without it we take what we get. */
    int bytes = (int)options->buffer_bytes;
    if (!set(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) set(s->fd, SOL_SOCKET, SO_RCVBUF, bytes);
    if (!set(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes)) set(s->fd, SOL_SOCKET, SO_SNDBUF, bytes);
    if (options->has_gro) set(s->fd, IPPROTO_UDP, UDP_GRO, 1); /* a kernel that cannot gives each by itself */
    s->port = ntohs(s->family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return TR_OK;
}

static bool can_gso(int fd)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &size) == 0;
}

int tr__udp_open(tr_udp **out, const tr_bind *binds, uint32_t count, const tr_udp_options *options)
{
    tr_udp *udp = calloc(1, sizeof *udp);
    if (!udp) return TR_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < TR_MAX_BINDS; i++) udp->sockets[i].fd = -1;
    size_t room = options->has_gro ? RUN_BYTES : DATAGRAM_BYTES;
    udp->has_gro = options->has_gro;
    udp->incoming_capacity = TR_UDP_BATCH * (options->has_gro ? RUN_SEGMENTS : 1);
    udp->incoming = calloc(udp->incoming_capacity, sizeof *udp->incoming);
    udp->memory = malloc(TR_UDP_BATCH * room);
    udp->next = calloc(options->outbox_capacity, sizeof *udp->next);
    udp->is_head = calloc(options->outbox_capacity, 1);
    udp->tx_iov = calloc(options->outbox_capacity, sizeof *udp->tx_iov);
    udp->last_of_owner = malloc(options->owners * sizeof *udp->last_of_owner);
    int status = udp->incoming && udp->memory && udp->next && udp->is_head && udp->tx_iov && udp->last_of_owner
                     ? TR_OK
                     : TR_ERR_NO_MEMORY;
    if (status == TR_OK) memset(udp->last_of_owner, 0xff, options->owners * sizeof *udp->last_of_owner);
    for (uint32_t i = 0; i < count && status == TR_OK; i++) {
        udp->count++;
        status = open_socket(&udp->sockets[i], &binds[i], options);
    }
    if (status != TR_OK) {
        int error = errno;
        tr__udp_close(udp);
        errno = error;
        return status;
    }
    udp->has_gso = can_gso(udp->sockets[0].fd);
    for (uint32_t i = 0; i < TR_UDP_BATCH; i++) udp->rx_iov[i] = (struct iovec){udp->memory + i * room, room};
    *out = udp;
    return TR_OK;
}

void tr__udp_close(tr_udp *udp)
{
    if (!udp) return;
    for (uint32_t i = 0; i < udp->count; i++)
        if (udp->sockets[i].fd >= 0) close(udp->sockets[i].fd);
    free(udp->incoming);
    free(udp->memory);
    free(udp->next);
    free(udp->is_head);
    free(udp->tx_iov);
    free(udp->last_of_owner);
    free(udp);
}

uint32_t tr__udp_socket_count(const tr_udp *udp) { return udp->count; }
const tr_udp_socket *tr__udp_socket(const tr_udp *udp, uint32_t i) { return &udp->sockets[i]; }

/* ------------------------------------------------------------------ receive */

/* The kernel stamps with the wall clock, the worker lives on the monotonic one: map by their difference now. A step of
 * the wall clock between stamp and map shows as an arrival in the future, or long ago; then now is the better answer.
 */
static void measure_clocks(tr_udp *udp, uint64_t now_us)
{
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    udp->real_to_monotonic_us = (int64_t)now_us - ((int64_t)real.tv_sec * 1000000 + real.tv_nsec / 1000);
}

/* What the kernel tells of a message; returns the size of the datagrams in it, 0: it is one. */
static uint32_t read_control(tr_udp *udp, struct msghdr *message, tr_incoming *in, uint64_t now_us)
{
    uint32_t segment = 0;
    in->arrival_us = now_us;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            int64_t at = (int64_t)stamp.tv_sec * 1000000 + stamp.tv_nsec / 1000 + udp->real_to_monotonic_us;
            if (at <= (int64_t)now_us && at > (int64_t)now_us - 1000000) in->arrival_us = (uint64_t)at;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            in->path.local.family = 4;
            memcpy(in->path.local.ip, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            in->path.local.family = 6;
            memcpy(in->path.local.ip, &info.ipi6_addr, 16);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            segment = size > 0 ? (uint32_t)size : 0;
        }
    }
    return segment;
}

/* A message's datagrams, from `at` on in the batch: all of one size but the last, which may be shorter. They have their
 * path and their time in common. Returns how many. */
static uint32_t split(tr_udp *udp, uint32_t at, uint32_t segment, uint32_t size)
{
    tr_incoming *first = &udp->incoming[at];
    if (!segment) segment = size;
    first->size = size < segment ? size : segment;
    uint32_t count = 1;
    for (uint32_t offset = segment; offset < size && at + count < udp->incoming_capacity; offset += segment, count++) {
        udp->incoming[at + count] = *first;
        udp->incoming[at + count].data = first->data + offset;
        udp->incoming[at + count].size = size - offset < segment ? size - offset : segment;
    }
    return count;
}

uint32_t tr__udp_receive(tr_udp *udp, uint32_t socket, uint64_t now_us, const tr_incoming **batch, bool *has_more,
                         tr_tally *tally)
{
    for (uint32_t i = 0; i < TR_UDP_BATCH; i++) {
        udp->rx[i].msg_hdr = (struct msghdr){.msg_name = &udp->rx_from[i],
                                             .msg_namelen = sizeof udp->rx_from[i],
                                             .msg_iov = &udp->rx_iov[i],
                                             .msg_iovlen = 1,
                                             .msg_control = &udp->rx_control[i],
                                             .msg_controllen = sizeof udp->rx_control[i]};
    }
    int messages = recvmmsg(udp->sockets[socket].fd, udp->rx, TR_UDP_BATCH, MSG_DONTWAIT, NULL);
    tally->receive_calls++;
    *has_more = messages == TR_UDP_BATCH;
    /* An error here is an ICMP answer to something sent earlier, or nothing to read: neither ends a call. */
    if (messages <= 0) return 0;
    measure_clocks(udp, now_us);
    uint32_t count = 0;
    for (int i = 0; i < messages; i++) {
        tr_incoming *in = &udp->incoming[count];
        in->path = (tr_path){.kind = TR_PATH_UDP, .socket = (uint8_t)socket};
        from_sockaddr(&in->path.remote, &udp->rx_from[i]);
        in->data = udp->rx_iov[i].iov_base;
        uint32_t segment = read_control(udp, &udp->rx[i].msg_hdr, in, now_us);
        count += split(udp, count, segment, udp->rx[i].msg_len);
    }
    *batch = udp->incoming;
    return count;
}

/* ------------------------------------------------------------------ send */

static void add_control(struct msghdr *message, size_t room, int level, int type, const void *data, size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);
    if (message->msg_controllen + CMSG_SPACE(size) > room) return;
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    message->msg_controllen += CMSG_SPACE(size);
}

static void begin_message(tr_udp *udp, const tr_path *path)
{
    uint32_t at = udp->tx_count++;
    udp->tx_segments[at] = 0;
    struct msghdr *m = &udp->tx[at].msg_hdr;
    *m = (struct msghdr){
        .msg_name = &udp->tx_to[at], .msg_iov = &udp->tx_iov[udp->iov_count], .msg_control = &udp->tx_control[at]};
    m->msg_namelen = to_sockaddr(&udp->tx_to[at], &path->remote);
    if (path->local.family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, path->local.ip, 4);
        add_control(m, sizeof udp->tx_control[at], IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (path->local.family == 6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, path->local.ip, 16);
        add_control(m, sizeof udp->tx_control[at], IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void add_segment(tr_udp *udp, const tr_outgoing *out)
{
    uint32_t at = udp->tx_count - 1;
    udp->tx_iov[udp->iov_count++] = (struct iovec){out->data, out->size};
    udp->tx_segments[at]++;
    udp->tx[at].msg_hdr.msg_iovlen++;
}

static void end_message(tr_udp *udp)
{
    uint32_t at = udp->tx_count - 1;
    struct msghdr *m = &udp->tx[at].msg_hdr;
    if (udp->tx_segments[at] > 1) {
        uint16_t segment = (uint16_t)m->msg_iov[0].iov_len;
        add_control(m, sizeof udp->tx_control[at], IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    if (!m->msg_controllen) m->msg_control = NULL;
}

/* A run the kernel will not segment (a path with a small MTU, a device without the offload) leaves one by one. */
static void send_singly(int fd, const struct msghdr *run, tr_tally *tally)
{
    for (size_t i = 0; i < run->msg_iovlen; i++) {
        struct msghdr m = *run;
        m.msg_iov = &run->msg_iov[i];
        m.msg_iovlen = 1;
        /* Only the address to leave from may stay: it is the first element, if there is one. */
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_level == IPPROTO_UDP)
            m.msg_control = NULL, m.msg_controllen = 0;
        else if (c)
            m.msg_controllen = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));
        tally->send_calls++;
        if (sendmsg(fd, &m, MSG_DONTWAIT) < 0)
            tr__count_drop(tally, TR_DROP_SEND_ERROR);
        else
            tally->tx_packets++, tally->tx_bytes += m.msg_iov[0].iov_len;
    }
}

static void flush(tr_udp *udp, int fd, tr_tally *tally)
{
    uint32_t at = 0;
    bool waited = false;
    while (at < udp->tx_count) {
        int sent = sendmmsg(fd, udp->tx + at, udp->tx_count - at, MSG_DONTWAIT);
        tally->send_calls++;
        for (int i = 0; i < sent; i++) {
            tally->tx_packets += udp->tx_segments[at + (uint32_t)i];
            tally->tx_bytes += udp->tx[at + (uint32_t)i].msg_len;
        }
        if (sent > 0) {
            at += (uint32_t)sent;
            continue;
        }
        if (errno == EINTR) continue;
        if ((errno == EAGAIN || errno == ENOBUFS) && !waited) {
            /* The socket's buffer is full: give the device a moment, once; media that waits longer is worthless. */
            struct pollfd poller = {.fd = fd, .events = POLLOUT};
            poll(&poller, 1, 2);
            waited = true;
            continue;
        }
        if (udp->tx_segments[at] > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
            send_singly(fd, &udp->tx[at].msg_hdr, tally);
        } else if (errno != ECONNREFUSED) {
            for (uint32_t i = 0; i < udp->tx_segments[at]; i++) tr__count_drop(tally, TR_DROP_SEND_ERROR);
        } else {
            continue; /* an old ICMP answer, reported on this call; the datagrams were not looked at */
        }
        at++;
    }
    udp->tx_count = udp->iov_count = 0;
}

/* Chain each owner's datagrams in order; `next` of the last is NOBODY, heads keep their place in the outbox. */
static void chain(tr_udp *udp, const tr_outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->count; i++) {
        uint32_t owner = outbox->items[i].owner, last = udp->last_of_owner[owner];
        udp->next[i] = NOBODY;
        udp->is_head[i] = last == NOBODY;
        if (last != NOBODY) udp->next[last] = i;
        udp->last_of_owner[owner] = i;
    }
    for (uint32_t i = 0; i < outbox->count; i++) udp->last_of_owner[outbox->items[i].owner] = NOBODY;
}

static void send_chain(tr_udp *udp, const tr_outbox *outbox, uint32_t at, uint32_t socket, tr_tally *tally)
{
    int fd = udp->sockets[socket].fd;
    const tr_outgoing *first = NULL, *previous = NULL;
    size_t run_bytes = 0;
    for (; at != NOBODY; at = udp->next[at]) {
        const tr_outgoing *out = &outbox->items[at];
        if (out->path.socket != socket) continue;
        /* A run: one path, one size, the last may be shorter. */
        bool joins = first && udp->has_gso && out->size <= first->size && previous->size == first->size &&
                     udp->tx_segments[udp->tx_count - 1] < GSO_MAX_SEGMENTS && run_bytes + out->size <= GSO_MAX_BYTES &&
                     tr__path_equal(&out->path, &first->path);
        if (!joins) {
            if (first) end_message(udp);
            if (udp->tx_count == SEND_BATCH) flush(udp, fd, tally);
            begin_message(udp, &out->path);
            first = out;
            run_bytes = 0;
        }
        add_segment(udp, out);
        run_bytes += out->size;
        previous = out;
    }
    if (first) end_message(udp);
}

void tr__udp_send(tr_udp *udp, tr_outbox *outbox, tr_tally *tally)
{
    if (!outbox->count) return;
    chain(udp, outbox);
    for (uint32_t socket = 0; socket < udp->count; socket++) {
        for (uint32_t i = 0; i < outbox->count; i++) {
            if (!udp->is_head[i]) continue;
            if (udp->tx_count == SEND_BATCH) flush(udp, udp->sockets[socket].fd, tally);
            send_chain(udp, outbox, i, socket, tally);
        }
        flush(udp, udp->sockets[socket].fd, tally);
    }
    tr__outbox_clear(outbox);
}
