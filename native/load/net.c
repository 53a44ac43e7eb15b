/* net: see net.h. Engine thread. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RUN_BYTES 65000         /* below the 65,507 an IPv4 datagram may carry */
#define RX_PLAIN 2048           /* bytes of room for a datagram: above what a path carries, so that oversize shows */
#define RX_RUN (65536 + 1088)   /* and for a run of them; not a power of two, or all of them meet in few cache sets */
#define FIRST_LOCAL 0x7f400000u /* 127.64.0.0 */

typedef union rx_control {
    struct cmsghdr align;
    uint8_t
        bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
} rx_control;

typedef union tx_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
} tx_control;

struct tl_net_rx {
    uint8_t *memory;
    size_t room; /* of one message */
    struct mmsghdr messages[TL_NET_MESSAGES];
    struct iovec iov[TL_NET_MESSAGES];
    tl_sockaddr from[TL_NET_MESSAGES];
    rx_control control[TL_NET_MESSAGES];
    tl_datagram batch[TL_NET_MESSAGES * TL_NET_SEGMENTS];
};

struct tl_net_tx {
    uint8_t memory[TL_NET_SLOTS][TL_NET_SLOT];
    uint32_t slot_count, message_count;
    struct iovec iov[TL_NET_SLOTS];
    struct mmsghdr messages[TL_NET_MESSAGES];
    const tl_route *routes[TL_NET_MESSAGES];
    int fds[TL_NET_MESSAGES];
    tl_sockaddr to[TL_NET_MESSAGES];
    tx_control control[TL_NET_MESSAGES];
    uint32_t run_bytes; /* of the last message */
};

/* ------------------------------------------------------------------ open and close */

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static socklen_t parse(tl_sockaddr *out, const char *address, uint16_t port)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, address, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

static int open_socket(const tl_net *net, const char *address, int *out, uint16_t *port)
{
    tl_sockaddr at;
    socklen_t size = parse(&at, address, 0);
    if (!size) return TL_ERR_ARGUMENT;
    int fd = socket(at.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0) return TL_ERR_SYSTEM;
    bool ok = set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) && (!net->is_packed || set(fd, IPPROTO_IP, IP_PKTINFO, 1)) &&
              bind(fd, &at.any, size) == 0 && getsockname(fd, &at.any, &size) == 0;
    if (!ok) {
        int error = errno;
        close(fd);
        errno = error;
        return TL_ERR_SYSTEM;
    }
    /* The FORCE variants go past the system's limit and need CAP_NET_ADMIN; without it we take what we get. */
    if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)net->buffer_bytes))
        set(fd, SOL_SOCKET, SO_RCVBUF, (int)net->buffer_bytes);
    if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)net->buffer_bytes))
        set(fd, SOL_SOCKET, SO_SNDBUF, (int)net->buffer_bytes);
    if (net->has_gro) set(fd, IPPROTO_UDP, UDP_GRO, 1);
    *port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *out = fd;
    return TL_OK;
}

/* What the system really gives: learned from one socket that is closed again. */
static int probe(tl_net *net)
{
    int fd, real = 0;
    uint16_t port;
    socklen_t size = sizeof real;
    int status = open_socket(net, net->is_packed ? "0.0.0.0" : net->bind_address, &fd, &port);
    if (status != TL_OK) return status;
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &real, &size) == 0) net->real_buffer_bytes = (uint64_t)real;
    close(fd);
    return TL_OK;
}

int tl__net_open(tl_net *net, const tl_config *config)
{
    *net = (tl_net){
        .is_packed = config->sockets == TL_SOCKETS_PACKED,
        .has_gso = config->has_gso,
        .has_gro = config->has_gro,
        .buffer_bytes = config->buffer_bytes,
    };
    snprintf(net->bind_address, sizeof net->bind_address, "%s", config->bind_address);
    net->rx = calloc(1, sizeof *net->rx);
    net->tx = calloc(1, sizeof *net->tx);
    int status = net->rx && net->tx ? TL_OK : TL_ERR_NO_MEMORY;
    if (status == TL_OK) {
        net->rx->room = net->has_gro ? RX_RUN : RX_PLAIN;
        net->rx->memory = malloc(TL_NET_MESSAGES * net->rx->room);
        status = net->rx->memory ? probe(net) : TL_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; net->is_packed && i < config->socket_count && status == TL_OK; i++) {
        status = open_socket(net, "0.0.0.0", &net->fds[i], &net->ports[i]);
        if (status == TL_OK) net->socket_count++;
    }
    if (status == TL_OK) return status;
    int error = errno;
    tl__net_close(net);
    errno = error;
    return status;
}

void tl__net_close(tl_net *net)
{
    for (uint32_t i = 0; i < net->socket_count; i++) close(net->fds[i]);
    net->socket_count = 0;
    if (net->rx) free(net->rx->memory);
    free(net->rx);
    free(net->tx);
    net->rx = NULL;
    net->tx = NULL;
}

int tl__net_open_one(const tl_net *net, int *fd, char address[46], uint16_t *port)
{
    int status = open_socket(net, net->bind_address, fd, port);
    if (status == TL_OK) memcpy(address, net->bind_address, sizeof net->bind_address);
    return status;
}

void tl__net_close_one(tl_net *net, int fd)
{
    net->closed_overflows += tl__net_overflows(fd);
    close(fd);
}

bool tl__net_set_remote(tl_route *route, const char *address, uint16_t port)
{
    socklen_t size = parse(&route->remote, address, port);
    if (!size || (route->is_packed && route->remote.any.sa_family != AF_INET)) return false;
    if (!route->is_packed && connect(route->fd, &route->remote.any, size) != 0) return false;
    route->remote_size = size;
    return true;
}

bool tl__net_is_local(const char *address)
{
    tl_sockaddr at;
    if (parse(&at, address, 0) != sizeof at.v4) return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    bool is_local = fd >= 0 && bind(fd, &at.any, sizeof at.v4) == 0;
    if (fd >= 0) close(fd);
    return is_local;
}

uint64_t tl__net_overflows(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

/* ------------------------------------------------------------------ receive */

static uint32_t read_control(struct msghdr *message, tl_datagram *out)
{
    uint32_t segment = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            out->arrival_ns = (uint64_t)stamp.tv_sec * 1000000000u + (uint64_t)stamp.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            out->local = ntohl(info.ipi_addr.s_addr) - FIRST_LOCAL;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            segment = (uint32_t)size;
        }
    }
    return segment;
}

uint32_t tl__net_receive(tl_net *net, int fd, const tl_datagram **batch)
{
    struct tl_net_rx *rx = net->rx;
    for (size_t i = 0; i < TL_NET_MESSAGES; i++) {
        rx->iov[i] = (struct iovec){rx->memory + i * rx->room, rx->room};
        rx->messages[i].msg_hdr = (struct msghdr){.msg_name = &rx->from[i],
                                                  .msg_namelen = sizeof rx->from[i],
                                                  .msg_iov = &rx->iov[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = &rx->control[i],
                                                  .msg_controllen = sizeof rx->control[i]};
    }
    int count = recvmmsg(fd, rx->messages, TL_NET_MESSAGES, MSG_DONTWAIT, NULL);
    uint32_t total = 0;
    for (int i = 0; i < count; i++) {
        tl_datagram first = {.data = rx->iov[i].iov_base, .from = rx->from[i]};
        uint32_t left = rx->messages[i].msg_len, segment = read_control(&rx->messages[i].msg_hdr, &first);
        if (!segment) segment = left ? left : 1;
        do {
            tl_datagram *out = &rx->batch[total++];
            *out = first;
            out->size = left < segment ? left : segment;
            first.data += out->size;
            left -= out->size;
        } while (left && total < TL_NET_MESSAGES * TL_NET_SEGMENTS);
    }
    net->rx_packets += total;
    *batch = rx->batch;
    return total;
}

/* ------------------------------------------------------------------ send */

uint8_t *tl__net_reserve(tl_net *net)
{
    if (net->tx->slot_count == TL_NET_SLOTS) tl__net_flush(net);
    return net->tx->memory[net->tx->slot_count];
}

uint32_t tl__net_pending(const tl_net *net) { return net->tx->slot_count; }

static void begin_message(struct tl_net_tx *tx, const tl_route *route)
{
    uint32_t at = tx->message_count++;
    tx->routes[at] = route;
    tx->fds[at] = route->fd;
    tx->run_bytes = 0;
    struct msghdr *m = &tx->messages[at].msg_hdr;
    *m = (struct msghdr){.msg_iov = &tx->iov[tx->slot_count]};
    if (!route->is_packed) return;
    tx->to[at] = route->remote;
    m->msg_name = &tx->to[at];
    m->msg_namelen = route->remote_size;
    m->msg_control = &tx->control[at];
    m->msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(FIRST_LOCAL + route->local)};
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    *c = (struct cmsghdr){.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof info)};
    memcpy(CMSG_DATA(c), &info, sizeof info);
}

/* The last message is a run of several: say how to cut it. */
static void mark_run(struct tl_net_tx *tx)
{
    uint32_t at = tx->message_count - 1;
    struct msghdr *m = &tx->messages[at].msg_hdr;
    uint16_t segment = (uint16_t)m->msg_iov[0].iov_len;
    struct cmsghdr *c = (struct cmsghdr *)(tx->control[at].bytes + m->msg_controllen);
    *c = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof segment)};
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    m->msg_control = &tx->control[at];
    m->msg_controllen += CMSG_SPACE(sizeof segment);
}

/* May this datagram join the last message? One peer, one size, only the last may be shorter. */
static bool joins(const tl_net *net, const tl_route *route, size_t size)
{
    const struct tl_net_tx *tx = net->tx;
    if (!net->has_gso || !tx->message_count || tx->routes[tx->message_count - 1] != route) return false;
    const struct msghdr *m = &tx->messages[tx->message_count - 1].msg_hdr;
    size_t first = m->msg_iov[0].iov_len, last = m->msg_iov[m->msg_iovlen - 1].iov_len;
    return size <= first && last == first && m->msg_iovlen < TL_NET_SEGMENTS && tx->run_bytes + size <= RUN_BYTES;
}

void tl__net_commit(tl_net *net, const tl_route *route, size_t size)
{
    struct tl_net_tx *tx = net->tx;
    if (!route->remote_size) return;
    bool is_joining = joins(net, route, size);
    if (!is_joining && tx->message_count == TL_NET_MESSAGES) {
        /* The slot in hand lies behind those that are sent now: carry it over. */
        uint32_t slot = tx->slot_count;
        tl__net_flush(net);
        if (slot) memcpy(tx->memory[0], tx->memory[slot], size);
    }
    if (!is_joining) begin_message(tx, route);
    struct msghdr *m = &tx->messages[tx->message_count - 1].msg_hdr;
    tx->iov[tx->slot_count] = (struct iovec){tx->memory[tx->slot_count], size};
    tx->slot_count++;
    tx->run_bytes += (uint32_t)size;
    if (++m->msg_iovlen == 2) mark_run(tx);
}

/* A run the kernel will not segment (a path with a small MTU, a device without the offload) leaves one by one, and so
 * does everything after it. */
static void send_singly(tl_net *net, int fd, const struct msghdr *run)
{
    net->has_gso = false;
    for (size_t i = 0; i < run->msg_iovlen; i++) {
        struct msghdr m = *run;
        m.msg_iov = &run->msg_iov[i];
        m.msg_iovlen = 1;
        m.msg_controllen = m.msg_name ? CMSG_SPACE(sizeof(struct in_pktinfo)) : 0;
        if (!m.msg_controllen) m.msg_control = NULL;
        net->send_messages++;
        if (sendmsg(fd, &m, MSG_DONTWAIT) < 0)
            net->send_errors++;
        else
            net->tx_packets++;
    }
}

/* Messages [from, to), all of one socket. */
static void send_messages(tl_net *net, uint32_t from, uint32_t to)
{
    struct tl_net_tx *tx = net->tx;
    int fd = tx->fds[from];
    bool waited = false;
    while (from < to) {
        int sent = sendmmsg(fd, tx->messages + from, to - from, MSG_DONTWAIT);
        for (int i = 0; i < sent; i++, from++) {
            net->send_messages++;
            net->tx_packets += tx->messages[from].msg_hdr.msg_iovlen;
        }
        if (sent > 0 || errno == EINTR || errno == ECONNREFUSED) continue; /* refused: an old ICMP answer, told now */
        if ((errno == EAGAIN || errno == ENOBUFS) && !waited) {
            struct pollfd poller = {.fd = fd, .events = POLLOUT};
            poll(&poller, 1, 2);
            waited = true;
            continue;
        }
        const struct msghdr *m = &tx->messages[from].msg_hdr;
        if (m->msg_iovlen > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE))
            send_singly(net, fd, m);
        else
            net->send_errors += m->msg_iovlen;
        from++;
    }
}

void tl__net_flush(tl_net *net)
{
    struct tl_net_tx *tx = net->tx;
    for (uint32_t from = 0, to; from < tx->message_count; from = to) {
        for (to = from + 1; to < tx->message_count && tx->fds[to] == tx->fds[from];) to++;
        send_messages(net, from, to);
    }
    tx->slot_count = tx->message_count = 0;
}
