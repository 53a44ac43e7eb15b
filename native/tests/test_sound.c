/* sound: copies of earlier packets (RED) and packets that leave as one, through a sender as its peer gets them; and
 * that whatever is asked for again is the same ciphertext, or is not to be had (the rig holds every index against all
 * that left under it). */
#include "support/sender.h"

#include "opus.h"

#define RED_PT 63
#define OPUS_PT 121

/* ------------------------------------------------------------------ what comes and goes */

static tr_bind_sender sound_bind(const tr_add_receiver *params)
{
    tr_bind_sender bind = bind_params(params, &viewer);
    bind.red_pt = RED_PT;
    bind.may_join = 1;
    return bind;
}

static void begin_sound(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    tr_bind_sender bind = sound_bind(&params);
    CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, sender, &bind, now));
}

/* What packet `seq` says: hybrid fullband of 20 ms, of a length of its own. */
static size_t said(uint16_t seq, uint8_t *payload)
{
    size_t size = 20 + seq * 7u % 50;
    payload[0] = 0x78;
    for (size_t i = 1; i < size; i++) payload[i] = (uint8_t)(seq * 31u + i);
    return size;
}

static tr_drop say_at(uint16_t seq, uint32_t ts)
{
    uint8_t payload[100];
    packet p = make_packet(2000, 111, seq, ts, false, payload, said(seq, payload));
    return feed(receiver, 0, false, &p, now);
}

static tr_drop say(uint16_t seq)
{
    now += 20 * MS;
    return say_at(seq, seq * 960u);
}

static void set_copies(uint8_t count, uint8_t first, uint8_t second)
{
    CHECK_EQ(TR_OK, tr__sender_set_redundancy(sender, count, (uint8_t[]){first, second}));
}

static void set_time(uint16_t ms) { CHECK_EQ(TR_OK, tr__sender_set_packet_time(sender, ms, now)); }

/* Is this what packet `seq` said? */
static bool is_said(uint16_t seq, const uint8_t *data, size_t size)
{
    uint8_t payload[100];
    return said(seq, payload) == size && memcmp(payload, data, size) == 0;
}

static const uint8_t *payload(void) { return rtp.data + rtp.header_size; }

/* The packet that was taken last is plain, and says this. */
#define CHECK_PLAIN(seq)                                                                                               \
    do {                                                                                                               \
        CHECK_EQ(OPUS_PT, rtp.pt);                                                                                     \
        CHECK(is_said(seq, payload(), rtp.payload_size));                                                              \
    } while (0)

/* It is RED and brings these, the oldest first; the last one is its own. */
static void check_red(const uint16_t *seqs, size_t count)
{
    CHECK_EQ(RED_PT, rtp.pt);
    const uint8_t *head = payload(), *block = head + 4 * (count - 1) + 1;
    for (size_t i = 0; i + 1 < count; i++, head += 4) {
        size_t size = tr__load16(head + 2) & 0x3ff;
        CHECK_EQ(0x80 | OPUS_PT, head[0]);
        CHECK_EQ((seqs[count - 1] - seqs[i]) * 960, tr__load16(head + 1) >> 2);
        CHECK(is_said(seqs[i], block, size));
        block += size;
    }
    CHECK_EQ(OPUS_PT, head[0]);
    CHECK(is_said(seqs[count - 1], block, (size_t)(payload() + rtp.payload_size - block)));
}
#define CHECK_RED(...) check_red((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / 2)

/* It is one packet of these. */
static void check_joined(const uint16_t *seqs, size_t count)
{
    tr_opus opus;
    CHECK_EQ(OPUS_PT, rtp.pt);
    CHECK(tr__opus_parse(&opus, payload(), rtp.payload_size));
    CHECK_EQ(count, opus.count);
    CHECK_EQ((uint32_t)(seqs[0] * 960 + TS_OFFSET), rtp.ts);
    const uint8_t *at = opus.frames;
    for (size_t i = 0; i < count && i < opus.count; i++) {
        uint8_t whole[100] = {0x78};
        memcpy(whole + 1, at, opus.sizes[i]);
        CHECK(is_said(seqs[i], whole, 1u + opus.sizes[i]));
        at += opus.sizes[i];
    }
}
#define CHECK_JOINED(...) check_joined((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / 2)

/* Budget for resends. */
static void talk(uint16_t first, uint16_t last)
{
    for (uint16_t seq = first; seq <= last; seq++) say(seq);
}

/* How many of these numbers leave again; each is the ciphertext it was. */
static uint64_t ask(const uint16_t *seqs, size_t count)
{
    rig_drain(&r);
    uint64_t before = r.repeats;
    now += 100 * MS;
    tr__sender_on_nack(sender, seqs, count, now);
    int left = rig_drain(&r);
    CHECK_EQ(left, r.repeats - before);
    return (uint64_t)left;
}

/* ------------------------------------------------------------------ copies */

static void untold_nothing_is_added(void)
{
    begin_sound();
    for (uint16_t seq = 1; seq < 10; seq++) {
        say(seq);
        CHECK_NEXT(FIRST + seq - 1, seq * 960 + TS_OFFSET);
        CHECK_PLAIN(seq);
    }
    end();
}

static void each_packet_brings_those_before_it(void)
{
    begin_sound();
    set_copies(2, 1, 3);
    say(1);
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_PLAIN(1); /* there is nothing yet to copy */
    say(2);
    CHECK_NEXT(FIRST + 1, 2 * 960 + TS_OFFSET);
    CHECK_RED(1, 2);
    say(3);
    CHECK_NEXT(FIRST + 2, 3 * 960 + TS_OFFSET);
    CHECK_RED(2, 3);
    say(4);
    CHECK_NEXT(FIRST + 3, 4 * 960 + TS_OFFSET);
    CHECK_RED(1, 3, 4);
    set_copies(1, 2, 0);
    say(5);
    CHECK(take());
    CHECK_RED(3, 5);
    set_copies(0, 0, 0);
    say(6);
    CHECK(take());
    CHECK_PLAIN(6);
    end();
}

static void what_is_missing_or_out_of_reach_is_left_out(void)
{
    begin_sound();
    set_copies(2, 1, 3);
    talk(1, 4);
    say(6); /* 5 was lost on the way in */
    rig_drain(&r);
    say(7);
    CHECK(take());
    CHECK_RED(4, 6, 7);
    say(8);
    CHECK(take());
    CHECK_RED(7, 8);
    say(5); /* late: under its own number, with what it says of before */
    CHECK_NEXT(FIRST + 4, 5 * 960 + TS_OFFSET);
    CHECK_RED(2, 4, 5);
    say_at(9, 8 * 960u + 16384); /* after a silence: fourteen bits of time do not reach back */
    CHECK(take());
    CHECK_PLAIN(9);
    say_at(10, 8 * 960u + 16383 + 960);
    CHECK(take());
    CHECK_EQ(RED_PT, rtp.pt);
    CHECK_EQ(0x80 | OPUS_PT, payload()[0]);
    CHECK_EQ(959, tr__load16(payload() + 1) >> 2);
    end();
}

static void a_copy_is_of_the_same_track_since_it_began(void)
{
    begin_sound();
    set_copies(2, 1, 2);
    talk(1, 3);
    rig_drain(&r);
    tr__sender_pause(sender, true, now);
    say(4);
    tr__sender_pause(sender, false, now);
    say(5);
    CHECK(take());
    CHECK_PLAIN(5); /* what was said while nobody was to hear it stays unsaid */
    say(6);
    CHECK(take());
    CHECK_RED(5, 6);
    end();
}

static void large_packets_bring_no_copies(void)
{
    begin_sound();
    set_copies(2, 1, 2);
    static uint8_t large[1200] = {0x7b, 0x02};
    static const struct {
        size_t size;
        bool is_red;
    } rows[] = {{500, false}, {500, true}, {590, true}, {600, false}, {1024, false}, {20, true}, {20, true}};
    for (uint16_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        packet p = make_packet(2000, 111, (uint16_t)(1 + i), (1u + i) * 960u, false, large, rows[i].size);
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK(take());
        CHECK_EQ(rows[i].is_red ? RED_PT : OPUS_PT, rtp.pt);
        CHECK(out.size <= TR_MAX_FORWARD);
    }
    end();
}

static void without_a_payload_type_there_are_no_copies(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false); /* a binding that says nothing of sound, as of what is encrypted end to end */
    set_copies(2, 1, 2);
    set_time(60);
    for (uint16_t seq = 1; seq < 9; seq++) {
        say(seq);
        CHECK(take());
        CHECK_PLAIN(seq);
    }
    end();
}

static void what_a_publisher_wrapped_itself_is_left_as_it_is(void)
{
    tr_add_receiver params = audio_params();
    params.codec_count = 2;
    params.codecs[1] = params.codecs[0];
    params.codecs[0] = (tr_codec_params){.pt = 63, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_RED, .clock_rate = 48000};
    begin(&params, false);
    tr_bind_sender bind = sound_bind(&params);
    CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, sender, &bind, now));
    set_copies(1, 1, 0);
    set_time(60);
    for (uint16_t seq = 1; seq < 5; seq++) {
        packet p = make_packet(2000, 63, seq, seq * 960u, false, (const uint8_t *)"\xef\x0f\x00\x02\x6fldnow", 10);
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK(take());
        CHECK_EQ(73, rtp.pt);
        CHECK_EQ(10, rtp.payload_size);
    }
    end();
}

static void video_knows_neither(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    CHECK_EQ(TR_ERR_ARGUMENT, tr__sender_set_redundancy(sender, 1, (uint8_t[]){1}));
    CHECK_EQ(TR_ERR_ARGUMENT, tr__sender_set_packet_time(sender, 60, now));
    end();
}

/* ------------------------------------------------------------------ asked for again */

static void a_resend_brings_the_copies_it_had(void)
{
    begin_sound();
    talk(1, 40);
    set_copies(2, 1, 3);
    talk(41, 50);
    set_copies(1, 6, 0);
    talk(51, 60);
    set_copies(0, 0, 0);
    talk(61, 64);
    uint16_t seqs[] = {FIRST + 38, FIRST + 42, FIRST + 49, FIRST + 50, FIRST + 55, FIRST + 62};
    CHECK_EQ(6, ask(seqs, 6));
    end();
}

static void a_copy_that_came_late_is_not_in_the_resend(void)
{
    begin_sound();
    talk(1, 40);
    set_copies(1, 1, 0);
    say(41);
    say(43); /* without 42 */
    rig_drain(&r);
    say(42);
    talk(44, 60);
    uint16_t seqs[] = {FIRST + 41, FIRST + 42, FIRST + 43};
    CHECK_EQ(3, ask(seqs, 3));
    end();
}

static void what_is_no_longer_whole_is_not_sent_again(void)
{
    begin_sound();
    set_copies(2, 8, 16);
    talk(1, 300);
    uint64_t unknown = drops(TR_DROP_NACK_UNKNOWN);
    uint16_t seqs[200];
    for (uint16_t i = 0; i < 200; i++) seqs[i] = (uint16_t)(FIRST + 99 + i);
    uint64_t left = ask(seqs, 200); /* each as it was: the rig compares */
    CHECK(left > 0);
    CHECK(drops(TR_DROP_NACK_UNKNOWN) - unknown > 0);
    end();
}

static void what_was_asked_for_is_counted_once_with_its_runs(void)
{
    begin_sound();
    talk(1, 60);
    uint16_t seqs[] = {FIRST + 10, FIRST + 11, FIRST + 12, FIRST + 30};
    ask(seqs, 4);
    ask(seqs, 4);
    uint16_t future[] = {FIRST + 90};
    ask(future, 1);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(4, stats.asked);
    CHECK_EQ(2, stats.asked_runs);
    CHECK_EQ(9, stats.nacks);
    end();
}

/* ------------------------------------------------------------------ joined */

static void three_packets_leave_as_one(void)
{
    begin_sound();
    set_time(60);
    talk(1, 2);
    CHECK_SILENT();
    say(3);
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_JOINED(1, 2, 3);
    CHECK_SILENT();
    talk(4, 6);
    CHECK_NEXT(FIRST + 1, 4 * 960 + TS_OFFSET); /* a numbering of its own, without holes */
    CHECK_JOINED(4, 5, 6);
    set_time(0);
    say(7);
    CHECK_NEXT(FIRST + 2, 7 * 960 + TS_OFFSET);
    CHECK_PLAIN(7);
    end();
}

static void what_is_held_leaves_before_what_does_not_continue_it(void)
{
    begin_sound();
    set_time(60);
    talk(1, 4);
    rig_drain(&r);
    say(6); /* 5 is missing: a hole to be asked for */
    CHECK_NEXT(FIRST + 1, 4 * 960 + TS_OFFSET);
    CHECK_PLAIN(4);
    talk(7, 8);
    CHECK_NEXT(FIRST + 3, 6 * 960 + TS_OFFSET);
    CHECK_JOINED(6, 7, 8);
    say(5);
    CHECK_NEXT(FIRST + 2, 5 * 960 + TS_OFFSET);
    CHECK_PLAIN(5);
    say(9);
    say_at(10, 30 * 960u); /* a silence was left out */
    CHECK_NEXT(FIRST + 4, 9 * 960 + TS_OFFSET);
    CHECK_PLAIN(9);
    packet p = make_packet(2000, 111, 11, 31 * 960u, false, (const uint8_t *)"\x7c stereo", 8);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK_NEXT(FIRST + 5, 30 * 960 + TS_OFFSET);
    CHECK_SILENT();
    set_time(0);
    CHECK_NEXT(FIRST + 6, 31 * 960 + TS_OFFSET);
    end();
}

static void what_is_held_does_not_wait_for_who_fell_silent(void)
{
    begin_sound();
    CHECK(!tr__sender_has_choice(sender));
    set_time(60);
    CHECK(tr__sender_has_choice(sender));
    talk(1, 2);
    now += 40 * MS;
    tr__sender_on_tick(sender, now);
    CHECK_SILENT();
    now += 40 * MS;
    tr__sender_on_tick(sender, now);
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_JOINED(1, 2);
    tr__sender_on_tick(sender, now);
    CHECK_SILENT();
    talk(3, 5);
    CHECK_NEXT(FIRST + 1, 3 * 960 + TS_OFFSET);
    end();
}

static void padding_and_pauses_leave_no_hole(void)
{
    begin_sound();
    set_time(60);
    talk(1, 2);
    packet empty = make_packet(2000, 111, 3, 3 * 960u, false, NULL, 0);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &empty, now));
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_JOINED(1, 2);
    talk(4, 5);
    tr__sender_pause(sender, true, now);
    say(6);
    tr__sender_pause(sender, false, now);
    CHECK_SILENT();
    talk(7, 9);
    CHECK_NEXT(FIRST + 1, 7 * 960 + TS_OFFSET);
    CHECK_JOINED(7, 8, 9);
    end();
}

static void packets_of_other_lengths_are_joined_up_to_the_time(void)
{
    static const struct {
        uint8_t toc; /* one frame each */
        uint16_t frame_ticks, ms, joined;
    } rows[] = {
        {0x70, 480, 60, 6},                                             /* 10 ms */
        {0x78, 960, 40, 2},   {0x78, 960, 120, 6}, {0x10, 1920, 60, 1}, /* a second one would be too much */
        {0x18, 2880, 60, 1},                                            /* as long as it is to be */
        {0x18, 2880, 120, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_sound();
        set_time(rows[i].ms);
        uint8_t body[30] = {rows[i].toc};
        for (uint16_t seq = 1; seq <= 12; seq++) {
            packet p = make_packet(2000, 111, seq, seq * (uint32_t)rows[i].frame_ticks, false, body, sizeof body);
            CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        }
        tr_opus opus;
        CHECK(take());
        CHECK(tr__opus_parse(&opus, payload(), rtp.payload_size));
        CHECK_EQ(rows[i].joined, opus.count);
        end();
    }
}

static void what_is_no_opus_leaves_as_it_came(void)
{
    begin_sound();
    set_time(60);
    set_copies(1, 1, 0); /* copies are for lines that have room */
    for (uint16_t seq = 1; seq < 5; seq++) {
        packet p = make_packet(2000, 111, seq, seq * 960u, false, (const uint8_t *)"\x7b\x07", 2);
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK_NEXT(FIRST + seq - 1, seq * 960 + TS_OFFSET);
        CHECK_EQ(2, rtp.payload_size);
    }
    end();
}

static void what_was_joined_is_sent_again_as_it_was(void)
{
    begin_sound();
    talk(1, 90);
    set_time(60);
    talk(91, 101);
    say(103); /* a hole between */
    talk(104, 110);
    set_time(0);
    talk(111, 114);
    uint16_t seqs[12];
    for (uint16_t i = 0; i < 12; i++) seqs[i] = (uint16_t)(FIRST + 86 + i);
    CHECK_EQ(11, ask(seqs, 12)); /* all but the hole */
    end();
}

/* ------------------------------------------------------------------ an hour of it */

/* Loss, lateness, orders that change, requests for anything: no index ever has two contents, and in the end every hole
 * of the outgoing numbers is one of the incoming ones. */
static void whatever_is_ordered_an_index_has_one_content(void)
{
    uint64_t seed = 5;
    begin_sound();
    uint16_t late[8] = {0};
    uint32_t taken = 0;
    uint16_t newest = FIRST;
    for (uint32_t n = 1; n < 180000; n++) { /* 20 ms each */
        uint16_t seq = (uint16_t)n;
        uint64_t dice = check_random(&seed);
        now += 20 * MS;
        if (dice % 97 == 0) set_time((uint16_t)(dice / 97 % 3 * 60));
        if (dice % 89 == 0) {
            uint8_t first = (uint8_t)(1 + dice / 89 % 8);
            set_copies((uint8_t)(dice / 712 % 3), first, (uint8_t)(first + 1 + dice / 2136 % 8));
        }
        if (dice % 10007 == 0) {
            tr__sender_pause(sender, true, now);
            tr__sender_pause(sender, false, now);
        }
        if (dice % 7 == 0)
            late[dice / 7 % 8] = seq;
        else
            say_at(seq, n * 960u);
        uint16_t *due = &late[dice / 64 % 8];
        if (*due && (uint16_t)(seq - *due) < 60 && dice % 3 == 0) {
            say_at(*due, (n - (uint16_t)(seq - *due)) * 960u);
            *due = 0;
        }
        tr__sender_on_tick(sender, now);
        for (; take(); taken++)
            if ((int16_t)(rtp.seq - newest) > 0) newest = rtp.seq;
        uint16_t wanted[6];
        for (int i = 0; i < 6; i++) wanted[i] = (uint16_t)(newest + 2 - check_random(&seed) % 140);
        if (dice % 5 == 0) tr__sender_on_nack(sender, wanted, 6, now);
        rig_drain(&r);
    }
    CHECK(taken > 60000);
    CHECK(r.repeats > 1000);
    CHECK_EQ(0, r.conflicts);
    end();
}

static const check_test tests[] = {
    TEST(untold_nothing_is_added),
    TEST(each_packet_brings_those_before_it),
    TEST(what_is_missing_or_out_of_reach_is_left_out),
    TEST(a_copy_is_of_the_same_track_since_it_began),
    TEST(large_packets_bring_no_copies),
    TEST(without_a_payload_type_there_are_no_copies),
    TEST(what_a_publisher_wrapped_itself_is_left_as_it_is),
    TEST(video_knows_neither),
    TEST(a_resend_brings_the_copies_it_had),
    TEST(a_copy_that_came_late_is_not_in_the_resend),
    TEST(what_is_no_longer_whole_is_not_sent_again),
    TEST(what_was_asked_for_is_counted_once_with_its_runs),
    TEST(three_packets_leave_as_one),
    TEST(what_is_held_leaves_before_what_does_not_continue_it),
    TEST(what_is_held_does_not_wait_for_who_fell_silent),
    TEST(padding_and_pauses_leave_no_hole),
    TEST(packets_of_other_lengths_are_joined_up_to_the_time),
    TEST(what_is_no_opus_leaves_as_it_came),
    TEST(what_was_joined_is_sent_again_as_it_was),
    TEST(whatever_is_ordered_an_index_has_one_content),
};
CHECK_MAIN("test_sound", tests)
