/* ahead: see ahead.h. Reads what the engine owns. Worker thread. */
#include "ahead.h"

#include "demux.h"
#include "near.h"

typedef struct expected {
    const tr_incoming *in;
    const tr_transport *transport;
    const tr_ssrc_entry *entry; /* NULL: no further is known */
    const tr_receiver *receiver;
    const tr_sender *sender;
    const tr_srtp *seals;
} expected;

/* Media alone, and of a burst the first: the rest touches the same. */
static uint32_t choose(expected *e, const tr_incoming *incoming, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const tr_incoming *in = &incoming[i];
        if (tr__demux(in->data, in->size) != TR_CLASS_RTP || in->size < 12) continue;
        if (n && tr__path_equal(&e[n - 1].in->path, &in->path) && memcmp(e[n - 1].in->data + 8, in->data + 8, 4) == 0)
            continue;
        e[n++] = (expected){.in = in};
    }
    return n;
}

static void follow_entry(expected *e)
{
    const tr_transport *t = e->transport;
    if (t->srtp) tr__srtp_near(t->srtp);
    if (t->twcc) tr__near(t->twcc, TR_LINE);
    e->entry = tr__transport_find_ssrc(t, tr__load32(e->in->data + 8));
    if (!e->entry) return;
    e->receiver = t->receivers[e->entry->receiver];
    tr__receiver_near(e->receiver, e->entry->encoding);
}

static void follow_keys(const expected *e)
{
    if (e->transport->srtp) tr__srtp_near_rx(e->transport->srtp);
    if (e->entry) tr__receiver_near_more(e->receiver, e->entry->encoding, tr__load16(e->in->data + 2));
}

static void follow_sender(expected *e)
{
    e->sender = tr__receiver_any_sender(e->receiver);
    if (e->sender) tr__sender_near(e->sender);
}

void tr__ahead(const tr_engine *engine, const tr_incoming *incoming, uint32_t count)
{
    expected all[TR_AHEAD];
    uint32_t n = choose(all, incoming, count);
    if (n < 2) return; /* nothing to be fetched meanwhile */
    for (uint32_t i = 0; i < n; i++) tr__near(tr__engine_bucket(engine, &all[i].in->path), 1);
    uint32_t known = 0;
    for (uint32_t i = 0; i < n; i++) {
        const tr_transport *t = tr__engine_guess(engine, &all[i].in->path);
        if (!t) continue;
        tr__transport_near(t);
        all[known] = all[i];
        all[known++].transport = t;
    }
    for (uint32_t i = 0; i < known; i++) follow_entry(&all[i]);
    for (uint32_t i = 0; i < known; i++) follow_keys(&all[i]);
    for (uint32_t i = 0; i < known; i++)
        if (all[i].receiver) follow_sender(&all[i]);
    for (uint32_t i = 0; i < known; i++)
        if (all[i].sender) tr__near(tr__sender_egress(all[i].sender), sizeof(tr_egress));
    for (uint32_t i = 0; i < known; i++)
        if (all[i].sender && (all[i].seals = tr__sender_egress(all[i].sender)->srtp)) tr__srtp_near(all[i].seals);
    for (uint32_t i = 0; i < known; i++)
        if (all[i].seals) tr__srtp_near_tx(all[i].seals);
}
