/* twcc: what the publisher reads in the feedback is what came in; and what we read of a subscriber's is what it says.
 * The reader here is written from the draft alone. */
#include "twcc.h"

#include "check.h"
#include "seq.h"

#define MS 1000
#define LOST INT64_MIN

static tr_twcc twcc;

typedef struct feedback {
    uint16_t base, count;
    uint8_t number;
    size_t size;
    int64_t ticks[8192]; /* of 250 us, mod 2^24 * 256; LOST: not received */
    bool has_run, has_vector, has_large;
} feedback;

static feedback fb;

static bool read_bytes(tr_twcc_reader *reader, uint8_t *data, size_t size)
{
    tr_rtcp_part part;
    size_t at = 0;
    if (!tr__rtcp_next(data, size, &at, &part)) return false;
    return tr__twcc_read(reader, &part);
}

/* Our own reader says the same as the one here. */
static void read_ours(uint8_t *data)
{
    tr_twcc_reader reader;
    tr_twcc_status status;
    CHECK(read_bytes(&reader, data, fb.size));
    CHECK_EQ(fb.base, reader.base);
    CHECK_EQ(fb.count, reader.count);
    CHECK_EQ(fb.number, reader.feedback_count);
    uint32_t next = 0;
    while (tr__twcc_next(&reader, &status)) {
        CHECK_EQ(next, status.from);
        for (uint32_t i = 0; i < status.count; i++, next++)
            CHECK_EQ(fb.ticks[next], status.is_received ? (int64_t)reader.reference * 256 + status.ticks : LOST);
    }
    CHECK_EQ(fb.count, next);
}

/* One feedback within room bytes, read back; false: nothing was written. */
static bool next_feedback(size_t room, uint64_t now_us)
{
    static uint8_t data[4096];
    tr_pen pen = tr__pen(data, room);
    if (!tr__twcc_put_feedback(&twcc, &pen, 0x11223344, 0x55667788, now_us)) {
        CHECK_EQ(0, tr__pen_size(&pen));
        return false;
    }
    CHECK(tr__pen_ok(&pen));
    fb = (feedback){.size = tr__pen_size(&pen)};
    CHECK_EQ(0, fb.size % 4);
    CHECK_EQ(0x8f, data[0]);
    CHECK_EQ(205, data[1]);
    CHECK_EQ(fb.size / 4 - 1, tr__load16(data + 2));
    CHECK_EQ(0x11223344, tr__load32(data + 4));
    CHECK_EQ(0x55667788, tr__load32(data + 8));
    fb.base = tr__load16(data + 12);
    fb.count = tr__load16(data + 14);
    int64_t at = (int64_t)tr__load24(data + 16) * 256;
    fb.number = data[19];
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, fb.size));
    uint8_t symbols[8192 + 14];
    const uint8_t *p = data + 20;
    for (uint32_t i = 0; i < fb.count;) {
        uint16_t chunk = tr__load16(p);
        p += 2;
        if (!(chunk & 0x8000)) {
            fb.has_run = true;
            for (uint32_t run = chunk & 0x1fff; run--;) symbols[i++] = (chunk >> 13) & 3;
            CHECK(i <= fb.count);
        } else if (chunk & 0x4000) {
            fb.has_vector = true;
            for (int k = 12; k >= 0; k -= 2) symbols[i++] = (chunk >> k) & 3;
        } else {
            for (int k = 13; k >= 0; k--) symbols[i++] = (chunk >> k) & 1;
        }
    }
    for (uint32_t i = 0; i < fb.count; i++) {
        fb.ticks[i] = LOST;
        if (!symbols[i]) continue;
        if (symbols[i] == 1)
            at += *p++;
        else {
            fb.has_large = true;
            at += (int16_t)tr__load16(p);
            p += 2;
        }
        fb.ticks[i] = at;
    }
    CHECK(p <= data + fb.size && p + 4 > data + fb.size); /* zero padding to a word, no more */
    read_ours(data);
    return true;
}

static int64_t tick(uint64_t us) { return (int64_t)(us / 250 % ((uint64_t)256 << 24)); }

static void one_packet(void)
{
    tr__twcc_init(&twcc);
    CHECK_EQ(UINT64_MAX, tr__twcc_at(&twcc));
    CHECK(!next_feedback(1200, 0));
    tr__twcc_on_packet(&twcc, 65535, 10 * MS + 300, 12 * MS);
    CHECK_EQ(12 * MS + TR_TWCC_INTERVAL_US, tr__twcc_at(&twcc));
    CHECK(next_feedback(1200, 62 * MS));
    CHECK_EQ(65535, fb.base);
    CHECK_EQ(1, fb.count);
    CHECK_EQ(tick(10 * MS + 300), fb.ticks[0]);
    CHECK_EQ(24, fb.size);
    CHECK_EQ(0, fb.number);
    CHECK_EQ(UINT64_MAX, tr__twcc_at(&twcc));
    CHECK(!next_feedback(1200, 100 * MS));
}

/* Ten a second for 80 bytes each would be a fifth of a thin line. */
static void few_packets_are_told_of_less_often(void)
{
    tr__twcc_init(&twcc);
    uint64_t now_us = 1000 * MS;
    uint32_t told = 0, long_ones = 0;
    for (uint16_t i = 0; i < 100; i++, now_us += 60 * MS) { /* a voice in packets of 60 ms */
        tr__twcc_on_packet(&twcc, i, now_us, now_us);
        if (tr__twcc_at(&twcc) - now_us == TR_TWCC_THIN_INTERVAL_US) long_ones++;
        if (tr__twcc_at(&twcc) < now_us + 60 * MS) told += next_feedback(1200, tr__twcc_at(&twcc));
    }
    CHECK_EQ(20, told); /* of 6 s */
    CHECK_EQ(20, long_ones);
    for (uint16_t i = 100; i < 400; i++, now_us += 5 * MS) { /* a picture begins: no interval is longer than before */
        tr__twcc_on_packet(&twcc, i, now_us, now_us);
        CHECK(tr__twcc_at(&twcc) <= now_us + TR_TWCC_INTERVAL_US);
        if (tr__twcc_at(&twcc) < now_us + 5 * MS) next_feedback(1200, tr__twcc_at(&twcc));
    }
}

static void due_100_ms_after_the_first_unreported_packet(void)
{
    tr__twcc_init(&twcc);
    for (uint16_t i = 0; i < 5; i++) tr__twcc_on_packet(&twcc, i, 1000 * MS + i * MS, 1000 * MS + i * MS);
    CHECK_EQ(1100 * MS, tr__twcc_at(&twcc));
    CHECK(next_feedback(1200, 1100 * MS));
    CHECK_EQ(5, fb.count);
    tr__twcc_on_packet(&twcc, 5, 2000 * MS, 2000 * MS);
    CHECK_EQ(2100 * MS, tr__twcc_at(&twcc));
    CHECK(next_feedback(1200, 2100 * MS));
    CHECK_EQ(5, fb.base);
    CHECK_EQ(1, fb.number);
    /* A window that fills up does not wait. */
    for (uint32_t i = 6; i < 6 + TR_TWCC_WINDOW / 2 + 1; i++)
        tr__twcc_on_packet(&twcc, (uint16_t)i, 3000 * MS + i, 3000 * MS + i);
    CHECK(tr__twcc_at(&twcc) < 3050 * MS);
}

static void lost_and_late_packets(void)
{
    tr__twcc_init(&twcc);
    tr__twcc_on_packet(&twcc, 10, 100 * MS, 100 * MS);
    tr__twcc_on_packet(&twcc, 13, 110 * MS, 110 * MS);
    tr__twcc_on_packet(&twcc, 12, 111 * MS, 111 * MS);
    tr__twcc_on_packet(&twcc, 12, 140 * MS, 140 * MS); /* the first arrival counts */
    CHECK(next_feedback(1200, 150 * MS));
    CHECK_EQ(10, fb.base);
    CHECK_EQ(4, fb.count);
    CHECK_EQ(tick(100 * MS), fb.ticks[0]);
    CHECK_EQ(LOST, fb.ticks[1]);
    CHECK_EQ(tick(111 * MS), fb.ticks[2]);
    CHECK_EQ(tick(110 * MS), fb.ticks[3]);
    CHECK(fb.has_large); /* 12 came after 13: its delta is positive, 13's is negative */
    /* One that was reported missing comes after all: the next feedback says so. */
    tr__twcc_on_packet(&twcc, 11, 160 * MS, 160 * MS);
    tr__twcc_on_packet(&twcc, 14, 161 * MS, 161 * MS);
    CHECK(next_feedback(1200, 210 * MS));
    CHECK_EQ(11, fb.base);
    CHECK_EQ(4, fb.count);
    CHECK_EQ(tick(160 * MS), fb.ticks[0]);
    CHECK_EQ(tick(161 * MS), fb.ticks[3]);
    /* A gap before the first of a feedback belongs to it. */
    tr__twcc_on_packet(&twcc, 40, 300 * MS, 300 * MS);
    CHECK(next_feedback(1200, 350 * MS));
    CHECK_EQ(15, fb.base);
    CHECK_EQ(26, fb.count);
    CHECK_EQ(LOST, fb.ticks[24]);
    CHECK_EQ(tick(300 * MS), fb.ticks[25]);
}

static void packets_seconds_apart(void)
{
    static const uint64_t gaps_ms[] = {63, 64, 65, 8191, 8192, 100000};
    tr__twcc_init(&twcc);
    uint64_t at = 1000 * MS;
    for (size_t i = 0; i < sizeof gaps_ms / sizeof *gaps_ms; i++) {
        uint16_t seq = (uint16_t)(2 * i);
        tr__twcc_on_packet(&twcc, seq, at, at);
        tr__twcc_on_packet(&twcc, (uint16_t)(seq + 1), at + gaps_ms[i] * MS, at + gaps_ms[i] * MS);
        CHECK(next_feedback(1200, at));
        CHECK_EQ(tick(at), fb.ticks[0]);
        if (gaps_ms[i] > 8191) { /* more than a delta can say: a feedback of its own */
            CHECK_EQ(1, fb.count);
            CHECK(tr__twcc_at(&twcc) <= at);
            CHECK(next_feedback(1200, at));
            CHECK_EQ(seq + 1, fb.base);
            CHECK_EQ(tick(at + gaps_ms[i] * MS), fb.ticks[0]);
        } else {
            CHECK_EQ(tick(at + gaps_ms[i] * MS), fb.ticks[1]);
        }
        at += gaps_ms[i] * MS + 10000;
    }
}

static void a_gap_wider_than_the_window(void)
{
    tr__twcc_init(&twcc);
    tr__twcc_on_packet(&twcc, 0, 100 * MS, 100 * MS);
    CHECK(next_feedback(1200, 150 * MS));
    tr__twcc_on_packet(&twcc, 30000, 200 * MS, 200 * MS);
    CHECK(next_feedback(1200, 250 * MS));
    CHECK_EQ(30000 - TR_TWCC_WINDOW + 1, fb.base);
    CHECK_EQ(TR_TWCC_WINDOW, fb.count);
    CHECK_EQ(tick(200 * MS), fb.ticks[TR_TWCC_WINDOW - 1]);
    CHECK(fb.size <= 40); /* a run of lost ones costs one chunk */
    tr__twcc_on_packet(&twcc, (uint16_t)(30000 - TR_TWCC_WINDOW), 300 * MS, 300 * MS); /* too old to tell */
    CHECK(!next_feedback(1200, 350 * MS));
}

static void too_little_room_splits_and_none_is_lost(void)
{
    for (size_t room = 20; room <= 120; room += 8) {
        tr__twcc_init(&twcc);
        uint64_t seed = room;
        static uint64_t arrivals[1500];
        uint64_t at = 5000 * MS;
        uint32_t last = 0;
        for (uint32_t i = 0; i < 1000; i++) {
            at += check_random(&seed) % 3 ? 400 : 100 * MS;
            bool is_lost = check_random(&seed) % 10 == 0 || (i > 300 && i < 400);
            arrivals[i] = is_lost ? 0 : at;
            if (!is_lost) tr__twcc_on_packet(&twcc, (uint16_t)i, at, at), last = i;
        }
        uint32_t next = 0;
        while (!arrivals[next]) next++;
        while (next_feedback(room, at)) {
            CHECK(fb.size <= room);
            CHECK_EQ(next, fb.base);
            for (uint32_t i = 0; i < fb.count; i++, next++)
                CHECK_EQ(arrivals[next] ? tick(arrivals[next]) : LOST, fb.ticks[i]);
        }
        /* Below 28 bytes not a single packet fits; nothing may be lost for all that. */
        if (room < 28)
            CHECK_EQ(0, next);
        else
            CHECK_EQ(last + 1, next);
    }
}

/* A long stream with loss, reordering and duplicates; the feedbacks, read one after another, say of each packet when it
 * came. Starts just below the wraps of sequence number and reference time. */
static void a_long_stream_reads_back(uint64_t seed)
{
    enum { COUNT = 30000 };
    static uint64_t arrived[COUNT];
    static int64_t told[COUNT];
    memset(arrived, 0, sizeof arrived);
    for (int i = 0; i < COUNT; i++) told[i] = LOST;
    tr__twcc_init(&twcc);
    uint16_t first = 65000;
    uint64_t now = ((uint64_t)1 << 24) * 64 * MS - 20000 * MS;
    bool has_run = false, has_vector = false, has_large = false;
    uint8_t number = 0;
    uint64_t told_to = 0; /* the reader unwraps too */
    for (uint32_t i = 0; i < COUNT; i++) {
        uint64_t dice = check_random(&seed);
        now += dice % 50 == 0 ? 30 * MS : dice % 1500;
        uint32_t at = i;
        if (dice % 11 == 0 && i > 8) at = i - (uint32_t)(check_random(&seed) % 8);
        if (i && (dice >> 32) % 100 < 5) continue; /* lost, for now: a later step may go back to it */
        tr__twcc_on_packet(&twcc, (uint16_t)(first + at), now, now + dice % 300);
        if (!arrived[at]) arrived[at] = now;
        if (tr__twcc_at(&twcc) > now) continue;
        while (next_feedback(700, now)) {
            CHECK_EQ(number++, fb.number);
            uint64_t base = tr__seq_unwrap(told_to + 65536 + first, fb.base) - 65536 - first;
            for (uint32_t k = 0; k < fb.count; k++)
                if (base + k < COUNT && fb.ticks[k] != LOST) told[base + k] = fb.ticks[k];
            told_to = base + fb.count;
            has_run |= fb.has_run;
            has_vector |= fb.has_vector;
            has_large |= fb.has_large;
        }
    }
    CHECK(has_run && has_vector && has_large);
    for (uint64_t i = 0; i < told_to; i++)
        CHECK_EQ(arrived[i] ? tick(arrived[i]) : LOST, told[i] == LOST ? LOST : told[i] & (((int64_t)256 << 24) - 1));
}

static void seeded_streams_read_back(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) a_long_stream_reads_back(seed);
}

/* ------------------------------------------------------------------ what others write */

/* A feedback of base 65534 and reference time 3: `count` statuses, these chunks and these deltas. */
static size_t write_feedback(uint8_t *data, uint16_t count, const uint16_t *chunks, size_t chunk_count,
                             const uint8_t *deltas, size_t delta_bytes)
{
    tr_pen pen = tr__pen(data, 256);
    uint8_t *head = tr__put(&pen, 12);
    memset(head, 0, 12);
    head[0] = 0x8f;
    head[1] = 205;
    tr__put16(&pen, 65534);
    tr__put16(&pen, count);
    tr__put24(&pen, 3);
    tr__put8(&pen, 9);
    for (size_t i = 0; i < chunk_count; i++) tr__put16(&pen, chunks[i]);
    tr__put_bytes(&pen, deltas, delta_bytes);
    while (tr__pen_size(&pen) % 4) tr__put8(&pen, 0);
    tr__store16(head + 2, (uint16_t)(tr__pen_size(&pen) / 4 - 1));
    return tr__pen_size(&pen);
}

static void every_kind_of_chunk_is_read(void)
{
    /* Two received by a run, five missing by another, a vector of one-bit symbols, one of two bits that says more than
     * there is. */
    static const uint16_t chunks[] = {0x2002, 0x0005, 0x8000 | 1 << 13 | 1, 0xc000 | 2 << 12 | 1 << 8};
    static const uint8_t deltas[] = {4, 0, 8, 255, 0xff, 0xf0, 2};
    static const uint32_t froms[] = {0, 1, 2, 7, 20, 21, 23};
    static const int32_t ticks[] = {4, 4, -1, 12, 267, 251, 253};
    uint8_t data[256];
    tr_twcc_reader reader;
    tr_twcc_status status;
    CHECK(read_bytes(&reader, data, write_feedback(data, 24, chunks, 4, deltas, sizeof deltas)));
    CHECK_EQ(65534, reader.base);
    CHECK_EQ(3, reader.reference);
    size_t found = 0;
    uint32_t next = 0;
    while (tr__twcc_next(&reader, &status)) {
        CHECK_EQ(next, status.from);
        next += status.count;
        if (found == 2) {
            CHECK(!status.is_received);
            CHECK_EQ(5, status.count);
            found++;
        } else if (status.is_received) {
            CHECK_EQ(froms[found], status.from);
            CHECK_EQ(ticks[found], status.ticks);
            CHECK_EQ(1, status.count);
            found++;
        }
    }
    CHECK_EQ(7, found);
    CHECK_EQ(24, next);
    CHECK(!tr__twcc_next(&reader, &status));
}

static void malformed_feedback_is_not_read(void)
{
    static const uint8_t deltas[16] = {1, 2, 3, 4};
    static const struct row {
        uint16_t count, chunk;
        size_t delta_bytes;
        bool is_right;
    } rows[] = {
        {2, 0x2002, 2, true},  {0, 0x2002, 2, false}, /* of no packet */
        {2, 0x6002, 2, false},                        /* a reserved symbol, in a run */
        {2, 0xf000, 2, false},                        /* and in a vector */
        {1, 0xdc00, 2, true},                         /* but not past the count */
        {2, 0x2000, 2, false},                        /* a run of none */
        {3, 0x2002, 0, false},                        /* a chunk is missing */
        {7, 0x2007, 2, false},                        /* deltas are missing, the padding being two */
        {2, 0x4002, 2, false}, {2, 0x2001, 2, false}, /* large ones; the second chunk is a run of one of 258 */
        {1, 0x2fff, 1, true},                         /* a run that says more than there is */
        {1, 0x0001, 0, true},                         /* nothing arrived at all */
        {1, 0x2001, 8, false},                        /* more than fills a word */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t data[256];
        tr_twcc_reader reader;
        size_t size = write_feedback(data, rows[i].count, &rows[i].chunk, 1, deltas, rows[i].delta_bytes);
        if (rows[i].is_right != read_bytes(&reader, data, size)) CHECK_EQ(-1, (long)i);
        CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, size));
    }
    uint8_t data[256];
    tr_twcc_reader reader;
    write_feedback(data, 2, &rows[0].chunk, 1, deltas, 2);
    data[0] = 0x81; /* a NACK */
    CHECK(!read_bytes(&reader, data, 24));
}

static const check_test tests[] = {
    TEST(every_kind_of_chunk_is_read),
    TEST(malformed_feedback_is_not_read),
    TEST(one_packet),
    TEST(few_packets_are_told_of_less_often),
    TEST(due_100_ms_after_the_first_unreported_packet),
    TEST(lost_and_late_packets),
    TEST(packets_seconds_apart),
    TEST(a_gap_wider_than_the_window),
    TEST(too_little_room_splits_and_none_is_lost),
    TEST(seeded_streams_read_back),
};
CHECK_MAIN("test_twcc", tests)
