/* nack: see nack.h. Touches only the list it is given. Worker thread. */
#include "nack.h"

#include <string.h>

/* The network reorders within a few milliseconds, and neighbours of one receive pass come out of order for free:
 * waiting this long before the first request costs less than asking for what is on its way. On a short path half
 * the round trip is wait enough. Where packets are seen to come later than that, the wait follows them, as far as a
 * player's jitter buffer will bear. */
#define FIRST_WAIT_US 5000
#define MAX_FIRST_WAIT_US 20000
/* With each new gap the memory of reordering fades by this part: gone after some ten seconds on a line that loses 2 %.
 */
#define REORDER_FADE 32
/* Until a request was answered: the longest usual way within a continent, as browsers assume too. */
#define DEFAULT_RTT_US 100000
/* A request is repeated after 1.5 RTT, but never sooner than an answer can pass through a pacer. */
#define MIN_REPEAT_US 20000

static uint64_t rtt(const tr_nack *nack) { return nack->rtt_us ? nack->rtt_us : DEFAULT_RTT_US; }

static uint64_t first_wait(const tr_nack *nack)
{
    uint64_t wait_us = rtt(nack) / 2 < FIRST_WAIT_US ? rtt(nack) / 2 : FIRST_WAIT_US;
    return nack->reorder_us > wait_us ? nack->reorder_us : wait_us;
}

static uint64_t repeat_wait(const tr_nack *nack)
{
    uint64_t wait_us = rtt(nack) + rtt(nack) / 2;
    return wait_us > MIN_REPEAT_US ? wait_us : MIN_REPEAT_US;
}

void tr__nack_init(tr_nack *nack, tr_nack_missing *missing, uint32_t capacity)
{
    *nack = (tr_nack){.missing = missing, .capacity = capacity, .at_us = UINT64_MAX};
}

void tr__nack_restart(tr_nack *nack) { tr__nack_init(nack, nack->missing, nack->capacity); }

static void remove_run(tr_nack *nack, uint32_t i, uint32_t count)
{
    nack->count -= count;
    memmove(&nack->missing[i], &nack->missing[i + count], (nack->count - i) * sizeof *nack->missing);
    if (!nack->count) nack->at_us = UINT64_MAX;
}

/* The numbers from `first` up to `end` are missing. Where there is no room for all, the oldest give way, at one go: a
 * peer that leaves gap after gap must not cost a move for each number. */
static void append(tr_nack *nack, uint64_t first, uint64_t end, uint64_t now_us)
{
    if (end - first > nack->capacity) {
        nack->given_up += end - first - nack->capacity;
        first = end - nack->capacity;
    }
    uint32_t room = nack->capacity - (uint32_t)(end - first);
    if (nack->count > room) {
        nack->given_up += nack->count - room;
        remove_run(nack, 0, nack->count - room);
    }
    uint64_t next_us = now_us + first_wait(nack);
    for (; first < end; first++)
        nack->missing[nack->count++] = (tr_nack_missing){.index = first, .next_us = next_us, .noticed_us = now_us};
    if (next_us < nack->at_us) nack->at_us = next_us;
}

/* Is what came now the answer to a request, or the first copy, late? Under RTX that is known. Without it, what comes
 * sooner after the request than half a round trip cannot be an answer. */
static bool is_answer(const tr_nack *nack, const tr_nack_missing *missing, bool is_rtx, uint64_t now_us)
{
    if (is_rtx || !missing->requests || nack->has_rtx) return is_rtx;
    return missing->requests > 1 || now_us - missing->first_us >= rtt(nack) / 2;
}

/* A request that was repeated has two possible arrivals to measure from (Karn): its sample counts only while there is
 * no other. */
static void measure(tr_nack *nack, const tr_nack_missing *missing, uint64_t now_us)
{
    if (!missing->requests || (missing->requests > 1 && nack->rtt_us)) return;
    uint64_t sample_us = now_us - missing->first_us;
    if (!sample_us) sample_us = 1;
    nack->rtt_us = nack->rtt_us ? (7 * nack->rtt_us + sample_us) / 8 : sample_us;
}

static bool recover(tr_nack *nack, uint64_t index, bool is_rtx, uint64_t now_us)
{
    uint32_t low = 0, high = nack->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (nack->missing[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == nack->count || nack->missing[low].index != index) return false;
    const tr_nack_missing *missing = &nack->missing[low];
    if (is_answer(nack, missing, is_rtx, now_us)) {
        nack->repaired++;
        measure(nack, missing, now_us);
    } else {
        uint64_t late_us = now_us - missing->noticed_us;
        if (late_us > MAX_FIRST_WAIT_US) late_us = MAX_FIRST_WAIT_US;
        if (late_us > nack->reorder_us) nack->reorder_us = late_us;
    }
    nack->has_rtx |= is_rtx;
    remove_run(nack, low, 1);
    return true;
}

tr_nack_verdict tr__nack_on_packet(tr_nack *nack, uint64_t index, bool is_rtx, uint64_t now_us)
{
    if (!nack->has_highest) {
        nack->has_highest = true;
        nack->highest = index;
        return TR_NACK_NEW;
    }
    if (index <= nack->highest)
        return index != nack->highest && recover(nack, index, is_rtx, now_us) ? TR_NACK_RECOVERED
                                                                              : TR_NACK_DUPLICATE_OR_OLD;
    uint64_t gap = index - nack->highest - 1;
    if (gap > TR_NACK_MAX_GAP) {
        nack->given_up += nack->count;
        nack->count = 0;
        nack->at_us = UINT64_MAX;
        nack->highest = index;
        return TR_NACK_RESET;
    }
    if (gap) {
        nack->reorder_us -= nack->reorder_us / REORDER_FADE;
        append(nack, nack->highest + 1, index, now_us);
    }
    nack->highest = index;
    return TR_NACK_NEW;
}

uint64_t tr__nack_at(const tr_nack *nack) { return nack->at_us; }

size_t tr__nack_next(tr_nack *nack, uint64_t now_us, uint16_t *seqs, size_t max)
{
    if (now_us < nack->at_us) return 0;
    size_t written = 0;
    uint32_t kept = 0;
    nack->at_us = UINT64_MAX;
    for (uint32_t i = 0; i < nack->count; i++) {
        tr_nack_missing missing = nack->missing[i];
        if (missing.next_us <= now_us) {
            if (missing.requests == TR_NACK_MAX_REQUESTS) {
                nack->given_up++;
                continue;
            }
            if (written < max) {
                seqs[written++] = (uint16_t)missing.index;
                if (!missing.requests) missing.first_us = now_us;
                missing.requests++;
                missing.next_us = now_us + repeat_wait(nack);
            }
        }
        if (missing.next_us < nack->at_us) nack->at_us = missing.next_us;
        nack->missing[kept++] = missing;
    }
    nack->count = kept;
    nack->requested += written;
    return written;
}
