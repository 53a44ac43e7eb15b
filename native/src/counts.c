/* counts: see counts.h. Worker thread. */
#include "counts.h"

/* A place: the index of a transport above, the row of its streams below. */
#define ROW_BITS 16
/* Slots one page looks at: some tens of microseconds where they are empty. */
#define SCAN 16384

_Static_assert(sizeof(tr_counts) <= sizeof(((tr_event *)0)->body), "a page is one event");
_Static_assert(sizeof(tr_rate_page) <= sizeof(((tr_event *)0)->body), "a page is one event");
/* As many rows as one receiver can have. */
#define MOST_ROWS (TR_MAX_ENCODINGS * TR_MAX_SPATIAL * TR_MAX_TEMPORAL)
_Static_assert(MOST_ROWS <= TR_MAX_RATES, "a receiver fits a page");

static uint32_t least(uint64_t us) { return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX; }

static tr_count of_receiver(const tr_transport *t, const tr_receiver *receiver, uint64_t now_us)
{
    const tr_source *source = tr__receiver_source(receiver);
    int best = source->count - 1;
    while (best > 0 && !tr__stream_is_active(&source->streams[best], now_us)) best--;
    tr_receiver_stats stats;
    tr__receiver_stats(receiver, best, now_us, &stats);
    /* A publisher gets no sender reports of ours; how long its resends take is known where any came. */
    uint64_t rtt_us = t->egress.rtt_us ? t->egress.rtt_us : source->streams[best].nack.rtt_us;
    return (tr_count){
        .id = stats.receiver,
        .packets = (uint32_t)stats.rx_packets,
        .bytes = (uint32_t)stats.rx_bytes,
        .lost = (uint32_t)stats.lost_packets,
        .resent = (uint32_t)stats.repaired_packets,
        .gaps = (uint32_t)stats.gaps,
        .jitter_us = stats.jitter_us,
        .rtt_us = least(rtt_us),
        .encoding = stats.encoding,
        .is_active = stats.is_active,
    };
}

static tr_count of_sender(const tr_transport *t, const tr_sender *sender, uint64_t now_us)
{
    tr_sender_stats stats;
    tr__sender_stats(sender, now_us, &stats);
    uint32_t clock_rate = tr__sender_clock_rate(sender);
    return (tr_count){
        .id = stats.sender,
        .packets = (uint32_t)stats.tx_packets,
        .bytes = (uint32_t)stats.tx_bytes,
        .lost = stats.peer_lost,
        .resent = (uint32_t)stats.resent_packets,
        .gaps = (uint32_t)stats.asked_runs,
        .asked = (uint32_t)stats.asked,
        .jitter_us = clock_rate ? least((uint64_t)stats.peer_jitter * 1000000 / clock_rate) : 0,
        .rtt_us = least(t->egress.rtt_us),
        .is_sender = 1,
        .encoding = stats.encoding == TR_LAYER_ANY ? 0 : stats.encoding, /* nothing yet: as the least */
        .fraction_lost = stats.peer_fraction_lost,
        .is_active = stats.receiver != TR_NONE,
    };
}

bool tr__counts_page(tr_transport *const *transports, uint32_t slots, uint32_t from, uint64_t now_us, tr_counts *page)
{
    uint32_t index = from >> ROW_BITS, row = from & ((1u << ROW_BITS) - 1);
    if (index >= slots) return false;
    page->count = page->next = 0;
    uint32_t last = slots - index > SCAN ? index + SCAN : slots;
    for (; index < last; index++, row = 0) {
        const tr_transport *t = transports[index];
        if (!t) continue;
        uint32_t streams = t->receiver_count + t->sender_count;
        for (; row < streams; row++) {
            if (page->count == TR_MAX_COUNTS) {
                page->next = index << ROW_BITS | row;
                return true;
            }
            page->rows[page->count++] = row < t->receiver_count
                                            ? of_receiver(t, t->receivers[row], now_us)
                                            : of_sender(t, t->senders[row - t->receiver_count], now_us);
        }
    }
    if (index < slots) page->next = index << ROW_BITS;
    return true;
}

size_t tr__counts_size(const tr_counts *page) { return offsetof(tr_counts, rows) + page->count * sizeof *page->rows; }

/* ------------------------------------------------------------------ rates */

static void put_layers(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_rate_page *page)
{
    tr_receiver_stats stats = {0};
    tr__receiver_layer_stats(receiver, encoding, now_us, &stats);
    for (uint8_t s = 0; s < stats.spatial_layers; s++) {
        for (uint8_t t = 0; t < stats.temporal_layers; t++) {
            page->rows[page->count++] = (tr_rate){
                .receiver = tr__receiver_params(receiver)->receiver,
                .encoding = (uint8_t)encoding,
                .spatial = s,
                .temporal = t,
                .rate_bps = stats.layers[s][t].rate_bps,
                .peak_bps = stats.layers[s][t].peak_bps,
            };
        }
    }
}

static void put_sound(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_rate_page *page)
{
    const tr_stream *stream = &tr__receiver_source(receiver)->streams[encoding];
    page->rows[page->count++] = (tr_rate){
        .receiver = tr__receiver_params(receiver)->receiver,
        .encoding = (uint8_t)encoding,
        .loudness = tr__stream_loudness(stream, now_us),
        .rate_bps = stream->rate_bps,
        .peak_bps = stream->rate_bps,
    };
}

static void put_rates(const tr_receiver *receiver, uint64_t now_us, tr_rate_page *page)
{
    const tr_source *source = tr__receiver_source(receiver);
    for (int encoding = 0; encoding < source->count; encoding++) {
        if (!tr__stream_is_active(&source->streams[encoding], now_us)) continue;
        if (tr__receiver_params(receiver)->kind == TR_AUDIO)
            put_sound(receiver, encoding, now_us, page);
        else
            put_layers(receiver, encoding, now_us, page);
    }
}

bool tr__rates_page(tr_transport *const *transports, uint32_t slots, uint32_t from, uint64_t now_us, tr_rate_page *page)
{
    uint32_t index = from >> ROW_BITS, row = from & ((1u << ROW_BITS) - 1);
    if (index >= slots) return false;
    page->count = page->next = 0;
    uint32_t last = slots - index > SCAN ? index + SCAN : slots;
    for (; index < last; index++, row = 0) {
        const tr_transport *t = transports[index];
        for (; t && row < t->receiver_count; row++) {
            if (page->count > TR_MAX_RATES - MOST_ROWS) {
                page->next = index << ROW_BITS | row;
                return true;
            }
            put_rates(t->receivers[row], now_us, page);
        }
    }
    if (index < slots) page->next = index << ROW_BITS;
    return true;
}

size_t tr__rates_size(const tr_rate_page *page)
{
    return offsetof(tr_rate_page, rows) + page->count * sizeof *page->rows;
}

/* ------------------------------------------------------------------ what was seen */

_Static_assert(sizeof(tr_seen_page) <= sizeof(((tr_event *)0)->body), "a page is one event");

void tr__seen_page(tr_transport *const *transports, uint32_t count, uint32_t from, uint64_t now_us, tr_seen_page *page)
{
    page->count = page->next = 0;
    uint32_t row = 0;
    for (uint32_t i = 0; i < count; i++) {
        const tr_transport *t = transports[i];
        for (uint32_t k = 0; t && k < t->sender_count; k++, row++) {
            if (row < from) continue;
            if (page->count == TR_MAX_SEEN) {
                page->next = row;
                return;
            }
            tr__sender_seen(t->senders[k], now_us, &page->rows[page->count++]);
        }
    }
}

size_t tr__seen_size(const tr_seen_page *page)
{
    return offsetof(tr_seen_page, rows) + page->count * sizeof *page->rows;
}
