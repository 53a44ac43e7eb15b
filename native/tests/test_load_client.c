/* load client: one simulated peer against a server made of a socket and keys: which packets are whose, what is asked
 * for again, what happens when the server changes streams; and that none of it allocates. */
#include "support/load_line.h"

#include "clock.h"
#include "support/allocations.h"

static line l;

static tl_leg leg_of(uint32_t stream)
{
    tl_leg leg = {.stream = UINT32_MAX};
    for (uint32_t i = 0; i < l.client->way_count; i++) {
        const tl_way *way = l.client->ways[i];
        if (way->stream != stream) continue;
        leg.stream = stream;
        leg.section = way->section;
        leg.is_parked = way->account.is_parked;
        leg.tally = tl__way_settle(way, &l.shared);
    }
    return leg;
}

static void a_packet_finds_its_section_by_ssrc_then_mid_then_payload_type(void)
{
    line_init(&l);
    for (uint32_t stream = 1; stream <= 4; stream++) line_publish(&l, stream, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "a", 5000, true);
    line_receive(&l, 1, TL_VIDEO, "b", 0, true);
    line_receive(&l, 2, TL_AUDIO, "c", 0, true);
    line_forward(&l, 1, 5000, 1, "b"); /* declared: what its MID says does not matter */
    line_forward(&l, 2, 6000, 1, "b");
    line_forward(&l, 3, 7000, 1, NULL); /* no word of whose it is: the first section that has the payload type and
                                           no SSRC of its own */
    line_forward(&l, 2, 6000, 2, NULL); /* learned */
    CHECK_EQ(0, leg_of(1).section);
    CHECK_EQ(1, leg_of(2).section);
    CHECK_EQ(1, leg_of(3).section);
    CHECK_EQ(2, leg_of(2).tally.received);
    CHECK_EQ(3, l.client->ssrc_count);
    line_dispose(&l);
}

static void what_belongs_nowhere_is_counted_and_nothing_else(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 2, TL_AUDIO, "c", 0, true);
    line_forward(&l, 1, 5000, 1, "x");
    CHECK_EQ(1, l.shared.totals.unknown_packets);
    CHECK_EQ(0, l.client->way_count);
    line_receive(&l, 0, TL_VIDEO, "x", 0, true);
    uint8_t payload[200] = {0x10}; /* media, but none of ours */
    line_give(&l, 5000, 2, LINE_VIDEO_PT, "x", payload, sizeof payload);
    CHECK_EQ(1, l.shared.totals.unstamped_packets);
    CHECK_EQ(0, l.client->way_count);
    line_dispose(&l);
}

static void a_gap_is_asked_for_and_a_resend_counts_as_repair(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_packet kept = {0};
    for (uint64_t seq = 1; seq <= 10; seq++) {
        line_packet packet = line_next(&l, 1);
        if (seq == 5)
            kept = packet;
        else
            line_give(&l, 5000, seq, LINE_VIDEO_PT, "v", packet.payload, packet.size);
    }
    CHECK_EQ(1, leg_of(1).tally.lost);
    CHECK_EQ(0, line_collect(&l).nacked); /* not at once: it may only be late */
    line_pass(&l, 30000);
    line_heard heard = line_collect(&l);
    CHECK_EQ(1, heard.nacked);
    CHECK_EQ(5, heard.first_nacked);
    uint8_t resend[1300];
    tr__store16(resend, 5);
    memcpy(resend + 2, kept.payload, kept.size);
    line_give(&l, 5001, 1, LINE_RTX_PT, "v", resend, kept.size + 2);
    tl_tally t = leg_of(1).tally;
    CHECK_EQ(0, t.lost);
    CHECK_EQ(10, t.received);
    CHECK_EQ(1, t.repaired);
    CHECK_EQ(0, t.reordered);
    line_give(&l, 5001, 2, LINE_RTX_PT, "v", resend, kept.size + 2);
    CHECK_EQ(1, leg_of(1).tally.resent_duplicates);
    CHECK_EQ(0, leg_of(1).tally.duplicates);
    line_give(&l, 5001, 3, LINE_RTX_PT, "v", resend, 0); /* padding, to probe */
    CHECK_EQ(0, l.shared.totals.unstamped_packets);
    line_dispose(&l);
}

static void what_comes_behind_a_later_one_was_reordered(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_forward(&l, 1, 5000, 1, "v");
    line_packet second = line_next(&l, 1), third = line_next(&l, 1);
    line_give(&l, 5000, 3, LINE_VIDEO_PT, "v", third.payload, third.size);
    line_give(&l, 5000, 2, LINE_VIDEO_PT, "v", second.payload, second.size);
    tl_tally t = leg_of(1).tally;
    CHECK_EQ(3, t.received);
    CHECK_EQ(1, t.reordered);
    CHECK_EQ(0, t.repaired + t.lost + t.duplicates);
    line_dispose(&l);
}

static void latency_is_from_the_stamp_to_the_kernel_s_and_of_a_resend_from_the_first_sending(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_packet first = line_next(&l, 1), second = line_next(&l, 1), third = line_next(&l, 1);
    line_pass(&l, 3000);
    line_give(&l, 5000, 1, LINE_VIDEO_PT, "v", first.payload, first.size);
    line_give(&l, 5000, 3, LINE_VIDEO_PT, "v", third.payload, third.size);
    line_pass(&l, 50000);
    uint8_t resend[1300];
    tr__store16(resend, 2);
    memcpy(resend + 2, second.payload, second.size);
    line_give(&l, 5001, 1, LINE_RTX_PT, "v", resend, second.size + 2);
    CHECK_EQ(2, l.shared.histograms[TL_HISTOGRAM_VIDEO].count);
    CHECK_EQ(3000, l.shared.histograms[TL_HISTOGRAM_VIDEO].max_us);
    CHECK_EQ(1, l.shared.histograms[TL_HISTOGRAM_RESENT].count);
    CHECK_EQ(53000, l.shared.histograms[TL_HISTOGRAM_RESENT].max_us);
    CHECK_EQ(3000, leg_of(1).tally.latency_max_us);
    line_dispose(&l);
}

static void failures_are_put_down_to_the_ssrc_they_claim(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_forward(&l, 1, 5000, 1, "v");
    line_packet packet = line_next(&l, 1);
    uint8_t wire[1500], copy[1500];
    size_t size = line_seal(&l, wire, 5000, 2, LINE_VIDEO_PT, "v", packet.payload, packet.size);
    memcpy(copy, wire, size);
    copy[size / 2] ^= 1;
    line_receive_wire(&l, copy, size);
    memcpy(copy, wire, size);
    line_receive_wire(&l, copy, size);
    memcpy(copy, wire, size);
    line_receive_wire(&l, copy, size);
    tl_tally t = leg_of(1).tally;
    CHECK_EQ(1, t.auth_failures);
    CHECK_EQ(1, t.duplicates);
    CHECK_EQ(2, t.received);
    line_dispose(&l);
}

static void a_server_that_spoils_a_payload_is_found_out(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_forward(&l, 1, 5000, 1, "v");
    line_packet packet = line_next(&l, 1);
    packet.payload[packet.size / 2] ^= 1;
    line_give(&l, 5000, 2, LINE_VIDEO_PT, "v", packet.payload, packet.size);
    line_forward(&l, 1, 5000, 3, "v");
    tl_tally t = leg_of(1).tally;
    CHECK_EQ(1, t.corrupted);
    CHECK_EQ(1, t.lost);
    CHECK_EQ(2, t.received);
    line_dispose(&l);
}

static void another_encoding_in_the_same_place_parks_the_first(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 77);
    line_publish(&l, 2, TL_VIDEO, 77);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    uint64_t seq = 1;
    for (int i = 0; i < 20; i++) line_forward(&l, 1, 5000, seq++, "v");
    line_skip(&l, 2, 20); /* the server did not forward these */
    for (int i = 0; i < 20; i++) line_forward(&l, 2, 5000, seq++, "v");
    line_skip(&l, 1, 20);
    CHECK(leg_of(1).is_parked);
    CHECK_EQ(20, leg_of(1).tally.sent);
    CHECK_EQ(0, leg_of(1).tally.lost);
    CHECK_EQ(20, leg_of(2).tally.sent);
    for (int i = 0; i < 5; i++) line_forward(&l, 1, 5000, seq++, "v");
    CHECK(!leg_of(1).is_parked && leg_of(2).is_parked);
    CHECK_EQ(25, leg_of(1).tally.sent);
    CHECK_EQ(20, leg_of(1).tally.skipped);
    CHECK_EQ(0, leg_of(1).tally.lost + leg_of(2).tally.lost);
    /* The same with an SSRC for each encoding. */
    line_forward(&l, 2, 8000, 1, "v");
    CHECK(leg_of(1).is_parked && !leg_of(2).is_parked);
    line_dispose(&l);
}

static void another_publisher_under_the_same_ssrc_parks_the_first(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_publish(&l, 2, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    line_forward(&l, 1, 5000, 1, "v");
    line_forward(&l, 2, 5000, 2, "v");
    line_skip(&l, 1, 30);
    CHECK(leg_of(1).is_parked && !leg_of(2).is_parked);
    CHECK_EQ(0, leg_of(1).tally.lost + leg_of(1).tally.in_flight);
    line_dispose(&l);
}

static void two_streams_that_are_no_group_do_not_park_each_other(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_publish(&l, 2, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 0, true);
    line_forward(&l, 1, 5000, 1, "v");
    line_forward(&l, 2, 6000, 1, "v");
    CHECK(!leg_of(1).is_parked && !leg_of(2).is_parked);
    line_dispose(&l);
}

static void a_picture_that_stands_still_asks_for_a_keyframe_once_a_second(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, false);
    line_skip(&l, 1, 50); /* the keyframe among them */
    int asked = 0;
    for (uint64_t seq = 1; seq <= 250; seq++) { /* ten milliseconds each */
        line_forward(&l, 1, 5000, seq, "v");
        line_pass(&l, 10000);
        asked += line_collect(&l).plis;
    }
    CHECK_EQ(3, asked); /* after 300 ms, and after 1.3 and 2.3 s */
    CHECK_EQ(3, leg_of(1).tally.plis);
    CHECK_EQ(0, leg_of(1).tally.frames);
    line_dispose(&l);
}

static void requests_for_packets_and_pictures_are_answered(void)
{
    line_init(&l);
    tl_send send = line_send(9, TL_VIDEO, 0);
    send.peer = 0;
    CHECK_EQ(TL_OK, tl__client_add_send(l.client, &send));
    tl__client_start(l.client, l.shared.now_ns);
    line_pass(&l, 200000);
    line_heard heard = line_collect(&l);
    CHECK(heard.rtp >= 5);
    uint16_t seqs[] = {(uint16_t)heard.last_seq, (uint16_t)(heard.last_seq - 1), (uint16_t)(heard.last_seq + 10)};
    uint8_t data[256];
    tr_pen pen = tr__pen(data, sizeof data);
    tr__rtcp_put_nack(&pen, 3, send.ssrc, seqs + 1, 1);
    tr__rtcp_put_nack(&pen, 3, send.ssrc, seqs, 1);
    tr__rtcp_put_nack(&pen, 3, send.ssrc, seqs + 2, 1);
    tr__rtcp_put_pli(&pen, 3, send.ssrc);
    tr__rtcp_put_pli(&pen, 3, send.ssrc + 1000); /* not ours: nothing happens */
    line_give_rtcp(&l, &pen);
    CHECK_EQ(2, line_collect(&l).rtx);
    const tl_outbound *o = l.client->outbounds[0];
    CHECK_EQ(3, o->nacks);
    CHECK_EQ(1, o->nacks_unknown);
    CHECK_EQ(1, o->plis);
    CHECK_EQ(1, o->keyframes);
    line_pass(&l, 400000);
    CHECK_EQ(2, o->keyframes);
    line_dispose(&l);
}

static void reports_tell_of_loss_and_round_trips(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, false);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        if (seq % 10 == 5)
            line_skip(&l, 1, 1);
        else
            line_forward(&l, 1, 5000, seq, "v");
    }
    uint8_t data[256];
    tr_pen pen = tr__pen(data, sizeof data);
    tr_rtcp_sr sr = {.ssrc = 5000, .ntp = 0x1111222233334444u};
    tr__rtcp_put_sr(&pen, &sr, NULL, 0);
    line_give_rtcp(&l, &pen);
    line_pass(&l, 1010000);
    line_heard heard = line_collect(&l);
    CHECK_EQ(1, heard.reports);
    CHECK_EQ(10, heard.report.lost);
    CHECK_EQ(25, heard.report.fraction_lost); /* a tenth of 256 */
    CHECK_EQ(0x22223333, heard.report.last_sr);
    CHECK_EQ(100, heard.report.highest_seq);
    line_dispose(&l);
}

static void what_was_sent_is_told_in_sender_reports(void)
{
    line_init(&l);
    tl_send send = line_send(9, TL_VIDEO, 0);
    send.peer = 0;
    CHECK_EQ(TL_OK, tl__client_add_send(l.client, &send));
    tl__client_start(l.client, l.shared.now_ns);
    line_pass(&l, 1100000);
    tr_rtcp_sr sr = line_collect(&l).sr;
    const tl_outbound *o = l.client->outbounds[0];
    CHECK_EQ(send.ssrc, sr.ssrc);
    CHECK(sr.packets > 0 && sr.packets <= o->source->next);
    /* Of the clock of packets' stamps: within the second that has passed. */
    uint64_t now_us = (l.shared.now_ns - (uint64_t)l.shared.real_to_monotonic_ns) / 1000 + 2208988800000000u;
    CHECK(tr__ntp_to_us(sr.ntp) + 200000 > now_us && tr__ntp_to_us(sr.ntp) <= now_us);
    line_dispose(&l);
}

static void arrivals_are_told_transport_wide(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, false);
    for (uint64_t seq = 1; seq <= 20; seq++) line_forward(&l, 1, 5000, seq, "v");
    line_pass(&l, 110000);
    CHECK_EQ(1, line_collect(&l).feedbacks);
    line_dispose(&l);
}

static void a_section_that_is_removed_ends_its_accounts(void)
{
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 0, true);
    for (uint64_t seq = 1; seq <= 20; seq++) line_forward(&l, 1, 5000, seq, "v");
    tl__client_remove_receive(l.client, 0);
    CHECK_EQ(0, l.client->way_count);
    CHECK_EQ(0, l.client->ssrc_count);
    CHECK_EQ(20, l.shared.ended[TL_VIDEO].received);
    CHECK_EQ(20, l.shared.ended[TL_VIDEO].sent);
    line_forward(&l, 1, 5000, 21, "v");
    CHECK_EQ(1, l.shared.totals.unknown_packets);
    line_receive(&l, 0, TL_VIDEO, "v", 0, true);
    line_forward(&l, 1, 5000, 22, "v");
    CHECK_EQ(1, leg_of(1).tally.received);
    line_dispose(&l);
}

static void packets_allocate_nothing(void)
{
#ifndef CANNOT_COUNT_ALLOCATIONS
    CHECK(allocations_are_counted());
#endif
    line_init(&l);
    line_publish(&l, 1, TL_VIDEO, 0);
    line_receive(&l, 0, TL_VIDEO, "v", 5000, true);
    tl_send send = line_send(9, TL_VIDEO, 0);
    send.peer = 0;
    CHECK_EQ(TL_OK, tl__client_add_send(l.client, &send));
    tl__client_start(l.client, l.shared.now_ns);
    uint64_t seq = 1;
    for (; seq <= 50; seq++) line_forward(&l, 1, 5000, seq, "v");
    line_pass(&l, 1000000);
    line_collect(&l);
    counting = true;
    for (; seq <= 5000; seq++) {
        if (seq % 50)
            line_forward(&l, 1, 5000, seq, "v");
        else
            line_skip(&l, 1, 1);
        if (seq % 20 == 0) line_pass(&l, 33000);
    }
    counting = false;
    CHECK_EQ(0, allocations);
    CHECK(leg_of(1).tally.received > 4800);
    CHECK(l.client->outbounds[0]->source->next > 500);
    CHECK(leg_of(1).tally.nacks > 50);
    line_dispose(&l);
}

static const check_test tests[] = {
    TEST(a_packet_finds_its_section_by_ssrc_then_mid_then_payload_type),
    TEST(what_belongs_nowhere_is_counted_and_nothing_else),
    TEST(a_gap_is_asked_for_and_a_resend_counts_as_repair),
    TEST(what_comes_behind_a_later_one_was_reordered),
    TEST(latency_is_from_the_stamp_to_the_kernel_s_and_of_a_resend_from_the_first_sending),
    TEST(failures_are_put_down_to_the_ssrc_they_claim),
    TEST(a_server_that_spoils_a_payload_is_found_out),
    TEST(another_encoding_in_the_same_place_parks_the_first),
    TEST(another_publisher_under_the_same_ssrc_parks_the_first),
    TEST(two_streams_that_are_no_group_do_not_park_each_other),
    TEST(a_picture_that_stands_still_asks_for_a_keyframe_once_a_second),
    TEST(requests_for_packets_and_pictures_are_answered),
    TEST(reports_tell_of_loss_and_round_trips),
    TEST(what_was_sent_is_told_in_sender_reports),
    TEST(arrivals_are_told_transport_wide),
    TEST(a_section_that_is_removed_ends_its_accounts),
    TEST(packets_allocate_nothing),
};

int main(void)
{
    allocations_interpose();
    return check_main("test_load_client", tests, sizeof tests / sizeof *tests);
}
