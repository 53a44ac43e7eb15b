/* udp: datagrams in and out over real sockets on loopback: what the kernel joined or split is the same datagrams. */
#include "../src/udp.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

typedef struct line {
    tr_udp *udp;
    int peer; /* a socket connected to it */
    tr_tally tally;
} line;

static line line_open(bool has_gro)
{
    line l = {.peer = socket(AF_INET, SOCK_DGRAM, 0)};
    tr_bind bind = {.address = "127.0.0.1"};
    tr_udp_options options = {.buffer_bytes = 1 << 20, .outbox_capacity = 256, .owners = 4, .has_gro = has_gro};
    CHECK_EQ(TR_OK, tr__udp_open(&l.udp, &bind, 1, &options));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(tr__udp_socket(l.udp, 0)->port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    CHECK_EQ(0, connect(l.peer, (struct sockaddr *)&to, sizeof to));
    return l;
}

static void line_close(line *l)
{
    close(l->peer);
    tr__udp_close(l->udp);
}

/* `size` bytes in one send, which the kernel cuts into datagrams of `segment`; byte i is i / segment. */
static void send_run(const line *l, size_t size, uint16_t segment)
{
    static uint8_t data[65536];
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(i / segment);
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof segment)];
    } control = {0};
    struct iovec iov = {data, size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof segment)};
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    CHECK_EQ((ssize_t)size, sendmsg(l->peer, &m, 0));
}

static uint32_t take(line *l, const tr_incoming **batch, bool *has_more)
{
    struct pollfd fd = {.fd = tr__udp_socket(l->udp, 0)->fd, .events = POLLIN};
    poll(&fd, 1, 1000);
    return tr__udp_receive(l->udp, 0, 5000000, batch, has_more, &l->tally);
}

static void a_run_is_its_datagrams_with_or_without_gro(void)
{
    for (int has_gro = 0; has_gro < 2; has_gro++) {
        line l = line_open(has_gro);
        send_run(&l, 4 * 1200 + 700, 1200);
        const tr_incoming *batch = NULL;
        bool has_more = true;
        uint32_t count = take(&l, &batch, &has_more);
        CHECK_EQ(5, count);
        CHECK(!has_more);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(i < 4 ? 1200 : 700, batch[i].size);
            CHECK_EQ(i, batch[i].data[0]);
            CHECK_EQ(i, batch[i].data[batch[i].size - 1]);
            CHECK_EQ(4, batch[i].path.remote.family);
            CHECK_EQ(batch[0].path.remote.port, batch[i].path.remote.port);
        }
        CHECK_EQ(1, l.tally.receive_calls);
        line_close(&l);
    }
}

static void the_longest_run_and_single_datagrams_come_whole(void)
{
    line l = line_open(true);
    send_run(&l, 64 * 1000, 1000);
    for (uint8_t i = 0; i < 3; i++) CHECK_EQ(1 + i, send(l.peer, (uint8_t[]){i, i, i}, 1 + i, 0));
    uint32_t sizes[80], found = 0;
    while (found < 67) {
        const tr_incoming *batch = NULL;
        bool has_more;
        uint32_t count = take(&l, &batch, &has_more);
        if (!count) break;
        for (uint32_t i = 0; i < count && found < 80; i++) sizes[found++] = batch[i].size;
    }
    CHECK_EQ(67, found);
    for (uint32_t i = 0; i < 64; i++) CHECK_EQ(1000, sizes[i]);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(1 + i, sizes[64 + i]);
    line_close(&l);
}

static void a_datagram_larger_than_any_of_ours_is_seen_as_that(void)
{
    for (int has_gro = 0; has_gro < 2; has_gro++) {
        line l = line_open(has_gro);
        static uint8_t data[9000];
        CHECK_EQ((ssize_t)sizeof data, send(l.peer, data, sizeof data, 0));
        const tr_incoming *batch = NULL;
        bool has_more;
        CHECK_EQ(1, take(&l, &batch, &has_more));
        CHECK(batch[0].size > TR_MAX_DATAGRAM);
        line_close(&l);
    }
}

static void a_full_batch_says_that_there_may_be_more(void)
{
    line l = line_open(false);
    for (int i = 0; i < TR_UDP_BATCH + 1; i++) send(l.peer, "x", 1, 0);
    const tr_incoming *batch = NULL;
    bool has_more = false;
    CHECK_EQ(TR_UDP_BATCH, take(&l, &batch, &has_more));
    CHECK(has_more);
    CHECK_EQ(1, take(&l, &batch, &has_more));
    CHECK(!has_more);
    line_close(&l);
}

static const check_test tests[] = {
    TEST(a_run_is_its_datagrams_with_or_without_gro),
    TEST(the_longest_run_and_single_datagrams_come_whole),
    TEST(a_datagram_larger_than_any_of_ours_is_seen_as_that),
    TEST(a_full_batch_says_that_there_may_be_more),
};
CHECK_MAIN("test_udp", tests)
