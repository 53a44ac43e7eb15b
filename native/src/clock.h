/* clock: how one participant's clock stands to ours, from its sender reports: one offset for all its streams, so that
 * lips and sound move together (RFC 3550 section 6.4.1).
 * Pure. Worker thread. Our NTP time is an argument like any other. */
#ifndef TR_CLOCK_H
#define TR_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tr_clock {
    int64_t offset_us; /* ours minus theirs, the least seen lately: the report that waited least */
    bool has_offset;
    int64_t candidate_us; /* least of the window that is being collected */
    uint64_t window_us;   /* when that window began */
} tr_clock;

void tr__clock_init(tr_clock *clock);
void tr__clock_on_report(tr_clock *clock, uint64_t their_ntp, uint64_t our_ntp, uint64_t now_us);

/* NTP 32.32 to microseconds since 1900 and back. */
static inline uint64_t tr__ntp_to_us(uint64_t ntp)
{
    return (ntp >> 32) * 1000000u + (((ntp & 0xffffffffu) * 1000000u) >> 32);
}
static inline uint64_t tr__ntp_from_us(uint64_t us)
{
    return (us / 1000000u) << 32 | (((us % 1000000u) << 32) / 1000000u);
}

#endif
