/* test_rtp: headers and extension blocks, read and written; the traps of RFC 3550 and RFC 8285 in tables. */
#include "rtp.h"

#include "check.h"

/* A copy that ends where its heap block ends: a read past the datagram is the sanitizer's. */
static tr_drop parse_exact(tr_rtp *rtp, const uint8_t *data, size_t size, uint8_t **copy)
{
    *copy = malloc(size ? size : 1);
    memcpy(*copy, data, size);
    return tr__rtp_parse(rtp, *copy, size);
}

static void a_plain_packet_is_read(void)
{
    static const uint8_t PACKET[] = {0x80, 0xe0, 0x12, 0x34, 1, 2, 3, 4, 0xa, 0xb, 0xc, 0xd, 'x', 'y', 'z'};
    tr_rtp rtp;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, PACKET, sizeof PACKET));
    CHECK_EQ(96, rtp.pt);
    CHECK(rtp.marker);
    CHECK_EQ(0x1234, rtp.seq);
    CHECK_EQ(0x01020304, rtp.ts);
    CHECK_EQ(0x0a0b0c0d, rtp.ssrc);
    CHECK_EQ(12, rtp.header_size);
    CHECK_EQ(3, rtp.payload_size);
    CHECK_EQ(0, rtp.padding_size);
    CHECK(!rtp.has_extension);
}

static void everything_at_once_is_read(void)
{
    static const uint8_t PACKET[] = {0xb2, 0x6f, 0, 1, 0,    0,    0, 2, 0,   0,   0, 3, 9,
                                     9,    9,    9, 8, 8,    8,    8, /* two CSRCs */
                                     0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, 'p', 'q', 0, 0, 3};
    tr_rtp rtp;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, PACKET, sizeof PACKET));
    CHECK_EQ(2, rtp.csrc_count);
    CHECK_EQ(111, rtp.pt);
    CHECK(!rtp.marker);
    CHECK(rtp.has_extension);
    CHECK_EQ(0xbede, rtp.extension_profile);
    CHECK_EQ(24, rtp.extension_at);
    CHECK_EQ(4, rtp.extension_size);
    CHECK_EQ(28, rtp.header_size);
    CHECK_EQ(2, rtp.payload_size);
    CHECK_EQ(3, rtp.padding_size);
}

static void traps_are_refused(void)
{
    static const struct {
        const char *what;
        uint8_t data[24];
        size_t size;
        tr_drop drop;
    } ROWS[] = {
        {"header cut short", {0x80}, 11, TR_DROP_RTP_MALFORMED},
        {"header alone", {0x80}, 12, TR_DROP_NONE},
        {"version 1", {0x40}, 12, TR_DROP_RTP_MALFORMED},
        {"version 3", {0xc0}, 12, TR_DROP_RTP_MALFORMED},
        {"15 CSRCs that are not there", {0x8f}, 24, TR_DROP_RTP_MALFORMED},
        {"3 CSRCs that are", {0x83}, 24, TR_DROP_NONE},
        {"extension without its header", {0x90}, 15, TR_DROP_RTP_EXTENSION},
        {"extension of no words", {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 0}, 16, TR_DROP_NONE},
        {"extension past the end",
         {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 3},
         24,
         TR_DROP_RTP_EXTENSION},
        {"extension of 65535 words",
         {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 255, 255},
         24,
         TR_DROP_RTP_EXTENSION},
        {"padding flag, nothing to pad", {0xa0}, 12, TR_DROP_RTP_MALFORMED},
        {"padding of 0", {0xa0}, 13, TR_DROP_RTP_MALFORMED},
        {"padding of 2 in 1", {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 13, TR_DROP_RTP_MALFORMED},
        {"all padding", {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 14, TR_DROP_NONE},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        tr_rtp rtp;
        uint8_t *copy;
        tr_drop drop = parse_exact(&rtp, ROWS[i].data, ROWS[i].size, &copy);
        if (drop != ROWS[i].drop) fprintf(stderr, "row: %s\n", ROWS[i].what);
        CHECK_EQ(ROWS[i].drop, drop);
        free(copy);
    }
    tr_rtp rtp;
    static uint8_t large[70000] = {0x80};
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, large, 65535));
    CHECK_EQ(TR_DROP_RTP_MALFORMED, tr__rtp_parse(&rtp, large, 65536));
}

/* All values of the first two bytes, all sizes to 64: a view that was accepted adds up, and its extensions can be asked
 * for. The bytes behind are zeros, then ones, then a mix. */
static void the_first_two_bytes_are_tried_exhaustively(void)
{
    static const uint8_t IDS[TR_EXT_COUNT] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    uint64_t state = 24, accepted = 0;
    uint8_t fill[3][64];
    memset(fill[0], 0, 64);
    memset(fill[1], 1, 64);
    for (int i = 0; i < 64; i++) fill[2][i] = (uint8_t)check_random(&state);
    for (size_t size = 0; size <= 64; size++) {
        uint8_t *data = malloc(size ? size : 1);
        for (int with = 0; with < 3; with++) {
            memcpy(data, fill[with], size);
            for (unsigned first = 0; first < 65536; first++) {
                if (size > 0) data[0] = (uint8_t)(first >> 8);
                if (size > 1) data[1] = (uint8_t)first;
                tr_rtp rtp;
                tr_rtp_extensions found;
                tr_drop drop = tr__rtp_parse(&rtp, data, size);
                if (size < 12) CHECK_EQ(TR_DROP_RTP_MALFORMED, drop);
                if (drop != TR_DROP_NONE) continue;
                accepted++;
                CHECK(first >> 14 == 2);
                CHECK_EQ(size, rtp.header_size + rtp.payload_size + rtp.padding_size);
                CHECK_EQ(rtp.header_size, 12 + 4 * rtp.csrc_count + (rtp.has_extension ? 4 + rtp.extension_size : 0));
                CHECK_EQ(first & 0x7f, rtp.pt);
                if (tr__rtp_find_extensions(&rtp, IDS, &found) != TR_DROP_NONE) continue;
                for (int ext = 0; ext < TR_EXT_COUNT; ext++)
                    if (found.of[ext].at) CHECK(found.of[ext].at + found.of[ext].size <= rtp.header_size);
            }
        }
        free(data);
    }
    CHECK(accepted > 100000);
}

/* ------------------------------------------------------------------ extensions */

/* A packet with this block; elements are padded to a word with zeros. */
static size_t make_packet(uint8_t *out, uint16_t profile, const uint8_t *elements, size_t size)
{
    size_t words = (size + 3) / 4;
    memset(out, 0, 16 + words * 4);
    out[0] = 0x90;
    tr__store16(out + 12, profile);
    tr__store16(out + 14, (uint16_t)words);
    memcpy(out + 16, elements, size);
    return 16 + words * 4;
}

static void elements_are_found_by_negotiated_id(void)
{
    /* MID is id 1, TWCC id 4, audio level id 20; found: offset from the first element and size, -1: absent. */
    static const uint8_t IDS[TR_EXT_COUNT] = {[TR_EXT_MID] = 1, [TR_EXT_TWCC] = 4, [TR_EXT_AUDIO_LEVEL] = 20};
    static const struct {
        const char *what;
        uint16_t profile;
        uint8_t elements[24];
        size_t size;
        tr_drop drop;
        int mid_at, mid_size, twcc_at, twcc_size;
    } ROWS[] = {
        {"one-byte", 0xbede, {0x10, 'a', 0x41, 1, 2}, 5, TR_DROP_NONE, 1, 1, 3, 2},
        {"any order", 0xbede, {0x41, 1, 2, 0x10, 'a'}, 5, TR_DROP_NONE, 4, 1, 1, 2},
        {"padding between", 0xbede, {0x10, 'a', 0, 0, 0, 0x41, 1, 2}, 8, TR_DROP_NONE, 1, 1, 6, 2},
        {"unknown ids passed over", 0xbede, {0x72, 1, 2, 3, 0x10, 'a', 0xe0, 9}, 8, TR_DROP_NONE, 5, 1, -1, 0},
        {"id 15 ends it", 0xbede, {0x10, 'a', 0xf0, 9, 0x41, 1, 2, 0}, 8, TR_DROP_NONE, 1, 1, -1, 0},
        {"id 15 ends it, whatever its length", 0xbede, {0x10, 'a', 0, 0xff}, 4, TR_DROP_NONE, 1, 1, -1, 0},
        {"id 0 with a length ends it", 0xbede, {0x10, 'a', 0x03, 9, 0x41, 1, 2, 0}, 8, TR_DROP_NONE, 1, 1, -1, 0},
        {"16 bytes",
         0xbede,
         {0x1f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
         17,
         TR_DROP_NONE,
         1,
         16,
         -1,
         0},
        {"past the end", 0xbede, {0x10, 'a', 0x42, 1}, 4, TR_DROP_RTP_EXTENSION, 0, 0, 0, 0},
        {"past the end by one", 0xbede, {0x43, 1, 2, 3}, 4, TR_DROP_RTP_EXTENSION, 0, 0, 0, 0},
        {"just to the end", 0xbede, {0x42, 1, 2, 3}, 4, TR_DROP_NONE, -1, 0, 1, 3},
        {"the first of two", 0xbede, {0x10, 'a', 0x10, 'b'}, 4, TR_DROP_NONE, 1, 1, -1, 0},
        {"only padding", 0xbede, {0, 0, 0, 0}, 4, TR_DROP_NONE, -1, 0, -1, 0},
        {"no elements", 0xbede, {0}, 0, TR_DROP_NONE, -1, 0, -1, 0},
        {"two-byte", 0x1000, {1, 1, 'a', 4, 2, 1, 2}, 7, TR_DROP_NONE, 2, 1, 5, 2},
        {"two-byte, application bits", 0x100f, {1, 1, 'a', 4, 2, 1, 2}, 7, TR_DROP_NONE, 2, 1, 5, 2},
        {"two-byte, empty element", 0x1000, {1, 0, 4, 2, 1, 2}, 6, TR_DROP_NONE, 2, 0, 4, 2},
        {"two-byte, padding between", 0x1000, {1, 1, 'a', 0, 0, 4, 2, 1, 2}, 9, TR_DROP_NONE, 2, 1, 7, 2},
        {"two-byte, id 15 is an id", 0x1000, {15, 1, 9, 1, 1, 'a'}, 6, TR_DROP_NONE, 5, 1, -1, 0},
        {"two-byte, past the end", 0x1000, {1, 3, 'a', 'b'}, 4, TR_DROP_RTP_EXTENSION, 0, 0, 0, 0},
        {"two-byte, 255 in 4", 0x1000, {1, 255, 'a', 'b'}, 4, TR_DROP_RTP_EXTENSION, 0, 0, 0, 0},
        {"two-byte, no length byte", 0x1000, {4, 1, 0, 1}, 4, TR_DROP_RTP_EXTENSION, 0, 0, 0, 0},
        {"another profile", 0x1234, {0xff, 0xff, 0xff, 0xff}, 4, TR_DROP_NONE, -1, 0, -1, 0},
        {"profile 0x1010", 0x1010, {1, 1, 'a', 0}, 4, TR_DROP_NONE, -1, 0, -1, 0},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t packet[64], *copy;
        size_t size = make_packet(packet, ROWS[i].profile, ROWS[i].elements, ROWS[i].size);
        tr_rtp rtp;
        tr_rtp_extensions found;
        CHECK_EQ(TR_DROP_NONE, parse_exact(&rtp, packet, size, &copy));
        tr_drop drop = tr__rtp_find_extensions(&rtp, IDS, &found);
        int before = check__failures;
        CHECK_EQ(ROWS[i].drop, drop);
        if (drop == TR_DROP_NONE) {
            CHECK_EQ(ROWS[i].mid_at < 0 ? 0 : ROWS[i].mid_at + 16, found.of[TR_EXT_MID].at);
            CHECK_EQ(ROWS[i].mid_size, found.of[TR_EXT_MID].size);
            CHECK_EQ(ROWS[i].twcc_at < 0 ? 0 : ROWS[i].twcc_at + 16, found.of[TR_EXT_TWCC].at);
            CHECK_EQ(ROWS[i].twcc_size, found.of[TR_EXT_TWCC].size);
            CHECK_EQ(0, found.of[TR_EXT_RID].at); /* not negotiated: id 0 finds no padding */
        }
        if (check__failures != before) fprintf(stderr, "row: %s\n", ROWS[i].what);
        free(copy);
    }
}

static void a_packet_without_a_block_has_no_elements(void)
{
    static const uint8_t PACKET[12] = {0x80}, IDS[TR_EXT_COUNT] = {1, 2, 3};
    tr_rtp rtp;
    tr_rtp_extensions found;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, PACKET, sizeof PACKET));
    CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, IDS, &found));
    for (int ext = 0; ext < TR_EXT_COUNT; ext++) CHECK_EQ(0, found.of[ext].at);
}

/* Floods: n elements of every size, both profiles; 32 pass, the 33rd does not. */
static void more_elements_than_32_are_an_attack(void)
{
    static const uint8_t IDS[TR_EXT_COUNT] = {14};
    for (int two_byte = 0; two_byte < 2; two_byte++)
        for (unsigned count = 0; count <= 64; count++) {
            uint8_t elements[256] = {0}, packet[512];
            for (unsigned i = 0; i < count; i++) {
                if (two_byte)
                    elements[3 * i] = 1, elements[3 * i + 1] = 1;
                else
                    elements[2 * i] = 0x10;
            }
            size_t size = make_packet(packet, two_byte ? 0x1000 : 0xbede, elements, count * (two_byte ? 3 : 2));
            tr_rtp rtp;
            tr_rtp_extensions found;
            CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, packet, size));
            CHECK_EQ(count <= TR_RTP_MAX_EXTENSIONS ? TR_DROP_NONE : TR_DROP_RTP_EXTENSION,
                     tr__rtp_find_extensions(&rtp, IDS, &found));
        }
}

static void two_byte_elements_of_every_size_are_read(void)
{
    static const uint8_t IDS[TR_EXT_COUNT] = {[TR_EXT_DEPENDENCY_DESCRIPTOR] = 200};
    for (unsigned length = 0; length <= 255; length++)
        for (int missing = 0; missing <= 1; missing++) {
            uint8_t elements[260] = {200, (uint8_t)length}, packet[300];
            /* One byte less than the element claims, where a whole word can be taken away. */
            size_t size = 2 + length;
            if (missing && size % 4 != 1) continue;
            size = make_packet(packet, 0x1003, elements, size - (size_t)missing);
            tr_rtp rtp;
            tr_rtp_extensions found;
            CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, packet, size));
            CHECK_EQ(missing ? TR_DROP_RTP_EXTENSION : TR_DROP_NONE, tr__rtp_find_extensions(&rtp, IDS, &found));
            if (!missing) CHECK_EQ(length, found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size);
            if (!missing) CHECK_EQ(18, found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at);
        }
}

/* ------------------------------------------------------------------ writing */

static void what_is_written_is_read_back(void)
{
    static const uint8_t IDS[TR_EXT_COUNT] = {[TR_EXT_MID] = 3, [TR_EXT_TWCC] = 5};
    static const uint8_t TWCC[2] = {0x11, 0x22};
    for (int two_byte = 0; two_byte < 2; two_byte++) {
        uint8_t out[64];
        memset(out, 0xee, sizeof out);
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtp_put_header(&pen, true, true, 97, 65535, 0xfffffff0u, 0xdeadbeefu);
        tr_rtp_block block = tr__rtp_begin_block(&pen, two_byte);
        tr__rtp_put_element(&pen, &block, 3, "video", 5);
        tr__rtp_put_element(&pen, &block, 5, TWCC, 2);
        tr__rtp_end_block(&pen, &block, 0);
        tr__put_bytes(&pen, "pay", 3);
        CHECK(tr__pen_ok(&pen));

        tr_rtp rtp;
        tr_rtp_extensions found;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, out, tr__pen_size(&pen)));
        CHECK(rtp.marker);
        CHECK_EQ(97, rtp.pt);
        CHECK_EQ(65535, rtp.seq);
        CHECK_EQ(0xfffffff0u, rtp.ts);
        CHECK_EQ(0xdeadbeefu, rtp.ssrc);
        CHECK_EQ(3, rtp.payload_size);
        CHECK_EQ(12, rtp.extension_size);
        CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, IDS, &found));
        CHECK_EQ(5, found.of[TR_EXT_MID].size);
        CHECK_BYTES("video", out + found.of[TR_EXT_MID].at, 5);
        CHECK_BYTES(TWCC, out + found.of[TR_EXT_TWCC].at, 2);
        CHECK_EQ(0, out[rtp.header_size - 1]); /* padding is zeros */
    }
}

static void a_block_is_padded_to_its_least_size(void)
{
    static const struct {
        uint8_t element;
        size_t min_size, size;
    } ROWS[] = {
        {0, 0, 0}, {1, 0, 4},   {3, 0, 4}, {4, 0, 8},  {1, 4, 4},
        {1, 5, 8}, {1, 20, 20}, {7, 8, 8}, {8, 8, 12}, {0, 12, 12},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t out[64];
        memset(out, 0xee, sizeof out);
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtp_put_header(&pen, true, false, 96, 1, 2, 3);
        tr_rtp_block block = tr__rtp_begin_block(&pen, false);
        if (ROWS[i].element) tr__rtp_put_element(&pen, &block, 1, "abcdefgh", ROWS[i].element);
        tr__rtp_end_block(&pen, &block, ROWS[i].min_size);
        CHECK(tr__pen_ok(&pen));
        tr_rtp rtp;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, out, tr__pen_size(&pen)));
        CHECK_EQ(ROWS[i].size, rtp.extension_size);
        CHECK_EQ(16 + ROWS[i].size, tr__pen_size(&pen));
    }
}

static void elements_that_cannot_be_written_fail_the_pen(void)
{
    static const struct {
        bool two_byte;
        uint8_t id, size;
        bool is_ok;
    } ROWS[] = {
        {false, 1, 1, true},   {false, 14, 16, true}, {false, 15, 1, false}, {false, 0, 1, false}, {false, 1, 0, false},
        {false, 1, 17, false}, {true, 1, 0, true},    {true, 255, 17, true}, {true, 15, 1, true},  {true, 0, 1, false},
    };
    static const uint8_t DATA[32];
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t out[64];
        tr_pen pen = tr__pen(out, sizeof out);
        tr_rtp_block block = tr__rtp_begin_block(&pen, ROWS[i].two_byte);
        tr__rtp_put_element(&pen, &block, ROWS[i].id, DATA, ROWS[i].size);
        tr__rtp_end_block(&pen, &block, 0);
        CHECK_EQ(ROWS[i].is_ok, tr__pen_ok(&pen));
    }
}

static void no_room_is_survived_at_every_size(void)
{
    for (size_t room = 0; room < 32; room++) {
        uint8_t *out = malloc(room ? room : 1);
        tr_pen pen = tr__pen(out, room);
        tr__rtp_put_header(&pen, true, false, 96, 1, 2, 3);
        tr_rtp_block block = tr__rtp_begin_block(&pen, false);
        tr__rtp_put_element(&pen, &block, 1, "abc", 3);
        tr__rtp_end_block(&pen, &block, 16);
        CHECK(!tr__pen_ok(&pen));
        free(out);
    }
}

static const check_test TESTS[] = {
    TEST(a_plain_packet_is_read),
    TEST(everything_at_once_is_read),
    TEST(traps_are_refused),
    TEST(the_first_two_bytes_are_tried_exhaustively),
    TEST(elements_are_found_by_negotiated_id),
    TEST(a_packet_without_a_block_has_no_elements),
    TEST(more_elements_than_32_are_an_attack),
    TEST(two_byte_elements_of_every_size_are_read),
    TEST(what_is_written_is_read_back),
    TEST(a_block_is_padded_to_its_least_size),
    TEST(elements_that_cannot_be_written_fail_the_pen),
    TEST(no_room_is_survived_at_every_size),
};
CHECK_MAIN("test_rtp", TESTS)
