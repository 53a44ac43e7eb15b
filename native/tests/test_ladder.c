/* ladder: which rung is taken, when it is left, and who is told of it. */
#include "check.h"
#include "ladder.h"

#define MS 1000
#define SECOND 1000000
#define KBPS 1000u
#define A 0x10001u
#define B 0x10002u

/* A pause, two faces, the first one larger, a dear picture, the first one at its best. */
static const tr_rung rungs[] = {
    {A, 60 * KBPS, 0, 0, 0, 1},   {A, 150 * KBPS, 0, 0, 0, 0}, {A, 210 * KBPS, 0, 0, 2, 0},
    {B, 360 * KBPS, 0, 0, 2, 0},  {A, 700 * KBPS, 1, 0, 2, 0}, {B, 1000 * KBPS, 1, 0, 2, 0},
    {A, 3000 * KBPS, 2, 0, 2, 0},
};
#define COUNT (sizeof rungs / sizeof *rungs)

typedef struct climber {
    tr_ladder ladder;
    int64_t now_us;
    uint32_t moves, ups;
    uint16_t last;
} climber;

static void begin(climber *c)
{
    tr__ladder_init(&c->ladder);
    c->now_us = 7 * SECOND;
    c->moves = c->ups = 0;
    c->last = 0;
    CHECK_EQ(TR_OK, tr__ladder_set(&c->ladder, rungs, COUNT, c->now_us));
}

/* That estimate and queue for so long, told each 25 ms; the rung at the end. */
static uint16_t hold(climber *c, uint64_t kbps, uint32_t queue_us, int64_t for_us)
{
    for (int64_t end_us = c->now_us + for_us; c->now_us < end_us; c->now_us += 25 * MS) {
        tr__ladder_on_estimate(&c->ladder, kbps * KBPS, queue_us, c->now_us);
        if (c->ladder.rung != c->last) c->moves++, c->ups += c->ladder.rung > c->last;
        c->last = c->ladder.rung;
    }
    return c->ladder.rung;
}

static uint32_t changes(tr_ladder *ladder, tr_rung *out)
{
    uint32_t count = 0;
    while (tr__ladder_next_change(ladder, &out[count])) count++;
    return count;
}

static void first_estimate_is_taken_at_its_word(void)
{
    static const struct {
        uint64_t kbps;
        uint16_t rung;
    } rows[] = {{0, 1}, {100, 1}, {149, 1}, {150, 2}, {1000, 6}, {2999, 6}, {3000, 7}, {1u << 31, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        climber c;
        begin(&c);
        CHECK_EQ(rows[i].rung, hold(&c, rows[i].kbps, 0, 1));
    }
}

/* One picture in one piece, of which the line is not known to carry half, and no voice. */
static void a_dear_picture_is_begun_with_and_held_after_a_second(void)
{
    static const tr_rung dear[] = {{A, 0, 0, 0, 0, 1}, {A, 2500 * KBPS, 0, 0, 0, 0}};
    static const struct {
        uint64_t kbps;
        uint16_t at_first, later;
    } rows[] = {{200, 1, 1}, {299, 1, 1}, {300, 2, 1}, {1000, 2, 1}, {2500, 2, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        climber c;
        begin(&c);
        tr__ladder_init(&c.ladder);
        CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, dear, 2, c.now_us));
        CHECK_EQ(rows[i].at_first, hold(&c, rows[i].kbps, 0, 900 * MS));
        CHECK_EQ(rows[i].later, hold(&c, rows[i].kbps, 0, 200 * MS));
    }
}

/* Placed with the offer; ICE and DTLS take their time, in which nothing is sent and nothing is learnt. */
static void time_before_the_line_is_open_is_not_held_against_a_picture(void)
{
    static const tr_rung dear[] = {{A, 0, 0, 0, 0, 1}, {A, 2500 * KBPS, 0, 0, 0, 0}};
    for (int64_t opened_us = 0; opened_us <= 10 * SECOND; opened_us += 2 * SECOND) {
        climber c;
        begin(&c);
        tr__ladder_init(&c.ladder);
        CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, dear, 2, c.now_us));
        CHECK_EQ(2, hold(&c, 1000, 0, 1));
        c.now_us += opened_us;
        tr__ladder_begin(&c.ladder, c.now_us);
        CHECK_EQ(2, hold(&c, 1000, 0, 900 * MS));
        tr__ladder_begin(&c.ladder, c.now_us);
        CHECK_EQ(1, hold(&c, 1000, 0, 200 * MS));
    }
    /* And what fits is taken at once for three seconds from then on. */
    climber c;
    begin(&c);
    CHECK_EQ(1, hold(&c, 100, 0, 1));
    c.now_us += 4 * SECOND;
    tr__ladder_begin(&c.ladder, c.now_us);
    CHECK_EQ(6, hold(&c, 1100, 0, 25 * MS));
}

static void first_three_seconds_do_not_wait(void)
{
    climber c;
    begin(&c);
    CHECK_EQ(5, hold(&c, 800, 0, 50 * MS));
    CHECK_EQ(6, hold(&c, 1100, 0, 25 * MS));
    CHECK_EQ(7, hold(&c, 3150, 0, 25 * MS));
    CHECK_EQ(3, c.ups);
}

static void climbing_takes_an_eighth_more_for_a_second(void)
{
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    CHECK_EQ(5, c.ladder.rung);
    CHECK_EQ(5, hold(&c, 1120, 0, SECOND));
    CHECK_EQ(6, hold(&c, 1120, 0, 300 * MS));
}

static void one_dip_within_the_second_begins_it_anew(void)
{
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    hold(&c, 1200, 0, 800 * MS);
    hold(&c, 1000, 0, 25 * MS);
    CHECK_EQ(5, hold(&c, 1200, 0, SECOND));
    CHECK_EQ(6, hold(&c, 1200, 0, 300 * MS));
}

static void little_room_takes_five_calm_seconds(void)
{
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    CHECK_EQ(5, hold(&c, 1040, 0, 5 * SECOND));
    CHECK_EQ(6, hold(&c, 1040, 0, 300 * MS));
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    CHECK_EQ(5, hold(&c, 1020, 0, 20 * SECOND));
    CHECK_EQ(5, hold(&c, 1040, 61 * MS, 20 * SECOND));
}

static void falling_takes_a_twentieth_less_for_a_second(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    CHECK_EQ(6, hold(&c, 950, 0, 10 * SECOND));
    CHECK_EQ(6, hold(&c, 940, 0, 975 * MS));
    hold(&c, 950, 0, 25 * MS); /* an estimator that has looked down after a burst */
    CHECK_EQ(6, hold(&c, 940, 0, 975 * MS));
    CHECK_EQ(5, hold(&c, 940, 0, 75 * MS));
}

static void two_fifths_less_or_a_queue_make_it_200_ms(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    CHECK_EQ(6, hold(&c, 590, 0, 175 * MS));
    CHECK_EQ(4, hold(&c, 590, 0, 75 * MS));
}

static void fall_makes_no_picture_larger(void)
{
    /* B's larger picture fills the room below A's largest, and is given back with it. */
    static const tr_rung filled[] = {{A, 150 * KBPS, 0, 0, 2, 0},  {B, 300 * KBPS, 0, 0, 1, 0},
                                     {A, 700 * KBPS, 1, 0, 2, 0},  {B, 1050 * KBPS, 1, 0, 2, 0},
                                     {B, 3000 * KBPS, 0, 0, 1, 0}, {A, 3000 * KBPS, 2, 0, 2, 0}};
    climber c;
    tr_rung told[TR_MAX_RUNGS];
    begin(&c);
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, filled, 6, c.now_us));
    hold(&c, 4000, 0, 10 * SECOND);
    changes(&c.ladder, told);
    CHECK_EQ(3, hold(&c, 1300, 0, 250 * MS));
    CHECK_EQ(1, changes(&c.ladder, told));
    CHECK(told[0].sender == A && told[0].encoding == 1);
    CHECK_EQ(4, hold(&c, 1300, 0, 5 * SECOND)); /* as a climb, when its time has come */
    /* Where every rung that shows anything would show more of somebody, the one that fits. */
    begin(&c);
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, (tr_rung[]){{A, 100 * KBPS, 1, 0, 2, 0}, {A, 900 * KBPS, 0, 0, 2, 0}}, 2,
                                   c.now_us));
    hold(&c, 1000, 0, SECOND);
    CHECK_EQ(1, hold(&c, 300, 0, 250 * MS));
}

static void queue_makes_it_fall_at_once(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    CHECK_EQ(6, hold(&c, 1000, 61 * MS, 10 * SECOND)); /* it fits: the queue is somebody else's */
    CHECK_EQ(5, hold(&c, 990, 61 * MS, 1));
}

static void falls_as_many_rungs_as_it_must(void)
{
    climber c;
    begin(&c);
    hold(&c, 4000, 0, 10 * SECOND);
    CHECK_EQ(7, c.ladder.rung);
    CHECK_EQ(3, hold(&c, 300, 0, 250 * MS));
    CHECK_EQ(2, c.moves);
}

static void never_twice_within_four_seconds_but_down(void)
{
    climber c;
    begin(&c);
    hold(&c, 4000, 0, 10 * SECOND);
    hold(&c, 1000, 61 * MS, 1);
    CHECK_EQ(6, c.ladder.rung);
    hold(&c, 500, 61 * MS, 1);
    CHECK_EQ(4, c.ladder.rung);
    CHECK_EQ(4, hold(&c, 4000, 0, 3900 * MS));
    CHECK_EQ(7, hold(&c, 4000, 0, SECOND));
}

static void pause_waits_a_second_with_the_least_picture(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    CHECK_EQ(2, hold(&c, 100, 0, 950 * MS));
    CHECK_EQ(1, hold(&c, 100, 0, 200 * MS));
    CHECK(c.ladder.is_held);
}

static void back_from_a_pause_after_five_seconds_of_300_kbps(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    hold(&c, 100, 0, 30 * SECOND);
    CHECK_EQ(1, hold(&c, 290, 0, 60 * SECOND));
    CHECK_EQ(345 * KBPS, tr__ladder_wanted_bps(&c.ladder));
    CHECK_EQ(1, hold(&c, 512, 0, 4 * SECOND));
    hold(&c, 299, 0, 25 * MS); /* a dip begins it anew */
    CHECK_EQ(1, hold(&c, 512, 0, 4900 * MS));
    CHECK_EQ(4, hold(&c, 512, 0, 200 * MS));
    CHECK(!c.ladder.is_held);
}

static void who_comes_to_a_bad_line_is_not_held(void)
{
    climber c;
    begin(&c);
    hold(&c, 100, 0, 10 * SECOND);
    CHECK_EQ(1, c.ladder.rung);
    CHECK_EQ(2, hold(&c, 200, 0, 1500 * MS));
}

static void failed_climb_waits_twice_as_long_each_time(void)
{
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    CHECK_EQ(6, hold(&c, 1200, 0, 1300 * MS));
    static const int64_t waits_us[] = {4, 4, 8, 16, 32, 32}; /* of two, the four seconds between moves decide */
    for (size_t i = 0; i < sizeof waits_us / sizeof *waits_us; i++) {
        CHECK_EQ(5, hold(&c, 720, 61 * MS, 300 * MS));
        int64_t fallen_us = c.ladder.moved_us;
        while (hold(&c, 1200, 0, 25 * MS) == 5) continue;
        CHECK_EQ(waits_us[i], (c.ladder.moved_us - fallen_us) / SECOND);
    }
    /* What is beneath the one that failed may be climbed meanwhile. */
    hold(&c, 720, 61 * MS, 300 * MS);
    CHECK_EQ(32, c.ladder.wait_us / SECOND);
    hold(&c, 400, 0, SECOND);
    CHECK_EQ(4, c.ladder.rung);
    CHECK_EQ(5, hold(&c, 1200, 0, 6 * SECOND));
    CHECK_EQ(6, hold(&c, 1600, 0, 1300 * MS)); /* half as much again is another line */
}

static void climb_that_lasted_has_not_failed(void)
{
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    hold(&c, 1200, 0, 15 * SECOND);
    hold(&c, 720, 0, SECOND);
    CHECK_EQ(0, c.ladder.wait_us);
    CHECK_EQ(6, hold(&c, 1200, 0, 5 * SECOND));
}

static void only_who_changed_is_told(void)
{
    climber c;
    tr_rung told[TR_MAX_RUNGS];
    begin(&c);
    CHECK_EQ(0, changes(&c.ladder, told)); /* no estimate yet: nothing is known */
    hold(&c, 720, 0, 5 * SECOND);
    CHECK_EQ(2, changes(&c.ladder, told));
    CHECK(told[0].sender == A && told[0].encoding == 1 && told[0].temporal == 2 && !told[0].is_paused);
    CHECK(told[1].sender == B && told[1].encoding == 0 && !told[1].is_paused);
    CHECK_EQ(0, changes(&c.ladder, told));
    hold(&c, 1200, 0, 2 * SECOND);
    CHECK_EQ(1, changes(&c.ladder, told));
    CHECK(told[0].sender == B && told[0].encoding == 1);
    hold(&c, 230, 0, 2 * SECOND);
    CHECK_EQ(2, changes(&c.ladder, told));
    CHECK(told[0].sender == A && told[0].encoding == 0 && told[0].temporal == 2);
    CHECK(told[1].sender == B && told[1].is_paused);
    hold(&c, 20, 0, 2 * SECOND);
    CHECK_EQ(1, changes(&c.ladder, told));
    CHECK(told[0].sender == A && told[0].is_paused);
}

static void rung_may_take_back_what_one_below_gave(void)
{
    static const tr_rung with_pause[] = {{A, 100 * KBPS, 0, 0, 0, 0},
                                         {B, 200 * KBPS, 0, 0, 0, 0},
                                         {B, 900 * KBPS, 0, 0, 0, 1},
                                         {A, 900 * KBPS, 2, 0, 2, 0}};
    climber c;
    tr_rung told[TR_MAX_RUNGS];
    begin(&c);
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, with_pause, 4, c.now_us));
    hold(&c, 300, 0, SECOND);
    CHECK_EQ(2, changes(&c.ladder, told));
    hold(&c, 1200, 0, 5 * SECOND);
    CHECK_EQ(4, c.ladder.rung);
    CHECK_EQ(2, changes(&c.ladder, told));
    CHECK(told[0].sender == A && told[0].encoding == 2 && told[1].sender == B && told[1].is_paused);
}

static void new_ladder_keeps_layers_that_fit(void)
{
    tr_rung dearer[COUNT], told[TR_MAX_RUNGS];
    climber c;
    begin(&c);
    hold(&c, 720, 0, 10 * SECOND);
    changes(&c.ladder, told);
    for (size_t i = 0; i < COUNT; i++) dearer[i] = rungs[i], dearer[i].cost_bps += 40 * KBPS;
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, dearer, COUNT, c.now_us));
    CHECK_EQ(5, c.ladder.rung); /* 740 of 720, which is within a twentieth */
    CHECK_EQ(0, changes(&c.ladder, told));
    for (size_t i = 0; i < COUNT; i++) dearer[i].cost_bps += 100 * KBPS;
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, dearer, COUNT, c.now_us));
    CHECK_EQ(4, c.ladder.rung);
    CHECK_EQ(1, changes(&c.ladder, told));
}

static void who_joins_is_seen_at_once_if_there_is_room(void)
{
    enum { C = 0x10003 };
    tr_rung more[COUNT + 1], told[TR_MAX_RUNGS];
    climber c;
    begin(&c);
    hold(&c, 1150, 0, 10 * SECOND);
    changes(&c.ladder, told);
    for (size_t i = 0, at = 0; i < COUNT; i++, at++) {
        if (i == 4) more[at++] = (tr_rung){C, 460 * KBPS, 0, 0, 0, 0};
        more[at] = rungs[i];
        if (i >= 4) more[at].cost_bps += 100 * KBPS;
    }
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, more, COUNT + 1, c.now_us));
    CHECK_EQ(7, c.ladder.rung);
    CHECK_EQ(1, changes(&c.ladder, told));
    CHECK(told[0].sender == C && !told[0].is_paused);
}

static void new_ladder_does_not_end_a_pause(void)
{
    climber c;
    begin(&c);
    hold(&c, 1200, 0, 10 * SECOND);
    hold(&c, 100, 0, 2 * SECOND);
    hold(&c, 512, 0, SECOND);
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, rungs, COUNT, c.now_us));
    CHECK_EQ(1, hold(&c, 512, 0, 3 * SECOND));
    CHECK_EQ(4, hold(&c, 512, 0, 2 * SECOND));
}

/* The costs are another, the line has just become too little for any: it is a pause when it stays so, and held then. */
static void new_ladder_is_no_reason_for_a_pause(void)
{
    climber c;
    begin(&c);
    CHECK_EQ(4, hold(&c, 400, 0, 4 * SECOND));
    CHECK_EQ(2, hold(&c, 100, 90 * MS, 300 * MS));
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, rungs, COUNT, c.now_us));
    CHECK_EQ(2, c.ladder.rung);
    CHECK_EQ(2, hold(&c, 100, 90 * MS, 600 * MS));
    CHECK_EQ(1, hold(&c, 100, 90 * MS, 200 * MS));
    CHECK_EQ(1, hold(&c, 207, 0, 20 * SECOND));
    CHECK_EQ(1, hold(&c, 400, 0, 4900 * MS));
    CHECK(hold(&c, 400, 0, 200 * MS) > 1);
}

static void ladders_that_are_none_are_refused(void)
{
    static const tr_rung falling[] = {{A, 200, 0, 0, 0, 0}, {B, 199, 0, 0, 0, 0}};
    tr_rung many[TR_MAX_RUNGS + 1] = {{A, 0, 0, 0, 0, 0}}, told[TR_MAX_RUNGS];
    climber c;
    begin(&c);
    hold(&c, 720, 0, SECOND);
    CHECK_EQ(TR_ERR_ARGUMENT, tr__ladder_set(&c.ladder, falling, 2, c.now_us));
    CHECK_EQ(TR_ERR_ARGUMENT, tr__ladder_set(&c.ladder, many, TR_MAX_RUNGS + 1, c.now_us));
    CHECK_EQ(COUNT, c.ladder.count);
    CHECK_EQ(5, c.ladder.rung);
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, NULL, 0, c.now_us));
    CHECK_EQ(0, hold(&c, 720, 0, SECOND));
    CHECK_EQ(0, changes(&c.ladder, told));
    CHECK_EQ(0, tr__ladder_wanted_bps(&c.ladder));
    CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, rungs, COUNT, c.now_us));
    CHECK_EQ(5, hold(&c, 740, 0, 25 * MS)); /* who had nothing to wait for is new again */
}

static void wanted_is_the_next_step_and_fifteen_percent(void)
{
    climber c;
    begin(&c);
    hold(&c, 740, 0, SECOND);
    CHECK_EQ(3450 * KBPS, tr__ladder_wanted_bps(&c.ladder)); /* all of it, at first */
    hold(&c, 740, 0, 5 * SECOND);
    CHECK_EQ(1150 * KBPS, tr__ladder_wanted_bps(&c.ladder));
    hold(&c, 1160, 0, 25 * MS); /* that is there: the one after it */
    CHECK_EQ(3450 * KBPS, tr__ladder_wanted_bps(&c.ladder));
    hold(&c, 4000, 0, 5 * SECOND);
    CHECK_EQ(3450 * KBPS, tr__ladder_wanted_bps(&c.ladder));
}

/* Whatever is said: a rung of the ladder, that fits or is about to be left, and each sender told once. */
static void every_estimate_is_survived(void)
{
    uint64_t random = 11;
    climber c;
    begin(&c);
    for (uint32_t n = 0; n < 200000; n++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t bps = (random >> 33) % (4000 * KBPS);
        if (n % 1000 == 0) bps = UINT64_MAX;
        if (n % 1000 == 500) bps = 0;
        c.now_us += (int64_t)(random >> 20 & 0xffff) * (n % 777 ? 1 : 1000);
        tr_rung told[TR_MAX_RUNGS];
        tr__ladder_on_estimate(&c.ladder, bps, (uint32_t)(random >> 40) % (90 * MS), c.now_us);
        if (n % 97 == 0) CHECK_EQ(TR_OK, tr__ladder_set(&c.ladder, rungs, random & 7, c.now_us));
        uint32_t count = changes(&c.ladder, told);
        if (count > 2 || c.ladder.rung > c.ladder.count) CHECK(!"two senders, and a rung that is there");
    }
}

static const check_test tests[] = {
    TEST(first_estimate_is_taken_at_its_word),
    TEST(a_dear_picture_is_begun_with_and_held_after_a_second),
    TEST(time_before_the_line_is_open_is_not_held_against_a_picture),
    TEST(first_three_seconds_do_not_wait),
    TEST(climbing_takes_an_eighth_more_for_a_second),
    TEST(one_dip_within_the_second_begins_it_anew),
    TEST(little_room_takes_five_calm_seconds),
    TEST(falling_takes_a_twentieth_less_for_a_second),
    TEST(two_fifths_less_or_a_queue_make_it_200_ms),
    TEST(fall_makes_no_picture_larger),
    TEST(queue_makes_it_fall_at_once),
    TEST(falls_as_many_rungs_as_it_must),
    TEST(never_twice_within_four_seconds_but_down),
    TEST(pause_waits_a_second_with_the_least_picture),
    TEST(back_from_a_pause_after_five_seconds_of_300_kbps),
    TEST(who_comes_to_a_bad_line_is_not_held),
    TEST(failed_climb_waits_twice_as_long_each_time),
    TEST(climb_that_lasted_has_not_failed),
    TEST(only_who_changed_is_told),
    TEST(rung_may_take_back_what_one_below_gave),
    TEST(new_ladder_keeps_layers_that_fit),
    TEST(who_joins_is_seen_at_once_if_there_is_room),
    TEST(new_ladder_does_not_end_a_pause),
    TEST(new_ladder_is_no_reason_for_a_pause),
    TEST(ladders_that_are_none_are_refused),
    TEST(wanted_is_the_next_step_and_fifteen_percent),
    TEST(every_estimate_is_survived),
};
CHECK_MAIN("test_ladder", tests)
