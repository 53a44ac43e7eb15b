/* outbox: see outbox.h. Touches only its own memory. Worker thread. */
#include "outbox.h"

#include <stdlib.h>

int tr__outbox_init(tr_outbox *outbox, uint32_t capacity)
{
    *outbox = (tr_outbox){.items = calloc(capacity, sizeof *outbox->items), .memory = calloc(capacity, TR_OUTBOX_SLOT)};
    if (!outbox->items || !outbox->memory) {
        tr__outbox_dispose(outbox);
        return TR_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < capacity; i++) outbox->items[i].data = outbox->memory + (size_t)i * TR_OUTBOX_SLOT;
    outbox->capacity = capacity;
    return TR_OK;
}

void tr__outbox_dispose(tr_outbox *outbox)
{
    free(outbox->items);
    free(outbox->memory);
    *outbox = (tr_outbox){0};
}
