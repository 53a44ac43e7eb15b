/* strangers: SSRCs that no receiver wants, though they come under valid keys. So many are known at a time, and two new
 * ones a second after that; packets of others are dropped before anything is spent on them (A27). A client that tries
 * its line, or whose first packets lack MID and RID, has a handful.
 * Pure: a value, zero at the beginning. Worker thread. */
#ifndef TR_STRANGERS_H
#define TR_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#define TR_STRANGERS_MAX 32
#define TR_STRANGERS_INTERVAL_US 500000

typedef struct tr_strangers {
    uint32_t ssrcs[TR_STRANGERS_MAX];
    uint32_t count; /* ever; they lie in a ring */
    uint64_t at_us; /* the budget: a new one may come when this is at most so many intervals ahead of now */
} tr_strangers;

/* May a packet of an SSRC that belongs to nothing be opened, to see what it is? */
bool tr__strangers_may(const tr_strangers *strangers, uint32_t ssrc, uint64_t now_us);
/* It authenticated, so it is the peer's to answer for, and led nowhere. */
void tr__strangers_note(tr_strangers *strangers, uint32_t ssrc, uint64_t now_us);

#endif
