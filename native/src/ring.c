/* ring: see ring.h. Pure memory and atomics; each function belongs to one of the two sides. */
#include "ring.h"

#include <string.h>

#define RECORD_HEADER 16        /* u32 body size, u16 type, u16 zero, u64 tag */
#define RECORD_SKIP 0xffffffffu /* body size that means: the rest of this lap is empty */

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }

size_t tr__ring_footprint(uint32_t size) { return sizeof(tr_ring_head) + size; }

void tr__ring_create(tr_ring *ring, void *memory, uint32_t size)
{
    ring->head = memory;
    ring->bytes = (uint8_t *)memory + sizeof(tr_ring_head);
    ring->size = size;
    atomic_store(&ring->head->written, 0);
    atomic_store(&ring->head->taken, 0);
    ring->head->size = size;
    ring->head->version = TR_BORDER_VERSION;
}

int tr__ring_attach(tr_ring *ring, void *memory, size_t available)
{
    tr_ring_head *head = memory;
    if (available < sizeof *head || head->version != TR_BORDER_VERSION) return TR_ERR_VERSION;
    uint32_t size = head->size;
    if (size < 4096 || (size & (size - 1)) || sizeof *head + size > available) return TR_ERR_VERSION;
    ring->head = head;
    ring->bytes = (uint8_t *)memory + sizeof *head;
    ring->size = size;
    return TR_OK;
}

static void write_header(uint8_t *at, uint32_t size, uint16_t type, uint64_t tag)
{
    uint16_t zero = 0;
    memcpy(at, &size, 4);
    memcpy(at + 4, &type, 2);
    memcpy(at + 6, &zero, 2);
    memcpy(at + 8, &tag, 8);
}

int tr__ring_push(tr_ring *ring, uint16_t type, uint64_t tag, const void *body, size_t size)
{
    if (size > TR_RING_MAX_BODY) return TR_ERR_ARGUMENT;
    uint64_t written = atomic_load_explicit(&ring->head->written, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&ring->head->taken, memory_order_acquire);
    size_t need = RECORD_HEADER + padded(size);
    uint32_t at = (uint32_t)(written & (ring->size - 1));
    /* A record never crosses the end: what is left of the lap is skipped. Laps end on a multiple of 8, and a skip
     * mark needs only the 4 bytes of a size, which always fit. */
    size_t skip = ring->size - at < need ? ring->size - at : 0;
    if (written - taken + skip + need > ring->size) return TR_ERR_FULL;
    if (skip) {
        uint32_t mark = RECORD_SKIP;
        memcpy(ring->bytes + at, &mark, 4);
        written += skip;
        at = 0;
    }
    write_header(ring->bytes + at, (uint32_t)size, type, tag);
    if (size) memcpy(ring->bytes + at + RECORD_HEADER, body, size);
    atomic_store_explicit(&ring->head->written, written + need, memory_order_release);
    return TR_OK;
}

int tr__ring_pop(tr_ring *ring, uint16_t *type, uint64_t *tag, void *body, size_t room, size_t *size)
{
    uint64_t taken = atomic_load_explicit(&ring->head->taken, memory_order_relaxed);
    uint64_t written = atomic_load_explicit(&ring->head->written, memory_order_acquire);
    for (;;) {
        if (taken == written) return 0;
        if (written - taken > ring->size || (taken & 7)) return TR_ERR_VERSION;
        uint32_t at = (uint32_t)(taken & (ring->size - 1)), body_size;
        memcpy(&body_size, ring->bytes + at, 4);
        if (body_size == RECORD_SKIP) {
            taken += ring->size - at;
            if (taken > written) return TR_ERR_VERSION;
            continue;
        }
        size_t need = RECORD_HEADER + padded(body_size);
        if (body_size > TR_RING_MAX_BODY || need > written - taken || need > ring->size - at) return TR_ERR_VERSION;
        memcpy(type, ring->bytes + at + 4, 2);
        memcpy(tag, ring->bytes + at + 8, 8);
        *size = body_size < room ? body_size : room;
        memcpy(body, ring->bytes + at + RECORD_HEADER, *size);
        atomic_store_explicit(&ring->head->taken, taken + need, memory_order_release);
        return 1;
    }
}

uint64_t tr__ring_written(const tr_ring *ring)
{
    return atomic_load_explicit(&ring->head->written, memory_order_relaxed);
}

bool tr__ring_is_empty(const tr_ring *ring)
{
    return atomic_load_explicit(&ring->head->written, memory_order_acquire) ==
           atomic_load_explicit(&ring->head->taken, memory_order_acquire);
}

unsigned tr__ring_used_percent(const tr_ring *ring)
{
    uint64_t used = atomic_load_explicit(&ring->head->written, memory_order_relaxed) -
                    atomic_load_explicit(&ring->head->taken, memory_order_relaxed);
    return used > ring->size ? 100 : (unsigned)(used * 100 / ring->size); /* more than all: the other side is broken */
}
