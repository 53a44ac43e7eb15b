/* address: a transport address and a path between two of them, as values. UDP today; kind leaves room for TCP and TURN.
 * Pure. Any thread. */
#ifndef TR_ADDRESS_H
#define TR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct tr_address {
    uint8_t family; /* 4 or 6; 0: none */
    uint8_t ip[16]; /* network order; the first 4 for family 4, the rest zero */
    uint16_t port;  /* host order */
} tr_address;

typedef enum tr_path_kind { TR_PATH_UDP = 0 } tr_path_kind;

typedef struct tr_path {
    uint8_t kind;     /* tr_path_kind */
    uint8_t socket;   /* which of the worker's binds */
    tr_address local; /* the address that was addressed; family 0: whatever the socket is bound to */
    tr_address remote;
} tr_path;

static inline bool tr__address_equal(const tr_address *a, const tr_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

static inline bool tr__path_equal(const tr_path *a, const tr_path *b)
{
    return a->kind == b->kind && a->socket == b->socket && tr__address_equal(&a->remote, &b->remote) &&
           tr__address_equal(&a->local, &b->local);
}

/* "192.0.2.1 5000", for the operator's eyes. */
void tr__address_text(const tr_address *address, char *out, size_t room);

#endif
