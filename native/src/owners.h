/* owners: whose something is that comes with a datagram, a path or a username fragment: transports by its hash, open
 * addressing. Of two things with one hash both are found: whoever asks looks at what he was given.
 * Its memory is taken at init, none later. Worker thread. */
#ifndef TR_OWNERS_H
#define TR_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tr_owner {
    uint32_t hash, transport; /* its index + 1, 0: free */
} tr_owner;

typedef struct tr_owners {
    tr_owner *of; /* owned */
    uint32_t mask;
} tr_owners;

/* capacity: the most that will be in it; it has room for twice as many, so that a search ends. TR_OK,
 * TR_ERR_NO_MEMORY. */
int tr__owners_init(tr_owners *owners, uint32_t capacity);
void tr__owners_dispose(tr_owners *owners);

void tr__owners_add(tr_owners *owners, uint32_t hash, uint32_t transport);
/* One of its entries; none is no error. */
void tr__owners_remove(tr_owners *owners, uint32_t hash, uint32_t transport);

/* Where a search for the hash begins. */
static inline const tr_owner *tr__owners_bucket(const tr_owners *owners, uint32_t hash)
{
    return &owners->of[hash & owners->mask];
}

/* The next one with this hash. *at: the hash itself before the first. False: there is none any more. */
static inline bool tr__owners_next(const tr_owners *owners, uint32_t hash, uint32_t *at, uint32_t *transport)
{
    for (;; ++*at) {
        const tr_owner *owner = tr__owners_bucket(owners, *at);
        if (!owner->transport) return false;
        if (owner->hash != hash) continue;
        *transport = owner->transport - 1;
        ++*at;
        return true;
    }
}

#endif
