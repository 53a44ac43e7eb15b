/* ring: one-way queue of self-contained records between two threads or two processes: one writes, one reads.
 * Lies in memory both can see and holds no pointer. Lock-free; neither side ever waits for the other.
 * The reader trusts nothing it finds: a record that does not fit the ring ends the queue as broken. */
#ifndef TR_RING_H
#define TR_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "telerelay.h"

typedef struct tr_ring_head {
    _Alignas(64) _Atomic uint64_t written; /* bytes ever written; the writer's */
    _Alignas(64) _Atomic uint64_t taken;   /* bytes ever taken; the reader's */
    _Alignas(64) uint32_t size;            /* of the bytes that follow, a power of two */
    uint32_t version;
} tr_ring_head;

typedef struct tr_ring {
    tr_ring_head *head;
    uint8_t *bytes;
    uint32_t size; /* own copy: the shared one is not believed after attach */
} tr_ring;

#define TR_RING_MAX_BODY 2048

size_t tr__ring_footprint(uint32_t size); /* bytes of memory a ring takes */
void tr__ring_create(tr_ring *ring, void *memory, uint32_t size);
int tr__ring_attach(tr_ring *ring, void *memory, size_t available); /* TR_OK or TR_ERR_VERSION */

/* TR_OK, TR_ERR_FULL, or TR_ERR_ARGUMENT (body above TR_RING_MAX_BODY). */
int tr__ring_push(tr_ring *ring, uint16_t type, uint64_t tag, const void *body, size_t size);
/* 1: a record was copied out (body at most `room` bytes); 0: empty; TR_ERR_VERSION: broken. */
int tr__ring_pop(tr_ring *ring, uint16_t *type, uint64_t *tag, void *body, size_t room, size_t *size);
uint64_t tr__ring_written(const tr_ring *ring); /* bytes ever written: has anything come since? */
bool tr__ring_is_empty(const tr_ring *ring);
/* Share of the ring in use, percent: the worker defers what can wait when control is slow. */
unsigned tr__ring_used_percent(const tr_ring *ring);

#endif
