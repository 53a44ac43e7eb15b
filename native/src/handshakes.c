/* handshakes: see handshakes.h. Touches only its own memory. Worker thread. */
#include "handshakes.h"

#include <stdlib.h>
#include <string.h>

int tr__handshakes_init(tr_handshakes *handshakes, uint32_t max_transports)
{
    *handshakes = (tr_handshakes){.queue = calloc(TR_HANDSHAKES_QUEUE, sizeof *handshakes->queue),
                                  .waiting = calloc(max_transports, 1),
                                  .early = TR_HANDSHAKES_PER_TURN};
    if (handshakes->queue && handshakes->waiting) return TR_OK;
    tr__handshakes_dispose(handshakes);
    return TR_ERR_NO_MEMORY;
}

void tr__handshakes_dispose(tr_handshakes *handshakes)
{
    free(handshakes->queue);
    free(handshakes->waiting);
    handshakes->queue = NULL;
    handshakes->waiting = NULL;
}

bool tr__handshakes_put(tr_handshakes *handshakes, uint32_t index, uint32_t id, const tr_path *path,
                        const uint8_t *data, size_t size)
{
    if (handshakes->count == TR_HANDSHAKES_QUEUE || handshakes->waiting[index] >= TR_HANDSHAKES_PER_TRANSPORT)
        return false;
    tr_handshake *datagram = &handshakes->queue[(handshakes->head + handshakes->count++) % TR_HANDSHAKES_QUEUE];
    datagram->transport = id;
    datagram->size = (uint16_t)size;
    datagram->path = *path;
    memcpy(datagram->data, data, size);
    handshakes->waiting[index]++;
    return true;
}

tr_handshake *tr__handshakes_take(tr_handshakes *handshakes)
{
    if (!handshakes->count) return NULL;
    tr_handshake *datagram = &handshakes->queue[handshakes->head];
    handshakes->head = (handshakes->head + 1) % TR_HANDSHAKES_QUEUE;
    handshakes->count--;
    return datagram;
}
