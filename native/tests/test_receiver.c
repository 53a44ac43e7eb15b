/* receiver: numbering, RTX, duplicates, statistics, and what is asked of the publisher. */
#include "receiver.h"

#include "support/media.h"

#define MS 1000
#define S 1000000
#define HISTORY 65536

static tr_tally tally;
static tr_clock clock_;
static tr_receiver *receiver;

static void begin(const tr_add_receiver *params)
{
    memset(&tally, 0, sizeof tally);
    tr__clock_init(&clock_);
    receiver = tr__receiver_new(params, HISTORY, &clock_, &tally);
    CHECK(receiver != NULL);
}

static tr_stream *stream(int i) { return &tr__receiver_source(receiver)->streams[i]; }

static tr_drop feed_vp8(uint16_t seq, uint64_t now_us)
{
    packet p = make_vp8(1000, seq, 3000u * seq, true, false, true, 100);
    return feed(receiver, 0, false, &p, now_us);
}

static tr_drop feed_rtx(uint16_t seq, uint16_t rtx_seq, uint64_t now_us)
{
    packet p = make_vp8(1000, seq, 3000u * seq, true, false, true, 100);
    packet r = make_rtx(&p, 1001, 97, rtx_seq);
    return feed(receiver, 0, true, &r, now_us);
}

/* What it asks for now: the parts as read back. */
typedef struct asked {
    size_t nacks, plis, firs;
    uint16_t seqs[512];
    uint8_t fir_number;
    uint32_t ssrc;
} asked;

static asked ask(size_t room, uint64_t now_us)
{
    asked a = {0};
    uint8_t data[1500];
    tr_pen pen = tr__pen(data, room);
    bool written = tr__receiver_put_feedback(receiver, &pen, 42, now_us);
    CHECK(tr__pen_ok(&pen));
    CHECK_EQ(written, tr__pen_size(&pen) > 0);
    if (!written) return a;
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, tr__pen_size(&pen)));
    tr_rtcp_part part;
    size_t at = 0;
    uint32_t fir_ssrc;
    while (tr__rtcp_next(data, tr__pen_size(&pen), &at, &part)) {
        CHECK_EQ(42, tr__load32(part.body));
        a.ssrc = tr__rtcp_media_ssrc(&part);
        if (part.type == TR_RTCP_RTPFB)
            a.nacks += tr__rtcp_read_nack(&part, a.seqs + a.nacks, 512 - a.nacks);
        else if (part.count == TR_PSFB_PLI)
            a.plis++;
        else if (tr__rtcp_read_fir(&part, 0, &fir_ssrc, &a.fir_number))
            a.firs++, a.ssrc = fir_ssrc;
    }
    return a;
}

static void parameters_out_of_range_are_refused(void)
{
    tr_add_receiver params = video_params(1);
    params.encoding_count = 0;
    CHECK(tr__receiver_new(&params, HISTORY, &clock_, &tally) == NULL);
    params.encoding_count = TR_MAX_ENCODINGS + 1;
    CHECK(tr__receiver_new(&params, HISTORY, &clock_, &tally) == NULL);
    params = video_params(1);
    params.codec_count = 0;
    CHECK(tr__receiver_new(&params, HISTORY, &clock_, &tally) == NULL);
    params.codec_count = TR_MAX_CODECS + 1;
    CHECK(tr__receiver_new(&params, HISTORY, &clock_, &tally) == NULL);
    tr__receiver_free(NULL);
}

static void whose_packet_it_is(void)
{
    tr_add_receiver params = video_params(3);
    params.encodings[1].ssrc = params.encodings[1].rtx_ssrc = 0;
    begin(&params);
    CHECK_EQ(0, tr__receiver_find_rid(receiver, (const uint8_t *)"a", 1));
    CHECK_EQ(2, tr__receiver_find_rid(receiver, (const uint8_t *)"c", 1));
    CHECK_EQ(-1, tr__receiver_find_rid(receiver, (const uint8_t *)"d", 1));
    CHECK_EQ(-1, tr__receiver_find_rid(receiver, (const uint8_t *)"ab", 2));
    CHECK_EQ(-1, tr__receiver_find_rid(receiver, NULL, 0)); /* three to choose from */
    CHECK(tr__receiver_learn_ssrc(receiver, 1, 55, false, 0));
    CHECK(tr__receiver_learn_ssrc(receiver, 1, 55, false, 0));
    CHECK(!tr__receiver_learn_ssrc(receiver, 1, 56, false, 0));
    CHECK(!tr__receiver_learn_ssrc(receiver, 0, 56, false, 0));
    CHECK(tr__receiver_learn_ssrc(receiver, 1, 57, true, 0));
    CHECK(!tr__receiver_learn_ssrc(receiver, 1, 58, true, 0));
    bool is_rtx;
    CHECK(tr__receiver_has_pt(receiver, 96, &is_rtx) && !is_rtx);
    CHECK(tr__receiver_has_pt(receiver, 97, &is_rtx) && is_rtx);
    CHECK(!tr__receiver_has_pt(receiver, 98, &is_rtx));
    tr__receiver_free(receiver);
    params = video_params(1);
    begin(&params);
    CHECK_EQ(0, tr__receiver_find_rid(receiver, NULL, 0));
    tr__receiver_free(receiver);
}

static void without_subscribers_it_still_counts_and_keeps(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_vp8(10, 1 * S));
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_vp8(12, 1 * S));
    CHECK_EQ(TR_DROP_RTP_DUPLICATE, feed_vp8(12, 1 * S));
    CHECK(tr__history_has(&stream(0)->history, TR_STREAM_FIRST_CYCLE + 10));
    CHECK(!tr__history_has(&stream(0)->history, TR_STREAM_FIRST_CYCLE + 11));
    CHECK_EQ(1, ask(1000, 1 * S + 5 * MS).nacks);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_rtx(11, 1, 1 * S + 50 * MS));
    tr_receiver_stats stats;
    tr__receiver_stats(receiver, 0, 1 * S + 60 * MS, &stats);
    CHECK_EQ(3, stats.rx_packets);
    CHECK_EQ(0, stats.lost_packets);
    CHECK_EQ(1, stats.repaired_packets);
    CHECK_EQ(1, stats.nacks);
    CHECK_EQ(1, tally.nacks_tx);
    CHECK(stats.is_active);
    CHECK_EQ(1000, stats.ssrc);
    tr__receiver_on_bye(receiver, 0);
    tr__receiver_stats(receiver, 0, 1 * S + 60 * MS, &stats);
    CHECK(!stats.is_active);
    tr__receiver_free(receiver);
}

/* Rows in order: what each packet is to the receiver. */
static void verdicts(void)
{
    static const struct {
        bool is_rtx;
        uint16_t seq;
        tr_drop drop;
    } rows[] = {
        {true, 65534, TR_DROP_RTX_UNWANTED}, /* before anything is known */
        {false, 65534, TR_DROP_NO_SUBSCRIBER},
        {false, 1, TR_DROP_NO_SUBSCRIBER},    /* 65535 and 0 are missing, across the wrap */
        {false, 0, TR_DROP_NO_SUBSCRIBER},    /* reordered */
        {true, 65535, TR_DROP_NO_SUBSCRIBER}, /* repaired */
        {true, 65535, TR_DROP_RTX_UNWANTED},  /* a probe with what we have */
        {true, 0, TR_DROP_RTX_UNWANTED},
        {false, 0, TR_DROP_RTP_DUPLICATE},
        {false, 65000, TR_DROP_RTP_OLD},
        {true, 3, TR_DROP_NO_SUBSCRIBER}, /* the newest was lost, its resend is first */
        {false, 3, TR_DROP_RTP_DUPLICATE},
        {true, 3 + TR_NACK_MAX_GAP + 1, TR_DROP_RTX_UNWANTED},
        {false, 2, TR_DROP_NO_SUBSCRIBER},
        {false, 20000, TR_DROP_NO_SUBSCRIBER}, /* far ahead: a new start */
        {false, 19000, TR_DROP_RTP_OLD},
        {false, 20001, TR_DROP_NO_SUBSCRIBER},
    };
    tr_add_receiver params = video_params(1);
    begin(&params);
    for (uint16_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_EQ(rows[i].drop, rows[i].is_rtx ? feed_rtx(rows[i].seq, i, 1 * S) : feed_vp8(rows[i].seq, 1 * S));
    tr__receiver_free(receiver);
}

static void an_unwrapped_resend_is_the_packet_as_it_was(void)
{
    tr_add_receiver params = video_params(1);
    params.extensions[TR_EXT_MID] = 4;
    begin(&params);
    feed_vp8(100, 1 * S);
    feed_vp8(102, 1 * S);
    packet p = make_vp8(1000, 101, 777, true, false, true, 333);
    static const uint8_t elements[] = {0x40, '0', 0, 0};
    add_block(&p, elements, sizeof elements);
    packet r = make_rtx(&p, 1001, 97, 5);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed(receiver, 0, true, &r, 1 * S));
    size_t size;
    const uint8_t *held = tr__history_get(&stream(0)->history, TR_STREAM_FIRST_CYCLE + 101, &size);
    CHECK(held != NULL);
    CHECK_EQ(p.size, size);
    CHECK_BYTES(p.data, held, size);
    tr__receiver_free(receiver);
}

static void resends_that_are_none(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params);
    feed_vp8(1, 1 * S);
    feed_vp8(3, 1 * S);
    packet p = make_packet(1001, 97, 1, 0, false, (const uint8_t *)"", 0);
    CHECK_EQ(TR_DROP_RTX_UNWANTED, feed(receiver, 0, true, &p, 1 * S)); /* nothing in it */
    p = make_packet(1001, 97, 1, 0, false, (const uint8_t *)"\0", 1);
    CHECK_EQ(TR_DROP_RTX_UNWANTED, feed(receiver, 0, true, &p, 1 * S));
    p = make_packet(1001, 97, 2, 0, false, (const uint8_t *)"\0\0\0\4", 4); /* all padding, as browsers probe */
    p.data[0] |= 0x20;
    CHECK_EQ(TR_DROP_RTX_UNWANTED, feed(receiver, 0, true, &p, 1 * S));
    p = make_packet(1001, 96, 3, 0, false, (const uint8_t *)"\0\2xx", 4); /* a media type on the RTX SSRC */
    CHECK_EQ(TR_DROP_RTP_PAYLOAD_TYPE, feed(receiver, 0, true, &p, 1 * S));
    p = make_packet(1000, 97, 2, 0, false, (const uint8_t *)"\0\2xx", 4); /* an RTX type on the media SSRC */
    CHECK_EQ(TR_DROP_RTP_PAYLOAD_TYPE, feed(receiver, 0, false, &p, 1 * S));
    p = make_packet(1000, 50, 2, 0, false, (const uint8_t *)"xx", 2);
    CHECK_EQ(TR_DROP_RTP_PAYLOAD_TYPE, feed(receiver, 0, false, &p, 1 * S));
    CHECK_EQ(1, stream(0)->nack.count);
    tr__receiver_free(receiver);
    /* RTX whose media SSRC is not known yet. */
    params.encodings[0].ssrc = 0;
    begin(&params);
    CHECK_EQ(TR_DROP_RTX_UNWANTED, feed_rtx(1, 1, 1 * S));
    tr__receiver_free(receiver);
}

static void only_streams_that_can_resend_are_asked(void)
{
    tr_add_receiver params = audio_params();
    begin(&params);
    for (uint16_t seq = 0; seq < 100; seq += 3) {
        packet p = make_packet(2000, 111, seq, seq * 960u, false, (const uint8_t *)"opus", 4);
        feed(receiver, 0, false, &p, seq * 20 * MS);
    }
    CHECK_EQ(UINT64_MAX, tr__receiver_feedback_at(receiver));
    CHECK_EQ(0, ask(1000, 10 * S).nacks);
    tr_receiver_stats stats;
    tr__receiver_stats(receiver, 0, 10 * S, &stats);
    CHECK_EQ(66, stats.lost_packets);
    packet late = make_packet(2000, 111, 97, 97 * 960u, false, (const uint8_t *)"opus", 4);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed(receiver, 0, false, &late, 10 * S)); /* late is not too late */
    tr__receiver_free(receiver);
    params.codecs[0].has_nack = 1;
    begin(&params);
    for (uint16_t seq = 0; seq < 10; seq += 2) {
        packet p = make_packet(2000, 111, seq, seq * 960u, false, (const uint8_t *)"opus", 4);
        feed(receiver, 0, false, &p, seq * 20 * MS);
    }
    CHECK_EQ(4, ask(1000, 10 * S).nacks);
    tr__receiver_request_keyframe(receiver, 10 * S);
    CHECK_EQ(0, ask(1000, 10 * S).plis); /* there is no such thing in audio */
    tr__receiver_free(receiver);
}

static void requests_keep_within_their_room(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params);
    feed_vp8(0, 1 * S);
    for (uint16_t seq = 20; seq <= 400; seq += 20) feed_vp8(seq, 1 * S); /* 380 missing */
    CHECK_EQ(1 * S + 5 * MS, tr__receiver_feedback_at(receiver));
    CHECK_EQ(0, ask(15, 2 * S).nacks);
    CHECK_EQ(1, ask(16, 2 * S).nacks);
    CHECK_EQ(7, ask(40, 2 * S).nacks);
    asked a = ask(1200, 2 * S);
    CHECK_EQ(128, a.nacks);
    CHECK_EQ(1000, a.ssrc);
    CHECK(tr__receiver_feedback_at(receiver) <= 2 * S);
    CHECK_EQ(128, ask(1200, 2 * S).nacks);
    CHECK_EQ(380 - 264, ask(1200, 2 * S).nacks);
    CHECK_EQ(0, ask(1200, 2 * S).nacks);
    CHECK(tr__receiver_feedback_at(receiver) > 2 * S);
    tr__receiver_free(receiver);
}

static void keyframes_are_asked_for_once_an_interval(void)
{
    static const struct {
        uint8_t has_pli, has_fir;
    } rows[] = {{1, 1}, {1, 0}, {0, 1}, {0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(1);
        params.codecs[0].has_pli = rows[i].has_pli;
        params.codecs[0].has_fir = rows[i].has_fir;
        begin(&params);
        feed_vp8(1, 1 * S);
        size_t asks = 0;
        uint8_t number = 0;
        for (uint64_t t = 0; t < 2000; t += 10) { /* a hundred viewers, fifty times a second */
            for (int viewer = 0; viewer < 100; viewer++) tr__receiver_request_keyframe(receiver, 1 * S + t * MS);
            feed_vp8((uint16_t)(2 + t / 10), 1 * S + t * MS);
            asked a = ask(1000, 1 * S + t * MS);
            asks += a.plis + a.firs;
            CHECK_EQ(0, rows[i].has_pli ? a.firs : a.plis);
            if (a.firs) {
                if (number) CHECK_EQ(number, a.fir_number); /* a repeat, not a new request */
                number = a.fir_number;
                CHECK_EQ(1000, a.ssrc);
            }
        }
        CHECK_EQ(rows[i].has_pli || rows[i].has_fir ? 4 : 0, asks);
        CHECK_EQ(asks, tally.plis_tx);
        packet key = make_vp8(1000, 500, 0, true, true, true, 100);
        feed(receiver, 0, false, &key, 4 * S);
        asked a = ask(1000, 10 * S);
        CHECK_EQ(0, a.plis + a.firs);
        if (!rows[i].has_pli && rows[i].has_fir) {
            tr__receiver_request_keyframe(receiver, 4 * S + 1);
            CHECK_EQ((uint8_t)(number + 1), ask(1000, 10 * S).fir_number);
        }
        tr__receiver_free(receiver);
    }
}

/* Three encodings are wanted by three viewers: whom one request brings a keyframe of each needs no other. */
static void encodings_of_one_track_share_their_requests(void)
{
    tr_add_receiver params = video_params(3);
    begin(&params);
    tr_stream *streams = tr__receiver_source(receiver)->streams;
    CHECK_EQ(UINT64_MAX, tr__receiver_feedback_at(receiver));
    for (int i = 0; i < 3; i++) tr__stream_request_keyframe(&streams[i], 1 * S);
    CHECK_EQ(0, tr__receiver_feedback_at(receiver));
    asked a = ask(1000, 1 * S);
    CHECK_EQ(1, a.plis);
    CHECK_EQ(1020, a.ssrc);
    CHECK_EQ(0, ask(1000, 1 * S + 499 * MS).plis);
    CHECK_EQ(1 * S + TR_KEYFRAME_INTERVAL_US, tr__receiver_feedback_at(receiver));
    for (uint32_t i = 1; i < 3; i++) {
        packet key = make_vp8(1000 + 10 * i, 1, 0, true, true, true, 100);
        feed(receiver, (int)i, false, &key, 1 * S + 100 * MS);
    }
    /* One did not come: it is asked for. Then the one that was not for longest. */
    a = ask(1000, 1 * S + 500 * MS);
    CHECK_EQ(1, a.plis);
    CHECK_EQ(1000, a.ssrc);
    tr__stream_request_keyframe(&streams[2], 1 * S + 600 * MS);
    tr__stream_request_keyframe(&streams[1], 1 * S + 600 * MS);
    static const uint32_t then[] = {1010, 1020, 1000, 1010};
    for (uint64_t i = 0; i < 4; i++) {
        a = ask(1000, (i + 2) * S);
        CHECK_EQ(1, a.plis);
        CHECK_EQ(then[i], a.ssrc);
    }
    tr__receiver_free(receiver);
}

/* A tenth of a second for each who watches besides, up to one second; whoever has no picture is not kept waiting. */
static void who_has_a_picture_waits_the_longer_the_more_watch(void)
{
    static const struct {
        uint32_t viewers;
        uint64_t patience_ms;
    } rows[] = {{0, 0}, {1, 0}, {2, 100}, {5, 400}, {11, 1000}, {20, 1000}};
    static rig r;
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(3);
        begin(&params);
        tr_sender *senders[20];
        for (uint32_t n = 0; n < rows[i].viewers; n++) {
            tr_add_sender viewer = sender_params(TR_VIDEO, 5000 + n, 0);
            tr_bind_sender bind = bind_params(&params, &viewer);
            senders[n] = tr__sender_new(&viewer, &r.egress, 1, 1, 0);
            CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, senders[n], &bind, 0));
        }
        tr__stream_wish_keyframe(stream(2));
        CHECK_EQ(1, ask(1000, 1 * S).plis); /* the first one at once */
        uint64_t at = 1 * S + TR_KEYFRAME_INTERVAL_US + rows[i].patience_ms * MS;
        CHECK_EQ(at, tr__receiver_feedback_at(receiver));
        CHECK_EQ(0, ask(1000, at - 1).plis);
        CHECK_EQ(1, ask(1000, at).plis);
        tr__stream_request_keyframe(stream(1), at);
        tr__stream_wish_keyframe(stream(1)); /* others who can wait do not make it wait */
        CHECK_EQ(at + TR_KEYFRAME_INTERVAL_US, tr__receiver_feedback_at(receiver));
        asked a = ask(1000, at + TR_KEYFRAME_INTERVAL_US);
        CHECK_EQ(1, a.plis);
        CHECK_EQ(1010, a.ssrc);
        while (tr__receiver_any_sender(receiver))
            tr__receiver_remove_sender(receiver, tr__receiver_any_sender(receiver), 3 * S);
        for (uint32_t n = 0; n < rows[i].viewers; n++) tr__sender_free(senders[n]);
        tr__receiver_free(receiver);
    }
    rig_dispose(&r);
}

static void the_best_active_encoding_is_asked_for_a_keyframe(void)
{
    tr_add_receiver params = video_params(3);
    begin(&params);
    packet p = make_vp8(1000, 1, 1, true, false, true, 50);
    feed(receiver, 0, false, &p, 1 * S);
    p = make_vp8(1010, 1, 1, true, false, true, 50);
    feed(receiver, 1, false, &p, 1 * S);
    tr__receiver_request_keyframe(receiver, 1 * S + 1);
    asked a = ask(1000, 1 * S + 1);
    CHECK_EQ(1, a.plis);
    CHECK_EQ(1010, a.ssrc);
    tr__receiver_free(receiver);
}

static void what_is_given_up_leads_to_a_keyframe_if_anyone_watches(void)
{
    for (int watched = 0; watched < 2; watched++) {
        static rig r;
        rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
        tr_add_receiver params = video_params(1);
        begin(&params);
        tr_add_sender viewer = sender_params(TR_VIDEO, 5000, 5001);
        tr_bind_sender bind = bind_params(&params, &viewer);
        tr_sender *sender = tr__sender_new(&viewer, &r.egress, 1, 1, 0);
        packet key = make_vp8(1000, 0, 0, true, true, true, 100);
        feed(receiver, 0, false, &key, 1 * S);
        if (watched) CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, sender, &bind, 1 * S));
        feed_vp8(2, 1 * S);
        size_t plis = 0, nacks = 0;
        for (uint64_t t = 0; t < 1500; t += 5) {
            asked a = ask(1000, 1 * S + t * MS);
            plis += a.plis;
            nacks += a.nacks;
        }
        CHECK_EQ(TR_NACK_MAX_REQUESTS, nacks);
        CHECK_EQ(watched ? 2 : 0, plis); /* at 755 and 1,255 ms */
        if (watched) tr__receiver_remove_sender(receiver, sender, 3 * S);
        CHECK_EQ(UINT64_MAX, tr__receiver_feedback_at(receiver));
        /* A gap too wide to ask for is the same. */
        feed_vp8(10000, 4 * S);
        CHECK_EQ(0, ask(1000, 5 * S).plis);
        if (watched) {
            CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, sender, &bind, 5 * S));
            tr__receiver_remove_sender(receiver, sender, 5 * S);
        }
        tr__sender_free(sender);
        tr__receiver_free(receiver);
        rig_dispose(&r);
    }
}

static void the_list_of_senders_grows_and_shrinks(void)
{
    static rig r;
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    tr_add_receiver params = video_params(1);
    begin(&params);
    tr_sender *senders[20];
    tr_bind_sender bind;
    for (uint32_t i = 0; i < 20; i++) {
        tr_add_sender viewer = sender_params(TR_VIDEO, 5000 + i, 0);
        bind = bind_params(&params, &viewer);
        senders[i] = tr__sender_new(&viewer, &r.egress, 1, 1, 0);
        CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, senders[i], &bind, 0));
        CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, senders[i], &bind, 0)); /* bound again, not twice */
        CHECK_EQ(1, tr__sender_receiver_id(senders[i]));
    }
    packet key = make_vp8(1000, 0, 0, true, true, true, 100);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &key, 1 * S));
    CHECK_EQ(20, r.outbox.count);
    tr__outbox_clear(&r.outbox);
    /* One refuses, which is counted, and the others are served. */
    tr__sender_pause(senders[3], true, 1 * S);
    CHECK_EQ(TR_DROP_NONE, feed_vp8(1, 1 * S));
    CHECK_EQ(19, r.outbox.count);
    CHECK_EQ(1, tally.drops[TR_DROP_PAUSED]);
    tr__outbox_clear(&r.outbox);
    tr_sender *any;
    int removed = 0;
    while ((any = tr__receiver_any_sender(receiver)) != NULL) {
        tr__receiver_remove_sender(receiver, any, 2 * S);
        CHECK_EQ(TR_NONE, tr__sender_receiver_id(any));
        removed++;
    }
    CHECK_EQ(20, removed);
    tr__receiver_remove_sender(receiver, senders[0], 2 * S); /* once more is nothing */
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_vp8(2, 2 * S));
    for (int i = 0; i < 20; i++) tr__sender_free(senders[i]);
    tr__receiver_free(receiver);
    rig_dispose(&r);
}

static void reports_and_clock(void)
{
    tr_add_receiver params = video_params(2);
    begin(&params);
    tr_rtcp_report reports[4];
    CHECK_EQ(0, tr__receiver_reports(receiver, reports, 4, 1 * S));
    for (uint16_t seq = 0; seq < 100; seq++)
        if (seq % 4 != 1) feed_vp8((uint16_t)(65500 + seq), 1 * S + seq * 10 * MS);
    for (uint16_t seq = 1; seq < 100; seq += 4) feed_rtx((uint16_t)(65500 + seq), seq, 2 * S);
    CHECK_EQ(0, tr__receiver_reports(receiver, reports, 0, 2 * S));
    CHECK_EQ(1, tr__receiver_reports(receiver, reports, 4, 2 * S));
    CHECK_EQ(1000, reports[0].ssrc);
    CHECK_EQ(25, reports[0].lost); /* resends have an SSRC of their own: the loss is told as it was */
    CHECK_EQ(64, reports[0].fraction_lost);
    CHECK_EQ(65599, reports[0].highest_seq);
    tr_receiver_stats stats;
    tr__receiver_stats(receiver, 0, 2 * S, &stats);
    CHECK_EQ(0, stats.lost_packets);
    CHECK_EQ(25, stats.repaired_packets);
    CHECK(stats.rate_bps == 0 || stats.rate_bps > 1000);

    tr_rtcp_sr sr = {.ssrc = 1000, .rtp_ts = 5, .ntp = tr__ntp_from_us(1000 * (uint64_t)S)};
    tr__receiver_on_sr(receiver, 0, &sr, 3 * S, tr__ntp_from_us(1500 * (uint64_t)S));
    CHECK(clock_.has_offset);
    CHECK(clock_.offset_us >= 500 * (int64_t)S - 2 && clock_.offset_us <= 500 * (int64_t)S + 2);
    tr__receiver_reports(receiver, reports, 4, 3 * S + 250 * MS);
    CHECK_EQ((uint32_t)(sr.ntp >> 16), reports[0].last_sr);
    CHECK_EQ(16384, reports[0].delay_since_sr);
    tr__receiver_free(receiver);
}

static tr_drop feed_in_cycle(uint32_t rollover, uint16_t seq, uint64_t now_us)
{
    packet p = make_vp8(1000, seq, 3000u * seq, true, false, true, 100);
    tr_rtp rtp;
    tr_rtp_extensions none = {0};
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, p.data, p.size));
    rtp.rollover = rollover;
    rtp.has_rollover = true;
    return tr__receiver_on_rtp(receiver, 0, false, p.data, &rtp, &none, now_us, now_us);
}

static void an_outage_of_half_the_numbers_is_no_step_back(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params);
    CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_in_cycle(3, 100, S)); /* the cycle a stream begins in is its first */
    static const struct {
        uint32_t rollover;
        uint16_t seq;
    } later[] = {{3, 100 + 40000}, {4, 50}, {5, 49}, {5, 60000}, {6, 59990}, {9, 1}};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed_in_cycle(later[i].rollover, later[i].seq, (2 + i) * S));
        CHECK_EQ(TR_STREAM_FIRST_CYCLE + ((uint64_t)(later[i].rollover - 3) << 16) + later[i].seq, stream(0)->highest);
    }
    CHECK_EQ(TR_DROP_RTP_DUPLICATE, feed_in_cycle(9, 1, 20 * S));
    tr__receiver_free(receiver);
}

static const check_test tests[] = {
    TEST(parameters_out_of_range_are_refused),
    TEST(whose_packet_it_is),
    TEST(without_subscribers_it_still_counts_and_keeps),
    TEST(verdicts),
    TEST(an_unwrapped_resend_is_the_packet_as_it_was),
    TEST(resends_that_are_none),
    TEST(only_streams_that_can_resend_are_asked),
    TEST(requests_keep_within_their_room),
    TEST(keyframes_are_asked_for_once_an_interval),
    TEST(encodings_of_one_track_share_their_requests),
    TEST(who_has_a_picture_waits_the_longer_the_more_watch),
    TEST(the_best_active_encoding_is_asked_for_a_keyframe),
    TEST(what_is_given_up_leads_to_a_keyframe_if_anyone_watches),
    TEST(the_list_of_senders_grows_and_shrinks),
    TEST(reports_and_clock),
    TEST(an_outage_of_half_the_numbers_is_no_step_back),
};
CHECK_MAIN("test_receiver", tests)
