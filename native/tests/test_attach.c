/* attach: the border seen from another process: what is refused, what a renewed border leaves behind, the inventory. */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "border.h"
#include "check.h"
#include "telerelay.h"

#include "support/worker_events.h"

static tr_worker *make(uint32_t event_ring_bytes)
{
    tr_worker_config config;
    tr_worker_config_init(&config);
    config.event_ring_bytes = event_ring_bytes;
    CHECK_EQ(TR_OK, tr_certificate_make(&config.certificate));
    tr_worker *worker = NULL;
    CHECK_EQ(TR_OK, tr_worker_new(&config, &worker));
    CHECK_EQ(TR_OK, tr_worker_start(worker));
    return worker;
}

/* As a Unix socket would pass them: descriptors of one's own. */
static tr_worker *attach(const tr_worker *worker)
{
    int fds[3];
    CHECK_EQ(TR_OK, tr_worker_fds(worker, fds));
    tr_worker *control = NULL;
    CHECK_EQ(TR_OK, tr_worker_attach(dup(fds[0]), dup(fds[1]), dup(fds[2]), &control));
    return control;
}

static tr_add_transport a_transport(uint32_t id)
{
    tr_add_transport add = {.transport = id, .room = 7, .participant = 8, .is_admitted = 1};
    snprintf(add.local_ufrag, sizeof add.local_ufrag, "frag%08x", id);
    strcpy(add.local_pwd, "passwordpasswordpasswordpassword");
    return add;
}

static int32_t add_transport(tr_worker *control, uint32_t id)
{
    tr_add_transport add = a_transport(id);
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_ADD_TRANSPORT, id, &add, sizeof add));
    tr_event event;
    CHECK(take(control, &event));
    CHECK_EQ(TR_EVENT_RESULT, event.type);
    CHECK_EQ(id, event.tag);
    tr_result result;
    memcpy(&result, event.body, sizeof result);
    return result.status;
}

static void an_attached_worker_answers_and_outlives_its_control(void)
{
    tr_worker *worker = make(65536), *control = attach(worker);
    CHECK_EQ(TR_OK, add_transport(control, 0x10000));
    CHECK_EQ(TR_ERR_STATE, tr_worker_start(control));
    CHECK_EQ(TR_ERR_STATE, tr_worker_renew(control));
    CHECK_EQ(TR_ERR_STATE, tr_worker_port(control, 0));
    CHECK_EQ(TR_OK, tr_worker_stop(control));
    tr_worker_free(control);
    control = attach(worker);
    CHECK_EQ(TR_ERR_EXISTS, add_transport(control, 0x10000));
    tr_worker_free(control);
    tr_worker_free(worker);
}

static void a_renewed_border_leaves_the_former_control_nothing(void)
{
    tr_worker *worker = make(65536), *before = attach(worker);
    CHECK_EQ(TR_OK, add_transport(before, 0x10000));
    CHECK_EQ(TR_OK, tr_worker_renew(worker));
    tr_worker *now = attach(worker);
    tr_add_transport add = a_transport(0x10001);
    CHECK_EQ(TR_OK, tr_worker_post(before, TR_CMD_ADD_TRANSPORT, 1, &add, sizeof add)); /* into nothing */
    CHECK_EQ(TR_OK, add_transport(now, 0x10002));
    CHECK_EQ(TR_OK, add_transport(now, 0x10001));
    tr_event event;
    CHECK_EQ(0, tr_worker_take(before, &event));
    tr_stats stats;
    tr_worker_stop(worker);
    tr_worker_stats(now, &stats);
    CHECK_EQ(3, stats.transports[TR_TRANSPORT_NEW] + stats.transports[TR_TRANSPORT_CLOSED]);
    tr_worker_free(before);
    tr_worker_free(now);
    tr_worker_free(worker);
}

static void renewing_again_and_again_leaks_no_descriptor(void)
{
    tr_worker *worker = make(65536);
    int before = dup(0);
    close(before);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(TR_OK, tr_worker_renew(worker));
        tr_worker *control = attach(worker);
        CHECK_EQ(i ? TR_ERR_EXISTS : TR_OK, add_transport(control, 0x10000));
        tr_worker_free(control);
    }
    int after = dup(0);
    close(after);
    CHECK(after <= before + 3); /* the latest three may have other numbers than the first */
    tr_worker_free(worker);
}

/* Each has its own tr_border_head so that one field at a time can be wrong. */
static int attach_with(void (*spoil)(tr_border *))
{
    tr_border made, other;
    CHECK_EQ(TR_OK, tr__border_create(&made, 4096, 4096));
    if (spoil) spoil(&made);
    int fds[3] = {dup(made.memory_fd), dup(made.command_fd), dup(made.event_fd)};
    int status = tr__border_attach(&other, fds[0], fds[1], fds[2]);
    if (status == TR_OK)
        tr__border_close(&other);
    else
        for (int i = 0; i < 3; i++) close(fds[i]);
    tr__border_close(&made);
    return status;
}

static void version(tr_border *b) { b->head->version++; }
static void layout(tr_border *b) { b->head->layout ^= 1; }
static void size(tr_border *b) { b->head->size -= 64; }
static void crooked(tr_border *b) { b->head->events_at += 8; }
static void outside(tr_border *b) { b->head->events_at = 0x7fffffc0; }
static void on_the_head(tr_border *b) { b->head->commands_at = 0; }
static void ring_version(tr_border *b) { b->events.head->version++; }
static void ring_size(tr_border *b) { b->commands.head->size = 1u << 30; }

static void memory_that_does_not_fit_is_refused(void)
{
    CHECK_EQ(TR_OK, attach_with(NULL));
    void (*const spoils[])(tr_border *) = {version, layout,      size,         crooked,
                                           outside, on_the_head, ring_version, ring_size};
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) CHECK_EQ(TR_ERR_VERSION, attach_with(spoils[i]));
}

static void a_file_that_could_shrink_is_refused(void)
{
    tr_border other;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), wake = eventfd(0, 0);
    CHECK_EQ(0, ftruncate(fd, 1 << 20));
    CHECK_EQ(TR_ERR_VERSION, tr__border_attach(&other, fd, wake, wake));
    CHECK_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
    CHECK_EQ(TR_ERR_VERSION, tr__border_attach(&other, fd, wake, wake)); /* zeros */
    CHECK_EQ(TR_ERR_VERSION, tr__border_attach(&other, wake, wake, wake));
    CHECK_EQ(TR_ERR_SYSTEM, tr__border_attach(&other, 9999, wake, wake));
    close(fd);
    close(wake);
}

static uint32_t page(tr_worker *control, uint8_t kind, uint32_t from, uint32_t *count, tr_inventory *last)
{
    tr_get_inventory get = {.kind = kind, .from = from};
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_GET_INVENTORY, 77, &get, sizeof get));
    tr_event event;
    tr_inventory_end end = {.next = UINT32_MAX};
    while (take(control, &event) && event.type != TR_EVENT_RESULT) {
        if (event.type == TR_EVENT_INVENTORY) {
            memcpy(last, event.body, sizeof *last);
            ++*count;
        } else if (event.type == TR_EVENT_INVENTORY_END)
            memcpy(&end, event.body, sizeof end);
    }
    tr_result result;
    memcpy(&result, event.body, sizeof result);
    CHECK_EQ(TR_OK, result.status);
    return end.next;
}

static void the_inventory_comes_in_pages_that_fit_the_smallest_ring(void)
{
    tr_worker *worker = make(65536), *control = attach(worker);
    for (uint32_t i = 0; i < 1000; i++) CHECK_EQ(TR_OK, add_transport(control, 0x30000 + i * 4));
    tr_add_receiver receiver = {
        .receiver = 0x50009, .transport = 0x30004, .kind = TR_AUDIO, .codec_count = 1, .encoding_count = 1, .mid = "0"};
    receiver.codecs[0] = (tr_codec_params){.pt = 111, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_OPUS, .clock_rate = 48000};
    receiver.encodings[0].ssrc = 5;
    tr_add_sender sender = {.sender = 0x6ffff, .transport = 0x30008, .kind = TR_AUDIO, .ssrc = 6, .mid = "0"};
    tr_bind_sender bind = {.sender = 0x6ffff, .receiver = 0x50009};
    memset(bind.pts, 111, sizeof bind.pts);
    memset(bind.rtx_pts, TR_NO_PT, sizeof bind.rtx_pts);
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_ADD_RECEIVER, 1, &receiver, sizeof receiver));
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_ADD_SENDER, 2, &sender, sizeof sender));
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_BIND_SENDER, 3, &bind, sizeof bind));
    tr_event event;
    for (int i = 0; i < 3; i++) {
        CHECK(take(control, &event));
        tr_result result;
        memcpy(&result, event.body, sizeof result);
        CHECK_EQ(TR_OK, result.status);
    }
    tr_worker_free(control);
    CHECK_EQ(TR_OK, tr_worker_renew(worker));
    control = attach(worker);
    static const uint32_t expected[] = {0, 1000, 1, 1};
    for (uint8_t kind = TR_INVENTORY_TRANSPORT; kind <= TR_INVENTORY_SENDER; kind++) {
        uint32_t count = 0, from = 0, pages = 0;
        tr_inventory last = {0};
        do from = page(control, kind, from, &count, &last);
        while (from && ++pages < 1000);
        CHECK_EQ(expected[kind], count);
        CHECK_EQ(kind, last.kind);
        if (kind == TR_INVENTORY_TRANSPORT) {
            CHECK_EQ(0x30000 + 999 * 4, last.id);
            CHECK_EQ(7, last.room);
            CHECK_EQ(8, last.participant);
            CHECK_EQ(1, last.is_admitted);
            CHECK(strncmp(last.local_ufrag, "frag", 4) == 0);
        } else {
            CHECK_EQ(kind == TR_INVENTORY_RECEIVER ? 0x50009 : 0x6ffff, last.id);
            CHECK_EQ(kind == TR_INVENTORY_RECEIVER ? 0x30004 : 0x30008, last.transport);
            CHECK_EQ(kind == TR_INVENTORY_RECEIVER ? 0 : 0x50009, last.receiver);
        }
    }
    tr_get_inventory get = {.kind = 9};
    CHECK_EQ(TR_OK, tr_worker_post(control, TR_CMD_GET_INVENTORY, 5, &get, sizeof get));
    CHECK(take(control, &event));
    tr_result result;
    memcpy(&result, event.body, sizeof result);
    CHECK_EQ(TR_ERR_ARGUMENT, result.status);
    tr_worker_free(control);
    tr_worker_free(worker);
}

/* A control that is stopped takes nothing; its worker must wait for it asleep, not going round. */
static void commands_held_back_by_a_full_ring_cost_no_cpu(void)
{
    tr_worker *worker = make(65536);
    uint32_t id = 0x10000;
    tr_event event;
    for (int i = 0; i < 2000; i++) {
        tr_add_transport add = a_transport(id + (uint32_t)i);
        if (tr_worker_post(worker, TR_CMD_ADD_TRANSPORT, 1, &add, sizeof add) != TR_OK) break;
    }
    poll(NULL, 0, 200);
    int64_t before = tr_worker_thread_cpu_ns(worker);
    poll(NULL, 0, 500);
    CHECK(tr_worker_thread_cpu_ns(worker) - before < 250000000); /* of 500 ms; going round it would be all of them */
    int taken = 0;
    while (take(worker, &event)) taken++;
    CHECK(taken > 1000);
    tr_worker_free(worker);
}

static const check_test tests[] = {
    TEST(an_attached_worker_answers_and_outlives_its_control),
    TEST(a_renewed_border_leaves_the_former_control_nothing),
    TEST(renewing_again_and_again_leaks_no_descriptor),
    TEST(memory_that_does_not_fit_is_refused),
    TEST(a_file_that_could_shrink_is_refused),
    TEST(the_inventory_comes_in_pages_that_fit_the_smallest_ring),
    TEST(commands_held_back_by_a_full_ring_cost_no_cpu),
};
CHECK_MAIN("test_attach", tests)
