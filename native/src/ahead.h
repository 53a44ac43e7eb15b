/* ahead: what a batch of datagrams is going to touch is fetched before they are worked off.
 * A packet's way goes through a dozen structures, each known only by the one before; with hundreds of transports none
 * of them is in a cache. Taken together, the datagrams of a batch wait for one level at a time instead of each for all.
 * Changes nothing and decides nothing. Worker thread. */
#ifndef TR_AHEAD_H
#define TR_AHEAD_H

#include "engine.h"
#include "udp.h"

#define TR_AHEAD 16 /* datagrams at a time: what they touch fits the first two caches */

/* count: TR_AHEAD at the most. */
void tr__ahead(const tr_engine *engine, const tr_incoming *incoming, uint32_t count);

#endif
