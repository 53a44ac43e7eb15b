/* guesses: checks with a wrong password, counted by source address and second: who guesses is not heard for the rest of
 * it, long before he could get anywhere. Counted for each transport on its own, so that one who guesses keeps nobody
 * else behind his address, a hospital's for instance, from joining.
 * Pure: a value, no memory of its own. Worker thread. */
#ifndef TR_GUESSES_H
#define TR_GUESSES_H

#include "address.h"

/* Of one address in a second, against one transport: far fewer than guessing a password takes. */
#define TR_GUESSES_PER_SECOND 200
#define TR_GUESSES_SOURCES 1024 /* buckets, a power of two; two that share one share its limit */

typedef struct tr_guess {
    uint32_t second, failures;
} tr_guess;

typedef struct tr_guesses {
    uint64_t key; /* of the hash: random */
    tr_guess of[TR_GUESSES_SOURCES];
} tr_guesses;

/* What this address failed at this transport (its id) in the present second. Add to its failures; they are too many
 * from TR_GUESSES_PER_SECOND on. */
tr_guess *tr__guesses_of(tr_guesses *guesses, uint32_t transport, const tr_address *source, uint64_t now_us);

#endif
