/* probes: clusters of packets sent faster than the estimate, and what their arrival proves.
 * Pure. Worker thread. */
#ifndef TR_PROBES_H
#define TR_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "telerelay.h"

#define TR_PROBES 4 /* clusters that wait or are on their way: two at the start, one after, one spare */

typedef struct tr_cluster {
    int32_t id; /* -1: free */
    bool is_told;
    double rate_bps;
    int64_t made_us;
    uint32_t least_bytes;
    uint32_t sent, arrived, sent_bytes, arrived_bytes;
    int64_t first_sent_us, last_sent_us, first_received_us, last_received_us;
    uint32_t last_sent_bytes, first_received_bytes;
} tr_cluster;

typedef struct tr_probes {
    tr_cluster clusters[TR_PROBES];
    int32_t next_id;
} tr_probes;

void tr__probes_init(tr_probes *p);
/* What a cluster at that rate takes at the least. */
double tr__probes_bytes(double rate_bps);
/* Up to that rate each takes the same, for it needs its packets. */
double tr__probes_free_bps(void);
/* False: none is free. */
bool tr__probes_want(tr_probes *p, int64_t now_us, double rate_bps);
/* The next one to send, told once. */
bool tr__probes_next(tr_probes *p, tr_probe *out);
bool tr__probes_are_open(const tr_probes *p);
void tr__probes_on_sent(tr_probes *p, int32_t id, int64_t now_us, uint32_t size_bytes);
void tr__probes_on_arrival(tr_probes *p, int32_t id, int64_t received_us, uint32_t size_bytes);
/* Called after a feedback until false: what a cluster proved, and whether the line carried all of it. Never more than
 * it was sent at. */
bool tr__probes_result(tr_probes *p, int64_t now_us, double *proved_bps, double *rate_bps, bool *is_carried);
void tr__probes_clear(tr_probes *p);

#endif
