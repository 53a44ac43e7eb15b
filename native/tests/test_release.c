/* release: what a sender offers waits for its line and leaves once, numbered and protected then; what has become
 * useless meanwhile does not. */
#include "release.h"

#include "support/sender.h"

#define PACE 800000 /* bit/s: a packet of a thousand bytes each 10 ms */

static tr_downlink *line;
static tr_add_receiver params;

/* A sender whose line has that pace, which feedback of an empty line keeps. */
static void begin_paced(uint8_t encodings, bool has_rtx, uint32_t bps)
{
    tr_set_downlink set = {.transport = 1, .is_on = true, .start_bps = bps, .least_bps = 10000, .most_bps = 4000000};
    params = video_params(encodings);
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    now = 100 * (uint64_t)S;
    line = tr__downlink_new(7, NULL);
    CHECK_EQ(TR_OK, tr__downlink_set(line, &set));
    CHECK(line->pacer != NULL);
    r.egress.downlink = line;
    tr__clock_init(&clock_);
    receiver = tr__receiver_new(&params, HISTORY, &clock_, &r.tally);
    viewer = sender_params(TR_VIDEO, 5000, has_rtx ? 5001 : 0);
    viewer.extensions[TR_EXT_TWCC] = 5;
    sender = tr__sender_new(&viewer, &r.egress, FIRST, RTX_FIRST, TS_OFFSET);
    bind_to(&params);
    tr__pacer_set_pace(line->pacer, bps, now);
    tr__pacer_charge(line->pacer, 0, now);
}

static void end_paced(void)
{
    end(); /* no index was used for two packets: checked there */
    CHECK_EQ(0, line->pacer->count);
    tr__downlink_free(line);
}

static void part(int encoding, uint16_t seq, uint32_t ts, bool is_key, bool is_first, bool is_last)
{
    packet p = make_vp8(1000 + 10 * (uint32_t)encoding, seq, ts, is_first, is_key, is_last, 900);
    feed(receiver, encoding, false, &p, now);
}

/* A frame of so many packets, from seq on. */
static void big_frame(int encoding, uint16_t seq, uint32_t ts, bool is_key, int parts)
{
    for (int i = 0; i < parts; i++) part(encoding, (uint16_t)(seq + i), ts, is_key, i == 0, i == parts - 1);
}

/* Time passes; what waits leaves as the relay lets it. */
static void pass(uint64_t us)
{
    tr_outlet outlet = {line, &sender, 1, &r.tally};
    for (uint64_t until = now + us; now < until; now += MS)
        if (tr__downlink_release_at(line) <= now) tr__release_due(&outlet, now);
}

static int taken(uint16_t *seqs)
{
    int count = 0;
    while (take()) {
        if (seqs) seqs[count] = rtp.seq;
        count++;
    }
    return count;
}

/* ------------------------------------------------------------------ */

static void what_fits_leaves_at_once(void)
{
    begin_paced(1, true, 4 * PACE);
    big_frame(0, 100, 0, true, 1);
    CHECK_EQ(1, taken(NULL));
    CHECK_EQ(UINT64_MAX, tr__downlink_release_at(line));
    CHECK_EQ(0, r.tally.paced_packets);
    end_paced();
}

static void a_frame_leaves_at_the_pace_in_order(void)
{
    uint16_t seqs[64];
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 20);
    int at_once = taken(seqs);
    CHECK(at_once >= 1 && at_once <= 2);
    CHECK_EQ(20 - at_once, line->pacer->count);
    pass(100 * MS);
    int later = taken(seqs + at_once);
    CHECK(later >= 8 && later <= 12);
    pass(200 * MS);
    int last = taken(seqs + at_once + later);
    CHECK_EQ(20, at_once + later + last);
    for (int i = 0; i < 20; i++) CHECK_EQ((uint16_t)(FIRST + i), seqs[i]);
    CHECK(line->pacer->longest_us > 100 * MS);
    CHECK_EQ(20 - at_once, r.tally.paced_packets);
    end_paced();
}

static void a_beginning_from_the_history_leaves_once(void)
{
    begin_paced(1, true, PACE);
    tr__sender_pause(sender, true, now);
    big_frame(0, 100, 0, true, 12);
    big_frame(0, 112, 3000, false, 4);
    CHECK_EQ(0, taken(NULL));
    tr__receiver_remove_sender(receiver, sender, now);
    tr__sender_pause(sender, false, now);
    bind_to(&params);
    big_frame(0, 116, 6000, false, 3); /* the keyframe and what followed come from the history */
    pass(400 * MS);
    uint16_t seqs[64];
    CHECK_EQ(19, taken(seqs));
    for (int i = 0; i < 19; i++) CHECK_EQ((uint16_t)(FIRST + i), seqs[i]);
    CHECK_EQ(0, r.repeats);
    end_paced();
}

static void what_waits_of_a_paused_sender_is_dropped_and_numbers_close_up(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 10);
    int left = taken(NULL);
    tr__sender_pause(sender, true, now);
    CHECK_EQ(UINT64_MAX, tr__downlink_release_at(line));
    CHECK_EQ(10 - left, drops(TR_DROP_PACER));
    pass(200 * MS);
    CHECK_EQ(0, taken(NULL));
    tr__sender_pause(sender, false, now);
    big_frame(0, 110, 3000, true, 1);
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + left), rtp.seq);
    end_paced();
}

static void a_switch_drops_what_waits_of_the_encoding_before(void)
{
    begin_paced(2, true, PACE);
    tr__sender_set_layer(sender, (tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY}, now);
    big_frame(0, 100, 0, true, 10);
    int before = taken(NULL);
    tr__sender_set_layer(sender, (tr_layer){1, TR_LAYER_ANY, TR_LAYER_ANY}, now);
    big_frame(1, 500, 90000, true, 5);
    CHECK_EQ(10 - before, drops(TR_DROP_PACER));
    big_frame(0, 110, 3000, false, 3); /* of the encoding that is no longer forwarded */
    pass(200 * MS);
    uint16_t seqs[64];
    CHECK_EQ(5, taken(seqs));
    for (int i = 0; i < 5; i++) CHECK_EQ((uint16_t)(FIRST + before + i), seqs[i]);
    end_paced();
}

static void voices_do_not_wait(void)
{
    begin_paced(1, true, PACE);
    tr_add_receiver sound = audio_params();
    tr_receiver *microphone = tr__receiver_new(&sound, 16384, &clock_, &r.tally);
    tr_add_sender speaker = sender_params(TR_AUDIO, 6000, 0);
    tr_sender *voice = tr__sender_new(&speaker, &r.egress, 100, 100, 0);
    tr_bind_sender bind = bind_params(&sound, &speaker);
    CHECK_EQ(TR_OK, tr__receiver_add_sender(microphone, voice, &bind, now));
    big_frame(0, 100, 0, true, 10);
    taken(NULL);
    uint64_t waited = line->pacer->count;
    packet p = make_packet(2000, 111, 1, 960, false, (const uint8_t *)"opus", 4);
    feed(microphone, 0, false, &p, now);
    CHECK(take());
    CHECK_EQ(6000, rtp.ssrc);
    CHECK_EQ(waited, line->pacer->count);
    tr__receiver_remove_sender(microphone, voice, now);
    tr__sender_free(voice);
    tr__receiver_free(microphone);
    end_paced();
}

static void a_resend_waits_once_however_often_it_is_asked_for_and_goes_before_media(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 8);
    pass(200 * MS);
    CHECK_EQ(8, taken(NULL));
    pass(50 * MS);
    big_frame(0, 108, 3000, false, 20);
    taken(NULL);
    uint16_t asked[2] = {(uint16_t)(FIRST + 3), (uint16_t)(FIRST + 5)};
    for (int i = 0; i < 5; i++) tr__sender_on_nack(sender, asked, 2, now);
    CHECK_EQ(2, line->pacer->resends.count);
    CHECK_EQ(8, drops(TR_DROP_NACK_RATE));
    uint16_t far = (uint16_t)(FIRST + 3000);
    tr__sender_on_nack(sender, &far, 1, now);
    CHECK_EQ(1, drops(TR_DROP_NACK_UNKNOWN));
    pass(30 * MS);
    CHECK(take());
    CHECK_EQ(5001, rtp.ssrc);
    CHECK_EQ(RTX_FIRST, rtp.seq);
    CHECK(take());
    CHECK_EQ(RTX_FIRST + 1, rtp.seq);
    CHECK_EQ(2, r.tally.resent_packets);
    pass(400 * MS);
    taken(NULL);
    /* Later again: it does not wait any more. */
    tr__sender_on_nack(sender, asked, 1, now);
    pass(50 * MS);
    CHECK(take());
    CHECK_EQ(RTX_FIRST + 2, rtp.seq);
    end_paced();
}

static void without_rtx_a_resend_is_the_same_bytes(void)
{
    begin_paced(1, false, PACE);
    big_frame(0, 100, 0, true, 8);
    pass(200 * MS);
    packet sealed;
    while (rig_take_sealed(&r, &sealed)) {}
    uint16_t asked = (uint16_t)(FIRST + 3);
    big_frame(0, 108, 3000, false, 20);
    tr__sender_on_nack(sender, &asked, 1, now);
    pass(300 * MS);
    while (rig_take_sealed(&r, &sealed)) {}
    CHECK_EQ(1, r.repeats);
    CHECK_EQ(0, r.conflicts);
    end_paced();
}

static void what_has_waited_for_a_second_is_dropped_and_a_keyframe_asked_for(void)
{
    begin_paced(1, true, 60000);
    uint16_t seq = 100;
    uint32_t ts = 0, most = 0;
    big_frame(0, seq++, 0, true, 1);
    pass(3500 * MS); /* it began long ago */
    CHECK_EQ(1, taken(NULL));
    stream(0)->keyframe_wanted = false;
    uint64_t began = now;
    while (!drops(TR_DROP_PACER) && now < began + 6 * (uint64_t)S) {
        big_frame(0, seq++, ts += 3000, false, 1);
        if (line->pacer->count > most) most = line->pacer->count;
        pass(33 * MS);
    }
    CHECK(now - began >= S && now - began < 2 * S);
    CHECK(most < 60);
    CHECK(stream(0)->keyframe_wanted);
    CHECK_EQ(0, line->pacer->count);
    int left = taken(NULL);
    CHECK(left > 5);
    pass(500 * MS);
    big_frame(0, seq++, ts += 3000, false, 1);
    pass(200 * MS);
    CHECK_EQ(0, taken(NULL)); /* of no use before the keyframe */
    big_frame(0, seq++, ts += 3000, true, 1);
    pass(500 * MS);
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + 1 + left), rtp.seq);
    end_paced();
}

/* Each keyframe is more than the line carries in the time it may wait. */
static void a_line_too_thin_for_keyframes_does_not_ask_for_one_after_the_other(void)
{
    begin_paced(1, true, 40000);
    uint16_t seq = 100;
    uint32_t ts = 0, keyframes = 0;
    stream(0)->keyframe_wanted = true;
    for (int i = 0; i < 600; i++) { /* twenty seconds */
        bool is_key = stream(0)->keyframe_wanted;
        stream(0)->keyframe_wanted = false;
        int parts = is_key ? 30 : 2;
        keyframes += is_key;
        big_frame(0, seq, ts += 3000, is_key, parts);
        seq = (uint16_t)(seq + parts);
        pass(33 * MS);
    }
    CHECK(keyframes >= 6 && keyframes <= 8);
    end_paced();
}

static void what_waits_is_bounded_in_number(void)
{
    begin_paced(1, true, 10000);
    for (int i = 0; i < 3000; i++) {
        big_frame(0, (uint16_t)(100 + i), (uint32_t)i * 3000, i % 100 == 0, 1);
        CHECK(line->pacer->count <= TR_PACER_REFS);
    }
    CHECK(drops(TR_DROP_PACER) >= TR_PACER_REFS);
    end_paced();
}

static void what_the_history_lost_meanwhile_is_not_waited_for(void)
{
    begin_paced(1, true, 40000);
    big_frame(0, 100, 0, true, 3);
    stream(0)->keyframe_wanted = false;
    for (int i = 0; i < 400; i++) big_frame(0, (uint16_t)(103 + i), 3000, false, 1); /* more than it holds */
    pass(2000 * MS);
    CHECK(drops(TR_DROP_PACER) > 100);
    end_paced();
}

static void an_empty_packet_closes_up_behind_what_waits(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 6);
    packet empty = make_packet(1000, 96, 106, 0, false, NULL, 0);
    feed(receiver, 0, false, &empty, now);
    big_frame(0, 107, 3000, false, 3);
    pass(300 * MS);
    uint16_t seqs[64];
    CHECK_EQ(9, taken(seqs));
    for (int i = 0; i < 9; i++) CHECK_EQ((uint16_t)(FIRST + i), seqs[i]);
    end_paced();
}

static void turned_off_what_waits_leaves(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 10);
    int left = taken(NULL);
    tr__release_all(line, &r.tally, now);
    CHECK_EQ(10 - left, taken(NULL));
    tr__downlink_end_pacing(line);
    big_frame(0, 110, 3000, false, 5);
    CHECK_EQ(5, taken(NULL));
    end();
    tr__downlink_free(line);
}

static void a_sender_may_go_while_its_packets_wait(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 10);
    uint16_t asked = FIRST;
    tr__sender_on_nack(sender, &asked, 1, now);
    CHECK_EQ(1, line->pacer->resends.count);
    end_paced();
}

/* ------------------------------------------------------------------ trying the line */

static void padding_is_what_left_lately_or_nothing_at_all_under_rtx(void)
{
    begin_paced(1, true, 4 * PACE);
    CHECK(!tr__sender_can_pad(sender)); /* it has sent nothing yet */
    big_frame(0, 100, 0, true, 12);
    pass(50 * MS);
    CHECK_EQ(12, taken(NULL));
    CHECK(tr__sender_can_pad(sender));
    uint64_t resent = r.tally.resent_packets;
    for (int i = 0; i < 3; i++) CHECK_EQ(TR_DROP_NONE, tr__sender_pad(sender, 1000, now));
    for (int i = 0; i < 3; i++) {
        CHECK(take());
        CHECK_EQ(5001, rtp.ssrc);
        CHECK_EQ((uint16_t)(RTX_FIRST + i), rtp.seq);
        CHECK_EQ((uint16_t)(FIRST + 11 - i), tr__load16(out.data + rtp.header_size)); /* the number it had */
        CHECK(rtp.payload_size > 900);
    }
    uint64_t before = r.egress.tx_bytes;
    CHECK_EQ(TR_DROP_NONE, tr__sender_pad(sender, 250, now));
    uint64_t bytes = r.egress.tx_bytes - before + 28;
    CHECK(bytes <= 250 && bytes >= 220);
    CHECK(take());
    CHECK_EQ(5001, rtp.ssrc);
    CHECK_EQ((uint16_t)(RTX_FIRST + 3), rtp.seq);
    CHECK_EQ(0, rtp.payload_size);
    CHECK_EQ(resent, r.tally.resent_packets); /* nobody asked */
    /* What is asked for after that is there. */
    uint16_t asked = (uint16_t)(FIRST + 1);
    tr__sender_on_nack(sender, &asked, 1, now);
    pass(50 * MS);
    CHECK(take());
    CHECK_EQ((uint16_t)(RTX_FIRST + 4), rtp.seq);
    end_paced();
}

static void without_rtx_nothing_is_padded(void)
{
    begin_paced(1, false, 4 * PACE);
    big_frame(0, 100, 0, true, 3);
    CHECK(!tr__sender_can_pad(sender));
    end_paced();
}

/* Six packets and 9,000 bytes at 3 Mbit/s: what waits first, then padding; each belongs to it and has its distance. */
static void a_cluster_is_what_waits_and_then_padding(void)
{
    begin_paced(1, true, PACE);
    big_frame(0, 100, 0, true, 4);
    line->probe = (tr_probe){.probe_id = 7, .rate_bps = 3000000, .least_bytes = 9000, .least_packets = 6};
    int before = taken(NULL);
    uint64_t from = now;
    int64_t first = line->next_number;
    tr__pacer_begin_probe(line->pacer, 3000000, 9000, 6, now);
    while (line->pacer->is_probing && now < from + S) {
        pass(1 * MS);
        int at_once = taken(NULL);
        CHECK_EQ(at_once > 0, at_once);
    }
    CHECK(now - from >= 18 * MS && now - from <= 30 * MS);
    CHECK(line->next_number - first >= 7);
    uint32_t bytes = 0;
    for (int64_t number = first; number < line->next_number; number++) {
        const tr_sent_packet *sent = tr__sent_find(&line->estimator->sent, number);
        CHECK(sent && tr__sent_probe(sent) == 7);
        bytes += sent ? sent->size_bytes : 0;
    }
    CHECK(bytes >= 9000 && bytes < 9000 + 1300);
    CHECK_EQ(line->next_number - first - (4 - before), r.tally.padding_packets);
    CHECK_EQ(TR_NO_PROBE, line->probe_id);
    /* Then it is the pace again. */
    big_frame(0, 104, 3000, false, 6);
    pass(20 * MS);
    CHECK(taken(NULL) <= 3);
    end_paced();
}

/* Losses, resends, padding, switches and pauses at random: no index is used twice for two packets, and what is there to
 * be had arrives in order. */
static void whatever_happens_no_index_has_two_packets(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t dice = seed;
        uint16_t seqs[2] = {1000, 5000};
        uint32_t ts = 0;
        begin_paced(2, seed % 2 == 0, 400000);
        for (int step = 0; step < 4000; step++) {
            uint64_t d = check_random(&dice) % 1000;
            ts += 3000;
            for (int e = 0; e < 2; e++) {
                bool is_key = stream(e)->keyframe_wanted || d % 50 == 0;
                stream(e)->keyframe_wanted = false;
                int parts = 1 + (int)(check_random(&dice) % (is_key ? 8 : 3));
                for (int i = 0; i < parts; i++, seqs[e]++)
                    if (check_random(&dice) % 50) part(e, seqs[e], ts, is_key, i == 0, i == parts - 1);
                if (d % 20 == 3) {
                    packet empty = make_packet(1000 + 10 * (uint32_t)e, 96, seqs[e]++, ts, false, NULL, 0);
                    feed(receiver, e, false, &empty, now);
                }
            }
            if (d < 30) tr__sender_set_layer(sender, (tr_layer){(uint8_t)(d % 2), TR_LAYER_ANY, TR_LAYER_ANY}, now);
            if (d >= 30 && d < 35) tr__sender_pause(sender, true, now);
            if (d >= 35 && d < 60) tr__sender_pause(sender, false, now);
            if (d >= 60 && d < 400) {
                uint16_t asked[3];
                for (int i = 0; i < 3; i++) asked[i] = (uint16_t)(rtp.seq - check_random(&dice) % 60);
                tr__sender_on_nack(sender, asked, 3, now);
            }
            if (d >= 420 && d < 500 && tr__sender_can_pad(sender))
                tr__sender_pad(sender, (uint32_t)(d - 400) * 15, now);
            if (d >= 400 && d < 420) tr__pacer_set_pace(line->pacer, 40000 + 2000 * (d - 400) * (d - 400), now);
            pass((1 + check_random(&dice) % 33) * MS);
            if (step % 500 == 499) tr__sender_on_tick(sender, now);
            while (take())
                if (rtp.ssrc != 5000) rtp.seq = (uint16_t)FIRST;
        }
        CHECK_EQ(0, r.conflicts);
        CHECK(r.tally.paced_packets > 500);
        end_paced();
    }
}

static const check_test tests[] = {
    TEST(what_fits_leaves_at_once),
    TEST(a_frame_leaves_at_the_pace_in_order),
    TEST(a_beginning_from_the_history_leaves_once),
    TEST(what_waits_of_a_paused_sender_is_dropped_and_numbers_close_up),
    TEST(a_switch_drops_what_waits_of_the_encoding_before),
    TEST(voices_do_not_wait),
    TEST(a_resend_waits_once_however_often_it_is_asked_for_and_goes_before_media),
    TEST(without_rtx_a_resend_is_the_same_bytes),
    TEST(what_has_waited_for_a_second_is_dropped_and_a_keyframe_asked_for),
    TEST(a_line_too_thin_for_keyframes_does_not_ask_for_one_after_the_other),
    TEST(what_waits_is_bounded_in_number),
    TEST(what_the_history_lost_meanwhile_is_not_waited_for),
    TEST(an_empty_packet_closes_up_behind_what_waits),
    TEST(turned_off_what_waits_leaves),
    TEST(a_sender_may_go_while_its_packets_wait),
    TEST(padding_is_what_left_lately_or_nothing_at_all_under_rtx),
    TEST(without_rtx_nothing_is_padded),
    TEST(a_cluster_is_what_waits_and_then_padding),
    TEST(whatever_happens_no_index_has_two_packets),
};
CHECK_MAIN("test_release", tests)
