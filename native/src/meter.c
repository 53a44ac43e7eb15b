/* meter: see meter.h. Touches only the value it is given. Worker thread. */
#include "meter.h"

#include <string.h>

#define LAYERS (TR_MAX_SPATIAL * TR_MAX_TEMPORAL)
#define UNIT 64u
#define SECOND (1000000u / TR_METER_QUARTER_US)
/* One quarter in so many may be above the peak, and one of fewer: a stream begins with a keyframe. */
#define PEAK_IN 10u
#define MAX_ABOVE (TR_METER_QUARTERS / PEAK_IN)

static uint16_t units(uint32_t bytes)
{
    uint32_t n = (bytes + UNIT - 1) / UNIT;
    return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

/* Quarters that have ended since the present one began. */
static uint64_t ended(const tr_meter *meter, uint64_t now_us)
{
    if (!meter->quarter_at_us || now_us < meter->quarter_at_us) return 0;
    return (now_us - meter->quarter_at_us) / TR_METER_QUARTER_US;
}

void tr__meter_turn(tr_meter *meter, uint64_t now_us)
{
    if (!meter->quarter_at_us) {
        meter->quarter_at_us = now_us;
        return;
    }
    uint64_t count = ended(meter, now_us);
    for (uint64_t i = 0; i < count && i <= TR_METER_QUARTERS; i++) {
        for (uint32_t k = 0; k < LAYERS; k++) meter->past[meter->at][k] = units(meter->bytes[k]);
        meter->at = (meter->at + 1) % TR_METER_QUARTERS;
        if (meter->kept < TR_METER_QUARTERS) meter->kept++;
        memset(meter->bytes, 0, sizeof meter->bytes);
    }
    meter->quarter_at_us += count * TR_METER_QUARTER_US;
}

/* The value as it will be when a packet comes now: reading does not change it. */
static tr_meter turned(const tr_meter *meter, uint64_t now_us)
{
    tr_meter now = *meter;
    if (now.quarter_at_us) tr__meter_turn(&now, now_us);
    return now;
}

void tr__meter_count(const tr_meter *meter, uint64_t now_us, uint8_t *spatial, uint8_t *temporal)
{
    tr_meter now = turned(meter, now_us);
    *spatial = *temporal = 0;
    for (uint32_t k = 0; k < LAYERS; k++) {
        uint32_t sum = now.bytes[k];
        for (uint32_t i = 0; i < TR_METER_QUARTERS; i++) sum += now.past[i][k];
        if (!sum) continue;
        uint8_t s = (uint8_t)(k / TR_MAX_TEMPORAL + 1), t = (uint8_t)(k % TR_MAX_TEMPORAL + 1);
        if (s > *spatial) *spatial = s;
        if (t > *temporal) *temporal = t;
    }
}

static uint32_t bits_a_second(uint64_t sum_units, uint32_t quarters)
{
    uint64_t bps = quarters ? sum_units * UNIT * 8 * 1000000 / ((uint64_t)quarters * TR_METER_QUARTER_US) : 0;
    return bps < UINT32_MAX ? (uint32_t)bps : UINT32_MAX;
}

static void tell_layer(const tr_meter *now, uint32_t spatial, uint32_t temporal, tr_layer_rate *out)
{
    uint32_t highest[MAX_ABOVE + 1] = {0}; /* descending */
    uint32_t recent = now->kept < SECOND ? now->kept : SECOND;
    uint64_t second = 0;
    for (uint32_t back = 1; back <= now->kept; back++) {
        const uint16_t *quarter = now->past[(now->at + TR_METER_QUARTERS - back) % TR_METER_QUARTERS];
        uint32_t sum = 0;
        for (uint32_t s = 0; s <= spatial; s++)
            for (uint32_t t = 0; t <= temporal; t++) sum += quarter[s * TR_MAX_TEMPORAL + t];
        if (back <= recent) second += sum;
        for (uint32_t i = 0; i <= MAX_ABOVE; i++) {
            if (sum <= highest[i]) continue;
            uint32_t lower = highest[i];
            highest[i] = sum;
            sum = lower;
        }
    }
    /* Of a whole second from the first quarter on: in that is a keyframe, which is no rate. */
    out->rate_bps = bits_a_second(second, SECOND);
    out->peak_bps = bits_a_second(highest[(now->kept + PEAK_IN - 1) / PEAK_IN], 1);
}

void tr__meter_tell(const tr_meter *meter, uint64_t now_us, tr_layer_rate out[TR_MAX_SPATIAL][TR_MAX_TEMPORAL])
{
    tr_meter now = turned(meter, now_us);
    for (uint32_t s = 0; s < TR_MAX_SPATIAL; s++)
        for (uint32_t t = 0; t < TR_MAX_TEMPORAL; t++) tell_layer(&now, s, t, &out[s][t]);
}
