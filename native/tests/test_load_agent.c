/* load agent: checks, consent, roles, against what a server would answer. */
#include "agent.h"

#include "check.h"

static const char PWD[] = "serverpassword00000000", OURS[] = "ourpassword00000000000";
static const uint8_t IP[4] = {127, 0, 0, 1};

static void agent_init(tl_agent *agent, bool is_controlling)
{
    tl__agent_init(agent, "ours", OURS, is_controlling, 5);
    tl__agent_set_remote(agent, "them", PWD, 1000000);
}

static size_t due(tl_agent *agent, uint64_t now_us, tr_stun *stun, uint8_t *out)
{
    size_t size = tl__agent_next(agent, now_us, out, 512);
    if (size) CHECK_EQ(TR_DROP_NONE, tr__stun_parse(stun, out, size));
    return size;
}

static tr_drop give(tl_agent *agent, const uint8_t *data, size_t size, uint64_t now_us, tr_stun *answer)
{
    static uint8_t out[TR_STUN_MAX_RESPONSE];
    size_t answer_size;
    tr_drop drop = tl__agent_on_stun(agent, data, size, 4, IP, 4000, now_us, out, &answer_size);
    *answer = (tr_stun){0};
    if (answer_size) CHECK_EQ(TR_DROP_NONE, tr__stun_parse(answer, out, answer_size));
    return drop;
}

static void succeed(tl_agent *agent, const tr_stun *request, uint64_t now_us)
{
    uint8_t out[256];
    tr_stun ignored;
    size_t size = tr__stun_write_success(out, sizeof out, request->transaction, 4, IP, 4000, PWD, strlen(PWD));
    CHECK_EQ(TR_DROP_NONE, give(agent, out, size, now_us, &ignored));
}

static void a_controlling_agent_nominates_with_its_first_check(void)
{
    tl_agent agent;
    tr_stun check;
    uint8_t out[512];
    agent_init(&agent, true);
    CHECK(due(&agent, 1000000, &check, out) > 0);
    CHECK(check.use_candidate && check.is_controlling && check.priority);
    CHECK(tr__stun_verify(&check, PWD, strlen(PWD)) && tr__stun_check_fingerprint(&check));
    CHECK_EQ(9, check.username_size);
    CHECK_BYTES("them:ours", check.username, 9);
    CHECK(!tl__agent_is_ready(&agent));
    succeed(&agent, &check, 1000700);
    CHECK(tl__agent_is_ready(&agent));
}

static void a_check_is_repeated_until_it_is_answered(void)
{
    tl_agent agent;
    tr_stun first, check;
    uint8_t out[512], kept[TR_STUN_TRANSACTION];
    agent_init(&agent, true);
    due(&agent, 1000000, &first, out);
    memcpy(kept, first.transaction, sizeof kept);
    static const uint64_t AT[] = {1500000, 2500000, 4500000, 6500000};
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(AT[i], tl__agent_at(&agent));
        CHECK_EQ(0, due(&agent, AT[i] - 1, &check, out));
        CHECK(due(&agent, AT[i], &check, out) > 0);
        CHECK_BYTES(kept, check.transaction, sizeof kept);
    }
    succeed(&agent, &check, 6500100);
    CHECK(tl__agent_is_ready(&agent));
}

static void consent_is_asked_for_every_five_seconds(void)
{
    tl_agent agent;
    tr_stun check;
    uint8_t out[512];
    agent_init(&agent, true);
    due(&agent, 1000000, &check, out);
    succeed(&agent, &check, 1000000);
    uint64_t before_us = 1000000;
    for (int i = 0; i < 20; i++) {
        uint64_t at_us = tl__agent_at(&agent);
        CHECK(at_us - before_us >= 4000000 && at_us - before_us <= 6000000);
        CHECK(due(&agent, at_us, &check, out) > 0);
        succeed(&agent, &check, at_us);
        CHECK_EQ(at_us, agent.consent_us);
        before_us = at_us;
    }
}

static void an_answer_that_is_forged_or_not_ours_counts_for_nothing(void)
{
    tl_agent agent;
    tr_stun check, ignored;
    uint8_t out[512], answer[256], other[TR_STUN_TRANSACTION] = {1};
    agent_init(&agent, true);
    due(&agent, 1000000, &check, out);
    size_t size = tr__stun_write_success(answer, sizeof answer, check.transaction, 4, IP, 1, OURS, strlen(OURS));
    CHECK_EQ(TR_DROP_STUN_INTEGRITY, give(&agent, answer, size, 1000100, &ignored));
    size = tr__stun_write_success(answer, sizeof answer, other, 4, IP, 1, PWD, strlen(PWD));
    CHECK_EQ(TR_DROP_STUN_UNEXPECTED, give(&agent, answer, size, 1000100, &ignored));
    CHECK(!tl__agent_is_ready(&agent));
}

static size_t write_theirs(uint8_t *out, const char *user, bool is_controlling, bool nominates, uint64_t tie_breaker,
                           const char *password)
{
    static const uint8_t TRANSACTION[TR_STUN_TRANSACTION] = {9};
    return tr__stun_write_check(out, 512, TRANSACTION, user, 100, is_controlling, nominates, tie_breaker, password,
                                strlen(password));
}

static void checks_of_a_full_agent_are_answered(void)
{
    tl_agent agent;
    tr_stun answer;
    uint8_t out[512];
    agent_init(&agent, true);
    size_t size = write_theirs(out, "ours:them", false, false, 1, OURS);
    CHECK_EQ(TR_DROP_NONE, give(&agent, out, size, 1000000, &answer));
    CHECK_EQ(TR_STUN_SUCCESS, answer.class);
    CHECK(tr__stun_verify(&answer, OURS, strlen(OURS)));
    size = write_theirs(out, "ours:them", false, false, 1, PWD);
    CHECK_EQ(TR_DROP_STUN_INTEGRITY, give(&agent, out, size, 1000000, &answer));
    size = write_theirs(out, "else:them", false, false, 1, OURS);
    CHECK_EQ(TR_DROP_STUN_UNKNOWN_USER, give(&agent, out, size, 1000000, &answer));
}

static void a_controlled_agent_waits_for_the_nomination(void)
{
    tl_agent agent;
    tr_stun check, answer;
    uint8_t out[512];
    agent_init(&agent, false);
    due(&agent, 1000000, &check, out);
    CHECK(!check.use_candidate && check.is_controlled);
    succeed(&agent, &check, 1000100);
    CHECK(!tl__agent_is_ready(&agent));
    give(&agent, out, write_theirs(out, "ours:them", true, false, 1, OURS), 1000200, &answer);
    CHECK(!tl__agent_is_ready(&agent));
    give(&agent, out, write_theirs(out, "ours:them", true, true, 1, OURS), 1000300, &answer);
    CHECK(tl__agent_is_ready(&agent));
}

static void two_in_one_role_settle_it_by_tie_breaker(void)
{
    tl_agent agent;
    tr_stun answer;
    uint8_t out[512];
    agent_init(&agent, true);
    give(&agent, out, write_theirs(out, "ours:them", true, true, agent.tie_breaker - 1, OURS), 1000000, &answer);
    CHECK_EQ(TR_STUN_ERROR, answer.class);
    CHECK_EQ(487, answer.error_code);
    CHECK(agent.is_controlling && !agent.is_nominated);
    give(&agent, out, write_theirs(out, "ours:them", true, true, agent.tie_breaker + 1, OURS), 1000000, &answer);
    CHECK_EQ(TR_STUN_SUCCESS, answer.class);
    CHECK(!agent.is_controlling);
}

static void a_role_conflict_in_answer_changes_the_role(void)
{
    tl_agent agent;
    tr_stun check, ignored;
    uint8_t out[512], answer[256];
    agent_init(&agent, true);
    due(&agent, 1000000, &check, out);
    size_t size = tr__stun_write_error(answer, sizeof answer, check.transaction, 487, 0, PWD, strlen(PWD));
    CHECK_EQ(TR_DROP_NONE, give(&agent, answer, size, 1000100, &ignored));
    CHECK(due(&agent, 1000100, &check, out) > 0);
    CHECK(check.is_controlled && !check.use_candidate);
}

static const check_test tests[] = {
    TEST(a_controlling_agent_nominates_with_its_first_check),
    TEST(a_check_is_repeated_until_it_is_answered),
    TEST(consent_is_asked_for_every_five_seconds),
    TEST(an_answer_that_is_forged_or_not_ours_counts_for_nothing),
    TEST(checks_of_a_full_agent_are_answered),
    TEST(a_controlled_agent_waits_for_the_nomination),
    TEST(two_in_one_role_settle_it_by_tie_breaker),
    TEST(a_role_conflict_in_answer_changes_the_role),
};
CHECK_MAIN("test_load_agent", tests)
