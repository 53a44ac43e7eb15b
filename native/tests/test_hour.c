/* hour: one hour of packets in a moment, seeded, without sockets. A publisher of 30 frames a second, four packets each
 * and now and then an empty one; a bad line to the relay; a receiver with two senders, one with RTX and one without;
 * a bad line to each peer, where a second tr_srtp opens what left. Once as it comes, and once at a pace that frames
 * wait for. Sequence numbers wrap six times, so does the SRTP
 * rollover counter; timestamps wrap once. */
#include "release.h"
#include "support/media.h"

#define MS 1000u
#define S 1000000u
#define STEP_US (5 * MS)
#define HOUR_US (3600 * (uint64_t)S)
#define FPS 30
#define PARTS 4
#define EMPTY_EVERY 97 /* frames between two empty packets */
#define FRAMES (3600 * FPS + FPS)
#define MAX_INDEX (FRAMES * PARTS + FRAMES / EMPTY_EVERY + 16)
#define FIRST_SEQ 65000u     /* of the publisher: wraps after 536 packets */
#define FIRST_TS 0xf4000000u /* wraps after 37 minutes */
#define TS_OFFSET 0x12345678u
#define NOTHING UINT32_MAX
#define PACED_BPS 250000 /* little more than what the frames are on the wire, at the peers' */

/* ------------------------------------------------------------------ a line that loses, delays, reorders, doubles */

#define SLOTS 64 /* of STEP_US each: more than the longest delay */
#define SLOT_PARCELS 64

typedef struct parcel {
    uint16_t size;
    bool is_rtcp;
    uint8_t data[320];
} parcel;

typedef struct line {
    uint64_t seed;
    uint32_t counts[SLOTS], taken[SLOTS];
    parcel parcels[SLOTS][SLOT_PARCELS];
} line;

static uint64_t now = S;

static void line_put(line *l, const uint8_t *data, size_t size, bool is_rtcp)
{
    uint32_t dice = (uint32_t)(check_random(&l->seed) % 1000);
    uint32_t copies = dice < 20 ? 0 : dice < 30 ? 2 : 1; /* 2 % lost, 1 % doubled */
    while (copies--) {
        uint64_t delay_us =
            20 * MS + check_random(&l->seed) % (15 * MS); /* 35 ms at most: up to three packets reorder */
        uint32_t slot = (uint32_t)((now + delay_us) / STEP_US % SLOTS);
        if (l->counts[slot] == SLOT_PARCELS || size > sizeof l->parcels[0][0].data) abort();
        parcel *p = &l->parcels[slot][l->counts[slot]++];
        p->size = (uint16_t)size;
        p->is_rtcp = is_rtcp;
        memcpy(p->data, data, size);
    }
}

static parcel *line_take(line *l)
{
    uint32_t slot = (uint32_t)(now / STEP_US % SLOTS);
    if (l->taken[slot] < l->counts[slot]) return &l->parcels[slot][l->taken[slot]++];
    l->taken[slot] = l->counts[slot] = 0;
    return NULL;
}

/* ------------------------------------------------------------------ publisher */

typedef struct made { /* what each of its packets was */
    uint32_t frame;
    uint8_t part; /* PARTS: an empty packet */
    bool is_key;
} made;

static made *history;
static uint32_t published, next_frame, keyframes_asked;
static uint16_t rtx_seq;
static bool keyframe_due = true;
static line up, down_to_publisher;

/* Every byte follows from the index, so that the far end can tell. */
static packet publish(uint32_t index)
{
    const made *m = &history[index];
    uint8_t payload[256];
    size_t size = m->part == PARTS ? 0 : 60 + index % 120;
    for (size_t i = 0; i < size; i++) payload[i] = (uint8_t)(index * 7 + i);
    if (size) {
        payload[0] = m->part == 0 ? VP8_START : 0;
        payload[1] = m->part == 0 && m->is_key ? VP8_KEY : VP8_DELTA;
        tr__store32(payload + 2, index);
    }
    packet p = make_packet(1000, 96, (uint16_t)(FIRST_SEQ + index), FIRST_TS + m->frame * 3000, m->part == PARTS - 1,
                           payload, size);
    static const uint8_t elements[] = {4 << 4 | 0, '0', 3 << 4 | 1, 1, 2};
    if (m->part == 0) add_block(&p, elements, sizeof elements);
    return p;
}

static void publish_frame(void)
{
    uint32_t parts = next_frame % EMPTY_EVERY == 5 ? PARTS + 1 : PARTS;
    bool is_key = keyframe_due || next_frame % 300 == 0;
    keyframe_due = false;
    for (uint8_t part = 0; part < parts; part++) {
        history[published] = (made){.frame = next_frame, .part = part, .is_key = is_key};
        packet p = publish(published++);
        line_put(&up, p.data, p.size, false);
    }
    next_frame++;
}

static void publisher_on_rtcp(const parcel *compound)
{
    tr_rtcp_part part;
    size_t at = 0;
    uint16_t seqs[256];
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(compound->data, compound->size));
    while (tr__rtcp_next(compound->data, compound->size, &at, &part)) {
        if (part.type == TR_RTCP_PSFB) {
            keyframe_due = true;
            keyframes_asked++;
            continue;
        }
        size_t count = tr__rtcp_read_nack(&part, seqs, 256);
        for (size_t i = 0; i < count; i++) {
            uint64_t index = tr__seq_unwrap(FIRST_SEQ + published, seqs[i]) - FIRST_SEQ;
            if (index >= published) continue;
            packet original = publish((uint32_t)index), p = make_rtx(&original, 1001, 97, rtx_seq++);
            line_put(&up, p.data, p.size, false);
        }
    }
}

/* ------------------------------------------------------------------ a peer */

typedef struct peer {
    rig r;
    tr_sender *sender;
    line down, up;
    tr_nack nack;
    tr_nack_missing missing[TR_NACK_VIDEO_MISSING];
    uint64_t base;        /* index of its first packet */
    uint32_t *was;        /* by index since then: the publisher's index, NOTHING: never came */
    uint32_t first_index; /* of the publisher's, that it got */
    uint64_t resent, doubled;
} peer;

static peer peers[2];

static void peer_on_media(peer *p, const tr_rtp *rtp, uint16_t seq, const uint8_t *payload, size_t size, bool is_rtx)
{
    uint64_t index = p->nack.has_highest ? tr__seq_unwrap(p->nack.highest, seq) : 65536u + seq;
    tr_nack_verdict verdict = tr__nack_on_packet(&p->nack, index, is_rtx, now);
    CHECK(verdict != TR_NACK_RESET);
    if (verdict == TR_NACK_DUPLICATE_OR_OLD) {
        p->doubled++;
        return;
    }
    p->resent += is_rtx;
    if (!p->base) p->base = index;
    if (!size) { /* the filling of a hole */
        p->was[index - p->base] = MAX_INDEX;
        return;
    }
    CHECK(size >= 60);
    uint32_t was = tr__load32(payload + 2);
    CHECK(was < published);
    if (was >= published) return;
    packet expected = publish(was);
    tr_rtp original;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&original, expected.data, expected.size));
    CHECK_EQ(original.payload_size, size);
    CHECK_BYTES(expected.data + original.header_size, payload, size);
    CHECK_EQ((uint32_t)(original.ts + TS_OFFSET), rtp->ts);
    CHECK_EQ(original.marker, rtp->marker);
    CHECK(rtp->has_extension);
    if (p->base == index) p->first_index = was;
    p->was[index - p->base] = was;
}

static void peer_on_packet(peer *p, parcel *sealed)
{
    tr_rtp rtp;
    size_t size = sealed->size;
    uint64_t index;
    if (tr__srtp_open_rtp(p->r.theirs, sealed->data, &size, &index) != TR_DROP_NONE) {
        p->doubled++; /* checked at the end: nothing but doubles is refused */
        return;
    }
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, sealed->data, size));
    const uint8_t *payload = sealed->data + rtp.header_size;
    if (rtp.ssrc == 5000) {
        CHECK_EQ(106, rtp.pt);
        peer_on_media(p, &rtp, rtp.seq, payload, rtp.payload_size, false);
    } else {
        CHECK_EQ(107, rtp.pt);
        CHECK_EQ(5001, rtp.ssrc);
        if (!rtp.payload_size) return; /* padding, to try the line by */
        CHECK(rtp.payload_size >= 2);
        peer_on_media(p, &rtp, tr__load16(payload), payload + 2, rtp.payload_size - 2u, true);
    }
}

static void peer_step(peer *p)
{
    uint16_t seqs[64];
    for (parcel *got; (got = line_take(&p->down)) != NULL;) peer_on_packet(p, got);
    size_t count = tr__nack_next(&p->nack, now, seqs, 64);
    if (count) {
        uint8_t data[320];
        tr_pen pen = tr__pen(data, sizeof data);
        tr__rtcp_put_nack(&pen, 1, 5000, seqs, count);
        CHECK(tr__pen_ok(&pen));
        line_put(&p->up, data, tr__pen_size(&pen), true);
    }
    for (parcel *got; (got = line_take(&p->up)) != NULL;) {
        tr_rtcp_part part;
        size_t at = 0;
        CHECK(tr__rtcp_next(got->data, got->size, &at, &part));
        count = tr__rtcp_read_nack(&part, seqs, 64);
        tr__sender_on_nack(p->sender, seqs, count, now);
    }
}

static void peer_send(peer *p)
{
    packet sealed;
    while (rig_take_sealed(&p->r, &sealed)) line_put(&p->down, sealed.data, sealed.size, false);
}

/* What the peer ended up with: in order, none twice, and all but one in a thousand. */
static void check_peer(const peer *p, uint32_t until)
{
    uint64_t got = 0, filled = 0, expected = 0;
    uint32_t last = 0, last_frame = 0;
    for (uint64_t i = 0; i <= p->nack.highest - p->base; i++) {
        uint32_t was = p->was[i];
        if (was == NOTHING) continue;
        if (was == MAX_INDEX) {
            filled++;
            continue;
        }
        CHECK(i == 0 || was > last);
        CHECK(history[was].frame >= last_frame);
        last = was;
        last_frame = history[was].frame;
        got += was < until;
    }
    for (uint32_t i = p->first_index; i < until; i++) expected += history[i].part != PARTS;
    CHECK(p->first_index < 400);
    CHECK(expected > 430000);
    CHECK(got <= expected);
    CHECK(p->r.tally.resent_packets < 30000); /* two for each that was lost: requests follow loss, not reordering */
    CHECK(got * 1000 >= expected * 999);
    CHECK(filled > 5); /* empty packets that were lost on the way here, and repaired */
    CHECK_EQ(0, p->r.conflicts);
    CHECK(p->doubled > 1000);
    CHECK(p->nack.highest / 65536 >= 6);
}

/* ------------------------------------------------------------------ the hour */

/* The pacer's part of a transport's timers. */
static void pace(peer *p)
{
    tr_outlet outlet = {p->r.egress.downlink, &p->sender, 1, &p->r.tally};
    if (tr__downlink_release_at(outlet.downlink) <= now) tr__release_due(&outlet, now);
    if (tr__downlink_at(outlet.downlink) > now) return;
    tr__downlink_on_time(outlet.downlink, now);
    tr__release_on_time(&outlet, now);
}

static void pass_an_hour(bool is_paced)
{
    static tr_tally tally;
    published = next_frame = keyframes_asked = 0;
    rtx_seq = 0;
    keyframe_due = true;
    memset(&tally, 0, sizeof tally);
    memset(&up, 0, sizeof up);
    memset(&down_to_publisher, 0, sizeof down_to_publisher);
    memset(peers, 0, sizeof peers);
    tr_clock clock;
    tr_add_receiver params = video_params(1);
    params.extensions[TR_EXT_MID] = 4;
    params.extensions[TR_EXT_TWCC] = 3;
    tr__clock_init(&clock);
    tr_receiver *receiver = tr__receiver_new(&params, 262144, &clock, &tally);
    history = calloc(MAX_INDEX, sizeof *history);
    up.seed = 11;
    down_to_publisher.seed = 12;
    for (uint32_t i = 0; i < 2; i++) {
        peer *p = &peers[i];
        rig_init(&p->r, i ? TR_SRTP_AES128_CM_SHA1_80 : TR_SRTP_AEAD_AES_128_GCM);
        p->r.egress.rtt_us = 60 * MS;
        tr_add_sender viewer = sender_params(TR_VIDEO, 5000, i ? 0 : 5001);
        viewer.extensions[TR_EXT_MID] = 9;
        if (is_paced) {
            tr_set_downlink set = {1, true, PACED_BPS, PACED_BPS, PACED_BPS};
            viewer.extensions[TR_EXT_TWCC] = 8;
            p->r.egress.downlink = tr__downlink_new(i, NULL);
            CHECK_EQ(TR_OK, tr__downlink_set(p->r.egress.downlink, &set));
        }
        tr_bind_sender bind = bind_params(&params, &viewer);
        p->sender = tr__sender_new(&viewer, &p->r.egress, 0x7fff, 0x7ffe, TS_OFFSET);
        p->down.seed = 21 + i;
        p->up.seed = 31 + i;
        p->was = malloc((size_t)MAX_INDEX * sizeof *p->was);
        memset(p->was, 0xff, (size_t)MAX_INDEX * sizeof *p->was);
        tr__nack_init(&p->nack, p->missing, TR_NACK_VIDEO_MISSING);
        CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, p->sender, &bind, now));
    }
    uint64_t next_tick = now, started = now;
    for (; now < started + HOUR_US; now += STEP_US) {
        while (next_frame * (uint64_t)S / FPS + started <= now) publish_frame();
        for (parcel *got; (got = line_take(&up)) != NULL;) {
            packet p = {.size = got->size};
            memcpy(p.data, got->data, got->size);
            feed(receiver, 0, tr__load32(p.data + 8) == 1001, &p, now);
            for (int i = 0; i < 2; i++) peer_send(&peers[i]);
        }
        if (tr__receiver_feedback_at(receiver) <= now) {
            uint8_t data[320];
            tr_pen pen = tr__pen(data, sizeof data);
            if (tr__receiver_put_feedback(receiver, &pen, 1, now))
                line_put(&down_to_publisher, data, tr__pen_size(&pen), true);
        }
        for (parcel *got; (got = line_take(&down_to_publisher)) != NULL;) publisher_on_rtcp(got);
        for (int i = 0; i < 2; i++) {
            if (now >= next_tick) tr__sender_on_tick(peers[i].sender, now);
            if (is_paced) pace(&peers[i]);
            peer_step(&peers[i]);
            peer_send(&peers[i]);
        }
        if (now >= next_tick) next_tick += 100 * MS;
    }
    uint32_t until = published - 3 * FPS * PARTS; /* what is on its way is not judged */
    for (int i = 0; i < 2; i++) {
        check_peer(&peers[i], until);
        if (is_paced) CHECK(peers[i].r.tally.paced_packets > 200000);
        CHECK_EQ(0, peers[i].r.tally.drops[TR_DROP_PACER]);
    }
    CHECK(peers[0].resent > 5000);
    CHECK_EQ(0, peers[1].resent);
    CHECK(peers[1].r.repeats > 5000); /* the same ciphertext again */
    CHECK_EQ(0, peers[0].r.repeats);

    tr_receiver_stats stats;
    tr__receiver_stats(receiver, 0, now, &stats);
    CHECK(stats.repaired_packets > 5000);
    CHECK(stats.lost_packets * 1000 <= stats.rx_packets);
    CHECK(keyframes_asked < 100);

    for (int i = 0; i < 2; i++) {
        tr__receiver_remove_sender(receiver, peers[i].sender, now);
        tr__sender_free(peers[i].sender);
        tr__downlink_free(peers[i].r.egress.downlink);
        free(peers[i].was);
        rig_dispose(&peers[i].r);
    }
    tr__receiver_free(receiver);
    free(history);
}

static void an_hour_passes_unbroken(void) { pass_an_hour(false); }
static void an_hour_passes_unbroken_at_a_pace(void) { pass_an_hour(true); }

static const check_test tests[] = {TEST(an_hour_passes_unbroken), TEST(an_hour_passes_unbroken_at_a_pace)};
CHECK_MAIN("test_hour", tests)
