/* twcc: see twcc.h. Touches only the window it is given. Worker thread.
 *
 * One feedback covers the packets from base to the highest that arrived: a chunk list says which of them did, then
 * follows a delta for each that did, in ticks since the one before (draft, section 3.1). */
#include "twcc.h"

#include "seq.h"

#define TICK_US (uint32_t) TR_TWCC_TICK_US
#define REFERENCE_TICKS 256u /* the reference time counts 64 ms */
#define HEADER_SIZE 20u      /* RTCP header, two SSRCs, base, count, reference time, feedback count */
#define CHUNK_SIZE 2u
#define VECTOR_SYMBOLS 7u /* two-bit symbols in one vector chunk */
#define MAX_RUN 8191u     /* 13 bits of a run-length chunk */
#define MAX_PADDING 3u

#define BIT_SYMBOLS 14u /* one-bit symbols in one vector chunk */

typedef enum symbol { NOT_RECEIVED = 0, SMALL_DELTA = 1, LARGE_DELTA = 2, RESERVED = 3 } symbol;

/* What one feedback is going to say. Statuses are kept apart, because a chunk is chosen by what follows. */
typedef struct plan {
    uint32_t count;     /* statuses */
    uint32_t reference; /* in units of 64 ms, 24 bits */
    uint8_t symbols[TR_TWCC_WINDOW];
} plan;

static uint32_t *slot(tr_twcc *twcc, uint64_t index) { return &twcc->arrivals[index % TR_TWCC_WINDOW]; }

void tr__twcc_init(tr_twcc *twcc)
{
    memset(twcc, 0, sizeof *twcc);
    twcc->due_us = UINT64_MAX;
}

/* The window moves on to index: what it now covers anew has not arrived. */
static void advance(tr_twcc *twcc, uint64_t index)
{
    if (index - twcc->highest >= TR_TWCC_WINDOW)
        memset(twcc->arrivals, 0, sizeof twcc->arrivals);
    else
        for (uint64_t i = twcc->highest + 1; i <= index; i++) *slot(twcc, i) = 0;
    twcc->highest = index;
    if (twcc->base + TR_TWCC_WINDOW <= index) twcc->base = index - TR_TWCC_WINDOW + 1;
}

void tr__twcc_on_packet(tr_twcc *twcc, uint16_t seq, uint64_t arrival_us, uint64_t now_us)
{
    uint64_t index;
    if (!twcc->has_any) {
        /* One cycle up, so that packets before the first one have a number too. */
        index = 65536u + (uint64_t)seq;
        twcc->has_any = true;
        twcc->base = twcc->highest = index;
    } else {
        index = tr__seq_unwrap(twcc->highest, seq);
        if (index > twcc->highest)
            advance(twcc, index);
        else if (twcc->highest - index >= TR_TWCC_WINDOW)
            return;
        else if (*slot(twcc, index))
            return; /* the first arrival counts */
        /* It was reported missing, or came before the first: the draft lets a later feedback correct that. */
        if (index < twcc->base) twcc->base = index;
    }
    /* 2^32 ticks are as much as the 24 bits of a reference time hold: all that is said of a time is in them. */
    uint32_t ticks = (uint32_t)(arrival_us / TICK_US);
    *slot(twcc, index) = ticks ? ticks : 1;
    if (!twcc->pending++) twcc->due_us = now_us + (twcc->is_thin ? TR_TWCC_THIN_INTERVAL_US : TR_TWCC_INTERVAL_US);
    if (twcc->is_thin && twcc->pending > TR_TWCC_THIN_PACKETS) {
        twcc->is_thin = false;
        twcc->due_us = now_us;
    }
    /* Long before the window would slide over what is not reported. */
    if (twcc->highest - twcc->base >= TR_TWCC_WINDOW / 2 && now_us < twcc->due_us) twcc->due_us = now_us;
}

uint64_t tr__twcc_at(const tr_twcc *twcc) { return twcc->due_us; }

/* As many statuses as fit: each chunk covers VECTOR_SYMBOLS at least, but for the run of lost ones that may lead. */
static void make_plan(plan *p, tr_twcc *twcc, size_t room)
{
    uint64_t first = twcc->base;
    while (!*slot(twcc, first)) first++; /* highest did arrive */
    p->reference = *slot(twcc, first) / REFERENCE_TICKS;
    uint32_t at_ticks = p->reference * REFERENCE_TICKS;
    size_t lead = (size_t)(first - twcc->base), deltas = 0;
    size_t led = lead >= VECTOR_SYMBOLS ? lead : 0;
    p->count = 0;
    for (uint64_t index = twcc->base; index <= twcc->highest; index++) {
        uint32_t arrival = *slot(twcc, index);
        symbol s = NOT_RECEIVED;
        if (arrival) {
            int32_t delta = (int32_t)(arrival - at_ticks);
            /* More than 8 s apart: a feedback of its own, with its own reference time. */
            if (delta > INT16_MAX || delta < INT16_MIN) return;
            s = delta >= 0 && delta <= UINT8_MAX ? SMALL_DELTA : LARGE_DELTA;
            at_ticks = arrival;
        }
        size_t covered = p->count + 1 - (led && index >= first ? led : 0);
        size_t chunks = led && index < first ? 1 : (led ? 1 : 0) + (covered + VECTOR_SYMBOLS - 1) / VECTOR_SYMBOLS;
        if (HEADER_SIZE + chunks * CHUNK_SIZE + deltas + (size_t)s + MAX_PADDING > room) return;
        deltas += (size_t)s; /* a symbol's value is the size of its delta */
        p->symbols[p->count++] = (uint8_t)s;
    }
}

static void put_chunks(tr_pen *pen, const plan *p)
{
    uint32_t i = 0;
    while (i < p->count) {
        uint32_t run = 1;
        while (i + run < p->count && run < MAX_RUN && p->symbols[i + run] == p->symbols[i]) run++;
        if (run >= VECTOR_SYMBOLS || i + run == p->count) {
            tr__put16(pen, (uint16_t)((uint32_t)p->symbols[i] << 13 | run));
            i += run;
            continue;
        }
        uint32_t chunk = 0xc000; /* status vector, two-bit symbols; past the end: not received */
        for (uint32_t k = 0; k < VECTOR_SYMBOLS && i < p->count; k++, i++)
            chunk |= (uint32_t)p->symbols[i] << (12 - 2 * k);
        tr__put16(pen, (uint16_t)chunk);
    }
}

static void put_deltas(tr_pen *pen, const plan *p, tr_twcc *twcc)
{
    uint32_t at_ticks = p->reference * REFERENCE_TICKS;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->symbols[i] == NOT_RECEIVED) continue;
        uint32_t ticks = *slot(twcc, twcc->base + i);
        if (p->symbols[i] == SMALL_DELTA)
            tr__put8(pen, (uint8_t)(ticks - at_ticks));
        else
            tr__put16(pen, (uint16_t)(ticks - at_ticks));
        at_ticks = ticks;
    }
}

bool tr__twcc_put_feedback(tr_twcc *twcc, tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, uint64_t now_us)
{
    if (!twcc->pending) {
        twcc->due_us = UINT64_MAX;
        return false;
    }
    plan p;
    make_plan(&p, twcc, pen->failed ? 0 : (size_t)(pen->end - pen->at));
    bool has_arrival = false;
    for (uint32_t i = 0; i < p.count; i++) has_arrival |= p.symbols[i] != NOT_RECEIVED;
    if (!has_arrival) return false; /* no room for a single packet */

    uint8_t *begin = tr__put(pen, 4);
    tr__put32(pen, sender_ssrc);
    tr__put32(pen, media_ssrc);
    tr__put16(pen, (uint16_t)twcc->base);
    tr__put16(pen, (uint16_t)p.count);
    tr__put24(pen, p.reference);
    tr__put8(pen, twcc->feedback_count++);
    put_chunks(pen, &p);
    put_deltas(pen, &p, twcc);
    while ((pen->at - begin) % 4) tr__put8(pen, 0); /* zero padding, as the draft draws it: not RTCP's P bit */
    begin[0] = 0x80 | TR_RTPFB_TWCC;
    begin[1] = TR_RTCP_RTPFB;
    tr__store16(begin + 2, (uint16_t)((pen->at - begin) / 4 - 1));

    uint32_t few = twcc->is_thin ? TR_TWCC_THIN_PACKETS
                                 : (uint32_t)TR_TWCC_THIN_PACKETS * TR_TWCC_INTERVAL_US / TR_TWCC_THIN_INTERVAL_US;
    twcc->is_thin = twcc->pending <= few;
    twcc->base += p.count;
    twcc->pending = 0;
    for (uint64_t i = twcc->base; i <= twcc->highest; i++) twcc->pending += *slot(twcc, i) != 0;
    twcc->due_us = twcc->pending ? now_us : UINT64_MAX;
    return true;
}

/* ------------------------------------------------------------------ a subscriber's feedback, read */

static bool is_run(uint16_t chunk) { return !(chunk & 0x8000); }

static uint32_t symbols_in(uint16_t chunk)
{
    return is_run(chunk) ? chunk & MAX_RUN : chunk & 0x4000 ? VECTOR_SYMBOLS : BIT_SYMBOLS;
}

static symbol symbol_of(uint16_t chunk, uint32_t i)
{
    if (is_run(chunk)) return (symbol)(chunk >> 13 & 3);
    return (symbol)(chunk & 0x4000 ? chunk >> (12 - 2 * i) & 3 : chunk >> (13 - i) & 1);
}

/* The bytes of the deltas that a chunk speaks of; SIZE_MAX: it is malformed. */
static size_t deltas_of(uint16_t chunk, uint32_t count)
{
    size_t bytes = 0;
    if (is_run(chunk)) return symbol_of(chunk, 0) == RESERVED ? SIZE_MAX : (size_t)symbol_of(chunk, 0) * count;
    for (uint32_t i = 0; i < count; i++) {
        symbol s = symbol_of(chunk, i);
        if (s == RESERVED) return SIZE_MAX;
        bytes += (size_t)s;
    }
    return bytes;
}

bool tr__twcc_read(tr_twcc_reader *reader, const tr_rtcp_part *part)
{
    if (part->type != TR_RTCP_RTPFB || part->count != TR_RTPFB_TWCC || part->size < 16) return false;
    tr_cursor c = tr__cursor(part->body + 8, part->size - 8);
    *reader = (tr_twcc_reader){.base = tr__take16(&c), .count = tr__take16(&c)};
    reader->reference = tr__take24(&c);
    reader->feedback_count = tr__take8(&c);
    if (!reader->count) return false;
    reader->chunks = c;
    size_t deltas = 0;
    for (uint32_t left = reader->count; left;) {
        uint16_t chunk = tr__take16(&c);
        /* The last one may say more than there is: a vector cannot help it, and libwebrtc reads a run so, too. */
        uint32_t covered = symbols_in(chunk) < left ? symbols_in(chunk) : left;
        size_t bytes = deltas_of(chunk, covered);
        if (!covered || bytes == SIZE_MAX) return false;
        deltas += bytes;
        left -= covered;
    }
    if (tr__cursor_left(&c) < deltas || tr__cursor_left(&c) - deltas > MAX_PADDING) return false;
    reader->deltas = c;
    return tr__cursor_ok(&c);
}

bool tr__twcc_next(tr_twcc_reader *r, tr_twcc_status *status)
{
    if (r->at == r->count) return false;
    if (!r->left_in_chunk) {
        r->chunk = tr__take16(&r->chunks);
        r->left_in_chunk = symbols_in(r->chunk);
        r->in_chunk = 0;
        if (r->left_in_chunk > r->count - r->at) r->left_in_chunk = r->count - r->at;
    }
    symbol s = symbol_of(r->chunk, r->in_chunk);
    *status = (tr_twcc_status){.from = r->at, .count = 1, .is_received = s != NOT_RECEIVED};
    if (s == NOT_RECEIVED && is_run(r->chunk)) status->count = r->left_in_chunk;
    if (s == SMALL_DELTA) r->ticks += tr__take8(&r->deltas);
    if (s == LARGE_DELTA) r->ticks += (int16_t)tr__take16(&r->deltas);
    status->ticks = r->ticks;
    r->at += status->count;
    r->in_chunk += status->count;
    r->left_in_chunk -= status->count;
    return true;
}
