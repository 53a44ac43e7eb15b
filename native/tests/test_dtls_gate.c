/* Tests of dtls_gate and of the limits it keeps (A12): records and claims one by one, then what OpenSSL holds for a
 * half-open peer, counted byte by byte. */
#include "dtls_gate.h"

#include "support/dtls_ends.h"

/* ---- counting what OpenSSL holds */

static size_t held_bytes;

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    size_t *p = malloc(size + 16);
    if (!p) return NULL;
    *p = size;
    held_bytes += size;
    return p + 2;
}

static void count_free(void *data, const char *file, int line)
{
    (void)file, (void)line;
    if (!data) return;
    size_t *p = (size_t *)data - 2;
    held_bytes -= *p;
    free(p);
}

static void *count_realloc(void *data, size_t size, const char *file, int line)
{
    void *fresh = count_malloc(size, file, line);
    if (data && fresh) {
        size_t old = *((size_t *)data - 2);
        memcpy(fresh, data, old < size ? old : size);
        count_free(data, file, line);
    }
    return fresh;
}

__attribute__((constructor)) static void count_memory(void)
{
    CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
}

/* ---- the gate */

static size_t make_fragment(uint8_t *data, uint8_t type, uint32_t length, uint16_t number, uint32_t offset,
                            uint32_t size)
{
    memset(data, 0, 25 + size);
    data[0] = TR_DTLS_HANDSHAKE_RECORD;
    tr__store16(data + 1, 0xfefd);
    tr__store16(data + 11, (uint16_t)(12 + size));
    data[13] = type;
    tr__store24(data + 14, length);
    tr__store16(data + 17, number);
    tr__store24(data + 19, offset);
    tr__store24(data + 22, size);
    return 25 + size;
}

static void the_gate_judges_messages(void)
{
    static const struct {
        bool is_client, is_first;
        uint8_t type;
        uint32_t length;
        uint16_t number;
        uint32_t offset, size;
        tr_drop drop;
    } rows[] = {
        {false, true, 1, 300, 0, 0, 300, TR_DROP_NONE},
        {false, true, 1, 1400, 0, 1000, 400, TR_DROP_NONE}, /* the second half first */
        {false, true, 1, 4096, 0, 0, 10, TR_DROP_NONE},
        {false, true, 1, 4097, 0, 0, 10, TR_DROP_DTLS_LIMIT},
        {false, true, 1, 0xffffff, 0, 0, 10, TR_DROP_DTLS_LIMIT},
        {false, true, 1, 300, 0, 0, 301, TR_DROP_DTLS_MALFORMED},
        {false, true, 1, 300, 0, 301, 0, TR_DROP_DTLS_MALFORMED},
        {false, true, 1, 300, 0, 0xffffff, 10, TR_DROP_DTLS_MALFORMED},
        {false, true, 11, 300, 1, 0, 300, TR_DROP_DTLS_STATE}, /* not with a certificate */
        {false, false, 11, 16384, 1, 0, 300, TR_DROP_NONE},
        {false, false, 11, 16385, 1, 0, 300, TR_DROP_DTLS_LIMIT},
        {false, false, 11, 300, 12, 0, 300, TR_DROP_DTLS_LIMIT},
        {false, false, 20, 12, 3, 0, 12, TR_DROP_DTLS_STATE}, /* Finished is never in the clear */
        {false, false, 2, 80, 0, 0, 80, TR_DROP_DTLS_STATE},  /* a server's, to a server */
        {true, false, 2, 80, 0, 0, 80, TR_DROP_NONE},
        {true, false, 1, 80, 0, 0, 80, TR_DROP_DTLS_STATE},
        {true, false, 14, 0, 4, 0, 0, TR_DROP_NONE},
        {true, false, 14, 1, 4, 0, 1, TR_DROP_DTLS_LIMIT},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        uint8_t data[2000];
        size_t size = make_fragment(data, rows[r].type, rows[r].length, rows[r].number, rows[r].offset, rows[r].size);
        tr_cursor cursor = tr__cursor(data, size);
        tr_dtls_record record;
        tr_dtls_gate gate;
        tr__dtls_gate_init(&gate, rows[r].is_client);
        CHECK(tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].drop, tr__dtls_gate_clear(&gate, &record, rows[r].is_first));
        CHECK(!tr__dtls_next_record(&cursor, &record));
        CHECK(tr__cursor_ok(&cursor));
    }
}

static void the_gate_adds_up_claims(void)
{
    uint8_t data[100];
    tr_dtls_gate gate;
    tr_dtls_record record;
    tr__dtls_gate_init(&gate, false);
    static const struct {
        uint8_t type;
        uint32_t length;
        uint16_t number;
        tr_drop drop;
    } rows[] = {
        {11, 16384, 1, TR_DROP_NONE},           {11, 16384, 1, TR_DROP_NONE}, /* the same again is no more */
        {11, 16383, 1, TR_DROP_DTLS_MALFORMED}, {16, 16, 1, TR_DROP_DTLS_MALFORMED}, {11, 16000, 2, TR_DROP_NONE},
        {11, 1000, 3, TR_DROP_DTLS_LIMIT},      {16, 66, 3, TR_DROP_NONE},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t size = make_fragment(data, rows[r].type, rows[r].length, rows[r].number, 0, 10);
        tr_cursor cursor = tr__cursor(data, size);
        CHECK(tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].drop, tr__dtls_gate_clear(&gate, &record, false));
    }
}

static void records_that_are_none_are_refused(void)
{
    static const struct {
        uint8_t bytes[16];
        size_t size;
        bool ok;
    } rows[] = {
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, true},
        {{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7}, 14, true},
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 13, false}, /* cut short */
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, false},
        {{19, 0xfe, 0xfd}, 13, false},
        {{24, 0xfe, 0xfd}, 13, false},
        {{22, 3, 3}, 13, false},
        {{22, 0xfe, 0xfc}, 13, false},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        tr_cursor cursor = tr__cursor(rows[r].bytes, rows[r].size);
        tr_dtls_record record;
        CHECK_EQ(rows[r].ok, tr__dtls_next_record(&cursor, &record));
        CHECK_EQ(rows[r].ok, tr__cursor_ok(&cursor));
    }
    tr_dtls *server = tr__dtls_new(context, false);
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(server, (const uint8_t *)"", 0));
    CHECK_EQ(TR_DROP_DTLS_MALFORMED, feed(server, rows[2].bytes, rows[2].size));
    CHECK_EQ(TR_DTLS_NEW, tr__dtls_state_of(server));
    tr__dtls_free(server);
}

/* ---- limits */

/* Claims of large messages, overlaps, and early records of the next epoch, 10,000 of each: all that OpenSSL holds for a
 * half-open peer stays below 64 KiB, whatever is put into it from outside. */
static void a_half_open_peer_is_held_to_its_limits(void)
{
    couple first = make_connected(); /* what is made once, by the first association of all */
    free_couple(&first);
    peer *p = peer_new_ec(1, ALL_PROFILES, 1200);
    peer_step(p, NULL, 0);
    size_t before = held_bytes, most = 0;
    tr_dtls *server = tr__dtls_new(context, false);
    feed(server, p->out.bytes[0], p->out.sizes[0]);
    size_t half_open = held_bytes - before;
    CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_state_of(server));
    CHECK(discard(server) > 0);
    uint64_t seed = 1;
    for (int i = 0; i < 30000; i++) {
        uint8_t data[200];
        CHECK_EQ(TR_DTLS_HANDSHAKE, tr__dtls_state_of(server));
        size_t size =
            make_fragment(data, 11, 16384, (uint16_t)(2 + i % 9), (uint32_t)(check_random(&seed) % 16000), 100);
        tr__store32(data + 7, (uint32_t)i + 10); /* a sequence number of its own */
        if (i % 3 == 1) tr__store24(data + 14, 0xffffff);
        if (i % 3 == 2) tr__store16(data + 3, 1); /* epoch 1, before its time */
        tr_drop drop = feed(server, data, size);
        discard(server); /* a flight that its own clock has it send again leaves at once, as it does in a worker */
        if (i % 3 == 2) CHECK_EQ(TR_DROP_DTLS_STATE, drop);
        if (i % 3 == 1) CHECK(drop == TR_DROP_DTLS_LIMIT || drop == TR_DROP_DTLS_MALFORMED);
        if (held_bytes - before > most) most = held_bytes - before;
    }
    CHECK(most > half_open); /* the claims got as far as OpenSSL */
    CHECK(most <= 64 * 1024);
    tr__dtls_free(server);
    CHECK_EQ(before, held_bytes);
    peer_free(p);
    printf("dtls: OpenSSL holds %zu bytes for a half-open association, %zu at most under claims\n", half_open, most);
}

/* Keys and numbers are ours by then, and OpenSSL's 47 KiB are gone. */
static void a_connected_peer_holds_nothing_of_openssl(void)
{
    couple first = make_connected();
    check_data(&first); /* what is made once: tables of our key, ciphers */
    size_t before = held_bytes;
    couple c = make_connected();
    CHECK_EQ(before, held_bytes);
    check_data(&c);
    CHECK_EQ(before, held_bytes);
    free_couple(&c);
    free_couple(&first);
}

static const check_test tests[] = {
    TEST(open_context),
    TEST(the_gate_judges_messages),
    TEST(the_gate_adds_up_claims),
    TEST(records_that_are_none_are_refused),
    TEST(a_half_open_peer_is_held_to_its_limits),
    TEST(a_connected_peer_holds_nothing_of_openssl),
    TEST(close_context),
};
CHECK_MAIN("dtls_gate", tests)
