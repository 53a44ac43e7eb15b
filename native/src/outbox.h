/* outbox: the datagrams that leave at the end of this pass: fixed slots, written in place, drained by the socket side.
 * Pure: one allocation at init, none after. Worker thread.
 *
 * reserve gives a slot; commit keeps it, the next reserve before a commit gives the same slot again. */
#ifndef TR_OUTBOX_H
#define TR_OUTBOX_H

#include "address.h"
#include "telerelay.h"

#define TR_OUTBOX_SLOT 1536 /* bytes: a datagram and what sealing adds */

typedef struct tr_outgoing {
    tr_path path;
    uint32_t owner; /* transport index: the socket side groups by it */
    uint16_t size;
    uint8_t *data; /* TR_OUTBOX_SLOT bytes */
} tr_outgoing;

typedef struct tr_outbox {
    tr_outgoing *items; /* items[0 .. count) wait to be sent, in order */
    uint8_t *memory;
    uint32_t count, capacity;
} tr_outbox;

int tr__outbox_init(tr_outbox *outbox, uint32_t capacity); /* TR_OK or TR_ERR_NO_MEMORY */
void tr__outbox_dispose(tr_outbox *outbox);

/* TR_OUTBOX_SLOT bytes, or NULL when full. */
static inline uint8_t *tr__outbox_reserve(tr_outbox *outbox)
{
    return outbox->count < outbox->capacity ? outbox->items[outbox->count].data : NULL;
}

static inline void tr__outbox_commit(tr_outbox *outbox, const tr_path *path, uint32_t owner, size_t size)
{
    tr_outgoing *out = &outbox->items[outbox->count++];
    out->path = *path;
    out->owner = owner;
    out->size = (uint16_t)size;
}

static inline void tr__outbox_clear(tr_outbox *outbox) { outbox->count = 0; }

#endif
