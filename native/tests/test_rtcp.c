/* test_rtcp: compounds are taken whole or not at all; what is written is read back. */
#include "rtcp.h"

#include "check.h"

/* Validated in a heap block of its own size, so that a read past the datagram is the sanitizer's. */
static tr_drop validate(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    tr_drop drop = tr__rtcp_validate(copy, size);
    free(copy);
    return drop;
}

static void parts_are_validated_by_what_they_count(void)
{
    static const struct {
        const char *what;
        uint8_t data[64];
        size_t size;
        bool is_right;
    } ROWS[] = {
        {"empty", {0}, 0, false},
        {"three bytes", {0x80, 201, 0}, 3, false},
        {"RR without an SSRC", {0x80, 201, 0, 0}, 4, false},
        {"RR alone (reduced size)", {0x80, 201, 0, 1}, 8, true},
        {"version 1", {0x40, 201, 0, 1}, 8, false},
        {"version 0", {0x00, 201, 0, 1}, 8, false},
        {"length one word too many", {0x80, 201, 0, 2}, 8, false},
        {"length 65535", {0x80, 201, 255, 255}, 8, false},
        {"a tail of two bytes", {0x80, 201, 0, 1}, 10, false},
        {"a tail of four zeros", {0x80, 201, 0, 1}, 12, false},
        {"RR counts one, has none", {0x81, 201, 0, 1}, 8, false},
        {"RR counts one, cut", {0x81, 201, 0, 6}, 28, false},
        {"RR counts one, has it", {0x81, 201, 0, 7}, 32, true},
        {"RR with profile extension", {0x80, 201, 0, 3}, 16, true},
        {"SR cut", {0x80, 200, 0, 5}, 24, false},
        {"SR", {0x80, 200, 0, 6}, 28, true},
        {"SR counts one, has none", {0x81, 200, 0, 6}, 28, false},
        {"SR counts one, has it", {0x81, 200, 0, 12}, 52, true},
        {"SDES of no chunks", {0x80, 202, 0, 0}, 4, true},
        {"SDES counts one, has none", {0x81, 202, 0, 0}, 4, false},
        {"SDES", {0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, 'a', 0}, 12, true},
        {"SDES without an end", {0x81, 202, 0, 2, 1, 2, 3, 4, 1, 2, 'a', 'b'}, 12, false},
        {"SDES item past the end", {0x81, 202, 0, 2, 1, 2, 3, 4, 1, 9, 'a', 0}, 12, false},
        {"SDES item without a length", {0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, 'a', 1}, 12, false},
        {"SDES chunk without items", {0x81, 202, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0}, 12, true},
        {"SDES chunk cut at its SSRC", {0x81, 202, 0, 1, 1, 2, 3, 4}, 8, false},
        {"SDES of two chunks",
         {0x82, 202, 0, 5, 1, 2, 3, 4, 1, 2, 'a', 'b', 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0},
         24,
         true},
        {"SDES counts three, has two",
         {0x83, 202, 0, 5, 1, 2, 3, 4, 1, 2, 'a', 'b', 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0},
         24,
         false},
        {"BYE of nobody", {0x80, 203, 0, 0}, 4, true},
        {"BYE counts two, has one", {0x82, 203, 0, 1}, 8, false},
        {"BYE counts two", {0x82, 203, 0, 2}, 12, true},
        {"BYE with a reason", {0x81, 203, 0, 2, 1, 2, 3, 4, 3, 'b', 'y', 'e'}, 12, true},
        {"BYE with a reason past the end", {0x81, 203, 0, 2, 1, 2, 3, 4, 4, 'b', 'y', 'e'}, 12, false},
        {"APP cut", {0x80, 204, 0, 1}, 8, false},
        {"APP", {0x9f, 204, 0, 2}, 12, true},
        {"PLI", {0x81, 206, 0, 2}, 12, true},
        {"PLI without media SSRC", {0x81, 206, 0, 1}, 8, false},
        {"FIR of nobody", {0x84, 206, 0, 2}, 12, false},
        {"FIR cut", {0x84, 206, 0, 3}, 16, false},
        {"FIR", {0x84, 206, 0, 4}, 20, true},
        {"FIR of one and a half", {0x84, 206, 0, 5}, 24, false},
        {"NACK of nothing", {0x81, 205, 0, 2}, 12, false},
        {"NACK", {0x81, 205, 0, 3}, 16, true},
        {"NACK of three entries", {0x81, 205, 0, 5}, 24, true},
        {"TWCC cut", {0x8f, 205, 0, 3}, 16, false},
        {"TWCC", {0x8f, 205, 0, 4}, 20, true},
        {"REMB cut", {0x8f, 206, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B'}, 16, false},
        {"REMB of no SSRC", {0x8f, 206, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 0}, 20, true},
        {"REMB counts one, has none", {0x8f, 206, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1}, 20, false},
        {"REMB counts one", {0x8f, 206, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1}, 24, true},
        {"REMB counts 255", {0x8f, 206, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 255}, 24, false},
        {"another application's feedback", {0x8f, 206, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 'G', 'O', 'O', 'G'}, 16, true},
        {"feedback of a format we do not know", {0x87, 205, 0, 2}, 12, true},
        {"XR without an SSRC", {0x80, 207, 0, 0}, 4, false},
        {"XR", {0x80, 207, 0, 1}, 8, true},
        {"a type nobody knows", {0x80, 220, 0, 0}, 4, true},
        {"padding flag, no body", {0xa0, 220, 0, 0}, 4, false},
        {"padding of 0", {0xa0, 201, 0, 2}, 12, false},
        {"padding of 4", {0xa0, 201, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4}, 12, true},
        {"padding into the SSRC", {0xa0, 201, 0, 2, 1, 2, 3, 4, 0, 0, 0, 5}, 12, false},
        {"padding past the body", {0xa0, 220, 0, 2, 1, 2, 3, 4, 0, 0, 0, 9}, 12, false},
        {"padding of all of an unknown part", {0xa0, 220, 0, 2, 1, 2, 3, 4, 0, 0, 0, 8}, 12, true},
        {"TWCC padded by two, as libwebrtc does", {0xaf, 205, 0, 5, [20] = 1, 1, 0, 2}, 24, true},
        {"padded TWCC before a PLI", {0xaf, 205, 0, 5, [20] = 1, 1, 0, 2, 0x81, 206, 0, 2}, 36, true},
        {"PLI before a part that is cut", {0x81, 206, 0, 2, [12] = 0x81, 206, 0, 1}, 20, false},
        {"PLI before a part of another version", {0x81, 206, 0, 2, [12] = 0x01, 206, 0, 2}, 24, false},
        {"two PLIs", {0x81, 206, 0, 2, [12] = 0x81, 206, 0, 2}, 24, true},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        tr_drop drop = validate(ROWS[i].data, ROWS[i].size);
        tr_drop expected = ROWS[i].is_right ? TR_DROP_NONE : TR_DROP_RTCP_MALFORMED;
        if (drop != expected) fprintf(stderr, "row: %s\n", ROWS[i].what);
        CHECK_EQ(expected, drop);
    }
}

static void more_than_64_parts_are_an_attack(void)
{
    uint8_t data[4 * 100];
    for (size_t i = 0; i < 100; i++) memcpy(data + 4 * i, "\x80\xcb\0\0", 4);
    CHECK_EQ(TR_DROP_NONE, validate(data, 4 * 64));
    CHECK_EQ(TR_DROP_RTCP_MALFORMED, validate(data, 4 * 65));
    CHECK_EQ(TR_DROP_RTCP_MALFORMED, validate(data, 4 * 100));
}

/* ------------------------------------------------------------------ the whole compound, as the relay writes it */

static size_t write_everything(uint8_t *out, size_t room)
{
    static const uint16_t LOST[] = {65530, 65533, 65535, 0, 10, 11, 100};
    static const uint32_t SSRCS[] = {7, 8};
    tr_rtcp_sr sr = {.ssrc = 1, .rtp_ts = 2, .packets = 3, .bytes = 4, .ntp = 0x0102030405060708};
    tr_rtcp_report reports[2] = {
        {.ssrc = 5,
         .fraction_lost = 255,
         .lost = -3,
         .highest_seq = 0x1ffff,
         .jitter = 9,
         .last_sr = 10,
         .delay_since_sr = 11},
        {.ssrc = 6, .lost = 0x7fffffff},
    };
    tr_pen pen = tr__pen(out, room);
    tr__rtcp_put_sr(&pen, &sr, reports, 2);
    tr__rtcp_put_rr(&pen, 1, reports, 1);
    tr__rtcp_put_sdes(&pen, 1, "cname");
    tr__rtcp_put_pli(&pen, 1, 5);
    tr__rtcp_put_fir(&pen, 1, 5, 200);
    tr__rtcp_put_nack(&pen, 1, 5, LOST, 7);
    tr__rtcp_put_remb(&pen, 1, 1500000, SSRCS, 2);
    tr__rtcp_put_bye(&pen, 1);
    return tr__pen_ok(&pen) ? tr__pen_size(&pen) : 0;
}

static void what_is_written_is_read_back(void)
{
    uint8_t out[512];
    size_t size = write_everything(out, sizeof out), at = 0;
    CHECK(size > 0);
    CHECK_EQ(TR_DROP_NONE, validate(out, size));
    tr_rtcp_part part;
    tr_rtcp_sr sr;
    tr_rtcp_report report;

    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_SR, part.type);
    CHECK(tr__rtcp_read_sr(&part, &sr));
    CHECK_EQ(1, sr.ssrc);
    CHECK_EQ(2, sr.rtp_ts);
    CHECK_EQ(3, sr.packets);
    CHECK_EQ(4, sr.bytes);
    CHECK_EQ(0x0102030405060708, sr.ntp);
    CHECK(tr__rtcp_read_report(&part, 0, &report));
    CHECK_EQ(5, report.ssrc);
    CHECK_EQ(255, report.fraction_lost);
    CHECK_EQ(-3, report.lost);
    CHECK_EQ(0x1ffff, report.highest_seq);
    CHECK_EQ(9, report.jitter);
    CHECK_EQ(10, report.last_sr);
    CHECK_EQ(11, report.delay_since_sr);
    CHECK(tr__rtcp_read_report(&part, 1, &report));
    CHECK_EQ(0x7fffff, report.lost); /* as much as 24 bits hold */
    CHECK(!tr__rtcp_read_report(&part, 2, &report));

    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_RR, part.type);
    CHECK(!tr__rtcp_read_sr(&part, &sr));
    CHECK(tr__rtcp_read_report(&part, 0, &report));
    CHECK_EQ(-3, report.lost);
    CHECK(!tr__rtcp_read_report(&part, 1, &report));

    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_SDES, part.type);
    CHECK_BYTES("\0\0\0\1\1\5cname\0", part.body, 12);

    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_PSFB, part.type);
    CHECK_EQ(TR_PSFB_PLI, part.count);
    CHECK_EQ(5, tr__rtcp_media_ssrc(&part));
    CHECK_EQ(8, part.size);

    uint32_t ssrc;
    uint8_t number;
    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_PSFB_FIR, part.count);
    CHECK_EQ(0, tr__rtcp_media_ssrc(&part));
    CHECK(tr__rtcp_read_fir(&part, 0, &ssrc, &number));
    CHECK_EQ(5, ssrc);
    CHECK_EQ(200, number);
    CHECK(!tr__rtcp_read_fir(&part, 1, &ssrc, &number));

    static const uint16_t LOST[] = {65530, 65533, 65535, 0, 10, 11, 100};
    uint16_t seqs[8];
    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_RTPFB, part.type);
    CHECK_EQ(8 + 3 * 4, part.size); /* 65530 to 10, 11, 100 */
    CHECK_EQ(7, tr__rtcp_read_nack(&part, seqs, 8));
    CHECK_BYTES(LOST, seqs, sizeof LOST);

    uint64_t rate;
    CHECK(!tr__rtcp_read_remb(&part, &rate));
    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK(tr__rtcp_read_remb(&part, &rate));
    CHECK_EQ(1500000, rate);

    CHECK(tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(TR_RTCP_BYE, part.type);
    CHECK_EQ(0, tr__rtcp_media_ssrc(&part));
    CHECK(!tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(size, at);
}

/* All or nothing: cut anywhere but between two parts, or with any version broken, the compound is refused as a whole.
 */
static void a_compound_is_refused_as_a_whole(void)
{
    uint8_t out[512];
    size_t size = write_everything(out, sizeof out), starts[16], count = 0, at = 0;
    tr_rtcp_part part;
    do starts[count++] = at;
    while (tr__rtcp_next(out, size, &at, &part));
    CHECK_EQ(9, count);
    for (size_t cut = 1; cut < size; cut++) {
        bool is_between = false;
        for (size_t i = 0; i < count; i++) is_between |= starts[i] == cut;
        CHECK_EQ(is_between ? TR_DROP_NONE : TR_DROP_RTCP_MALFORMED, validate(out, cut));
    }
    for (size_t i = 0; i + 1 < count; i++) {
        out[starts[i]] ^= 0x40;
        CHECK_EQ(TR_DROP_RTCP_MALFORMED, validate(out, size));
        out[starts[i]] ^= 0x40;
    }
    CHECK_EQ(TR_DROP_NONE, validate(out, size));
}

static void writers_survive_every_lack_of_room(void)
{
    uint8_t full[512];
    size_t size = write_everything(full, sizeof full);
    for (size_t room = 0; room < size; room++) {
        uint8_t *out = malloc(room ? room : 1);
        CHECK_EQ(0, write_everything(out, room));
        free(out);
    }
}

/* ------------------------------------------------------------------ single parts */

static size_t round_trip_nack(const uint16_t *seqs, size_t count, uint16_t *back, size_t max, size_t *entries)
{
    uint8_t out[4096];
    tr_pen pen = tr__pen(out, sizeof out);
    tr__rtcp_put_nack(&pen, 1, 2, seqs, count);
    CHECK(tr__pen_ok(&pen));
    tr_rtcp_part part;
    size_t at = 0;
    *entries = 0;
    if (!tr__rtcp_next(out, tr__pen_size(&pen), &at, &part)) return 0;
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(out, tr__pen_size(&pen)));
    *entries = (part.size - 8) / 4;
    return tr__rtcp_read_nack(&part, back, max);
}

static void nacks_pack_neighbours(void)
{
    static const struct {
        uint16_t seqs[20];
        size_t count, entries;
    } ROWS[] = {
        {{0}, 0, 0},
        {{7}, 1, 1},
        {{7, 8}, 2, 1},
        {{7, 23}, 2, 1}, /* the 16th follower is the last that fits */
        {{7, 24}, 2, 2},
        {{65535, 0, 15}, 3, 1},
        {{65535, 16}, 2, 2},
        {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, 17, 1},
        {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, 18, 2},
        {{100, 50}, 2, 2}, /* not ascending: still nothing is lost */
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint16_t back[32];
        size_t entries;
        CHECK_EQ(ROWS[i].count, round_trip_nack(ROWS[i].seqs, ROWS[i].count, back, 32, &entries));
        CHECK_EQ(ROWS[i].entries, entries);
        CHECK_BYTES(ROWS[i].seqs, back, ROWS[i].count * sizeof *back);
    }
    static const uint16_t TWICE[] = {5, 5, 6};
    uint16_t back[4];
    size_t entries;
    CHECK_EQ(2, round_trip_nack(TWICE, 3, back, 4, &entries));
    CHECK_EQ(1, entries);
}

static void random_nacks_come_back(void)
{
    uint64_t state = 3;
    for (int round = 0; round < 2000; round++) {
        uint16_t seqs[512], back[512], seq = (uint16_t)check_random(&state);
        size_t count = 1 + check_random(&state) % 512, entries;
        for (size_t i = 0; i < count; i++) seqs[i] = seq = (uint16_t)(seq + 1 + check_random(&state) % 40);
        CHECK_EQ(count, round_trip_nack(seqs, count, back, 512, &entries));
        CHECK_BYTES(seqs, back, count * sizeof *seqs);
    }
}

static void a_nack_is_read_up_to_the_room_there_is(void)
{
    static const uint8_t PACKET[] = {0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0xff, 0xff, 1, 0, 0xff, 0xff};
    tr_rtcp_part part;
    size_t at = 0;
    uint16_t seqs[40];
    CHECK(tr__rtcp_next(PACKET, sizeof PACKET, &at, &part));
    CHECK_EQ(34, tr__rtcp_read_nack(&part, seqs, 40));
    CHECK_EQ(9, seqs[0]);
    CHECK_EQ(25, seqs[16]);
    CHECK_EQ(256, seqs[17]);
    for (size_t max = 0; max <= 34; max++) {
        uint16_t *room = malloc(max ? max * sizeof *room : 1);
        CHECK_EQ(max, tr__rtcp_read_nack(&part, room, max));
        free(room);
    }
}

static void remb_saturates(void)
{
    static const struct {
        uint8_t packed[3];
        uint64_t rate;
    } ROWS[] = {
        {{0, 0, 0}, 0},
        {{0, 0, 1}, 1},
        {{0x03, 0xff, 0xff}, 0x3ffff},
        {{0x07, 0xff, 0xff}, 0x7fffe},
        {{(46 << 2) | 3, 0xff, 0xff}, (uint64_t)0x3ffff << 46},
        {{(47 << 2) | 3, 0xff, 0xff}, UINT64_MAX},
        {{(63 << 2) | 0, 0, 1}, (uint64_t)1 << 63},
        {{(63 << 2) | 0, 0, 2}, UINT64_MAX},
        {{0xff, 0xff, 0xff}, UINT64_MAX},
        {{63 << 2, 0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t packet[20] = {0x8f, 206, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 0};
        memcpy(packet + 17, ROWS[i].packed, 3);
        tr_rtcp_part part;
        size_t at = 0;
        uint64_t rate = 1;
        CHECK(tr__rtcp_next(packet, sizeof packet, &at, &part));
        CHECK(tr__rtcp_read_remb(&part, &rate));
        CHECK(ROWS[i].rate == rate);
    }
    static const uint64_t RATES[] = {0, 1, 0x3ffff, 0x40000, 2500000, 1000000000, UINT64_MAX};
    for (size_t i = 0; i < sizeof RATES / sizeof *RATES; i++) {
        uint8_t out[32];
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_remb(&pen, 1, RATES[i], NULL, 0);
        tr_rtcp_part part;
        size_t at = 0;
        uint64_t rate;
        CHECK(tr__rtcp_next(out, tr__pen_size(&pen), &at, &part));
        CHECK(tr__rtcp_read_remb(&part, &rate));
        CHECK(rate <= RATES[i] && RATES[i] - rate <= RATES[i] >> 17); /* 18 bits of mantissa */
    }
}

static void names_of_every_length_are_padded(void)
{
    char cname[300];
    memset(cname, 'c', sizeof cname);
    for (size_t length = 0; length < sizeof cname; length++) {
        uint8_t out[300];
        cname[length] = 0;
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_sdes(&pen, 9, cname);
        size_t kept = length > 255 ? 255 : length;
        CHECK_EQ(8 + (2 + kept + 1 + 3) / 4 * 4, tr__pen_size(&pen));
        CHECK_EQ(TR_DROP_NONE, validate(out, tr__pen_size(&pen)));
        CHECK_EQ(kept, out[9]);
        cname[length] = 'c';
    }
}

static void report_blocks_stop_at_31(void)
{
    tr_rtcp_report reports[40] = {{.ssrc = 1}};
    tr_rtcp_sr sr = {.ssrc = 2};
    for (size_t count = 0; count <= 40; count++) {
        uint8_t out[2048];
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_rr(&pen, 1, reports, count);
        tr__rtcp_put_sr(&pen, &sr, reports, count);
        CHECK_EQ(TR_DROP_NONE, validate(out, tr__pen_size(&pen)));
        size_t kept = count > 31 ? 31 : count;
        CHECK_EQ(8 + 28 + 2 * 24 * kept, tr__pen_size(&pen));
    }
}

static void readers_refuse_parts_of_another_kind(void)
{
    static const uint8_t BODY[64];
    for (unsigned type = 0; type < 256; type++)
        for (unsigned count = 0; count < 32; count++)
            for (size_t size = 0; size <= 28; size++) {
                tr_rtcp_part part = {.type = (uint8_t)type, .count = (uint8_t)count, .body = BODY, .size = size};
                tr_rtcp_sr sr;
                tr_rtcp_report report;
                uint32_t ssrc;
                uint8_t number;
                uint64_t rate;
                uint16_t seqs[8];
                CHECK_EQ(type == TR_RTCP_SR && size >= 24, tr__rtcp_read_sr(&part, &sr));
                CHECK_EQ(type == TR_RTCP_RR && count > 0 && size >= 28, tr__rtcp_read_report(&part, 0, &report));
                CHECK_EQ(type == TR_RTCP_PSFB && count == 4 && size >= 16, tr__rtcp_read_fir(&part, 0, &ssrc, &number));
                CHECK_EQ(type == TR_RTCP_RTPFB && count == 1 && size >= 8 ? (size - 8) / 4 : 0,
                         tr__rtcp_read_nack(&part, seqs, 8));
                CHECK(!tr__rtcp_read_remb(&part, &rate));
            }
}

static const check_test TESTS[] = {
    TEST(parts_are_validated_by_what_they_count),
    TEST(more_than_64_parts_are_an_attack),
    TEST(what_is_written_is_read_back),
    TEST(a_compound_is_refused_as_a_whole),
    TEST(writers_survive_every_lack_of_room),
    TEST(nacks_pack_neighbours),
    TEST(random_nacks_come_back),
    TEST(a_nack_is_read_up_to_the_room_there_is),
    TEST(remb_saturates),
    TEST(names_of_every_length_are_padded),
    TEST(report_blocks_stop_at_31),
    TEST(readers_refuse_parts_of_another_kind),
};
CHECK_MAIN("test_rtcp", TESTS)
