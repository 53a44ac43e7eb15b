/* udp: the worker's sockets: batches in by recvmmsg with the kernel's time stamps and GRO, runs out by sendmmsg with
 * GSO. Knows the operating system and nothing of what the bytes mean. Worker thread, but for open and close. */
#ifndef TR_UDP_H
#define TR_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "outbox.h"
#include "tally.h"

#define TR_UDP_BATCH 64 /* messages of one recvmmsg: past this the call's own cost no longer shows */

typedef struct tr_udp_socket {
    int fd, family;   /* AF_INET or AF_INET6; fd -1: closed */
    bool is_wildcard; /* bound to any address: replies must leave from the one that was addressed */
    uint16_t port;
} tr_udp_socket;

typedef struct tr_incoming {
    tr_path path;
    uint8_t *data;
    uint32_t size;
    uint64_t arrival_us; /* kernel's stamp on the monotonic clock, microseconds */
} tr_incoming;

typedef struct tr_udp tr_udp;

/* TR_OK, TR_ERR_ARGUMENT (not an address), TR_ERR_SYSTEM (errno is set), TR_ERR_NO_MEMORY. */
typedef struct tr_udp_options {
    uint32_t buffer_bytes;            /* of a socket, each way, if the system grants it */
    uint32_t outbox_capacity, owners; /* of what will be sent */
    bool has_gro;                     /* a burst of one peer comes as one message, if the kernel can */
} tr_udp_options;

int tr__udp_open(tr_udp **out, const tr_bind *binds, uint32_t count, const tr_udp_options *options);
void tr__udp_close(tr_udp *udp);
uint32_t tr__udp_socket_count(const tr_udp *udp);
const tr_udp_socket *tr__udp_socket(const tr_udp *udp, uint32_t i);

/* One batch from one socket; the number of datagrams, 0 when there are none. has_more: it took as many messages as it
 * can, so there may be others. */
uint32_t tr__udp_receive(tr_udp *udp, uint32_t socket, uint64_t now_us, const tr_incoming **batch, bool *has_more,
                         tr_tally *tally);
/* All of the outbox, grouped by owner, then empty it. What the kernel refuses is counted, never fatal. */
void tr__udp_send(tr_udp *udp, tr_outbox *outbox, tr_tally *tally);

#endif
