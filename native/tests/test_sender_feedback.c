/* sender: what it does with the peer's feedback (resends, keyframe requests, reports), and its own reports. */
#include "support/sender.h"

/* ------------------------------------------------------------------ resends */

static uint16_t nack(uint16_t seq)
{
    uint64_t before = r.egress.tx_packets;
    tr__sender_on_nack(sender, &seq, 1, now);
    return (uint16_t)(r.egress.tx_packets - before);
}

/* A keyframe and nine frames; the peer has them. */
static void send_ten(packet sent[10])
{
    for (uint16_t i = 0; i < 10; i++) {
        packet p = make_vp8(1000, (uint16_t)(70 + i), i * 3000u, true, i == 0, true, 200 + i);
        feed(receiver, 0, false, &p, now);
        CHECK(take());
        sent[i] = out;
    }
    CHECK_SILENT();
}

static void a_resend_by_rtx_carries_the_packet_as_the_peer_knows_it(void)
{
    tr_add_receiver params = video_params(1);
    params.extensions[TR_EXT_MID] = 3;
    packet sent[10];
    begin(&params, true);
    send_ten(sent);
    for (uint16_t i = 0; i < 2; i++) { /* the budget reaches for two */
        CHECK_EQ(1, nack((uint16_t)(FIRST + 3 * i)));
        CHECK_NEXT(RTX_FIRST + i, 9000u * i + TS_OFFSET);
        CHECK_EQ(5001, rtp.ssrc);
        CHECK_EQ(107, rtp.pt);
        CHECK(rtp.marker);
        packet expected = make_rtx(&sent[3 * i], 5001, 107, (uint16_t)(RTX_FIRST + i));
        CHECK_EQ(expected.size, out.size);
        CHECK_BYTES(expected.data, out.data, out.size);
    }
    CHECK_EQ(2, r.tally.resent_packets);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(12, stats.tx_packets);
    CHECK_EQ(2, stats.resent_packets);
    CHECK_EQ(2, stats.nacks);
    end();
}

static void without_rtx_a_resend_is_the_identical_ciphertext(void)
{
    tr_add_receiver params = video_params(1);
    for (uint8_t e = 0; e < TR_EXT_COUNT; e++) params.extensions[e] = (uint8_t)(e + 1);
    begin(&params, false);
    static packet sealed[40];
    static const uint8_t elements[] = {8 << 4 | 0, 0x42, 5 << 4 | 1, 0, 9, 7 << 4 | 7, 1, 2, 3, 4, 5, 6, 7, 8};
    for (uint16_t i = 0; i < 39; i++) {
        packet p = make_vp8(1000, (uint16_t)(65520 + i), i * 3000u, true, i == 0, i % 3 == 0, 490 + i);
        if (i % 2) add_block(&p, elements, sizeof elements);
        if (i % 5 == 4) { /* repaired, and with other extensions than the first copy may have had */
            packet next = make_vp8(1000, (uint16_t)(65521 + i), i * 3000u, true, false, true, 5);
            feed(receiver, 0, false, &next, now);
            CHECK(rig_take_sealed(&r, &sealed[i + 1]));
            packet repair = make_rtx(&p, 1001, 97, i);
            feed(receiver, 0, true, &repair, now);
            CHECK(rig_take_sealed(&r, &sealed[i]));
            i++;
        } else {
            feed(receiver, 0, false, &p, now);
            CHECK(rig_take_sealed(&r, &sealed[i]));
        }
    }
    CHECK_SILENT();
    uint64_t repeats = r.repeats;
    for (uint16_t i = 0; i < 20; i++) { /* the budget reaches for a quarter */
        if (i % 2 == 0) continue;
        now += 20 * MS;
        CHECK_EQ(1, nack((uint16_t)(FIRST + i)));
        packet again;
        CHECK(rig_take_sealed(&r, &again));
        CHECK_EQ(sealed[i].size, again.size);
        CHECK_BYTES(sealed[i].data, again.data, again.size);
        if (drops(TR_DROP_NACK_RATE)) break;
        if (r.repeats - repeats == 6) break;
    }
    CHECK_EQ(6, r.repeats - repeats);
    CHECK_EQ(0, r.conflicts);
    end();
}

static void what_cannot_be_resent_is_counted(void)
{
    tr_add_receiver params = video_params(1);
    packet sent[10];
    begin(&params, true);
    CHECK_EQ(0, nack(FIRST)); /* nothing was sent yet */
    CHECK_EQ(1, drops(TR_DROP_NACK_UNKNOWN));
    send_ten(sent);
    static const uint16_t unknown[] = {FIRST - 1, FIRST + 10, FIRST + 1000, FIRST + 30000, 0};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) CHECK_EQ(0, nack(unknown[i]));
    CHECK_EQ(6, drops(TR_DROP_NACK_UNKNOWN));
    /* Missing here too: the number is known, the packet is not. */
    frame(0, 81, 40000, false);
    CHECK(take());
    CHECK_EQ(0, nack(FIRST + 10));
    CHECK_EQ(7, drops(TR_DROP_NACK_UNKNOWN));
    /* Bound anew with other payload types: the old numbers are not touched again. */
    tr_bind_sender bind = bind_params(&params, &viewer);
    bind.pts[0] = 120;
    tr__receiver_add_sender(receiver, sender, &bind, now);
    CHECK_EQ(0, nack(FIRST + 5));
    tr__receiver_remove_sender(receiver, sender, now);
    CHECK_EQ(0, nack(FIRST + 5));
    CHECK_EQ(9, drops(TR_DROP_NACK_UNKNOWN));
    bind_to(&params);
    r.egress.srtp = NULL;
    CHECK_EQ(0, nack(FIRST + 5));
    r.egress.srtp = r.ours;
    end();
}

/* A packet of VP9: a keyframe's first layer or what follows it, of a spatial layer. */
static void vp9(uint16_t seq, uint32_t ts, uint8_t spatial, bool is_key, bool is_last)
{
    uint8_t payload[200] = {
        is_key ? 0xac : 0xec, 0x80, (uint8_t)seq, (uint8_t)(spatial << 1), 0, 0x82, 0x49, 0x83, 0x42};
    packet p = make_packet(1000, 96, seq, ts, is_last, payload, sizeof payload);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
}

static void what_is_of_an_upper_layer_is_resent_twice(void)
{
    tr_add_receiver params = video_params(1);
    params.codecs[0].codec = TR_CODEC_VP9;
    begin(&params, true);
    for (uint16_t i = 0; i < 40; i += 2) {
        vp9(i, i * 1500u, 0, i == 0, false);
        vp9((uint16_t)(i + 1), i * 1500u, 1, false, true);
    }
    rig_drain(&r);
    CHECK_EQ(1, nack(FIRST + 20));
    CHECK_EQ(2, nack(FIRST + 21));
    CHECK_EQ(0, nack(FIRST + 21)); /* within the round trip */
    CHECK_EQ(2, r.tally.resent_packets);
    rig_drain(&r);
    end();
}

static void each_packet_is_resent_once_a_round_trip_and_17_times_at_most(void)
{
    static const struct {
        uint64_t rtt_us, wait_us;
    } rows[] = {{0, 10 * MS}, {2 * MS, 10 * MS}, {80 * MS, 80 * MS}, {4 * S, 250 * MS}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(1);
        begin(&params, true);
        frame(0, 1, 0, true);
        for (uint16_t seq = 2; seq < 200; seq++) frame(0, seq, seq * 3000u, false);
        while (take()) {}
        r.egress.rtt_us = rows[i].rtt_us;
        CHECK_EQ(1, nack(FIRST + 190));
        now += rows[i].wait_us - 2 * MS; /* time is kept in units of a millisecond or so */
        CHECK_EQ(0, nack(FIRST + 190));
        CHECK_EQ(1, drops(TR_DROP_NACK_RATE));
        CHECK_EQ(1, nack(FIRST + 191));
        int resent = 1;
        for (int k = 0; k < 40; k++) {
            now += rows[i].wait_us + 2 * MS;
            resent += nack(FIRST + 190);
        }
        CHECK_EQ(TR_RESENDS_MAX, resent);
        CHECK_EQ(1, nack(FIRST + 189)); /* that was no lack of budget */
        rig_drain(&r);
        end();
    }
}

/* A38: a peer that asks for everything, a thousand times a second, costs a quarter more and no more. */
static void a_storm_of_requests_costs_a_quarter_at_most(void)
{
    for (int has_rtx = 0; has_rtx < 2; has_rtx++) {
        tr_add_receiver params = video_params(1);
        begin(&params, has_rtx);
        uint64_t media_bytes = 0;
        uint16_t seq = 0;
        for (uint32_t ms = 0; ms < 3000; ms++, now += MS) {
            if (ms % 8 == 0) {
                packet p = make_vp8(1000, seq, ms * 90, true, seq == 0, true, 1100);
                uint64_t before = r.egress.tx_bytes;
                feed(receiver, 0, false, &p, now);
                media_bytes += r.egress.tx_bytes - before;
                seq++;
            }
            for (uint16_t k = 0; k < 300; k++) nack((uint16_t)(FIRST + seq - k));
            rig_drain(&r);
        }
        CHECK(r.wire_bytes <= media_bytes * 5 / 4);
        CHECK(r.wire_bytes >= media_bytes * 6 / 5); /* and it does get its quarter */
        CHECK(drops(TR_DROP_NACK_RATE) > 100000);
        end();
    }
}

static void resends_reach_back_across_a_switch_of_encoding(void)
{
    tr_add_receiver params = video_params(2);
    begin(&params, true);
    frame(0, 1, 0, true);
    for (uint16_t seq = 2; seq < 20; seq++) frame(0, seq, seq * 3000u, false);
    frame(1, 500, 777, true);
    frame(1, 501, 3777, false);
    while (take()) {}
    CHECK_EQ(1, nack(FIRST + 18));
    CHECK(take());

    CHECK_EQ((uint16_t)(FIRST + 18), tr__load16(out.data + 12));
    CHECK_EQ((uint32_t)(19 * 3000u + TS_OFFSET), rtp.ts);
    CHECK_EQ(1, nack(FIRST + 20));
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + 20), tr__load16(out.data + 12));
    end();
}

/* ------------------------------------------------------------------ reports */

static tr_rtcp_sr sr;

static bool report(uint64_t our_ntp_us)
{
    uint8_t data[200];
    tr_pen pen = tr__pen(data, sizeof data);
    if (!tr__sender_put_report(sender, &pen, now, tr__ntp_from_us(our_ntp_us))) return false;
    CHECK(tr__pen_ok(&pen));
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, tr__pen_size(&pen)));
    tr_rtcp_part part;
    size_t at = 0;
    CHECK(tr__rtcp_next(data, tr__pen_size(&pen), &at, &part));
    CHECK(tr__rtcp_read_sr(&part, &sr));
    CHECK(tr__rtcp_next(data, tr__pen_size(&pen), &at, &part));
    CHECK_EQ(TR_RTCP_SDES, part.type);
    CHECK(memmem(part.body, part.size, "alice", 5) != NULL);
    CHECK_EQ(5000, sr.ssrc);
    CHECK_EQ(tr__ntp_from_us(our_ntp_us), sr.ntp);
    return true;
}

static void reports_begin_as_soon_as_the_sources_clock_is_known(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    CHECK_EQ(UINT64_MAX, tr__sender_report_at(sender));
    CHECK(!report(1));
    /* Their clock is 7,000 s behind ours; their report says that 90,000 was at 1,000 s. */
    uint64_t theirs = 1000 * (uint64_t)S, ours = 8000 * (uint64_t)S;
    frame(0, 1, 50000, true);
    CHECK_EQ(now + S, tr__sender_report_at(sender)); /* nothing is known: by arrival, in a second */
    tr_rtcp_sr theirs_sr = {.ssrc = 1000, .rtp_ts = 90000, .ntp = tr__ntp_from_us(theirs)};
    tr__receiver_on_sr(receiver, 0, &theirs_sr, now, tr__ntp_from_us(ours));
    CHECK(tr__sender_report_at(sender) <= now + 100 * MS);
    now += 30 * MS;
    CHECK(report(ours + 30 * MS));
    CHECK(tr__ts_diff(sr.rtp_ts, 90000 + 30 * 90 + TS_OFFSET) >= -1 &&
          tr__ts_diff(sr.rtp_ts, 90000 + 30 * 90 + TS_OFFSET) <= 1);
    CHECK_EQ(1, sr.packets);
    CHECK_EQ(200, sr.bytes);
    CHECK_EQ(UINT64_MAX, tr__sender_report_at(sender)); /* nothing new was sent */
    frame(0, 2, 93000, false);
    CHECK_EQ(now + S, tr__sender_report_at(sender));
    uint8_t small[40];
    tr_pen pen = tr__pen(small, sizeof small);
    CHECK(!tr__sender_put_report(sender, &pen, now, 1)); /* no room: nothing is spoilt */
    CHECK(tr__pen_ok(&pen));
    rig_drain(&r);
    end();
}

static void a_source_that_never_reports_is_mapped_by_arrival(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    opus(10);
    CHECK_EQ(now + S, tr__sender_report_at(sender));
    now += 1 * S;
    CHECK(report(5000 * (uint64_t)S));
    CHECK_EQ((uint32_t)(9600 + 48000 + TS_OFFSET), sr.rtp_ts);
    opus(60);
    CHECK_EQ(now + S, tr__sender_report_at(sender));
    rig_drain(&r);
    end();
}

/* What it keeps would else begin at a time that its own report takes back. */
static void a_tap_is_told_of_no_time_before_the_sources_report(void)
{
    static _Alignas(64) uint8_t memory[65536 + 4096];
    tr_ring ring;
    tr__ring_create(&ring, memory, 65536);
    tr_add_receiver params = audio_params();
    begin(&params, false);
    r.egress.tap = &ring;
    opus(10);
    CHECK_EQ(UINT64_MAX, tr__sender_report_at(sender));
    now += 1 * S;
    CHECK(!report(5001 * (uint64_t)S));
    tr_rtcp_sr theirs = {.ssrc = 2000, .rtp_ts = 9600, .ntp = tr__ntp_from_us(70 * (uint64_t)S)};
    tr__receiver_on_sr(receiver, 0, &theirs, now, tr__ntp_from_us(5001 * (uint64_t)S));
    CHECK_EQ(0, tr__sender_report_at(sender)); /* at once */
    CHECK(report(5001 * (uint64_t)S));
    CHECK_EQ((uint32_t)(9600 + TS_OFFSET), sr.rtp_ts);
    r.egress.tap = NULL;
    rig_drain(&r);
    end();
}

/* A camera and a microphone of one participant, each with a clock of its own: at the peer both show the same moment. */
static void lips_and_sound_stay_together(void)
{
    tr_add_receiver params = video_params(1), audio = audio_params();
    begin(&params, true);
    tr_receiver *microphone = tr__receiver_new(&audio, HISTORY, &clock_, &r.tally);
    tr_add_sender ear = sender_params(TR_AUDIO, 6000, 0);
    tr_sender *sound = tr__sender_new(&ear, &r.egress, 9, 9, 1234567);
    tr_bind_sender bind = bind_params(&audio, &ear);
    tr__receiver_add_sender(microphone, sound, &bind, now);
    uint64_t theirs = 700 * (uint64_t)S, ours = 9000 * (uint64_t)S;
    /* At `theirs`, video shows 1,000 and audio 2,000. Video's report comes 150 ms late, audio's 10 ms. */
    frame(0, 1, 1000, true);
    packet p = make_packet(2000, 111, 5, 2000, false, (const uint8_t *)"opus", 4);
    feed(microphone, 0, false, &p, now);
    tr_rtcp_sr one = {.ssrc = 1000, .rtp_ts = 1000, .ntp = tr__ntp_from_us(theirs)};
    tr__receiver_on_sr(receiver, 0, &one, now, tr__ntp_from_us(ours + 150 * MS));
    tr_rtcp_sr two = {.ssrc = 2000, .rtp_ts = 2000, .ntp = tr__ntp_from_us(theirs)};
    tr__receiver_on_sr(microphone, 0, &two, now, tr__ntp_from_us(ours + 10 * MS));
    now += 500 * MS;
    CHECK(report(ours + 500 * MS));
    int32_t video_age = tr__ts_diff(sr.rtp_ts, 1000 + TS_OFFSET); /* of what was shown at `theirs` */
    uint8_t data[200];
    tr_pen pen = tr__pen(data, sizeof data);
    CHECK(tr__sender_put_report(sound, &pen, now, tr__ntp_from_us(ours + 500 * MS)));
    int32_t audio_age = tr__ts_diff(tr__load32(data + 16), 2000 + 1234567);
    int64_t skew_us = (int64_t)video_age * 1000000 / 90000 - (int64_t)audio_age * 1000000 / 48000;
    CHECK(skew_us > -100 && skew_us < 100);
    tr__receiver_remove_sender(microphone, sound, now);
    tr__sender_free(sound);
    tr__receiver_free(microphone);
    rig_drain(&r);
    end();
}

static void the_round_trip_comes_from_reports_that_answer_ours(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    opus(1);
    uint64_t ours = 5000 * (uint64_t)S;
    CHECK(report(ours));
    uint32_t last_sr = (uint32_t)(sr.ntp >> 16);
    tr_rtcp_report block = {
        .ssrc = 5000, .fraction_lost = 12, .lost = 34, .jitter = 56, .last_sr = last_sr, .delay_since_sr = 65536};
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + S + 80 * MS));
    CHECK(r.egress.rtt_us > 79900 && r.egress.rtt_us < 80100);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(12, stats.peer_fraction_lost);
    CHECK_EQ(34, stats.peer_lost);
    CHECK_EQ(56, stats.peer_jitter);
    /* Smoothed; one about another report, or another stream, says nothing. */
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + S + 160 * MS));
    CHECK(r.egress.rtt_us > 89900 && r.egress.rtt_us < 90100);
    /* Of a queue that is gone nothing is kept. */
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + 4 * S));
    CHECK(r.egress.rtt_us > 400000);
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + S + 90 * MS));
    CHECK(r.egress.rtt_us > 89900 && r.egress.rtt_us < 90100);
    block.last_sr ^= 1;
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + 3 * S));
    block.last_sr = 0;
    tr__sender_on_report(sender, &block, now, tr__ntp_from_us(ours + 3 * S));
    block.ssrc = 1;
    block.fraction_lost = 99;
    tr__sender_on_report(sender, &block, now, 0);
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(12, stats.peer_fraction_lost);
    CHECK(r.egress.rtt_us > 89900 && r.egress.rtt_us < 90100);
    rig_drain(&r);
    end();
}

static void keyframe_requests_of_the_peer_reach_the_encoding_it_sees(void)
{
    tr_add_receiver params = video_params(2);
    begin(&params, true);
    frame(0, 1, 0, true);
    frame(1, 1, 0, true);
    tr__sender_on_keyframe_request(sender, now);
    CHECK(!stream(0)->keyframe_wanted);
    CHECK(stream(1)->keyframe_wanted);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(1, stats.plis);
    tr__receiver_remove_sender(receiver, sender, now);
    CHECK(!stream(1)->keyframe_wanted); /* nobody waits any more */
    tr__sender_on_keyframe_request(sender, now);
    CHECK(!stream(1)->keyframe_wanted);
    rig_drain(&r);
    end();
}

static const check_test tests[] = {
    TEST(a_resend_by_rtx_carries_the_packet_as_the_peer_knows_it),
    TEST(without_rtx_a_resend_is_the_identical_ciphertext),
    TEST(what_cannot_be_resent_is_counted),
    TEST(what_is_of_an_upper_layer_is_resent_twice),
    TEST(each_packet_is_resent_once_a_round_trip_and_17_times_at_most),
    TEST(a_storm_of_requests_costs_a_quarter_at_most),
    TEST(resends_reach_back_across_a_switch_of_encoding),
    TEST(reports_begin_as_soon_as_the_sources_clock_is_known),
    TEST(a_source_that_never_reports_is_mapped_by_arrival),
    TEST(a_tap_is_told_of_no_time_before_the_sources_report),
    TEST(lips_and_sound_stay_together),
    TEST(the_round_trip_comes_from_reports_that_answer_ours),
    TEST(keyframe_requests_of_the_peer_reach_the_encoding_it_sees),
};
CHECK_MAIN("test_sender_feedback", tests)
