/* account: see account.h. Touches only what it is given. Engine thread. */
#include "account.h"

#include <string.h>

static bool is_seen(const tl_account *account, uint64_t counter)
{
    uint64_t bit = counter % TL_ACCOUNT_WINDOW;
    return account->seen[bit / 64] >> (bit % 64) & 1;
}

static void set_seen(tl_account *account, uint64_t counter, bool seen)
{
    uint64_t bit = counter % TL_ACCOUNT_WINDOW, mask = 1ull << (bit % 64);
    if (seen)
        account->seen[bit / 64] |= mask;
    else
        account->seen[bit / 64] &= ~mask;
}

/* The window ends at `counter` from now on; what is passed over has not been seen. */
static void advance(tl_account *account, uint64_t counter)
{
    if (counter - account->highest >= TL_ACCOUNT_WINDOW)
        memset(account->seen, 0, sizeof account->seen);
    else
        for (uint64_t i = account->highest + 1; i < counter; i++) set_seen(account, i, false);
    account->highest = counter;
    set_seen(account, counter, true);
}

void tl__account_init(tl_account *account) { memset(account, 0, sizeof *account); }

tl_arrival tl__account_on_packet(tl_account *account, uint64_t counter)
{
    if (!account->has_any) {
        account->has_any = true;
        account->base = account->highest = counter;
        set_seen(account, counter, true);
        account->tally.received++;
        return TL_ARRIVAL_NEW;
    }
    if (counter > account->highest) {
        if (account->is_parked) account->tally.skipped += counter - account->highest - 1;
        account->is_parked = false;
        advance(account, counter);
        account->tally.received++;
        return TL_ARRIVAL_NEW;
    }
    if (counter < account->base) {
        if (account->base - counter > TL_ACCOUNT_EARLY || account->highest - counter >= TL_ACCOUNT_WINDOW)
            return TL_ARRIVAL_UNEXPECTED;
        account->base = counter; /* those between are expected now, and not seen: their bits are zero */
    } else if (account->highest - counter >= TL_ACCOUNT_WINDOW) {
        account->tally.stale++;
        return TL_ARRIVAL_STALE;
    } else if (is_seen(account, counter)) {
        return TL_ARRIVAL_DUPLICATE;
    }
    set_seen(account, counter, true);
    account->tally.received++;
    return TL_ARRIVAL_LATE;
}

void tl__account_park(tl_account *account) { account->is_parked = account->has_any; }

tl_tally tl__account_settle(const tl_account *account, const tl_source *source, uint64_t now_ns, uint64_t flight_ns)
{
    tl_tally tally = account->tally;
    if (!account->has_any) return tally;
    uint64_t end = account->is_parked ? account->highest + 1 : source->next;
    /* A packet skipped over may come after all, late, as a resend: then it was sent to us. */
    uint64_t span = end - account->base;
    tally.sent = span > tally.skipped ? span - tally.skipped : 0;
    if (tally.sent < tally.received) tally.sent = tally.received;
    uint64_t settled = now_ns > flight_ns ? tl__source_before(source, now_ns - flight_ns) : 0;
    if (settled < account->highest + 1) settled = account->highest + 1;
    tally.in_flight = end > settled ? end - settled : 0;
    if (tally.in_flight > tally.sent - tally.received) tally.in_flight = tally.sent - tally.received;
    tally.lost = tally.sent - tally.received - tally.in_flight;
    return tally;
}

void tl__tally_add(tl_tally *sum, const tl_tally *tally)
{
    uint64_t max_us = sum->latency_max_us > tally->latency_max_us ? sum->latency_max_us : tally->latency_max_us;
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)tally;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += from[i];
    sum->latency_max_us = max_us;
}
