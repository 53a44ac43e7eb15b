/* estimator: what it makes of a line, and what hostile feedback cannot make it do. */
#include "check.h"
#include "estimator.h"

#include <stddef.h>
#include <stdlib.h>

#define SECOND 1000000
#define SIZE 1200u

/* A line of one rate with a queue: packets leave at the estimator's pace, feedback comes each 100 ms. */
typedef struct line {
    tr_estimator *e;
    double bps, media_bps; /* of the line; of the source, 0: as much as the target */
    int64_t delay_us, now_us, seq, free_us;
    int64_t next_us, tick_us, report_us, report_from;
    int64_t received_us[1 << 16];
    uint32_t lost_of_100;
    uint64_t random;
    uint64_t sent_bytes;
    int64_t longest_us;
    bool is_mute;
    int64_t clock_us; /* by which the receiver's is ahead */
} line;

static line *line_new(double bps)
{
    line *l = calloc(1, sizeof *l);
    l->e = tr_estimator_new(300000, 50000, 4000000);
    l->bps = bps;
    l->delay_us = 40000;
    l->random = 7;
    l->now_us = l->next_us = l->free_us = SECOND;
    l->report_us = l->tick_us = SECOND;
    return l;
}

static void line_free(line *l)
{
    tr_estimator_free(l->e);
    free(l);
}

static tr_rates rates_of(const tr_estimator *e)
{
    tr_rates rates;
    tr_estimator_rates(e, &rates);
    return rates;
}

static void send_one(line *l)
{
    if (l->free_us < l->now_us) l->free_us = l->now_us;
    if (l->free_us - l->now_us > l->longest_us) l->longest_us = l->free_us - l->now_us;
    l->free_us += (int64_t)(SIZE * 8e6 / l->bps);
    bool is_lost = check_random(&l->random) % 100 < l->lost_of_100;
    l->received_us[l->seq & 65535] = is_lost ? TR_NOT_RECEIVED : l->free_us + l->delay_us;
    tr_estimator_on_packet_sent(l->e, l->now_us, l->seq++, SIZE, TR_NO_PROBE);
    l->sent_bytes += SIZE;
}

static void report(line *l)
{
    static tr_arrival arrivals[4096];
    size_t count = 0;
    int64_t last = l->report_from;
    for (int64_t seq = l->report_from; seq < l->seq && count < 4096; seq++) {
        int64_t at = l->received_us[seq & 65535];
        if (at != TR_NOT_RECEIVED && at + l->delay_us > l->now_us) break;
        arrivals[count++] = (tr_arrival){seq, at == TR_NOT_RECEIVED ? at : (at + l->clock_us) / 250 * 250};
        last = seq + 1;
    }
    l->report_from = last;
    if (count && !l->is_mute) tr_estimator_on_feedback(l->e, l->now_us, arrivals, count);
}

static void run(line *l, int64_t for_us)
{
    for (int64_t end_us = l->now_us + for_us; l->now_us < end_us; l->now_us += 1000) {
        if (l->now_us >= l->report_us) {
            report(l);
            l->report_us += 100000;
        }
        if (l->now_us >= l->tick_us) {
            tr_estimator_on_time(l->e, l->now_us, 0);
            l->tick_us += 25000;
        }
        while (l->now_us >= l->next_us) {
            send_one(l);
            tr_rates rates = rates_of(l->e);
            double bps = l->media_bps > 0 ? l->media_bps : (double)rates.target_bps;
            if (bps > (double)rates.pacing_bps) bps = (double)rates.pacing_bps;
            l->next_us += (int64_t)(SIZE * 8e6 / bps);
        }
    }
}

static uint64_t target_of(const line *l) { return rates_of(l->e).target_bps; }

/* ---------------------------------------------------------------- lines */

static void it_finds_the_rate_of_a_line(void)
{
    static const double rows[] = {400e3, 1e6, 2e6, 3.5e6};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = line_new(rows[i]);
        run(l, 20 * SECOND);
        CHECK(target_of(l) > 0.85 * rows[i]);
        CHECK(target_of(l) < 1.15 * rows[i]);
        l->longest_us = 0;
        run(l, 10 * SECOND);
        CHECK(l->longest_us < 100000);
        line_free(l);
    }
}

static void it_leaves_when_the_line_narrows_and_comes_back(void)
{
    line *l = line_new(2e6);
    run(l, 20 * SECOND);
    l->bps = 500e3;
    run(l, 2 * SECOND);
    CHECK(target_of(l) < 520e3);
    run(l, 3 * SECOND);
    CHECK(l->free_us - l->now_us < 50000);
    l->bps = 2e6;
    run(l, 6 * SECOND);
    CHECK(target_of(l) > 1.7e6);
    line_free(l);
}

/* The feedback in which a line narrows has packets in it from before: to wait for the next one makes 2.3 s of queue. */
static void a_deep_drop_is_known_by_the_end_of_its_feedback(void)
{
    int64_t sum_us = 0;
    for (int64_t phase_us = 0; phase_us < 100000; phase_us += 20000) {
        line *l = line_new(3e6);
        run(l, 20 * SECOND + phase_us);
        l->bps = 300e3;
        l->longest_us = 0;
        run(l, SECOND);
        sum_us += l->longest_us;
        line_free(l);
    }
    CHECK(sum_us / 5 < 2 * SECOND);
}

static void loss_of_the_line_itself_is_no_congestion(void)
{
    line *l = line_new(2e6);
    l->lost_of_100 = 10;
    run(l, 30 * SECOND);
    CHECK(target_of(l) > 1.7e6);
    CHECK(target_of(l) < 2.3e6);
    line_free(l);
}

static void silence_leaves_a_trickle(void)
{
    line *l = line_new(1e6);
    run(l, 10 * SECOND);
    l->is_mute = true;
    run(l, SECOND);
    CHECK_EQ(40000, target_of(l));
    l->is_mute = false;
    run(l, 4 * SECOND);
    CHECK(target_of(l) > 0.7e6);
    line_free(l);
}

static void what_is_not_used_does_not_grow(void)
{
    line *l = line_new(10e6);
    l->media_bps = 200e3;
    run(l, 60 * SECOND);
    CHECK(target_of(l) <= 340e3); /* half as much again, and one packet in half a second */
    line_free(l);
}

/* A line that was found wide, of which somebody sends little, as where his own line is bad. */
static line *line_with_room(double media_bps)
{
    line *l = line_new(4e6);
    tr_estimator_free(l->e);
    l->e = tr_estimator_new(3000000, 50000, 4000000);
    l->media_bps = media_bps;
    run(l, 5 * SECOND);
    return l;
}

static void a_wait_that_is_not_ours_takes_no_more_than_what_is_unused(void)
{
    static const int64_t waits_us[] = {70000, 100000, 150000};
    for (size_t i = 0; i < sizeof waits_us / sizeof *waits_us; i++) {
        line *l = line_with_room(300e3);
        CHECK(rates_of(l->e).estimate_bps > 2900000);
        for (int again = 0; again < 2; again++) {
            l->delay_us += waits_us[i];
            run(l, SECOND);
            CHECK(rates_of(l->e).estimate_bps > 500000);
            l->delay_us -= waits_us[i];
            run(l, 3 * SECOND);
            CHECK(rates_of(l->e).estimate_bps > 500000);
        }
        line_free(l);
    }
}

static void loss_of_little_takes_nothing_away_as_long_as_most_arrives(void)
{
    static const struct {
        uint32_t lost_of_100;
        bool is_kept;
    } rows[] = {{15, true}, {60, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = line_with_room(300e3);
        run(l, 20 * SECOND); /* of which nothing was lost: any loss is more than the line's own */
        double before = (double)rates_of(l->e).estimate_bps;
        l->lost_of_100 = rows[i].lost_of_100;
        run(l, 3 * SECOND);
        CHECK_EQ(rows[i].is_kept, (double)rates_of(l->e).estimate_bps >= before);
        line_free(l);
    }
}

static void a_line_that_breaks_down_is_seen_though_little_is_sent(void)
{
    line *l = line_with_room(300e3);
    l->bps = 100e3;
    l->longest_us = 0;
    run(l, SECOND);
    CHECK(rates_of(l->e).estimate_bps < 120000);
    CHECK(l->longest_us < 2 * SECOND);
    line_free(l);
    /* A little too narrow is seen by the queue it makes. */
    l = line_with_room(300e3);
    l->bps = 250e3;
    run(l, 2 * SECOND);
    CHECK(rates_of(l->e).estimate_bps < 260000);
    line_free(l);
}

static void the_same_calls_give_the_same_answers(void)
{
    line *a = line_new(1.3e6), *b = line_new(1.3e6);
    a->lost_of_100 = b->lost_of_100 = 3;
    for (int i = 0; i < 20; i++) {
        run(a, SECOND);
        run(b, SECOND);
        CHECK_EQ(target_of(a), target_of(b));
        CHECK_EQ(rates_of(a->e).pacing_bps, rates_of(b->e).pacing_bps);
    }
    line_free(a);
    line_free(b);
}

/* ---------------------------------------------------------------- hostile feedback */

static void numbers_that_were_never_sent_change_nothing(void)
{
    tr_estimator *e = tr_estimator_new(300000, 50000, 4000000);
    for (int64_t seq = 100; seq < 110; seq++) tr_estimator_on_packet_sent(e, seq * 1000, seq, SIZE, TR_NO_PROBE);
    tr_rates before = rates_of(e);
    static const int64_t rows[] = {-1, -65536, INT64_MIN, 0, 99, 110, 111, 65636, 100 + TR_SENT_MOST, INT64_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_arrival arrivals[] = {{rows[i], 200000}, {rows[i], TR_NOT_RECEIVED}};
        tr_estimator_on_feedback(e, 200000, arrivals, 2);
    }
    CHECK_EQ(2 * sizeof rows / sizeof *rows, e->unknown);
    tr_rates after = rates_of(e);
    CHECK_EQ(before.target_bps, after.target_bps);
    CHECK_EQ(before.pacing_bps, after.pacing_bps);
    CHECK_EQ(10 * SIZE, e->sent.flight_bytes);
    tr_estimator_free(e);
}

static void a_number_counts_once(void)
{
    tr_estimator *e = tr_estimator_new(300000, 50000, 4000000);
    for (int64_t seq = 0; seq < 10; seq++) tr_estimator_on_packet_sent(e, 1000 + seq * 1000, seq, SIZE, TR_NO_PROBE);
    tr_arrival lost = {3, TR_NOT_RECEIVED}, late = {3, 60000};
    tr_estimator_on_feedback(e, 100000, &lost, 1);
    CHECK_EQ(9 * SIZE, e->sent.flight_bytes);
    tr_estimator_on_feedback(e, 110000, &lost, 1);
    CHECK_EQ(1, e->repeated);
    tr_estimator_on_feedback(e, 120000, &late, 1); /* was only late */
    CHECK_EQ(1, e->repeated);
    tr_estimator_on_feedback(e, 130000, &late, 1);
    tr_estimator_on_feedback(e, 140000, &lost, 1);
    CHECK_EQ(3, e->repeated);
    CHECK_EQ(9 * SIZE, e->sent.flight_bytes);
    tr_estimator_free(e);
}

static void arrivals_that_are_told_too_close_prove_no_more_than_was_sent(void)
{
    tr_estimator *e = tr_estimator_new(300000, 50000, 4000000);
    tr_probe probe;
    CHECK(tr_estimator_next_probe(e, &probe) == 0);
    int64_t now_us = SECOND, seq = 0, received_us = 0;
    /* Two hundred kilobit a second leave, and all of it "arrives" within a microsecond. */
    for (int second = 0; second < 60; second++) {
        for (int report = 0; report < 10; report++) {
            tr_arrival arrivals[2];
            for (int i = 0; i < 2; i++) {
                now_us += 50000;
                tr_estimator_on_packet_sent(e, now_us, seq, SIZE, TR_NO_PROBE);
                arrivals[i] = (tr_arrival){seq++, ++received_us};
            }
            tr_estimator_on_feedback(e, now_us, arrivals, 2);
            tr_estimator_on_time(e, now_us, 0);
        }
    }
    CHECK(rates_of(e).target_bps <= 340000);
    tr_estimator_free(e);
}

static void a_lying_probe_proves_no_more_than_its_rate(void)
{
    tr_estimator *e = tr_estimator_new(300000, 50000, 40000000);
    tr_estimator_on_packet_sent(e, SECOND, 0, SIZE, TR_NO_PROBE);
    tr_probe probe;
    CHECK_EQ(1, tr_estimator_next_probe(e, &probe));
    CHECK_EQ(900000, probe.rate_bps);
    tr_arrival arrivals[8];
    for (int64_t i = 0; i < 8; i++) {
        int64_t sent_us = SECOND + i * (int64_t)(SIZE * 8e6 / 900e3);
        tr_estimator_on_packet_sent(e, sent_us, 1 + i, SIZE, probe.probe_id);
        arrivals[i] = (tr_arrival){1 + i, 5000 + i};
    }
    tr_estimator_on_feedback(e, SECOND + 200000, arrivals, 8);
    CHECK(rates_of(e).target_bps <= 900000);
    tr_estimator_free(e);
}

static void any_feedback_is_survived(void)
{
    uint64_t random = 11;
    for (int round = 0; round < 50; round++) {
        tr_estimator *e = tr_estimator_new(300000, 50000, 4000000);
        int64_t now_us = SECOND, seq = (int64_t)(check_random(&random) % 100000);
        for (int step = 0; step < 2000; step++) {
            now_us += (int64_t)(check_random(&random) % 20000);
            tr_estimator_on_packet_sent(e, now_us, seq, (uint32_t)(check_random(&random) % 70000),
                                        (int32_t)(check_random(&random) % 6) - 1);
            seq += 1 + (int64_t)(check_random(&random) % 2);
            tr_arrival arrivals[16];
            for (int i = 0; i < 16; i++) {
                uint64_t kind = check_random(&random) % 8;
                arrivals[i].seq = kind == 0   ? (int64_t)check_random(&random)
                                  : kind == 1 ? seq + 3
                                              : seq - (int64_t)(check_random(&random) % 40);
                kind = check_random(&random) % 8;
                arrivals[i].received_us = kind == 0   ? (int64_t)check_random(&random)
                                          : kind == 1 ? TR_NOT_RECEIVED
                                                      : now_us + (int64_t)(check_random(&random) % 100000);
            }
            if (check_random(&random) % 4 == 0) tr_estimator_on_feedback(e, now_us, arrivals, 16);
            if (check_random(&random) % 3 == 0) tr_estimator_on_time(e, now_us, check_random(&random) % 100000);
            if (check_random(&random) % 50 == 0)
                tr_estimator_on_demand(e, now_us, check_random(&random) % 2 ? 0 : 2000000);
            tr_probe probe;
            while (tr_estimator_next_probe(e, &probe)) CHECK(probe.rate_bps <= 8000000);
            tr_rates rates = rates_of(e);
            if (rates.target_bps > 4000000 || rates.target_bps < 40000 || rates.pacing_bps > 5000000 ||
                rates.pacing_bps < 40000)
                CHECK(!"a rate left its bounds");
        }
        tr_estimator_free(e);
    }
}

static void numbers_and_times_may_be_large(void)
{
    tr_estimator *e = tr_estimator_new(300000, 50000, 4000000);
    int64_t now_us = (int64_t)1 << 51, seq = ((int64_t)1 << 48) - 50; /* 70 years; past 2^48 packets */
    for (int i = 0; i < 100; i++, now_us += 10000, seq++) {
        tr_estimator_on_packet_sent(e, now_us, seq, SIZE, TR_NO_PROBE);
        tr_arrival arrival = {seq, 1000 + i * 10000};
        tr_estimator_on_feedback(e, now_us + 5000, &arrival, 1);
    }
    CHECK_EQ(0, e->unknown);
    CHECK_EQ(0, e->sent.flight_bytes);
    tr_estimator_free(e);
}

/* ---------------------------------------------------------------- without transport-wide feedback */

/* Media for that long, and a report and a REMB each second; rates of 0: none. */
static void run_told(tr_estimator *e, int64_t *now_us, int64_t *seq, int64_t for_us, uint64_t remb_bps, int lost_of_256,
                     int64_t rtt_us)
{
    for (int64_t end_us = *now_us + for_us; *now_us < end_us; *now_us += 5000) {
        double due = (double)rates_of(e).target_bps * 5000 / 8e6;
        if (due >= 1) tr_estimator_on_packet_sent(e, *now_us, (*seq)++, (uint32_t)due, TR_NO_PROBE);
        if (*now_us % 25000 == 0) tr_estimator_on_time(e, *now_us, 0);
        if (*now_us % SECOND) continue;
        if (remb_bps) tr__estimator_on_remb(e, *now_us, remb_bps);
        if (lost_of_256 >= 0) tr__estimator_on_report(e, *now_us, (uint8_t)lost_of_256, rtt_us);
    }
}

typedef struct told {
    tr_estimator *e;
    int64_t now_us, seq;
} told;

static told told_new(uint64_t start_bps)
{
    return (told){.e = tr_estimator_new(start_bps, 50000, 4000000), .now_us = SECOND + 500000};
}

static void reports_raise_the_rate_as_far_as_remb_lets_them(void)
{
    told t = told_new(300000);
    run_told(t.e, &t.now_us, &t.seq, 20 * SECOND, 0, 0, 50000);
    CHECK_EQ(TR_ESTIMATOR_TOLD, t.e->mode);
    CHECK(rates_of(t.e).target_bps > 900000);
    CHECK_EQ(0, t.e->sent.flight_bytes);
    run_told(t.e, &t.now_us, &t.seq, 2 * SECOND, 700000, 0, 50000);
    CHECK_EQ(700000, rates_of(t.e).target_bps);
    run_told(t.e, &t.now_us, &t.seq, 12 * SECOND, 0, 0, 50000); /* the bound is forgotten */
    CHECK(rates_of(t.e).target_bps > 900000);
    tr_estimator_free(t.e);
}

static void remb_alone_raises_nothing(void)
{
    told t = told_new(300000);
    run_told(t.e, &t.now_us, &t.seq, 20 * SECOND, 3000000, -1, 0);
    CHECK(rates_of(t.e).target_bps <= 300000);
    tr_estimator_free(t.e);
}

static void remb_beside_reports_that_are_well_raises_faster(void)
{
    told alone = told_new(300000), both = told_new(300000);
    run_told(alone.e, &alone.now_us, &alone.seq, 8 * SECOND, 0, 0, 50000);
    run_told(both.e, &both.now_us, &both.seq, 8 * SECOND, 3000000, 0, 50000);
    CHECK(rates_of(both.e).target_bps > 2 * rates_of(alone.e).target_bps);
    tr_estimator_free(alone.e);
    tr_estimator_free(both.e);
}

static void a_remb_that_is_no_rate_bounds_nothing(void)
{
    static const uint64_t rows[] = {0, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        told t = told_new(300000);
        run_told(t.e, &t.now_us, &t.seq, 3 * SECOND, 0, 0, 50000);
        tr_rates before = rates_of(t.e);
        tr__estimator_on_remb(t.e, t.now_us, rows[i]);
        CHECK_EQ(before.target_bps, rates_of(t.e).target_bps);
        CHECK_EQ(before.pacing_bps, rates_of(t.e).pacing_bps);
        tr__estimator_on_remb(t.e, t.now_us, 1); /* below the least rate */
        CHECK_EQ(50000, rates_of(t.e).target_bps);
        tr__estimator_on_remb(t.e, t.now_us, rows[i]);
        CHECK_EQ(before.target_bps, rates_of(t.e).target_bps);
        tr_estimator_free(t.e);
    }
}

static void told_loss_and_a_longer_round_trip_lower_the_rate(void)
{
    static const struct {
        int lost_of_256;
        int64_t rtt_us;
        bool is_lower;
    } rows[] = {{0, 50000, false}, {0, 200000, true}, {80, 50000, true}, {10, 50000, false}, {0, 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        told t = told_new(1000000);
        run_told(t.e, &t.now_us, &t.seq, 10 * SECOND, 0, 0, 50000);
        uint64_t before = rates_of(t.e).target_bps;
        run_told(t.e, &t.now_us, &t.seq, 10 * SECOND, 0, rows[i].lost_of_256, rows[i].rtt_us);
        CHECK_EQ(rows[i].is_lower, rates_of(t.e).target_bps < before * 2 / 3);
        CHECK(rows[i].is_lower || rates_of(t.e).target_bps > before);
        tr_estimator_free(t.e);
    }
}

static void loss_that_was_always_there_holds_a_told_rate(void)
{
    told t = told_new(1000000);
    run_told(t.e, &t.now_us, &t.seq, 30 * SECOND, 0, 30, 50000);
    CHECK(rates_of(t.e).target_bps >= 900000);
    CHECK(rates_of(t.e).target_bps <= 1100000);
    tr_estimator_free(t.e);
}

static void when_nothing_is_told_any_more_it_is_silent(void)
{
    told t = told_new(1000000);
    run_told(t.e, &t.now_us, &t.seq, 10 * SECOND, 0, 0, 50000);
    run_told(t.e, &t.now_us, &t.seq, 11 * SECOND, 0, -1, 0);
    CHECK_EQ(TR_ESTIMATOR_SILENT, t.e->mode);
    CHECK_EQ(40000, rates_of(t.e).target_bps);
    run_told(t.e, &t.now_us, &t.seq, 3 * SECOND, 0, 0, 50000);
    CHECK_EQ(TR_ESTIMATOR_TOLD, t.e->mode);
    CHECK(rates_of(t.e).target_bps > 500000);
    tr_estimator_free(t.e);
}

static void transport_wide_feedback_decides_where_it_comes(void)
{
    line *l = line_new(1e6), *other = line_new(1e6);
    for (int second = 0; second < 20; second++) {
        run(l, SECOND);
        run(other, SECOND);
        tr__estimator_on_remb(l->e, l->now_us, 100000);
        tr__estimator_on_report(l->e, l->now_us, 200, 2 * SECOND);
    }
    CHECK_EQ(target_of(other), target_of(l));
    CHECK_EQ(other->e->sent.flight_bytes, l->e->sent.flight_bytes);
    line_free(l);
    line_free(other);
}

static void feedback_that_ends_is_followed_by_reports_and_back(void)
{
    line *l = line_new(1e6);
    run(l, 10 * SECOND);
    l->is_mute = true;
    run(l, 1200000);
    CHECK_EQ(TR_ESTIMATOR_SILENT, l->e->mode);
    tr__estimator_on_report(l->e, l->now_us, 0, 80000);
    CHECK_EQ(TR_ESTIMATOR_TOLD, l->e->mode);
    CHECK(target_of(l) > 450000);
    l->is_mute = false;
    run(l, 5 * SECOND);
    CHECK_EQ(TR_ESTIMATOR_FREE, l->e->mode);
    CHECK(target_of(l) > 700000);
    line_free(l);
}

/* ---------------------------------------------------------------- routes, demand, padding */

static void a_longer_route_is_no_queue_for_long(void)
{
    static const int64_t rows[] = {-30000, 20000, 80000, 300000};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = line_new(1e6);
        run(l, 20 * SECOND);
        l->delay_us += rows[i];
        run(l, 8 * SECOND);
        CHECK(target_of(l) > 0.8e6);
        CHECK(target_of(l) < 1.2e6);
        line_free(l);
    }
}

static void a_clock_that_is_set_is_another_route(void)
{
    static const int64_t rows[] = {-3600 * (int64_t)SECOND, 3600 * (int64_t)SECOND};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = line_new(1e6);
        l->clock_us = 7200 * (int64_t)SECOND;
        run(l, 20 * SECOND);
        l->clock_us += rows[i];
        run(l, 10 * SECOND);
        CHECK(target_of(l) > 0.8e6);
        line_free(l);
    }
}

static void it_begins_with_what_is_remembered(void)
{
    tr_estimator *e = tr_estimator_new(2000000, 50000, 4000000);
    CHECK_EQ(2000000, rates_of(e).target_bps);
    tr_estimator_free(e);
    line *l = line_new(300e3); /* and leaves it at once where it is not true any more */
    tr_estimator_free(l->e);
    l->e = tr_estimator_new(2000000, 50000, 4000000);
    run(l, 2 * SECOND);
    uint64_t sum_bps = 0;
    for (int i = 0; i < 60; i++) {
        run(l, SECOND / 10);
        sum_bps += target_of(l);
    }
    CHECK(sum_bps / 60 < 330e3);
    line_free(l);
}

static void bounds_can_be_changed_and_what_is_known_stays(void)
{
    line *l = line_new(2e6);
    run(l, 20 * SECOND);
    tr__estimator_set_bounds(l->e, 50000, 800000);
    CHECK_EQ(800000, target_of(l));
    tr__estimator_set_bounds(l->e, 0, 900000);
    tr__estimator_set_bounds(l->e, 900000, 50000);
    CHECK_EQ(800000, target_of(l));
    line_free(l);
}

static void it_pads_little_media_only_while_the_line_is_well(void)
{
    line *l = line_new(1e6);
    l->media_bps = 30e3;
    run(l, 10 * SECOND);
    CHECK_EQ(50000, rates_of(l->e).padding_bps);
    tr_estimator_on_demand(l->e, l->now_us, 20000); /* nobody wants more */
    run(l, SECOND);
    CHECK_EQ(0, rates_of(l->e).padding_bps);
    tr_estimator_on_demand(l->e, l->now_us, 2000000);
    run(l, SECOND);
    CHECK_EQ(50000, rates_of(l->e).padding_bps);
    l->bps = 25e3; /* a queue */
    run(l, 5 * SECOND);
    CHECK_EQ(0, rates_of(l->e).padding_bps);
    line_free(l);
}

static void clusters_take_a_twentieth_at_most(void)
{
    line *l = line_new(10e6);
    l->media_bps = 100e3;
    run(l, 2 * SECOND);
    double clusters = 0, media = (double)l->sent_bytes;
    tr_probe probe;
    while (tr_estimator_next_probe(l->e, &probe)) continue;
    for (int i = 0; i < 1200; i++) {
        run(l, 100000);
        while (tr_estimator_next_probe(l->e, &probe)) {
            double bytes = probe.least_bytes > 1000 ? probe.least_bytes : 1000;
            clusters += bytes;
        }
    }
    media = (double)l->sent_bytes - media;
    CHECK(clusters > 0);
    CHECK(clusters < 0.06 * media);
    line_free(l);
}

/* A line on which only a voice is sent, found at 100 kbit/s; clusters so far are told. */
static line *line_with_a_voice(void)
{
    line *l = line_new(10e6);
    tr_estimator_free(l->e);
    l->e = tr_estimator_new(100000, 30000, 4000000);
    l->media_bps = 60e3;
    tr_probe probe;
    run(l, 2 * SECOND);
    while (tr_estimator_next_probe(l->e, &probe)) continue;
    return l;
}

/* The next one that is asked for within some seconds; 0: none. */
static uint64_t next_cluster_bps(line *l)
{
    tr_probe probe;
    for (int i = 0; i < 100; i++) {
        run(l, 100000);
        if (tr_estimator_next_probe(l->e, &probe)) return probe.rate_bps;
    }
    return 0;
}

static void what_is_wanted_is_tried_at_once_where_it_takes_no_more(void)
{
    static const struct {
        uint64_t wanted_bps, least_bps, most_bps;
    } rows[] = {
        {345000, 414000, 414000},  /* five packets of 200 bytes as at twice the estimate, and no second cluster */
        {4000000, 533000, 534000}, /* as far as five of them go in 15 ms */
        {120000, 190000, 240000},  /* twice the estimate is more */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line *l = line_with_a_voice();
        tr_estimator_on_demand(l->e, l->now_us, rows[i].wanted_bps);
        uint64_t bps = next_cluster_bps(l);
        CHECK(bps >= rows[i].least_bps);
        CHECK(bps <= rows[i].most_bps);
        line_free(l);
    }
}

static void bounds_that_are_none_are_refused(void)
{
    CHECK(tr_estimator_new(100, 0, 1000) == NULL);
    CHECK(tr_estimator_new(100, 200, 1000) == NULL);
    CHECK(tr_estimator_new(2000, 200, 1000) == NULL);
    CHECK(tr_estimator_new(2000, 200, UINT64_MAX) == NULL);
    tr_estimator_free(NULL);
}

static void what_is_hardly_used_takes_a_page(void)
{
    line *l = line_new(100e3);
    run(l, 60 * SECOND);
    CHECK_EQ(TR_SENT_LEAST - 1, l->e->sent.mask);
    CHECK(offsetof(tr_estimator, sent.packets) + TR_SENT_LEAST * sizeof(tr_sent_packet) <= 4096);
    line_free(l);
}

static const check_test tests[] = {
    TEST(reports_raise_the_rate_as_far_as_remb_lets_them),
    TEST(remb_alone_raises_nothing),
    TEST(remb_beside_reports_that_are_well_raises_faster),
    TEST(a_remb_that_is_no_rate_bounds_nothing),
    TEST(told_loss_and_a_longer_round_trip_lower_the_rate),
    TEST(loss_that_was_always_there_holds_a_told_rate),
    TEST(when_nothing_is_told_any_more_it_is_silent),
    TEST(transport_wide_feedback_decides_where_it_comes),
    TEST(feedback_that_ends_is_followed_by_reports_and_back),
    TEST(a_longer_route_is_no_queue_for_long),
    TEST(a_clock_that_is_set_is_another_route),
    TEST(it_begins_with_what_is_remembered),
    TEST(bounds_can_be_changed_and_what_is_known_stays),
    TEST(it_pads_little_media_only_while_the_line_is_well),
    TEST(clusters_take_a_twentieth_at_most),
    TEST(what_is_wanted_is_tried_at_once_where_it_takes_no_more),
    TEST(what_is_hardly_used_takes_a_page),
    TEST(it_finds_the_rate_of_a_line),
    TEST(it_leaves_when_the_line_narrows_and_comes_back),
    TEST(a_deep_drop_is_known_by_the_end_of_its_feedback),
    TEST(loss_of_the_line_itself_is_no_congestion),
    TEST(silence_leaves_a_trickle),
    TEST(what_is_not_used_does_not_grow),
    TEST(a_wait_that_is_not_ours_takes_no_more_than_what_is_unused),
    TEST(loss_of_little_takes_nothing_away_as_long_as_most_arrives),
    TEST(a_line_that_breaks_down_is_seen_though_little_is_sent),
    TEST(the_same_calls_give_the_same_answers),
    TEST(numbers_that_were_never_sent_change_nothing),
    TEST(a_number_counts_once),
    TEST(arrivals_that_are_told_too_close_prove_no_more_than_was_sent),
    TEST(a_lying_probe_proves_no_more_than_its_rate),
    TEST(any_feedback_is_survived),
    TEST(numbers_and_times_may_be_large),
    TEST(bounds_that_are_none_are_refused),
};
CHECK_MAIN("test_estimator", tests)
