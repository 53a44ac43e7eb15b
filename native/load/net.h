/* net: the engine's sockets: batches in by recvmmsg with the kernel's time stamps, runs out by sendmmsg with GSO.
 * Knows the operating system and nothing of what the bytes mean. Engine thread, but for open, close and the sockets of
 * single peers, which control opens before the engine hears of the peer.
 *
 * A server tells peers apart by their addresses. Packed, all peers share a few sockets on 0.0.0.0, and each has an
 * address of its own in 127.64.0.0/10: the kernel takes in what is sent to any of them, and IP_PKTINFO says which it
 * was and sets which a datagram leaves from. So thousands of peers cost one system call for a batch. Each with a socket
 * of its own is for servers that are not on this machine. */
#ifndef TL_NET_H
#define TL_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "telerelay_load.h"

#define TL_NET_SOCKETS 8
#define TL_NET_SLOTS 256            /* datagrams that wait to be sent */
#define TL_NET_MESSAGES 64          /* of one sendmmsg or recvmmsg */
#define TL_NET_SLOT 1536            /* bytes */
#define TL_NET_SEGMENTS 64          /* datagrams of one run: UDP_MAX_SEGMENTS of older kernels */
#define TL_NET_ADDRESSES (1u << 22) /* of 127.64.0.0/10 */

typedef union tl_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} tl_sockaddr;

/* How one peer's datagrams travel. */
typedef struct tl_route {
    int fd;
    uint8_t socket; /* packed: which */
    uint32_t local; /* packed: 0 to TL_NET_ADDRESSES - 1, within 127.64.0.0/10 */
    bool is_packed;
    tl_sockaddr remote;
    socklen_t remote_size; /* 0: not known yet */
} tl_route;

typedef struct tl_datagram {
    uint8_t *data;
    uint32_t size;
    uint32_t local;      /* packed: as in tl_route */
    tl_sockaddr from;    /* packed */
    uint64_t arrival_ns; /* kernel's stamp, CLOCK_REALTIME */
} tl_datagram;

typedef struct tl_net {
    /* given */
    bool is_packed, has_gso, has_gro;
    uint32_t buffer_bytes;
    char bind_address[46];
    /* owned */
    int fds[TL_NET_SOCKETS];
    uint16_t ports[TL_NET_SOCKETS];
    uint32_t socket_count;
    struct tl_net_rx *rx;
    struct tl_net_tx *tx;
    /* counters */
    uint64_t rx_packets, tx_packets, send_messages, send_errors;
    uint64_t closed_overflows; /* of sockets that are closed */
    uint64_t real_buffer_bytes;
} tl_net;

int tl__net_open(tl_net *net, const tl_config *config); /* TL_OK or why not */
void tl__net_close(tl_net *net);

/* A socket for one peer, and where it is bound. */
int tl__net_open_one(const tl_net *net, int *fd, char address[46], uint16_t *port);
void tl__net_close_one(tl_net *net, int fd);
/* Fill the route's remote; connects a peer's own socket. False: not an address of the socket's family. */
bool tl__net_set_remote(tl_route *route, const char *address, uint16_t port);
bool tl__net_is_local(const char *address); /* an IPv4 address of this machine? Any thread. */
uint64_t tl__net_overflows(int fd);         /* datagrams the kernel dropped at this socket */

/* One batch; how many datagrams there are, 0: none. They are valid until the next call. */
uint32_t tl__net_receive(tl_net *net, int fd, const tl_datagram **batch);

/* TL_NET_SLOT bytes to write into, always; then commit, or reserve again. */
uint8_t *tl__net_reserve(tl_net *net);
void tl__net_commit(tl_net *net, const tl_route *route, size_t size);
void tl__net_flush(tl_net *net);
uint32_t tl__net_pending(const tl_net *net); /* datagrams that wait */

#endif
