/* clock: see clock.h. Touches only the clock it is given. Worker thread. */
#include "clock.h"

/* Clocks drift 50 ppm or so: half a millisecond in this time. Several reports fall into it, one of which hardly waited.
 */
#define WINDOW_US 10000000
/* No report waits this long on a line that still carries a call: their clock was set, and the old offset is void. */
#define STEP_US 5000000

void tr__clock_init(tr_clock *clock) { *clock = (tr_clock){0}; }

static void begin_window(tr_clock *clock, int64_t sample_us, uint64_t now_us)
{
    clock->candidate_us = sample_us;
    clock->window_us = now_us;
}

void tr__clock_on_report(tr_clock *clock, uint64_t their_ntp, uint64_t our_ntp, uint64_t now_us)
{
    int64_t sample_us = (int64_t)(tr__ntp_to_us(our_ntp) - tr__ntp_to_us(their_ntp));
    if (!clock->has_offset || sample_us < clock->offset_us - STEP_US || sample_us > clock->offset_us + STEP_US) {
        clock->has_offset = true;
        clock->offset_us = sample_us;
        begin_window(clock, sample_us, now_us);
        return;
    }
    if (sample_us < clock->candidate_us) clock->candidate_us = sample_us;
    if (sample_us < clock->offset_us) clock->offset_us = sample_us;
    if (now_us - clock->window_us < WINDOW_US) return;
    /* Upwards only once a whole window has seen nothing lower: that is drift, or a longer way, not one late report. */
    clock->offset_us = clock->candidate_us;
    begin_window(clock, sample_us, now_us);
}
