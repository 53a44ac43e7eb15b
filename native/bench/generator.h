/* generator: the peers of the forwarding benchmarks: frames out as bursts of equal packets, packets in and counted, and
 * told of as a browser tells (transport-wide feedback) where what is measured is to hear of it.
 * One thread, one socket a peer, real SRTP. At saturation a publisher keeps WINDOW frames on their way; with a rate it
 * sends by the clock. It must outrun what it measures: its frames leave as GSO runs, its sockets take GRO runs.
 * Header only: each benchmark is one program. */
#ifndef TR_BENCH_GENERATOR_H
#define TR_BENCH_GENERATOR_H

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/peer.h"
#include "telerelay.h"
#include "twcc.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

#define BURST 5 /* packets of a frame: 1.5 Mbit/s at 30 frames a second is 5.2 packets of 1,200 B */
#define PAYLOAD 1150
#define MAX_PEERS 4096
#define WINDOW 4 /* frames of a room on their way at saturation: enough to keep the worker busy, lost to no buffer */
#define STUCK_US 100000 /* a packet was lost after all: begin a new window */
#define KEYFRAMES 30    /* one frame in so many is a keyframe */
#define WARM_UP_US 300000
/* Where lines are judged: how much leaves is known after a second, and first clusters are over. */
#define WARM_UP_JUDGED_US 1500000
#define TWCC_ID 3 /* of the transport-wide numbers, both ways */

typedef struct end {
    peer *peer; /* of its connection, where it has one */
    tr_srtp *srtp;
    int fd;
    uint32_t ssrc;          /* of what a publisher sends, 0: a subscriber */
    uint64_t index, due_us; /* the next packet; when the next frame is due */
    uint64_t frames, got;   /* sent by a publisher; RTP packets received by a subscriber */
    uint64_t window_from, moved_us;
    tr_twcc *twcc; /* of a subscriber that tells when packets came, else NULL */
} end;

static end ends[MAX_PEERS];
static int end_count;
static uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void pin_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* A socket connected to the one under measure. */
static int open_socket(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 1 << 21;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    int on = 1;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to)) die("connect");
    return fd;
}

/* Room for the one control message these sockets know: how large the segments of a run are. */
typedef union segment_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
} segment_control;

static void send_frame(end *e, bool is_keyframe)
{
    static uint8_t packets[BURST][TR_OUTBOX_SLOT];
    struct iovec iov[BURST];
    for (int i = 0; i < BURST; i++) {
        size_t size =
            peer_write_rtp(packets[i], sizeof packets[i], PEER_VP8_PT, e->index, (uint32_t)(e->index / BURST) * 3000,
                           e->ssrc, is_keyframe && i == 0, i == BURST - 1, (uint16_t)e->index, PAYLOAD);
        size = tr__srtp_seal_rtp(e->srtp, packets[i], size, e->index++);
        iov[i] = (struct iovec){packets[i], size};
    }
    segment_control control = {0};
    struct msghdr run = {
        .msg_iov = iov, .msg_iovlen = BURST, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(uint16_t))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&run);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t segment = (uint16_t)iov[0].iov_len;
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    sendmsg(e->fd, &run, 0);
}

/* How large each datagram but the last is of what one receive gave. */
static size_t segment_size(struct msghdr *message, size_t size)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int segment;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        return segment > 0 ? (size_t)segment : size;
    }
    return size;
}

/* Headers are not encrypted: a packet's number is read without its key. */
static void note_arrival(end *e, const uint8_t *packet, size_t size, uint64_t now_us)
{
    static const uint8_t ids[TR_EXT_COUNT] = {[TR_EXT_TWCC] = TWCC_ID};
    tr_rtp rtp;
    tr_rtp_extensions found;
    if (tr__rtp_parse(&rtp, packet, size) != TR_DROP_NONE) return;
    if (tr__rtp_find_extensions(&rtp, ids, &found) != TR_DROP_NONE || !found.of[TR_EXT_TWCC].at) return;
    tr__twcc_on_packet(e->twcc, tr__load16(packet + found.of[TR_EXT_TWCC].at), now_us, now_us);
}

static void send_feedback(end *e, uint64_t now_us)
{
    uint8_t data[TR_OUTBOX_SLOT];
    while (tr__twcc_at(e->twcc) <= now_us) {
        tr_pen pen = tr__pen(data, 1000);
        if (!tr__twcc_put_feedback(e->twcc, &pen, 1, 2, now_us)) return;
        size_t size = tr__srtp_seal_rtcp(e->srtp, data, tr__pen_size(&pen));
        send(e->fd, data, size, 0);
    }
}

/* One receive: a datagram, or the run that the kernel joined. */
static void take(end *e, struct msghdr *message, const uint8_t *data, size_t size, uint64_t now_us)
{
    if (size <= 2 || (data[1] >= 192 && data[1] <= 223)) return;
    size_t step = segment_size(message, size);
    e->got += (size + step - 1) / step;
    for (size_t at = 0; e->twcc && at < size; at += step)
        note_arrival(e, data + at, size - at < step ? size - at : step, now_us);
}

static void drain(end *e, uint64_t now_us)
{
    enum { RUNS = 8 };
    static uint8_t data[RUNS][65536];
    static segment_control control[RUNS];
    struct iovec iov[RUNS];
    struct mmsghdr messages[RUNS];
    int count;
    do {
        for (int i = 0; i < RUNS; i++) {
            iov[i] = (struct iovec){data[i], sizeof data[i]};
            messages[i].msg_hdr = (struct msghdr){
                .msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = &control[i], .msg_controllen = sizeof control[i]};
        }
        count = recvmmsg(e->fd, messages, RUNS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) take(e, &messages[i].msg_hdr, data[i], messages[i].msg_len, now_us);
    } while (count == RUNS);
    if (e->twcc) send_feedback(e, now_us);
}

/* May this publisher send its next frame? At saturation: when all but WINDOW of its frames have come out. */
static bool is_due(end *publisher, const end *subscriber, double rate, uint64_t now_us)
{
    if (rate > 0) return publisher->due_us <= now_us;
    uint64_t arrived = subscriber->got / BURST, on_the_way = publisher->frames - publisher->window_from;
    if (arrived > publisher->window_from) {
        publisher->window_from = arrived < publisher->frames ? arrived : publisher->frames;
        publisher->moved_us = now_us;
    } else if (now_us - publisher->moved_us > STUCK_US) {
        publisher->window_from = publisher->frames;
        publisher->moved_us = now_us;
    }
    return on_the_way < WINDOW;
}

/* What is measured, from the command line. */
typedef struct job {
    int fanout, rooms, crypto; /* tr_crypto_kind */
    double seconds, rate;      /* rate: frames a second and room, 0: as many as can be */
    tr_srtp_profile profile;
    bool has_gro; /* what is measured receives runs */
    /* What a subscriber's line is taken to carry, times what is sent to it; 0: nothing is estimated or numbered. */
    double room;
} job;

static job read_job(int argc, char **argv)
{
    if (argc < 6) die("usage: FANOUT ROOMS SECONDS gcm|cm ipsec-mb|openssl [RATE [gro|- [ROOM]]]");
    job j = {
        .fanout = atoi(argv[1]),
        .rooms = atoi(argv[2]),
        .seconds = atof(argv[3]),
        .profile = strcmp(argv[4], "cm") ? TR_SRTP_AEAD_AES_128_GCM : TR_SRTP_AES128_CM_SHA1_80,
        .crypto = strcmp(argv[5], "openssl") ? TR_CRYPTO_IPSEC_MB : TR_CRYPTO_OPENSSL,
        .rate = argc > 6 ? atof(argv[6]) : 0,
        .has_gro = argc > 7 && !strcmp(argv[7], "gro"),
        .room = argc > 8 ? atof(argv[8]) : 0,
    };
    if (j.fanout < 1 || j.rooms < 1 || j.rooms * (j.fanout + 1) > MAX_PEERS) die("too many peers");
    if (j.room && (j.rate <= 0 || j.room < 1)) die("a line is estimated at a rate, at more than that");
    return j;
}

/* Counters of what is measured, all of them rising. */
typedef struct figures {
    int64_t cpu_ns;
    uint64_t forwarded, sent, sent_bytes, send_calls, received, receive_calls, paced;
    double least_bps; /* the least that a line was estimated at; 0: none was */
} figures;

/* One round: what is due is sent, what has come is counted. */
static void turn(double rate, uint64_t now_us)
{
    for (int i = 0; i < end_count; i++) {
        end *e = &ends[i];
        if (!e->ssrc) {
            drain(e, now_us);
        } else if (is_due(e, &ends[i + 1], rate, now_us)) {
            send_frame(e, e->frames % KEYFRAMES == 0);
            e->due_us += rate > 0 ? (uint64_t)(1e6 / rate) : 0;
            e->frames++;
        }
    }
    if (rate > 0) usleep(200);
}

/* Runs the load, and prints what it cost from WARM_UP_US on as one line of JSON. */
static void measure(const job *j, figures (*read)(void))
{
    uint64_t begin = clock_us(), measured = begin + (j->room ? WARM_UP_JUDGED_US : WARM_UP_US),
             until = measured + (uint64_t)(j->seconds * 1e6);
    figures before = {.cpu_ns = -1};
    for (int i = 0; i < end_count; i++) ends[i].due_us = begin + (uint64_t)(i * 7919) % 33000;
    for (uint64_t now = begin; now < until; now = clock_us()) {
        if (before.cpu_ns < 0 && now >= measured) before = read();
        turn(j->rate, now);
    }
    figures after = read();
    double wall_s = (double)(clock_us() - measured) / 1e6, cpu_ns = (double)(after.cpu_ns - before.cpu_ns);
    double forwarded = (double)(after.forwarded - before.forwarded);
    /* With what is around them on the wire; what goes to publishers is little. */
    double lines_bps = 8.0 * (double)(after.sent_bytes - before.sent_bytes + 28 * (after.sent - before.sent)) / wall_s;
    printf("{\"forwarded\": %.0f, \"ns_per_forwarded_packet\": %.0f, \"forwarded_per_second\": %.0f, "
           "\"worker_cpu_share\": %.3f, \"packets_per_send_call\": %.2f, \"packets_per_receive_call\": %.2f, "
           "\"paced_share\": %.3f, \"room\": %.2f}\n",
           forwarded, forwarded > 0 ? cpu_ns / forwarded : 0, forwarded / wall_s, cpu_ns / 1e9 / wall_s,
           (double)(after.sent - before.sent) / (double)(after.send_calls - before.send_calls + 1),
           (double)(after.received - before.received) / (double)(after.receive_calls - before.receive_calls + 1),
           forwarded > 0 ? (double)(after.paced - before.paced) / forwarded : 0,
           lines_bps > 0 ? after.least_bps * j->rooms * j->fanout / lines_bps : 0);
}

#endif
