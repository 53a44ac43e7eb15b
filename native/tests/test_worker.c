/* worker: the whole border with a real thread and real sockets: commands, results, counters, start and stop. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "stun.h"
#include "telerelay.h"

#include "support/worker_events.h"

static tr_worker *make(void)
{
    tr_worker_config config;
    tr_worker_config_init(&config);
    CHECK_EQ(TR_OK, tr_certificate_make(&config.certificate));
    tr_worker *worker = NULL;
    CHECK_EQ(TR_OK, tr_worker_new(&config, &worker));
    return worker;
}

static int result_of(tr_worker *worker, uint64_t tag)
{
    tr_event event;
    while (take(worker, &event)) {
        if (event.type != TR_EVENT_RESULT || event.tag != tag) continue;
        tr_result result;
        memcpy(&result, event.body, sizeof result);
        return result.status;
    }
    return 12345;
}

static tr_add_transport a_transport(uint32_t id)
{
    tr_add_transport add = {.transport = id, .room = 1, .participant = 1, .is_admitted = 1};
    snprintf(add.local_ufrag, sizeof add.local_ufrag, "frag%08x", id);
    strcpy(add.local_pwd, "passwordpasswordpasswordpassword");
    return add;
}

static void commands_are_answered_in_order(void)
{
    tr_worker *worker = make();
    CHECK_EQ(TR_OK, tr_worker_start(worker));
    tr_add_transport add = a_transport(0x10001);
    CHECK_EQ(TR_OK, tr_worker_post(worker, TR_CMD_ADD_TRANSPORT, 1, &add, sizeof add));
    CHECK_EQ(TR_OK, tr_worker_post(worker, TR_CMD_ADD_TRANSPORT, 2, &add, sizeof add));
    tr_one_id one = {0x10001}, none = {0x99};
    CHECK_EQ(TR_OK, tr_worker_post(worker, TR_CMD_REMOVE_TRANSPORT, 3, &none, sizeof none));
    CHECK_EQ(TR_OK, tr_worker_post(worker, TR_CMD_REMOVE_TRANSPORT, 4, &one, sizeof one));
    CHECK_EQ(TR_OK, tr_worker_post(worker, 999, 5, &one, sizeof one));
    static const int expected[] = {TR_OK, TR_ERR_EXISTS, TR_ERR_NOT_FOUND, TR_OK, TR_ERR_ARGUMENT};
    for (int i = 0; i < 5; i++) {
        tr_event event;
        CHECK(take(worker, &event));
        tr_result result;
        memcpy(&result, event.body, sizeof result);
        CHECK_EQ(i + 1, event.tag);
        CHECK_EQ(expected[i], result.status);
    }
    tr_worker_free(worker);
}

static void a_check_on_the_socket_is_answered(void)
{
    tr_worker *worker = make();
    tr_worker_start(worker);
    tr_add_transport add = a_transport(0x10001);
    tr_worker_post(worker, TR_CMD_ADD_TRANSPORT, 1, &add, sizeof add);
    CHECK_EQ(TR_OK, result_of(worker, 1));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)tr_worker_port(worker, 0))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    uint8_t request[256], answer[256], transaction[12] = {1};
    size_t size = tr__stun_write_request(request, sizeof request, transaction, "frag00010001:them", 100, true, 1,
                                         add.local_pwd, strlen(add.local_pwd));
    CHECK_EQ(size, sendto(fd, request, size, 0, (struct sockaddr *)&to, sizeof to));
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    CHECK_EQ(1, poll(&wait, 1, 5000));
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    tr_stun stun;
    CHECK(got > 0 && tr__stun_parse(&stun, answer, (size_t)got) == TR_DROP_NONE);
    CHECK_EQ(TR_STUN_SUCCESS, stun.class);
    CHECK(tr__stun_verify(&stun, add.local_pwd, strlen(add.local_pwd)));
    close(fd);
    tr_worker_stop(worker);
    tr_stats stats;
    tr_worker_stats(worker, &stats);
    CHECK_EQ(1, stats.stun_requests);
    CHECK(tr_worker_thread_cpu_ns(worker) > 0);
    tr_worker_free(worker);
}

static void unusable_configurations_are_refused(void)
{
    tr_worker_config config;
    tr_worker *worker = NULL;
    tr_worker_config_init(&config);
    CHECK_EQ(TR_ERR_CRYPTO, tr_worker_new(&config, &worker)); /* no certificate */
    tr_certificate_make(&config.certificate);
    tr_worker_config bad = config;
    bad.bind_count = 0;
    CHECK_EQ(TR_ERR_ARGUMENT, tr_worker_new(&bad, &worker));
    bad = config;
    strcpy(bad.binds[0].address, "not-an-address");
    CHECK_EQ(TR_ERR_ARGUMENT, tr_worker_new(&bad, &worker));
    bad = config;
    bad.video_history_bytes = 1000;
    CHECK_EQ(TR_ERR_ARGUMENT, tr_worker_new(&bad, &worker));
    CHECK_EQ(TR_OK, tr_worker_new(&config, &worker));
    bad = config;
    bad.binds[0].port = (uint16_t)tr_worker_port(worker, 0);
    tr_worker *second = NULL;
    CHECK_EQ(TR_ERR_SYSTEM, tr_worker_new(&bad, &second)); /* the port is taken */
    tr_worker_free(worker);
}

static void starting_and_stopping_is_safe_in_any_order(void)
{
    for (int i = 0; i < 20; i++) {
        tr_worker *worker = make();
        if (i % 3 == 0) CHECK_EQ(TR_OK, tr_worker_stop(worker));
        if (i % 3 != 1) CHECK_EQ(TR_OK, tr_worker_start(worker));
        if (i % 3 == 2) CHECK_EQ(TR_ERR_STATE, tr_worker_start(worker));
        tr_worker_stop(worker);
        tr_worker_stop(worker);
        tr_worker_free(worker);
    }
}

static void every_drop_and_status_has_a_name(void)
{
    for (int i = 0; i < TR_DROP_COUNT; i++) CHECK(tr_drop_name(i) != NULL && tr_drop_name(i)[0]);
    CHECK(tr_drop_name(TR_DROP_COUNT) == NULL && tr_drop_name(-1) == NULL);
    for (int i = 0; i >= TR_ERR_VERSION; i--) CHECK(tr_status_name(i) != NULL);
    CHECK(tr_status_name(TR_ERR_VERSION - 1) == NULL && tr_status_name(1) == NULL);
}

static const check_test tests[] = {
    TEST(commands_are_answered_in_order),      TEST(a_check_on_the_socket_is_answered),
    TEST(unusable_configurations_are_refused), TEST(starting_and_stopping_is_safe_in_any_order),
    TEST(every_drop_and_status_has_a_name),
};
CHECK_MAIN("test_worker", tests)
