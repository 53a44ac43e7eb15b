/* registry: see registry.h. Touches its own tables, and the ring it is given. Worker thread. */
#include "registry.h"

#include <stdlib.h>

int tr__registry_init(tr_registry *registry, uint32_t max_transports)
{
    *registry = (tr_registry){.max_transports = max_transports,
                              .transports = calloc(max_transports, sizeof *registry->transports),
                              .receivers = calloc(TR_REGISTRY_STREAMS, sizeof *registry->receivers),
                              .senders = calloc(TR_REGISTRY_STREAMS, sizeof *registry->senders)};
    if (registry->transports && registry->receivers && registry->senders) return TR_OK;
    tr__registry_dispose(registry);
    return TR_ERR_NO_MEMORY;
}

void tr__registry_dispose(tr_registry *registry)
{
    free(registry->transports);
    free(registry->receivers);
    free(registry->senders);
    *registry = (tr_registry){0};
}

/* Records of one page: with the widest of them it fits into half of the smallest event ring, the half that commands
 * leave free. And slots it looks at: a quarter of the stream tables, some tens of microseconds. */
#define INVENTORY_PAGE 128
#define INVENTORY_SCAN 16384

static bool describe(const tr_registry *registry, uint8_t kind, uint32_t index, tr_inventory *out)
{
    *out = (tr_inventory){.kind = kind};
    if (kind == TR_INVENTORY_TRANSPORT) {
        const tr_transport *t = registry->transports[index];
        if (!t) return false;
        out->id = out->transport = t->id;
        out->room = t->room;
        out->participant = t->participant;
        out->state = (uint8_t)t->state;
        out->is_admitted = t->egress.is_admitted;
        out->srtp_profile = t->srtp ? (uint8_t)tr__srtp_profile_of(t->srtp) : 0;
        memcpy(out->local_ufrag, t->ice.now.local_ufrag, sizeof out->local_ufrag);
        return true;
    }
    const tr_stream_slot *slot =
        kind == TR_INVENTORY_RECEIVER ? &registry->receivers[index] : &registry->senders[index];
    if (!slot->object) return false;
    out->id = slot->id;
    out->transport = tr__registry_owner(registry, slot)->id;
    if (kind == TR_INVENTORY_SENDER) {
        out->receiver = tr__sender_receiver_id(slot->object);
        out->is_held = tr__sender_is_held(slot->object);
    }
    return true;
}

int tr__registry_tell(const tr_registry *registry, const tr_get_inventory *wanted, tr_ring *events)
{
    uint32_t slots = wanted->kind == TR_INVENTORY_TRANSPORT ? registry->max_transports : TR_REGISTRY_STREAMS;
    if (wanted->kind < TR_INVENTORY_TRANSPORT || wanted->kind > TR_INVENTORY_SENDER || wanted->from >= slots)
        return TR_ERR_ARGUMENT;
    uint32_t index = wanted->from, last = index + INVENTORY_SCAN < slots ? index + INVENTORY_SCAN : slots;
    int status = TR_OK;
    for (int count = 0; index < last && count < INVENTORY_PAGE && status == TR_OK; index++) {
        tr_inventory found;
        if (!describe(registry, wanted->kind, index, &found)) continue;
        status = tr__ring_push(events, TR_EVENT_INVENTORY, 0, &found, sizeof found);
        count++;
    }
    if (status != TR_OK) return status;
    tr_inventory_end end = {.next = index < slots ? index : 0};
    return tr__ring_push(events, TR_EVENT_INVENTORY_END, 0, &end, sizeof end);
}
