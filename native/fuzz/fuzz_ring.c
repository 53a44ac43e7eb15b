/* fuzz ring: a reader that attaches to memory somebody else wrote. */
#include <string.h>

#include "ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t memory[sizeof(tr_ring_head) + 4096];
    memset(memory, 0, sizeof memory);
    tr_ring ring;
    tr__ring_create(&ring, memory, 4096);
    if (size < 16) return 0;
    uint64_t written, taken;
    memcpy(&written, data, 8);
    memcpy(&taken, data + 8, 8);
    atomic_store(&ring.head->written, written);
    atomic_store(&ring.head->taken, taken);
    memcpy(ring.bytes, data + 16, size - 16 < 4096 ? size - 16 : 4096);
    uint16_t type;
    uint64_t tag;
    uint8_t body[TR_RING_MAX_BODY];
    size_t got;
    for (int i = 0; i < 1000 && tr__ring_pop(&ring, &type, &tag, body, sizeof body, &got) == 1; i++) {}
    return 0;
}
