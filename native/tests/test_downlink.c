/* downlink: what leaves for a subscriber is numbered across all its tracks, and what its feedback says of those numbers
 * reaches the estimator, once, and nothing else does. */
#include "downlink.h"

#include "support/peer.h"

#define MS 1000
#define TWCC_ID 3

static world w;
static peer *a, *b;
static uint64_t video_index, audio_index;

static void bind_one(uint32_t id, tr_kind kind, uint32_t ssrc, uint32_t out_ssrc, bool is_numbered)
{
    tr_add_receiver receiver = peer_receiver(id, a->transport, kind, ssrc);
    tr_add_sender sender = peer_sender(id, b->transport, kind, out_ssrc);
    tr_bind_sender bind = peer_bind(id, id, kind == TR_VIDEO ? 120 : 109, kind == TR_VIDEO ? 121 : TR_NO_PT);
    if (is_numbered) sender.extensions[TR_EXT_TWCC] = TWCC_ID;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
}

/* A publisher of a camera and a microphone, and one who has both, numbered or not. */
static void begin(bool video_is_numbered, bool audio_is_numbered)
{
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, true);
    b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    bind_one(1, TR_VIDEO, 5000, 7000, video_is_numbered);
    bind_one(2, TR_AUDIO, 6000, 8000, audio_is_numbered);
    video_index = audio_index = 0;
}

static tr_downlink *downlink(void)
{
    const tr_transport *t = tr__engine_guess(w.engine, &b->path);
    CHECK(t != NULL);
    return t->downlink;
}

static int fate_of(int64_t number)
{
    const tr_sent_packet *p = tr__sent_find(&downlink()->estimator->sent, number);
    return p ? p->fate : -1;
}

static void send_video(size_t payload)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    video_index++;
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, video_index, (uint32_t)video_index * 3000, 5000,
                                 video_index == 1, true, (uint16_t)(video_index + audio_index), payload);
    CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, video_index));
    world_deliver(&w);
}

static void send_audio(void)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    audio_index++;
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_OPUS_PT, audio_index, (uint32_t)audio_index * 960, 6000,
                                 false, false, (uint16_t)(video_index + audio_index), 80);
    CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, audio_index));
    world_deliver(&w);
}

/* The latest media packet that b got, `back` before the last of them. */
static int got_number(uint64_t back, tr_rtp *rtp)
{
    static const uint8_t ids[TR_EXT_COUNT] = {[TR_EXT_TWCC] = TWCC_ID, [TR_EXT_MID] = 4};
    for (uint64_t i = b->got_count; i-- > 0 && b->got_count - i < 256;) {
        if (b->got[i % 256].is_rtcp || back--) continue;
        tr_rtp_extensions found;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(rtp, b->got[i % 256].data, b->got[i % 256].size));
        CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(rtp, ids, &found));
        if (found.of[TR_EXT_TWCC].at) CHECK(found.of[TR_EXT_TWCC].at < found.of[TR_EXT_MID].at); /* at the head */
        return found.of[TR_EXT_TWCC].at ? tr__load16(rtp->data + found.of[TR_EXT_TWCC].at) : -1;
    }
    return -2;
}

static tr_drop send_rtcp(const tr_pen *pen)
{
    uint8_t sealed[TR_OUTBOX_SLOT];
    memcpy(sealed, pen->begin, tr__pen_size(pen));
    return peer_send(&w, b, sealed, tr__srtp_seal_rtcp(b->srtp, sealed, tr__pen_size(pen)));
}

/* b's feedback of these packets: numbers from `first` on, each at its time on b's clock, 0: missing. */
static tr_drop send_feedback(uint16_t first, const uint64_t *at_us, uint32_t count)
{
    static tr_twcc theirs;
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    tr__twcc_init(&theirs);
    for (uint32_t i = 0; i < count; i++)
        if (at_us[i]) tr__twcc_on_packet(&theirs, (uint16_t)(first + i), at_us[i], at_us[i]);
    CHECK(tr__twcc_put_feedback(&theirs, &pen, 1, 7000, UINT64_MAX - 1));
    return send_rtcp(&pen);
}

static void nack(uint32_t ssrc, uint16_t seq)
{
    uint8_t data[64];
    tr_pen pen = tr__pen(data, sizeof data);
    tr__rtcp_put_nack(&pen, 1, ssrc, &seq, 1);
    CHECK_EQ(TR_DROP_NONE, send_rtcp(&pen));
    world_deliver(&w);
}

/* ------------------------------------------------------------------ numbers */

static void numbers_count_up_across_tracks(void)
{
    tr_rtp rtp;
    begin(true, true);
    downlink()->next_number = 65530;
    for (int i = 0; i < 20; i++) {
        if (i % 3 == 1)
            send_audio();
        else
            send_video(1000);
        CHECK_EQ((65530 + i) & 0xffff, got_number(0, &rtp));
    }
    CHECK_EQ(65550, downlink()->next_number);
    world_dispose(&w);
}

static void a_track_without_the_extension_has_no_number(void)
{
    tr_rtp rtp;
    begin(false, true);
    send_audio();
    CHECK_EQ(0, got_number(0, &rtp));
    send_video(1000);
    CHECK_EQ(-1, got_number(0, &rtp));
    send_audio();
    CHECK_EQ(1, got_number(0, &rtp));
    world_dispose(&w);
    begin(false, false);
    send_audio();
    CHECK_EQ(-1, got_number(0, &rtp));
    CHECK(downlink() == NULL);
    world_dispose(&w);
}

static void a_resend_by_rtx_has_a_number_of_its_own(void)
{
    tr_rtp rtp;
    begin(true, true);
    for (int i = 0; i < 12; i++) send_video(1000);
    CHECK_EQ(11, got_number(0, &rtp));
    nack(7000, (uint16_t)(rtp.seq - 3));
    CHECK_EQ(12, got_number(0, &rtp));
    CHECK_EQ(7001, rtp.ssrc);
    send_video(1000);
    CHECK_EQ(13, got_number(0, &rtp));
    world_dispose(&w);
}

/* Sound has no RTX: what is resent are the same bytes, and the number is in them. The peer's SRTP refuses a packet
 * twice, so that the datagrams are compared as they leave. */
static void a_resend_without_rtx_keeps_its_number(void)
{
    begin(true, true);
    uint8_t first[TR_OUTBOX_SLOT], packet[TR_OUTBOX_SLOT];
    size_t first_size = 0;
    uint16_t seq = 0;
    tr_rtp rtp;
    tr_outbox *outbox = tr__engine_outbox(w.engine);
    for (int i = 0; i < 30; i++) {
        if (i != 10) {
            send_audio();
            continue;
        }
        audio_index++;
        size_t size = peer_write_rtp(packet, sizeof packet, PEER_OPUS_PT, audio_index, (uint32_t)audio_index * 960,
                                     6000, false, false, (uint16_t)audio_index, 80);
        CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, audio_index));
        CHECK_EQ(1, outbox->count);
        first_size = outbox->items[0].size;
        memcpy(first, outbox->items[0].data, first_size);
        world_deliver(&w);
        CHECK_EQ(10, got_number(0, &rtp));
        seq = rtp.seq;
    }
    CHECK_EQ(30, downlink()->next_number);
    for (int again = 0; again < 2; again++) {
        uint8_t data[64];
        tr_pen pen = tr__pen(data, sizeof data);
        w.now_us += 50 * MS;
        tr__rtcp_put_nack(&pen, 1, 8000, &seq, 1);
        CHECK_EQ(TR_DROP_NONE, send_rtcp(&pen));
        CHECK_EQ(1, outbox->count);
        CHECK_EQ(first_size, outbox->items[0].size);
        CHECK_BYTES(first, outbox->items[0].data, first_size);
        world_deliver(&w);
    }
    /* What comes back of that number tells of a loss, not of a line that was slow. */
    uint64_t arrivals[30];
    for (uint64_t i = 0; i < 30; i++) arrivals[i] = 77000 * MS + (i == 10 ? 300 * MS : i * 20 * MS);
    CHECK_EQ(TR_DROP_NONE, send_feedback(0, arrivals, 30));
    CHECK_EQ(TR_FATE_LOST, fate_of(10));
    CHECK_EQ(TR_FATE_RECEIVED, fate_of(11));
    CHECK_EQ(30, downlink()->next_number);
    world_dispose(&w);
}

/* ------------------------------------------------------------------ feedback */

static void feedback_reaches_the_estimator(void)
{
    begin(true, true);
    downlink()->next_number = 65530;
    uint64_t arrivals[12];
    for (uint64_t i = 0; i < 12; i++) {
        w.now_us += 10 * MS;
        send_video(1000);
        arrivals[i] = i == 4 ? 0 : 50000 * MS + i * 10 * MS;
    }
    const tr_estimator *e = downlink()->estimator;
    uint64_t flight = e->sent.flight_bytes;
    /* Header, block of a number and a MID, payload, tag, UDP and IP. */
    CHECK_EQ(12 * (12 + 4 + 8 + 1000 + 16 + 28), flight);
    w.now_us += 40 * MS;
    CHECK_EQ(TR_DROP_NONE, send_feedback(65530, arrivals, 11));
    CHECK(downlink()->is_heard);
    CHECK_EQ(1, downlink()->feedbacks);
    CHECK_EQ(flight / 12, e->sent.flight_bytes);
    for (int i = 0; i < 11; i++) CHECK_EQ(i == 4 ? TR_FATE_LOST : TR_FATE_RECEIVED, fate_of(65530 + i));
    CHECK_EQ(50 * MS, e->rtt_us);
    /* The same again, and what was missing with it. */
    arrivals[4] = 50000 * MS + 55 * MS;
    CHECK_EQ(TR_DROP_NONE, send_feedback(65530, arrivals, 12));
    CHECK_EQ(TR_FATE_RECEIVED, fate_of(65534));
    CHECK_EQ(0, e->sent.flight_bytes);
    CHECK_EQ(0, e->unknown);
    world_dispose(&w);
}

static void their_clock_wraps(void)
{
    begin(true, true);
    uint64_t wrap = ((uint64_t)1 << 24) * TR_TWCC_REFERENCE_US, at = wrap - 3 * 64 * MS;
    int64_t last_us = 0, first_us = 0;
    for (int i = 0; i < 40; i++, at += 20 * MS) {
        w.now_us += 20 * MS;
        send_video(300);
        CHECK_EQ(TR_DROP_NONE, send_feedback((uint16_t)i, &at, 1));
        /* The newest delay is arrival less departure: it stays what it was across the wrap. */
        int64_t delay = downlink()->estimator->delay.last_us;
        if (!i) first_us = delay;
        last_us = delay;
    }
    CHECK(last_us - first_us < 300 && first_us - last_us < 300);
    world_dispose(&w);
}

static void numbers_never_sent_teach_nothing(void)
{
    begin(true, true);
    for (int i = 0; i < 10; i++) {
        w.now_us += 10 * MS;
        send_video(1000);
    }
    tr_estimator before = *downlink()->estimator;
    uint64_t arrivals[40];
    for (uint64_t i = 0; i < 40; i++) arrivals[i] = 90000 * MS + i * MS;
    static const uint16_t firsts[] = {10, 11, 500, 40000, 65000};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        CHECK_EQ(TR_DROP_NONE, send_feedback(firsts[i], arrivals, 40));
    CHECK_BYTES(&before, downlink()->estimator, sizeof before);
    CHECK(!downlink()->is_heard);
    /* Of one that goes beyond what was sent, what was sent counts. */
    CHECK_EQ(TR_DROP_NONE, send_feedback(5, arrivals, 40));
    CHECK_EQ(TR_FATE_RECEIVED, fate_of(9));
    CHECK_EQ(0, downlink()->estimator->unknown);
    world_dispose(&w);
}

static void malformed_feedback_is_counted_and_teaches_nothing(void)
{
    begin(true, true);
    for (int i = 0; i < 10; i++) send_video(1000);
    tr_estimator before = *downlink()->estimator;
    uint8_t data[256];
    tr_pen pen = tr__pen(data, sizeof data);
    uint8_t *head = tr__put(&pen, 12);
    memset(head, 0, 12);
    head[0] = 0x8f;
    head[1] = 205;
    head[3] = 5;
    tr__put16(&pen, 0);
    tr__put16(&pen, 9); /* statuses, of which two are there */
    tr__put32(&pen, 0);
    tr__put16(&pen, 0x2002);
    tr__put16(&pen, 0x0101);
    uint16_t seq = 0x7fff;
    tr__rtcp_put_nack(&pen, 1, 7000, &seq, 1);
    CHECK_EQ(TR_DROP_RTCP_MALFORMED, send_rtcp(&pen));
    CHECK_EQ(1, w.tally.drops[TR_DROP_RTCP_MALFORMED]);
    CHECK_EQ(1, w.tally.nacks_rx); /* what else it asked for was heard */
    CHECK_BYTES(&before, downlink()->estimator, sizeof before);
    world_dispose(&w);
}

static void feedback_that_claims_the_world_is_cheap(void)
{
    begin(true, true);
    for (int i = 0; i < 10; i++) send_video(1000);
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    for (int i = 0; i < 30; i++) { /* 65,528 missing packets each */
        tr__put16(&pen, 0x8fcd);   /* FMT 15, PT 205 */
        tr__put16(&pen, 8);
        tr__put32(&pen, 0);
        tr__put32(&pen, 0);
        tr__put16(&pen, 0);
        tr__put16(&pen, 65528);
        tr__put32(&pen, 0);
        for (int k = 0; k < 8; k++) tr__put16(&pen, 8191);
    }
    CHECK_EQ(TR_DROP_NONE, send_rtcp(&pen));
    CHECK_EQ(0, downlink()->estimator->repeated);
    CHECK_EQ(10, downlink()->reported_to);
    world_dispose(&w);
}

static void reports_and_remb(void)
{
    uint8_t data[256];
    tr_pen pen = tr__pen(data, sizeof data);
    uint32_t ssrc = 7000;
    tr_rtcp_report report = {.ssrc = 7000, .fraction_lost = 64};
    tr__rtcp_put_rr(&pen, 1, &report, 1);
    tr__rtcp_put_remb(&pen, 1, 640000, &ssrc, 1);
    CHECK_EQ(TR_DROP_NONE, send_rtcp(&pen));
}

static void reports_and_remb_reach_the_estimator(void)
{
    begin(true, true);
    send_video(1000);
    reports_and_remb();
    const tr_told *told = &downlink()->estimator->told;
    CHECK_EQ(640000, told->remb_bps);
    CHECK_EQ(w.now_us, told->remb_us);
    CHECK_EQ(w.now_us, told->report_us);
    world_dispose(&w);
}

/* ------------------------------------------------------------------ time, and what control is told */

static int set_downlink(bool is_on, uint32_t start_bps, uint32_t least_bps, uint32_t most_bps)
{
    tr_set_downlink set = {b->transport, is_on, start_bps, least_bps, most_bps};
    return world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set);
}

/* Time passes, without anything sent; the estimates told meanwhile, the latest of them in `last`. */
static int pass(uint64_t us, tr_estimate *last)
{
    int count = 0;
    for (uint64_t end = w.now_us + us; w.now_us < end;) {
        tr_event event;
        size_t size;
        w.now_us += MS;
        tr__engine_on_timer(w.engine, w.now_us);
        while (tr__ring_pop(&w.events, &event.type, &event.tag, event.body, sizeof event.body, &size) == 1) {
            if (event.type != TR_EVENT_ESTIMATE) continue;
            CHECK_EQ(sizeof *last, size);
            memcpy(last, event.body, sizeof *last);
            count++;
        }
        world_deliver(&w);
    }
    return count;
}

/* A stream of 50 packets a second with feedback of each tenth of a second, the third of five lost or not, and of what
 * was sent to try the line by; how many estimates were told. */
static int stream(int tenths, bool is_lossy, tr_estimate *last)
{
    int count = 0;
    for (int i = 0; i < tenths; i++) {
        uint64_t arrivals[100];
        int64_t first = downlink()->next_number, next = first;
        for (int k = 0; k < 5; k++) {
            send_video(1000);
            if (is_lossy && k == 2 && next < downlink()->next_number) arrivals[next++ - first] = 0;
            uint64_t at_us = w.now_us + 30 * MS;
            count += pass(20 * MS, last);
            for (; next < downlink()->next_number && next - first < 100; next++, at_us += MS)
                arrivals[next - first] = at_us;
        }
        CHECK_EQ(TR_DROP_NONE, send_feedback((uint16_t)first, arrivals, (uint32_t)(next - first)));
    }
    return count;
}

static void time_begins_with_the_first_packet(void)
{
    tr_estimate none;
    begin(true, true);
    pass(3050 * MS, &none);
    CHECK_EQ(UINT64_MAX, tr__downlink_at(downlink()));
    for (int again = 0; again < 2; again++) { /* the second time after a silence */
        send_video(1000);
        uint64_t first_us = w.now_us;
        CHECK_EQ(first_us + TR_DOWNLINK_INTERVAL_US, tr__downlink_at(downlink()));
        pass(28 * MS, &none);
        CHECK(tr__downlink_at(downlink()) >= first_us + 2 * TR_DOWNLINK_INTERVAL_US);
        CHECK(tr__downlink_at(downlink()) <= first_us + 2 * TR_DOWNLINK_INTERVAL_US + 2 * MS);
        pass(3000 * MS, &none);
        CHECK_EQ(UINT64_MAX, tr__downlink_at(downlink()));
    }
    world_dispose(&w);
}

/* Four times as much as is sent, and no more is wanted: as often as there is feedback; when that fails as soon as ever.
 */
static void a_line_with_ample_room_is_looked_at_less_often(void)
{
    tr_estimate told = {0};
    begin(true, true);
    CHECK_EQ(TR_OK, set_downlink(true, 2000000, 2000000, 2000000));
    stream(20, false, &told);
    CHECK(downlink()->is_ample);
    int looks = 0;
    for (int i = 0; i < 50; i++) { /* tenths of a second */
        uint64_t arrivals[5];
        int64_t first = downlink()->next_number;
        for (int k = 0; k < 5; k++) {
            send_video(1000);
            arrivals[k] = w.now_us + 30 * MS;
            for (int ms = 0; ms < 20; ms++) {
                uint64_t at_us = tr__downlink_at(downlink());
                pass(MS, &told);
                looks += at_us != tr__downlink_at(downlink());
            }
        }
        CHECK_EQ(TR_DROP_NONE, send_feedback((uint16_t)first, arrivals, 5));
    }
    CHECK(looks >= 45 && looks <= 55);
    uint64_t heard_us = w.now_us;
    while (told.mode != TR_ESTIMATOR_SILENT && w.now_us < heard_us + 1000 * MS) {
        send_video(1000);
        pass(5 * MS, &told);
    }
    CHECK_EQ(TR_ESTIMATOR_SILENT, told.mode);
    CHECK(w.now_us - heard_us <= 350 * MS + TR_DOWNLINK_INTERVAL_US + 30 * MS);
    CHECK(!downlink()->is_ample);
    world_dispose(&w);
}

static void a_transport_may_go_with_its_time_just_begun(void)
{
    tr_estimate none;
    begin(true, true);
    send_video(1000);
    CHECK(downlink()->is_woken);
    tr_one_id gone = {b->transport};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_REMOVE_TRANSPORT, &gone, sizeof gone));
    pass(100 * MS, &none);
    world_dispose(&w);
}

static void nothing_is_told_that_was_not_asked_for(void)
{
    tr_estimate none;
    begin(true, true);
    CHECK_EQ(0, stream(30, false, &none));
    CHECK(downlink()->is_heard);
    world_dispose(&w);
}

static void control_is_told_of_the_estimate(void)
{
    tr_estimate told = {0};
    begin(true, true);
    CHECK_EQ(TR_OK, set_downlink(true, 500000, 100000, 2000000));
    CHECK_EQ(500000, (uint64_t)downlink()->estimator->bps);
    send_video(1000);
    CHECK_EQ(1, pass(30 * MS, &told));
    CHECK_EQ(b->transport, told.transport);
    CHECK_EQ(500000, told.target_bps);
    CHECK_EQ(TR_ESTIMATOR_FREE, told.mode);
    CHECK_EQ(0, told.rtt_us);
    /* Media flows and little changes: each two seconds; and never more than five a second. */
    int count = stream(100, true, &told);
    CHECK(count >= 4 && count <= 50);
    CHECK_EQ(20 * MS, told.rtt_us);
    CHECK(told.loss_q16 > 65536 / 7 && told.loss_q16 < 65536 / 4);
    CHECK(told.target_bps >= 100000 && told.target_bps <= 2000000);
    /* No feedback any more: another mode is told at once, for what is sent still. */
    for (int i = 0; i < 25; i++) {
        send_video(1000);
        pass(20 * MS, &told);
    }
    CHECK_EQ(TR_ESTIMATOR_SILENT, told.mode);
    /* And none of a line on which nothing is sent. */
    pass(4000 * MS, &told);
    CHECK_EQ(0, pass(4000 * MS, &told));
    world_dispose(&w);
}

static void an_event_that_found_no_room_is_told_later(void)
{
    tr_estimate told;
    begin(true, true);
    CHECK_EQ(TR_OK, set_downlink(true, 500000, 100000, 2000000));
    send_video(1000);
    uint8_t body[1024] = {0};
    while (tr__ring_push(&w.events, TR_EVENT_DATA, 0, body, sizeof body) == TR_OK) {}
    while (tr__ring_push(&w.events, TR_EVENT_DATA, 0, body, 1) == TR_OK) {}
    w.now_us += 30 * MS;
    tr__engine_on_timer(w.engine, w.now_us);
    CHECK_EQ(0, downlink()->told_us);
    world_take_events(&w);
    CHECK_EQ(1, pass(60 * MS, &told));
    world_dispose(&w);
}

static void bounds_may_change_and_what_is_known_stays(void)
{
    tr_estimate told;
    begin(true, true);
    CHECK_EQ(TR_OK, set_downlink(true, 500000, 100000, 2000000));
    stream(20, false, &told);
    const tr_estimator *e = downlink()->estimator;
    uint64_t knew = (uint64_t)e->bps;
    CHECK(knew > 500000);
    CHECK_EQ(TR_OK, set_downlink(true, 100000, 50000, 3000000));
    CHECK(downlink()->estimator == e);
    CHECK_EQ(knew, (uint64_t)e->bps);
    CHECK_EQ(TR_OK, set_downlink(true, 100000, 50000, 200000));
    CHECK_EQ(200000, (uint64_t)e->bps);
    world_dispose(&w);
}

static void off_numbers_go_on_and_nothing_is_estimated(void)
{
    tr_rtp rtp;
    tr_estimate none;
    begin(true, true);
    stream(3, false, &none);
    CHECK_EQ(TR_OK, set_downlink(false, 0, 0, 0));
    CHECK_EQ(0, stream(30, false, &none));
    CHECK_EQ(164, got_number(0, &rtp));
    CHECK(downlink()->estimator == NULL);
    CHECK_EQ(UINT64_MAX, tr__downlink_at(downlink()));
    reports_and_remb();
    /* On again: what was remembered of the line is where it starts. */
    CHECK_EQ(TR_OK, set_downlink(true, 700000, 100000, 2000000));
    CHECK_EQ(700000, (uint64_t)downlink()->estimator->bps);
    CHECK(stream(3, false, &none) > 0);
    int64_t latest = downlink()->next_number - 1;
    CHECK(latest >= 179);
    CHECK_EQ(latest, got_number(0, &rtp));
    CHECK_EQ(TR_FATE_RECEIVED, fate_of(latest));
    world_dispose(&w);
}

static void a_downlink_set_before_its_first_track_is_so_set(void)
{
    begin(false, false);
    CHECK_EQ(TR_OK, set_downlink(true, 400000, 100000, 2000000));
    tr_add_sender sender = peer_sender(9, b->transport, TR_AUDIO, 9000);
    sender.extensions[TR_EXT_TWCC] = TWCC_ID;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    CHECK_EQ(400000, (uint64_t)downlink()->estimator->bps);
    CHECK(downlink()->is_told);
    world_dispose(&w);
}

static void what_cannot_be_is_refused(void)
{
    begin(true, true);
    static const uint32_t wrong[][3] = {{0, 0, 0}, {1, 0, 1}, {1, 2, 3}, {4, 2, 3}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(TR_ERR_ARGUMENT, set_downlink(true, wrong[i][0], wrong[i][1], wrong[i][2]));
    CHECK(!downlink()->is_told);
    tr_set_downlink set = {0x70007, true, 2, 1, 3};
    CHECK_EQ(TR_ERR_NOT_FOUND, world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set));
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set - 1));
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(numbers_count_up_across_tracks),
    TEST(a_track_without_the_extension_has_no_number),
    TEST(a_resend_by_rtx_has_a_number_of_its_own),
    TEST(a_resend_without_rtx_keeps_its_number),
    TEST(feedback_reaches_the_estimator),
    TEST(their_clock_wraps),
    TEST(numbers_never_sent_teach_nothing),
    TEST(malformed_feedback_is_counted_and_teaches_nothing),
    TEST(feedback_that_claims_the_world_is_cheap),
    TEST(reports_and_remb_reach_the_estimator),
    TEST(time_begins_with_the_first_packet),
    TEST(a_line_with_ample_room_is_looked_at_less_often),
    TEST(a_transport_may_go_with_its_time_just_begun),
    TEST(nothing_is_told_that_was_not_asked_for),
    TEST(control_is_told_of_the_estimate),
    TEST(an_event_that_found_no_room_is_told_later),
    TEST(bounds_may_change_and_what_is_known_stays),
    TEST(off_numbers_go_on_and_nothing_is_estimated),
    TEST(a_downlink_set_before_its_first_track_is_so_set),
    TEST(what_cannot_be_is_refused),
};

int main(void) { return check_main("test_downlink", tests, sizeof tests / sizeof *tests); }
