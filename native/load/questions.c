/* questions: what control asks of the engine, answered between two turns. Engine thread; control's while none runs. */
#include "engine.h"
#include "histogram.h"

static void add_overflows(tl_engine *e, tl_totals *out)
{
    out->receive_overflows = e->net.closed_overflows;
    for (uint32_t i = 0; i < e->net.socket_count; i++) out->receive_overflows += tl__net_overflows(e->net.fds[i]);
    for (uint32_t i = 0; !e->net.is_packed && i < e->config.max_peers; i++)
        if (e->clients[i]) out->receive_overflows += tl__net_overflows(e->clients[i]->route.fd);
}

static void add_net(const tl_net *net, tl_totals *out)
{
    out->rx_packets = net->rx_packets;
    out->tx_packets = net->tx_packets;
    out->send_messages = net->send_messages;
    out->send_errors = net->send_errors;
    out->buffer_bytes = net->real_buffer_bytes;
}

static int answer_totals(tl_engine *e, tl_totals *out)
{
    tl_shared *shared = &e->shared;
    *out = shared->totals; /* with what peers that are gone had published */
    out->media = shared->ended[0];
    out->audio = shared->ended[TL_AUDIO];
    out->video = shared->ended[TL_VIDEO];
    for (uint32_t i = 0; i < e->config.max_peers; i++) {
        const tl_client *c = e->clients[i];
        if (!c) continue;
        out->peers[c->state]++;
        out->legs += c->way_count;
        for (uint32_t k = 0; k < c->way_count; k++) {
            tl_tally tally = tl__way_settle(c->ways[k], shared);
            tl__tally_add(c->ways[k]->kind == TL_AUDIO ? &out->audio : &out->video, &tally);
        }
        for (uint32_t k = 0; k < c->outbound_count; k++) {
            out->published_packets += c->outbounds[k]->source->next;
            out->published_bytes += c->outbounds[k]->bytes;
        }
    }
    tl__tally_add(&out->media, &out->audio);
    tl__tally_add(&out->media, &out->video);
    add_net(&e->net, out);
    add_overflows(e, out);
    const tl_histogram *late = &shared->histograms[TL_HISTOGRAM_LATE];
    out->late_p50_us = tl_histogram_value(late, 0.5);
    out->late_p99_us = tl_histogram_value(late, 0.99);
    out->late_max_us = late->max_us;
    out->cpu_ns = (uint64_t)atomic_load_explicit(&e->cpu_ns, memory_order_relaxed);
    out->now_ns = shared->now_ns;
    return TL_OK;
}

static void print_leg(const tl_client *c, const tl_way *way, tl_leg *out)
{
    *out = (tl_leg){
        .peer = c->id,
        .stream = way->stream,
        .publisher = way->source->peer,
        .section = way->section,
        .kind = way->kind,
        .is_parked = way->account.is_parked,
        .tally = tl__way_settle(way, c->shared),
    };
}

/* One after the other into an array of control's; how many there was room for, or, without room, how many there are. */
static int answer_legs(tl_engine *e, const tl_question *q)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->config.max_peers; i++) {
        const tl_client *c = e->clients[i];
        for (uint32_t k = 0; c && k < c->way_count; k++, count++) {
            if (!q->max) continue;
            if (count == q->max) return (int)count;
            print_leg(c, c->ways[k], (tl_leg *)q->out + count);
        }
    }
    return (int)count;
}

static int answer_histogram(tl_engine *e, const tl_question *q)
{
    tl_histogram *histogram = &e->shared.histograms[q->kind];
    memcpy(q->out, histogram, sizeof *histogram);
    if (q->resets) memset(histogram, 0, sizeof *histogram);
    return TL_OK;
}

void tl__engine_answer(tl_engine *e, tl_question *q)
{
    switch (q->topic) {
    case TL_TOPIC_TOTALS:
        q->result = answer_totals(e, q->out);
        break;
    case TL_TOPIC_LEGS:
        q->result = answer_legs(e, q);
        break;
    case TL_TOPIC_HISTOGRAM:
        q->result = answer_histogram(e, q);
        break;
    }
}
