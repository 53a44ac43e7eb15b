/* inherent: the share of packets that the line loses whatever is sent, told from the share that we make it lose.
 * Loss of a radio is there at any rate and without a queue; loss of our own making comes with one, or comes and goes
 * with the rate (a policer). So the least of the last windows is the line's, and what exceeds it is suspect.
 * Pure. Worker thread. */
#ifndef TR_INHERENT_H
#define TR_INHERENT_H

#include <stdbool.h>
#include <stdint.h>

/* A window is a second and at least 20 packets: with fewer one packet is more than the excess we act on. */
#define TR_INHERENT_WINDOW_US 1000000
#define TR_INHERENT_LEAST 20
/* Sixteen of them: a policer's pause after a cut is among them, a radio's good second too, which costs a margin only.
 */
#define TR_INHERENT_WINDOWS 16

typedef struct tr_inherent {
    uint32_t sent, lost; /* of the window that is open */
    int64_t opened_us;
    double shares[TR_INHERENT_WINDOWS];
    uint32_t count, next;
    double recent; /* share lost in the latest closed window */
    double mean;   /* of all windows */
    double least;  /* of them */
    double spread; /* their mean deviation */
} tr_inherent;

void tr__inherent_init(tr_inherent *in);
void tr__inherent_on_packets(tr_inherent *in, uint32_t sent, uint32_t lost);
/* True: a window was closed, and the shares are new. */
bool tr__inherent_on_time(tr_inherent *in, int64_t now_us);
/* What the line is taken to lose, 0 to 0.5. */
double tr__inherent_share(const tr_inherent *in);
/* By how much the latest window exceeds that, beyond chance. */
double tr__inherent_excess(const tr_inherent *in);

#endif
