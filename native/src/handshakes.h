/* handshakes: datagrams of DTLS handshakes that wait their turn behind media: each costs up to half a millisecond of
 * public-key arithmetic.
 * Its memory is taken at init, none later; of one transport only few wait, so that nobody fills it alone. Worker
 * thread. */
#ifndef TR_HANDSHAKES_H
#define TR_HANDSHAKES_H

#include <stdbool.h>

#include "address.h"
#include "telerelay.h"

/* How many may wait, and how many of them one turn works off: two a turn never hold media up for longer than one GSO
 * run takes to send. */
#define TR_HANDSHAKES_QUEUE 512
#define TR_HANDSHAKES_PER_TRANSPORT 8
#define TR_HANDSHAKES_PER_TURN 2

typedef struct tr_handshake {
    uint32_t transport; /* id: a transport that went meanwhile is passed over */
    uint16_t size;
    tr_path path;
    uint8_t data[TR_MAX_DATAGRAM];
} tr_handshake;

typedef struct tr_handshakes {
    tr_handshake *queue; /* owned */
    uint8_t *waiting;    /* owned: how many, by index of the transport */
    uint32_t head, count;
    uint32_t early; /* so many this turn may still work off ahead of their time */
} tr_handshakes;

int tr__handshakes_init(tr_handshakes *handshakes, uint32_t max_transports); /* TR_OK or TR_ERR_NO_MEMORY */
void tr__handshakes_dispose(tr_handshakes *handshakes);

/* The datagram is copied. index: of the transport, which has that id. False: too many wait. */
bool tr__handshakes_put(tr_handshakes *handshakes, uint32_t index, uint32_t id, const tr_path *path,
                        const uint8_t *data, size_t size);
/* The one that has waited longest, good until the next is put; NULL: none waits. Where its transport is still there,
 * tr__handshakes_taken. */
tr_handshake *tr__handshakes_take(tr_handshakes *handshakes);
static inline void tr__handshakes_taken(tr_handshakes *handshakes, uint32_t index) { handshakes->waiting[index]--; }
/* The transport is gone; what waits of it is passed over. */
static inline void tr__handshakes_forget(tr_handshakes *handshakes, uint32_t index) { handshakes->waiting[index] = 0; }

/* A turn begins. */
static inline void tr__handshakes_turn(tr_handshakes *handshakes) { handshakes->early = TR_HANDSHAKES_PER_TURN; }
/* Media right behind the peer's last handshake message, before that had its turn: the first packets of a call are not
 * to be lost for it. How many to work off now: all, if few wait and the turn's own bound allows it; 0: none. */
static inline uint32_t tr__handshakes_early(tr_handshakes *handshakes, uint32_t index)
{
    if (!handshakes->waiting[index] || handshakes->count > handshakes->early) return 0;
    handshakes->early -= handshakes->count;
    return handshakes->count;
}

#endif
