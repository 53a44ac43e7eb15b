/* probes: see probes.h. */
#include "probes.h"

#include <string.h>

#include "sent.h"

#define LEAST_PACKETS 5        /* with fewer, one packet's jitter is the result */
#define LEAST_PACKET_BYTES 200 /* smaller ones do not count in a probe (GCC) */
#define LENGTH_US 15000        /* libwebrtc's least length: above the timing noise of Wi-Fi aggregation, 2-8 ms */
#define LATE_US 1000000        /* a cluster of which the rest has not come by then proves nothing */
#define NEEDED 0.8             /* of packets and bytes, as GCC has it: the lost might have been the slow ones */
#define CARRIED 0.9            /* arrived at least so fast: the line was not what limited (GCC) */
#define AMONG_OTHERS 0.95      /* of what it came at is taken: the queue it made has to leave, too (GCC) */

void tr__probes_init(tr_probes *p)
{
    memset(p, 0, sizeof *p);
    tr__probes_clear(p);
}

void tr__probes_clear(tr_probes *p)
{
    for (uint32_t i = 0; i < TR_PROBES; i++) p->clusters[i].id = -1;
}

double tr__probes_bytes(double rate_bps)
{
    double bytes = rate_bps * LENGTH_US / 8e6;
    return bytes < LEAST_PACKETS * LEAST_PACKET_BYTES ? LEAST_PACKETS * LEAST_PACKET_BYTES : bytes;
}

double tr__probes_free_bps(void) { return LEAST_PACKETS * LEAST_PACKET_BYTES * 8e6 / LENGTH_US; }

bool tr__probes_want(tr_probes *p, int64_t now_us, double rate_bps)
{
    for (uint32_t i = 0; i < TR_PROBES; i++) {
        if (p->clusters[i].id >= 0) continue;
        p->clusters[i] = (tr_cluster){
            .id = p->next_id,
            .rate_bps = rate_bps,
            .made_us = now_us,
            .least_bytes = (uint32_t)(rate_bps * LENGTH_US / 8e6),
        };
        p->next_id = (p->next_id + 1) % TR_SENT_PROBES;
        return true;
    }
    return false;
}

bool tr__probes_next(tr_probes *p, tr_probe *out)
{
    tr_cluster *next = NULL;
    for (uint32_t i = 0; i < TR_PROBES; i++) {
        tr_cluster *c = &p->clusters[i];
        if (c->id >= 0 && !c->is_told && (!next || c->made_us < next->made_us)) next = c;
    }
    if (!next) return false;
    next->is_told = true;
    *out = (tr_probe){
        .probe_id = next->id,
        .rate_bps = (uint64_t)next->rate_bps,
        .least_bytes = next->least_bytes,
        .least_packets = LEAST_PACKETS,
    };
    return true;
}

bool tr__probes_are_open(const tr_probes *p)
{
    for (uint32_t i = 0; i < TR_PROBES; i++)
        if (p->clusters[i].id >= 0) return true;
    return false;
}

static tr_cluster *find(tr_probes *p, int32_t id)
{
    if (id < 0) return NULL;
    for (uint32_t i = 0; i < TR_PROBES; i++)
        if (p->clusters[i].id == id) return &p->clusters[i];
    return NULL;
}

void tr__probes_on_sent(tr_probes *p, int32_t id, int64_t now_us, uint32_t size_bytes)
{
    tr_cluster *c = find(p, id);
    if (!c) return;
    if (!c->sent) c->first_sent_us = now_us;
    c->last_sent_us = now_us;
    c->last_sent_bytes = size_bytes;
    c->sent_bytes += size_bytes;
    c->sent++;
}

void tr__probes_on_arrival(tr_probes *p, int32_t id, int64_t received_us, uint32_t size_bytes)
{
    tr_cluster *c = find(p, id);
    if (!c) return;
    if (!c->arrived || received_us < c->first_received_us) {
        c->first_received_us = received_us;
        c->first_received_bytes = size_bytes;
    }
    if (!c->arrived || received_us > c->last_received_us) c->last_received_us = received_us;
    c->arrived_bytes += size_bytes;
    c->arrived++;
}

bool tr__probes_result(tr_probes *p, int64_t now_us, double *proved_bps, double *rate_bps, bool *is_carried)
{
    for (uint32_t i = 0; i < TR_PROBES; i++) {
        tr_cluster *c = &p->clusters[i];
        if (c->id < 0) continue;
        bool is_whole = c->sent >= LEAST_PACKETS && c->sent_bytes >= c->least_bytes;
        if (!is_whole || c->arrived < NEEDED * c->sent || c->arrived_bytes < NEEDED * c->sent_bytes) {
            if (now_us - c->made_us > LATE_US) c->id = -1;
            continue;
        }
        /* Between the first and the last of n packets there are the bytes of n - 1. */
        double sent_us = (double)(c->last_sent_us - c->first_sent_us);
        double received_us = (double)(c->last_received_us - c->first_received_us);
        c->id = -1;
        if (sent_us <= 0 || received_us <= 0) continue; /* at one moment: proves nothing */
        double sent_bps = (double)(c->sent_bytes - c->last_sent_bytes) * 8e6 / sent_us;
        double received_bps = (double)(c->arrived_bytes - c->first_received_bytes) * 8e6 / received_us;
        *is_carried = received_bps >= CARRIED * sent_bps;
        *proved_bps = received_bps < sent_bps ? received_bps : sent_bps;
        if (!*is_carried) *proved_bps *= AMONG_OTHERS;
        *rate_bps = c->rate_bps;
        return true;
    }
    return false;
}
