/* paced line: a publisher, the relay's engine with its pacer on, and a subscriber behind a line of so many bits a
 * second that has a queue and gives transport-wide feedback: that the queue stays short, that voices come through, that
 * the line is found again after a silence; and that feedback which lies changes nothing that it should not. */
#include "downlink.h"
#include "support/peer.h"

#define MS 1000
#define S 1000000
#define TWCC_ID 3
#define LINE_PACKETS 4096
#define DELAY_US (30 * MS) /* each way */
#define FEEDBACK_US (100 * MS)
#define PARTS 4

static world w;
static peer *a, *b;
static uint64_t video_index, audio_index, next_video_us, next_audio_us;
static tr_estimate told;
static uint32_t told_count, keyframes;

/* The line to b: what the relay sent, until it has arrived. */
typedef struct on_line {
    uint64_t arrives_us;
    uint16_t size;
    uint8_t data[TR_OUTBOX_SLOT];
} on_line;
static struct {
    on_line *packets;
    uint32_t head, count;
    uint64_t bps, free_us; /* when what is on it has left */
    bool is_dead;
    tr_twcc feedback;
    uint64_t noted, next_feedback_us;
    /* of what arrived since reset */
    uint64_t longest_queue_us, bytes, voices, pictures, padding, lost;
} l;

/* How feedback is spoiled on its way. */
typedef void (*spoil)(tr_twcc *feedback, uint64_t now_us);

static void add(uint32_t id, tr_kind kind, uint32_t ssrc, uint32_t out_ssrc, bool has_rtx)
{
    tr_add_receiver receiver = peer_receiver(id, a->transport, kind, ssrc);
    tr_add_sender sender = peer_sender(id, b->transport, kind, out_ssrc);
    if (!has_rtx) sender.rtx_ssrc = 0;
    tr_bind_sender bind = peer_bind(id, id, kind == TR_VIDEO ? 120 : 109, kind == TR_VIDEO && has_rtx ? 121 : TR_NO_PT);
    sender.extensions[TR_EXT_TWCC] = TWCC_ID;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
}

static void begin(uint64_t line_bps, uint32_t start_bps, bool is_on)
{
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, true);
    b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    add(1, TR_VIDEO, 5000, 7000, true);
    add(2, TR_AUDIO, 6000, 8000, false);
    tr_set_downlink set = {b->transport, is_on, start_bps, 30000, 5000000};
    if (is_on) CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set));
    free(l.packets);
    memset(&l, 0, sizeof l);
    l.packets = calloc(LINE_PACKETS, sizeof *l.packets);
    l.bps = line_bps;
    l.noted = b->got_count;
    tr__twcc_init(&l.feedback);
    video_index = audio_index = told_count = keyframes = 0;
    next_video_us = next_audio_us = w.now_us;
    l.next_feedback_us = w.now_us + FEEDBACK_US;
    memset(&told, 0, sizeof told);
}

static void end(void)
{
    CHECK_EQ(0, b->auth_failures);
    world_dispose(&w);
    free(l.packets);
    l.packets = NULL;
}

static void reset_figures(void) { l.longest_queue_us = l.bytes = l.voices = l.pictures = l.padding = l.lost = 0; }

static tr_downlink *downlink(void)
{
    const tr_transport *t = tr__engine_guess(w.engine, &b->path);
    CHECK(t != NULL);
    return t->downlink;
}

/* The publisher: 30 frames a second and 50 packets of sound. A keyframe where one was asked for. */
static bool is_key_wanted;
static void publish(uint64_t video_bps)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    if (w.now_us >= next_video_us) {
        next_video_us += 33333;
        bool is_key = is_key_wanted || !video_index;
        is_key_wanted = false;
        keyframes += is_key;
        size_t payload = video_bps / 30 / 8 / PARTS * (is_key ? 3 : 1);
        for (int i = 0; i < PARTS; i++) {
            video_index++;
            size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, video_index,
                                         (uint32_t)(next_video_us / 1000 * 90), 5000, is_key && i == 0, i == PARTS - 1,
                                         (uint16_t)(video_index + audio_index), payload < 1150 ? payload : 1150);
            if (i) packet[12 + 4 + 4] = 0; /* not the beginning of a frame */
            peer_send_rtp(&w, a, packet, size, video_index);
        }
    }
    if (w.now_us >= next_audio_us) {
        next_audio_us += 20 * MS;
        audio_index++;
        size_t size = peer_write_rtp(packet, sizeof packet, PEER_OPUS_PT, audio_index, (uint32_t)audio_index * 960,
                                     6000, false, false, (uint16_t)(video_index + audio_index), 80);
        peer_send_rtp(&w, a, packet, size, audio_index);
    }
}

/* What the relay has to say to a reaches it at once, to b over the line. */
static void deliver(void)
{
    tr_outbox *outbox = tr__engine_outbox(w.engine);
    for (uint32_t i = 0; i < outbox->count; i++) {
        tr_outgoing *item = &outbox->items[i];
        if (tr__address_equal(&a->path.remote, &item->path.remote)) {
            uint64_t before = a->got_count;
            peer_receive(a, item->data, item->size);
            tr_rtcp_part part;
            size_t at = 0, slot = before % 256;
            if (a->got_count == before || !a->got[slot].is_rtcp) continue;
            while (tr__rtcp_next(a->got[slot].data, a->got[slot].size, &at, &part))
                is_key_wanted |= part.type == TR_RTCP_PSFB;
            continue;
        }
        if (l.is_dead || l.count == LINE_PACKETS) {
            l.lost++;
            continue;
        }
        if (l.free_us < w.now_us) l.free_us = w.now_us;
        l.free_us += (item->size + 28) * 8 * (uint64_t)S / l.bps;
        if (l.free_us - w.now_us > l.longest_queue_us) l.longest_queue_us = l.free_us - w.now_us;
        on_line *packet = &l.packets[(l.head + l.count++) % LINE_PACKETS];
        packet->arrives_us = l.free_us + DELAY_US;
        packet->size = item->size;
        memcpy(packet->data, item->data, item->size);
    }
    tr__outbox_clear(outbox);
}

static void arrive(void)
{
    static const uint8_t ids[TR_EXT_COUNT] = {[TR_EXT_TWCC] = TWCC_ID};
    for (; l.count && l.packets[l.head].arrives_us <= w.now_us; l.head = (l.head + 1) % LINE_PACKETS, l.count--) {
        const on_line *packet = &l.packets[l.head];
        uint64_t at = b->got_count % 256, before = b->got_count;
        peer_receive(b, packet->data, packet->size);
        if (b->got_count == before || b->got[at].is_rtcp) continue;
        tr_rtp rtp;
        tr_rtp_extensions found;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, b->got[at].data, b->got[at].size));
        CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, ids, &found));
        CHECK(found.of[TR_EXT_TWCC].at);
        tr__twcc_on_packet(&l.feedback, tr__load16(rtp.data + found.of[TR_EXT_TWCC].at), packet->arrives_us, w.now_us);
        l.bytes += packet->size + 28u;
        l.voices += rtp.ssrc == 8000;
        l.pictures += rtp.ssrc == 7000;
        l.padding += rtp.ssrc == 7001;
    }
}

static void send_rtcp(const tr_pen *pen)
{
    uint8_t sealed[TR_OUTBOX_SLOT];
    memcpy(sealed, pen->begin, tr__pen_size(pen));
    peer_send(&w, b, sealed, tr__srtp_seal_rtcp(b->srtp, sealed, tr__pen_size(pen)));
}

/* On its way back it takes no time: the way there has all of the delay. */
static void give_feedback(spoil how)
{
    if (w.now_us < l.next_feedback_us || l.is_dead) return;
    l.next_feedback_us = w.now_us + FEEDBACK_US;
    if (how) how(&l.feedback, w.now_us);
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    if (tr__twcc_put_feedback(&l.feedback, &pen, 1, 7000, w.now_us)) send_rtcp(&pen);
}

static void pass(uint64_t us, uint64_t video_bps, spoil how)
{
    for (uint64_t until = w.now_us + us; w.now_us < until; w.now_us += MS) {
        publish(video_bps);
        tr__engine_on_timer(w.engine, w.now_us);
        deliver();
        arrive();
        give_feedback(how);
        tr_event event;
        size_t size;
        while (tr__ring_pop(&w.events, &event.type, &event.tag, event.body, sizeof event.body, &size) == 1) {
            if (event.type != TR_EVENT_ESTIMATE) continue;
            memcpy(&told, event.body, sizeof told);
            told_count++;
        }
    }
}

/* ------------------------------------------------------------------ */

/* More comes than the line takes. Without a pacer all of it lies in the line's queue. */
static void the_queue_stays_here_and_not_on_the_line(void)
{
    for (int is_on = 0; is_on < 2; is_on++) {
        begin(600000, 600000, is_on);
        pass(2 * S, 900000, NULL);
        reset_figures();
        pass(8 * S, 900000, NULL);
        if (!is_on) {
            CHECK(l.longest_queue_us > 1 * S);
            CHECK(told_count == 0);
        } else {
            CHECK(l.longest_queue_us < 250 * MS);
            CHECK(l.bytes * 8 / 8 > 400000); /* and the line is used */
            CHECK(told_count > 3);
            CHECK(told.pacer_us > 0);
            CHECK(w.tally.paced_packets > 300);
            CHECK(w.tally.paced_us / w.tally.paced_packets < 1200 * MS);
        }
        CHECK(l.voices >= (is_on ? 390 : 100));
        end();
    }
}

static void what_fits_does_not_wait(void)
{
    begin(3000000, 1000000, true);
    pass(1 * S, 400000, NULL);
    reset_figures();
    uint64_t paced = w.tally.paced_packets, waited_us = w.tally.paced_us;
    pass(10 * S, 400000, NULL);
    CHECK(l.pictures >= 299 * PARTS);
    CHECK(l.voices >= 499);
    CHECK_EQ(0, w.tally.drops[TR_DROP_PACER]);
    /* Only the end of a frame, for as long as the pace needs for it. */
    if (w.tally.paced_packets > paced)
        CHECK((w.tally.paced_us - waited_us) / (w.tally.paced_packets - paced) < 15 * MS);
    CHECK_EQ(1, keyframes);
    end();
}

static void in_silence_all_but_voices_stops_and_comes_back_after_it(void)
{
    begin(1500000, 1000000, true);
    pass(3 * S, 500000, NULL);
    l.is_dead = true;
    pass(1 * S, 500000, NULL); /* it takes a moment to be noticed */
    l.lost = 0;
    uint64_t before = w.tally.tx_rtp_packets;
    pass(5 * S, 500000, NULL);
    uint64_t sent = w.tally.tx_rtp_packets - before;
    CHECK(sent >= 250 && sent < 250 + 40); /* of pictures a packet now and then, to hear when it is back */
    CHECK_EQ(TR_ESTIMATOR_SILENT, told.mode);
    CHECK(keyframes <= 1 + 2);
    l.is_dead = false;
    uint32_t asked = keyframes;
    reset_figures();
    pass(1 * S, 500000, NULL);
    CHECK(l.pictures > 20 * PARTS);
    CHECK(keyframes > asked && keyframes <= asked + 2);
    CHECK(l.longest_queue_us < 200 * MS);
    pass(3 * S, 500000, NULL);
    CHECK_EQ(TR_ESTIMATOR_FREE, told.mode);
    end();
}

/* ------------------------------------------------------------------ feedback that lies */

static void claims_what_was_never_sent(tr_twcc *feedback, uint64_t now_us)
{
    uint16_t last = (uint16_t)downlink()->next_number;
    tr__twcc_init(feedback);
    for (uint16_t i = 0; i < 400; i++) tr__twcc_on_packet(feedback, (uint16_t)(last + i), now_us, now_us);
}

/* All of it arrived, and at once. */
static void claims_all_and_no_queue(tr_twcc *feedback, uint64_t now_us)
{
    uint16_t last = (uint16_t)downlink()->next_number;
    tr__twcc_init(feedback);
    for (uint16_t i = 400; i >= 1; i--)
        if (downlink()->next_number >= i) tr__twcc_on_packet(feedback, (uint16_t)(last - i), now_us - i, now_us);
}

static void lies_move_no_rate_beyond_what_was_sent(void)
{
    static const spoil lies[] = {claims_what_was_never_sent, claims_all_and_no_queue};
    for (size_t i = 0; i < 2; i++) {
        begin(400000, 400000, true);
        pass(2 * S, 200000, NULL);
        uint64_t padding = l.padding;
        uint64_t most_bps = 0, bytes = l.bytes;
        for (int s = 0; s < 60; s++) {
            pass(500 * MS, 200000, lies[i]);
            uint64_t bps = (uint64_t)downlink()->estimator->bps;
            if (bps > most_bps) most_bps = bps;
        }
        /* One and a half times what left, and what clusters proved that were sent. */
        uint64_t left_bps = (l.bytes - bytes) * 8 / 30;
        CHECK(left_bps < 500000);
        CHECK(most_bps <= 5000000);
        if (i == 0) CHECK(most_bps < 700000);
        CHECK(l.voices > 1500);
        CHECK((l.padding - padding) * 20 <= l.pictures + l.voices);
        end();
    }
}

static void remb_of_nothing_and_of_everything_holds_back_nobody(void)
{
    static const uint64_t bounds[] = {0, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        begin(2000000, 1000000, true);
        pass(2 * S, 400000, NULL);
        reset_figures();
        for (int k = 0; k < 30; k++) {
            uint8_t data[64];
            uint32_t ssrc = 7000;
            tr_pen pen = tr__pen(data, sizeof data);
            tr__rtcp_put_remb(&pen, 1, bounds[i], &ssrc, 1);
            send_rtcp(&pen);
            pass(100 * MS, 400000, NULL);
        }
        CHECK(l.pictures >= 88 * PARTS);
        CHECK(l.voices >= 148);
        CHECK_EQ(TR_ESTIMATOR_FREE, told.mode);
        CHECK(told.target_bps >= 400000 && told.target_bps <= 5000000);
        end();
    }
}

static void malformed_feedback_is_counted_and_changes_nothing(void)
{
    begin(2000000, 1000000, true);
    pass(2 * S, 400000, NULL);
    uint64_t before = (uint64_t)downlink()->estimator->bps, paced = downlink()->pacer->pace_bps;
    uint64_t seed = 3, malformed = w.tally.drops[TR_DROP_RTCP_MALFORMED];
    for (int i = 0; i < 2000; i++) {
        uint8_t data[64];
        tr_pen pen = tr__pen(data, sizeof data);
        tr__put8(&pen, 0x8f);
        tr__put8(&pen, 205);
        uint16_t words = (uint16_t)(2 + check_random(&seed) % 8);
        tr__put16(&pen, words);
        for (int k = 0; k < words; k++) tr__put32(&pen, (uint32_t)check_random(&seed));
        send_rtcp(&pen);
    }
    CHECK(w.tally.drops[TR_DROP_RTCP_MALFORMED] > malformed);
    CHECK((uint64_t)downlink()->estimator->bps <= before * 3 / 2);
    CHECK(downlink()->pacer->pace_bps <= paced * 2);
    reset_figures();
    pass(3 * S, 400000, NULL);
    CHECK(l.voices >= 148);
    CHECK(l.pictures > 60 * PARTS);
    end();
}

/* A subscriber that never says anything gets what one without a pacer gets, within the start's rate. */
static void nobody_who_says_nothing_is_taken_for_silent(void)
{
    begin(3000000, 1000000, true);
    l.next_feedback_us = UINT64_MAX;
    pass(10 * S, 500000, NULL);
    CHECK(l.pictures >= 299 * PARTS - PARTS);
    CHECK(l.voices >= 499);
    end();
}

static const check_test tests[] = {
    TEST(the_queue_stays_here_and_not_on_the_line),
    TEST(what_fits_does_not_wait),
    TEST(in_silence_all_but_voices_stops_and_comes_back_after_it),
    TEST(lies_move_no_rate_beyond_what_was_sent),
    TEST(remb_of_nothing_and_of_everything_holds_back_nobody),
    TEST(malformed_feedback_is_counted_and_changes_nothing),
    TEST(nobody_who_says_nothing_is_taken_for_silent),
};
CHECK_MAIN("test_paced_line", tests)
