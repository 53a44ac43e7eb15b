/* test_demux: exactly one class for every datagram (RFC 7983, RFC 5761). */
#include "demux.h"

#include "check.h"

static tr_class of(uint8_t first, uint8_t second, size_t size)
{
    uint8_t data[64] = {first, second};
    return tr__demux(data, size);
}

static void an_empty_datagram_is_nothing(void) { CHECK_EQ(TR_CLASS_OTHER, tr__demux(NULL, 0)); }

/* All first bytes, all second bytes, against the ranges of the RFCs written out once more. */
static void every_pair_of_bytes_has_its_class(void)
{
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            tr_class expected = TR_CLASS_OTHER;
            if (first <= 3) expected = TR_CLASS_STUN;
            if (first >= 20 && first <= 63) expected = TR_CLASS_DTLS;
            if (first >= 128 && first <= 191) expected = second >= 192 && second <= 223 ? TR_CLASS_RTCP : TR_CLASS_RTP;
            CHECK_EQ(expected, of((uint8_t)first, (uint8_t)second, 2));
            CHECK_EQ(expected, of((uint8_t)first, (uint8_t)second, 64));
        }
}

static void a_single_byte_has_a_class_too(void)
{
    CHECK_EQ(TR_CLASS_STUN, of(0, 200, 1));
    CHECK_EQ(TR_CLASS_DTLS, of(22, 200, 1));
    CHECK_EQ(TR_CLASS_RTP, of(128, 200, 1)); /* the byte behind the datagram is not looked at */
    CHECK_EQ(TR_CLASS_OTHER, of(64, 200, 1));
}

static void the_edges_are_where_the_rfc_draws_them(void)
{
    static const struct {
        uint8_t first, second;
        tr_class class;
    } ROWS[] = {
        {3, 0, TR_CLASS_STUN},    {4, 0, TR_CLASS_OTHER},         {16, 0, TR_CLASS_OTHER},
        {19, 0, TR_CLASS_OTHER},  {20, 0, TR_CLASS_DTLS},         {63, 0, TR_CLASS_DTLS},
        {64, 0, TR_CLASS_OTHER},  {79, 0, TR_CLASS_OTHER},        {127, 0, TR_CLASS_OTHER},
        {128, 191, TR_CLASS_RTP}, {128, 192, TR_CLASS_RTCP},      {191, 223, TR_CLASS_RTCP},
        {191, 224, TR_CLASS_RTP}, {192, 200, TR_CLASS_OTHER},     {255, 200, TR_CLASS_OTHER},
        {128, 96, TR_CLASS_RTP},  {128, 0x80 | 63, TR_CLASS_RTP}, /* payload type 63 with the marker */
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        CHECK_EQ(ROWS[i].class, of(ROWS[i].first, ROWS[i].second, 20));
}

static const check_test TESTS[] = {
    TEST(an_empty_datagram_is_nothing),
    TEST(every_pair_of_bytes_has_its_class),
    TEST(a_single_byte_has_a_class_too),
    TEST(the_edges_are_where_the_rfc_draws_them),
};
CHECK_MAIN("test_demux", TESTS)
