/* owners: see owners.h. Touches only its own table. Worker thread. */
#include "owners.h"

#include <stdlib.h>

#include "telerelay.h"

int tr__owners_init(tr_owners *owners, uint32_t capacity)
{
    uint32_t slots = 64;
    while (slots < capacity * 2) slots *= 2;
    *owners = (tr_owners){.of = calloc(slots, sizeof *owners->of), .mask = slots - 1};
    return owners->of ? TR_OK : TR_ERR_NO_MEMORY;
}

void tr__owners_dispose(tr_owners *owners)
{
    free(owners->of);
    owners->of = NULL;
}

void tr__owners_add(tr_owners *owners, uint32_t hash, uint32_t transport)
{
    uint32_t at = hash & owners->mask;
    while (owners->of[at].transport) at = (at + 1) & owners->mask;
    owners->of[at] = (tr_owner){hash, transport + 1};
}

/* Take one entry out and move later ones of the same run back, so that no search ends too early. */
void tr__owners_remove(tr_owners *owners, uint32_t hash, uint32_t transport)
{
    tr_owner *table = owners->of;
    uint32_t mask = owners->mask, at = hash & mask;
    while (table[at].transport && !(table[at].hash == hash && table[at].transport == transport + 1))
        at = (at + 1) & mask;
    if (!table[at].transport) return;
    uint32_t hole = at;
    for (at = (at + 1) & mask; table[at].transport; at = (at + 1) & mask) {
        uint32_t home = table[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table[hole] = table[at];
            hole = at;
        }
    }
    table[hole] = (tr_owner){0, 0};
}
