/* choice: which of a publisher's encodings is taken, and which packet may begin it. */
#include "choice.h"

#include "support/media.h"

#define MS 1000
#define S 1000000
#define INDEX(seq) (TR_STREAM_FIRST_CYCLE + (seq))

static tr_clock clock_;
static tr_tally tally;
static tr_receiver *receiver;
static const tr_source *source;
static tr_choice choice;
static uint64_t now, last_us, first;

static void begin(uint8_t encodings)
{
    tr_add_receiver params = video_params(encodings);
    now = 100 * (uint64_t)S;
    last_us = 0;
    tr__clock_init(&clock_);
    receiver = tr__receiver_new(&params, 262144, &clock_, &tally);
    source = tr__receiver_source(receiver);
    choice = (tr_choice){0};
    tr__choice_bind(&choice);
}

static void end(void) { tr__receiver_free(receiver); }

/* A packet of VP8 comes in; nobody is there to have it but the history. */
static void come(int encoding, uint16_t seq, bool is_start, bool is_key, bool marker)
{
    packet p = make_vp8(1000 + 10 * (uint32_t)encoding, seq, seq * 3000u, is_start, is_key, marker, 200);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed(receiver, encoding, false, &p, now));
}

static void frame(int encoding, uint16_t seq, bool is_key) { come(encoding, seq, true, is_key, true); }

static tr_media load(int encoding, uint16_t seq)
{
    tr_media media;
    CHECK(tr__source_load(source, (uint8_t)encoding, INDEX(seq), &media));
    media.now_us = now;
    return media;
}

static bool may_begin(int encoding, uint16_t seq)
{
    tr_media media = load(encoding, seq);
    return tr__choice_find_start(&choice, source, &media, last_us, &first);
}

static void forward(int encoding, uint16_t seq)
{
    tr_media media = load(encoding, seq);
    tr__choice_on_packet(&choice, &media);
}

static void the_best_that_is_heard_is_taken_up_to_what_is_wanted(void)
{
    begin(3);
    CHECK_EQ(TR_NO_ENCODING, tr__choice_best(source, TR_LAYER_ANY, now));
    frame(0, 1, true);
    frame(1, 1, true);
    CHECK_EQ(1, tr__choice_best(source, TR_LAYER_ANY, now));
    CHECK_EQ(0, tr__choice_best(source, 0, now));
    frame(2, 1, true);
    CHECK_EQ(2, tr__choice_best(source, TR_LAYER_ANY, now));
    now += TR_STREAM_IDLE_US; /* silent since */
    CHECK_EQ(TR_NO_ENCODING, tr__choice_best(source, TR_LAYER_ANY, now));
    end();
}

/* Keyframes cannot be told: a switch would never find where to begin. */
static void what_is_opaque_is_not_switched(void)
{
    begin(2);
    frame(0, 1, true);
    frame(1, 1, true);
    CHECK_EQ(0, tr__choice_best(source, 0, now));
    source->streams[1].is_opaque = true;
    CHECK_EQ(1, tr__choice_best(source, 0, now));
    end();
}

static void more_than_was_wanted_is_taken_after_a_second_of_silence(void)
{
    begin(3);
    frame(1, 1, true);
    frame(2, 1, true);
    CHECK_EQ(TR_NO_ENCODING, tr__choice_on_tick(&choice, source, 0, now));
    for (uint16_t i = 0; i < 9; i++) {
        now += 100 * MS;
        frame(1, (uint16_t)(2 + i), false);
        frame(2, (uint16_t)(2 + i), false);
        CHECK_EQ(TR_NO_ENCODING, tr__choice_on_tick(&choice, source, 0, now));
    }
    now += 100 * MS;
    CHECK_EQ(1, tr__choice_on_tick(&choice, source, 0, now)); /* the least of what is more */
    frame(0, 1, true);
    CHECK_EQ(0, tr__choice_on_tick(&choice, source, 0, now));
    CHECK_EQ(0, choice.unheard_since_us);
    end();
}

static void another_is_better_if_it_is_more_or_the_target_fell_silent(void)
{
    begin(3);
    for (int i = 0; i < 3; i++) frame(i, 1, true);
    CHECK(tr__choice_is_better(&choice, source, TR_LAYER_ANY, 0, now));
    choice.target = 1;
    CHECK(!tr__choice_is_better(&choice, source, TR_LAYER_ANY, 0, now));
    CHECK(tr__choice_is_better(&choice, source, TR_LAYER_ANY, 2, now));
    CHECK(!tr__choice_is_better(&choice, source, 1, 2, now)); /* more than was wanted */
    CHECK(tr__choice_is_better(&choice, source, 0, 0, now));  /* and so is the target */
    now += TR_STREAM_IDLE_US;
    CHECK(tr__choice_is_better(&choice, source, TR_LAYER_ANY, 0, now));
    end();
}

static void a_keyframe_begins_and_what_is_between_does_not(void)
{
    begin(1);
    frame(0, 1, false);
    CHECK(!may_begin(0, 1));
    frame(0, 2, true);
    CHECK(may_begin(0, 2));
    CHECK_EQ(INDEX(2), first);
    forward(0, 2);
    CHECK(!may_begin(0, 2)); /* what left once does not leave again under another number */
    end();
}

/* Who joins gets the latest keyframe out of the history, with what followed it, as long as that is not too much. */
static void who_joins_begins_with_the_latest_keyframe(void)
{
    begin(1);
    frame(0, 1, true);
    for (uint16_t seq = 2; seq <= 128; seq++) frame(0, seq, false);
    CHECK(may_begin(0, 128));
    CHECK_EQ(INDEX(1), first);
    frame(0, 129, false);
    CHECK(!may_begin(0, 129));
    end();
}

/* Who has a picture: half a second or 48 packets, none of them missing. */
static void who_changes_encodings_takes_a_shorter_group_that_is_whole(void)
{
    begin(2);
    frame(0, 1, true);
    tr__choice_begin(&choice, 0, now);
    forward(0, 1);
    frame(1, 1, true);
    for (uint16_t seq = 2; seq <= 48; seq++) frame(1, seq, false);
    CHECK(tr__choice_has_group(&choice, source, 1, now));
    CHECK(!tr__choice_has_group(&choice, source, 1, now + 500 * MS));
    frame(1, 50, false); /* one is missing, and it is too many now */
    CHECK(!tr__choice_has_group(&choice, source, 1, now));
    frame(1, 51, true);
    frame(1, 53, false);
    CHECK(!tr__choice_has_group(&choice, source, 1, now));
    frame(1, 52, false);
    CHECK(tr__choice_has_group(&choice, source, 1, now));
    end();
}

static void the_present_picture_comes_to_its_end_before(void)
{
    begin(2);
    come(0, 1, true, true, false);
    tr__choice_begin(&choice, 0, now);
    forward(0, 1);
    last_us = now;
    frame(1, 1, true);
    frame(1, 2, false);
    CHECK(!may_begin(1, 2));
    now += 100 * MS; /* it takes too long */
    CHECK(may_begin(1, 2));
    now -= 100 * MS;
    come(0, 2, false, false, true);
    forward(0, 2);
    CHECK(may_begin(1, 2));
    CHECK_EQ(INDEX(1), first);
    end();
}

static void who_joins_takes_the_best_that_is_at_hand_and_who_has_a_picture_waits(void)
{
    begin(3);
    frame(0, 1, true);
    frame(1, 1, true);
    frame(2, 1, false);
    CHECK_EQ(1, tr__choice_at_hand(&choice, source, 2, now));
    CHECK_EQ(0, tr__choice_at_hand(&choice, source, 0, now));
    CHECK(!tr__choice_can_wait(&choice, source, 2, now));
    tr__choice_begin(&choice, 0, now);
    CHECK_EQ(2, tr__choice_at_hand(&choice, source, 2, now));
    CHECK(tr__choice_can_wait(&choice, source, 2, now));
    CHECK(!tr__choice_can_wait(&choice, source, 0, now));
    now += TR_STREAM_IDLE_US; /* the picture does not come on */
    CHECK(!tr__choice_can_wait(&choice, source, 2, now));
    end();
}

static void opaque_video_begins_a_second_after_it_was_first_wanted(void)
{
    begin(1);
    frame(0, 1, false);
    tr_media media = load(0, 1);
    media.info.is_readable = false;
    CHECK(!tr__choice_find_start(&choice, source, &media, 0, &first));
    media.now_us += 999 * MS;
    CHECK(!tr__choice_find_start(&choice, source, &media, 0, &first));
    media.now_us += 1 * MS;
    CHECK(tr__choice_find_start(&choice, source, &media, 0, &first));
    tr__choice_begin(&choice, 0, now);
    CHECK_EQ(0, choice.opaque_since_us);
    end();
}

static const check_test tests[] = {
    TEST(the_best_that_is_heard_is_taken_up_to_what_is_wanted),
    TEST(what_is_opaque_is_not_switched),
    TEST(more_than_was_wanted_is_taken_after_a_second_of_silence),
    TEST(another_is_better_if_it_is_more_or_the_target_fell_silent),
    TEST(a_keyframe_begins_and_what_is_between_does_not),
    TEST(who_joins_begins_with_the_latest_keyframe),
    TEST(who_changes_encodings_takes_a_shorter_group_that_is_whole),
    TEST(the_present_picture_comes_to_its_end_before),
    TEST(who_joins_takes_the_best_that_is_at_hand_and_who_has_a_picture_waits),
    TEST(opaque_video_begins_a_second_after_it_was_first_wanted),
};
CHECK_MAIN("test_choice", tests)
