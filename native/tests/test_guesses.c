/* guesses: failed checks, told apart by address, transport and second. */
#include "guesses.h"

#include "check.h"

#define S 1000000u

static tr_guesses guesses;

static const tr_address one = {.family = 4, .ip = {192, 0, 2, 1}, .port = 5000};
static const tr_address other = {.family = 4, .ip = {192, 0, 2, 2}, .port = 5000};

static tr_guess *of(uint32_t transport, const tr_address *source, uint64_t now_us)
{
    return tr__guesses_of(&guesses, transport, source, now_us);
}

static void failures_are_forgotten_with_the_second(void)
{
    guesses = (tr_guesses){.key = 77};
    CHECK_EQ(0, of(1, &one, 5 * S)->failures);
    of(1, &one, 5 * S)->failures++;
    of(1, &one, 5 * S + S - 1)->failures++;
    CHECK_EQ(2, of(1, &one, 5 * S + S - 1)->failures);
    CHECK_EQ(0, of(1, &one, 6 * S)->failures);
}

/* A hospital's address: who guesses at one transport keeps nobody from another. The port is his to choose. */
static void each_address_and_each_transport_is_counted_on_its_own(void)
{
    guesses = (tr_guesses){.key = 77};
    of(1, &one, S)->failures = TR_GUESSES_PER_SECOND;
    CHECK_EQ(0, of(2, &one, S)->failures);
    CHECK_EQ(0, of(1, &other, S)->failures);
    tr_address port = one;
    port.port++;
    CHECK_EQ(TR_GUESSES_PER_SECOND, of(1, &port, S)->failures);
}

/* Whose buckets fall together hangs on the key, which nobody outside knows. */
static void another_key_puts_them_elsewhere(void)
{
    static bool is_taken[TR_GUESSES_SOURCES];
    int places = 0;
    for (uint64_t key = 1; key <= 50; key++) {
        guesses = (tr_guesses){.key = key};
        bool *is_it = &is_taken[of(1, &one, S) - guesses.of];
        places += !*is_it;
        *is_it = true;
    }
    CHECK(places > 40);
}

static const check_test tests[] = {
    TEST(failures_are_forgotten_with_the_second),
    TEST(each_address_and_each_transport_is_counted_on_its_own),
    TEST(another_key_puts_them_elsewhere),
};
CHECK_MAIN("test_guesses", tests)
