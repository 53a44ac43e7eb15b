/* registry: what there is in a worker, by its ids: transports, and the receivers and senders on them. An id has an
 * index in its low 16 bits and a generation above: one that is gone is not found, though its place is taken again. Its
 * memory is taken at init, none later; what is in it is others'. Worker thread. */
#ifndef TR_REGISTRY_H
#define TR_REGISTRY_H

#include "transport.h"

#define TR_REGISTRY_STREAMS 65536u /* places for receivers, and as many for senders */

typedef struct tr_stream_slot {
    void *object;       /* tr_receiver or tr_sender; NULL: free */
    uint32_t transport; /* index */
    uint32_t id;
} tr_stream_slot;

typedef struct tr_registry {
    uint32_t max_transports;
    tr_transport **transports; /* by index */
    tr_stream_slot *receivers, *senders;
} tr_registry;

int tr__registry_init(tr_registry *registry, uint32_t max_transports); /* TR_OK or TR_ERR_NO_MEMORY */
void tr__registry_dispose(tr_registry *registry);

static inline uint32_t tr__registry_index(uint32_t id) { return id & 0xffff; }

/* NULL: there is none of this id. */
static inline tr_transport *tr__registry_transport(const tr_registry *registry, uint32_t id)
{
    uint32_t index = tr__registry_index(id);
    tr_transport *t = index < registry->max_transports ? registry->transports[index] : NULL;
    return t && t->id == id ? t : NULL;
}

static inline tr_stream_slot *tr__registry_stream(tr_stream_slot *table, uint32_t id)
{
    tr_stream_slot *slot = &table[tr__registry_index(id)];
    return slot->object && slot->id == id ? slot : NULL;
}

static inline tr_stream_slot *tr__registry_receiver(const tr_registry *registry, uint32_t id)
{
    return tr__registry_stream(registry->receivers, id);
}

static inline tr_stream_slot *tr__registry_sender(const tr_registry *registry, uint32_t id)
{
    return tr__registry_stream(registry->senders, id);
}

/* On which transport it is. */
static inline tr_transport *tr__registry_owner(const tr_registry *registry, const tr_stream_slot *slot)
{
    return registry->transports[slot->transport];
}

/* A page of the inventory, for a control that begins anew and has to learn what is there: events, and one that says
 * where the next page begins. TR_ERR_ARGUMENT: no such kind or place; or what the ring said. */
int tr__registry_tell(const tr_registry *registry, const tr_get_inventory *wanted, tr_ring *events);

#endif
