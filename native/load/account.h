/* account: what one subscriber got of one published stream, packet by packet: sent = received + lost + in flight.
 * Pure. Engine thread.
 *
 * Packets are known by the counter in their stamp, which no server touches. The account begins with the first packet
 * that came: what was sent before is not expected, and neither is what is sent while the account is parked, that is,
 * while the server forwards another encoding in the same place. */
#ifndef TL_ACCOUNT_H
#define TL_ACCOUNT_H

#include "source.h"

#define TL_ACCOUNT_WINDOW 4096 /* counters: 27 s of 1.5 Mbit/s, more than any resend takes */
#define TL_ACCOUNT_EARLY 64    /* counters below the first that came and are still taken: the net reorders */

typedef enum tl_arrival {
    TL_ARRIVAL_NEW,       /* above all that came before */
    TL_ARRIVAL_LATE,      /* was missing: reordered or resent */
    TL_ARRIVAL_DUPLICATE, /* came before */
    TL_ARRIVAL_STALE,     /* behind the window: nobody knows */
    TL_ARRIVAL_UNEXPECTED /* sent long before the account began */
} tl_arrival;

typedef struct tl_account {
    uint64_t base, highest;                /* counters; valid once has_any */
    uint64_t seen[TL_ACCOUNT_WINDOW / 64]; /* bit counter % window, for the window ending at highest */
    bool has_any, is_parked;
    tl_tally tally; /* sent, lost and in_flight are made when asked */
} tl_account;

void tl__account_init(tl_account *account);
/* Moves the window and counts received, skipped, stale; what kind of duplicate or repair it was is the caller's to
 * say. A packet above the highest unparks. */
tl_arrival tl__account_on_packet(tl_account *account, uint64_t counter);
/* Nothing more is expected from now on. */
void tl__account_park(tl_account *account);
/* All of it at `now_ns`. What left within `flight_ns` and has not come is in flight, the rest is lost. */
tl_tally tl__account_settle(const tl_account *account, const tl_source *source, uint64_t now_ns, uint64_t flight_ns);
void tl__tally_add(tl_tally *sum, const tl_tally *tally); /* latency_max_us: the greater */

#endif
