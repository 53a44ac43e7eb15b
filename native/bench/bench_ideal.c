/* bench ideal: the least a forwarded packet can cost: the same packets, system calls and ciphers as bench_forward, and
 * none of the relay: no ICE, no reports, no history, no rewriting but of SSRC and number, keys known beforehand.
 * recvmmsg, open, copy, seal, and runs of one receiver through sendmmsg with GSO. What the relay is measured against.
 *
 * usage: bench_ideal FANOUT ROOMS SECONDS gcm|cm ipsec-mb|openssl [RATE]
 * As bench_forward; prints the same line of JSON. */
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "generator.h"
#include "wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define BATCH 64
#define MAX_FANOUT 8
#define MAX_MESSAGES 64
#define HEADER 20 /* of the generator's packets: 12 bytes, and a block with one element */

typedef struct keys {
    tr_gcm_key *gcm;
    tr_cm_key *cm;
    uint8_t salt[14];
} keys;

typedef struct route {
    keys in;
    int fanout;
    struct {
        keys out;
        uint32_t ssrc, sender;
        struct sockaddr_in to;
    } to[MAX_FANOUT];
} route;

typedef struct slot {
    uint8_t data[TR_OUTBOX_SLOT];
    size_t size;
    uint32_t next; /* of the same receiver, UINT32_MAX: the last */
} slot;

static route routes[MAX_PEERS];
static int route_count, socket_fd, by_port[65536]; /* route + 1 */
static tr_crypto *crypto;
static bool is_gcm;
static _Atomic bool should_stop;
static _Atomic uint64_t forwarded, send_calls, receive_calls, received;
static _Atomic int64_t cpu_ns;

/* ------------------------------------------------------------------ ciphers: RFC 7714, 8.1 and RFC 3711, 4.1.1 */

static void make_iv(const keys *k, uint32_t ssrc, uint16_t seq, uint8_t iv[16])
{
    memset(iv, 0, 16);
    tr__store32(iv + (is_gcm ? 2 : 4), ssrc);
    tr__store16(iv + 10, seq);
    if (!is_gcm) tr__store32(iv + 8, seq), tr__store16(iv + 12, 0);
    for (int i = 0; i < (is_gcm ? 12 : 14); i++) iv[i] ^= k->salt[i];
}

static bool open_packet(const keys *k, uint8_t *data, size_t *size)
{
    uint8_t iv[16], mac[20], rollover[4] = {0};
    make_iv(k, tr__load32(data + 8), tr__load16(data + 2), iv);
    *size -= is_gcm ? 16 : 10;
    if (is_gcm) return tr__gcm_open(k->gcm, iv, data, HEADER, data + HEADER, *size - HEADER, data + *size);
    if (!tr__cm_mac(k->cm, data, *size, rollover, mac) || memcmp(mac, data + *size, 10) != 0) return false;
    tr__cm_xor(k->cm, iv, data + HEADER, *size - HEADER);
    return true;
}

static size_t seal_packet(const keys *k, uint8_t *data, size_t size)
{
    uint8_t iv[16], mac[20], rollover[4] = {0};
    make_iv(k, tr__load32(data + 8), tr__load16(data + 2), iv);
    if (is_gcm) {
        tr__gcm_seal(k->gcm, iv, data, HEADER, data + HEADER, size - HEADER, data + size);
        return size + 16;
    }
    tr__cm_xor(k->cm, iv, data + HEADER, size - HEADER);
    tr__cm_mac(k->cm, data, size, rollover, mac);
    memcpy(data + size, mac, 10);
    return size + 10;
}

/* ------------------------------------------------------------------ the loop */

typedef struct sending {
    struct mmsghdr messages[MAX_MESSAGES];
    struct iovec iov[BATCH * MAX_FANOUT];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control[MAX_MESSAGES];
    unsigned message_count, iov_count;
} sending;

static void flush(sending *s)
{
    if (!s->message_count) return;
    sendmmsg(socket_fd, s->messages, s->message_count, 0);
    send_calls++;
    s->message_count = s->iov_count = 0;
}

static void add_run(sending *s, slot *slots, uint32_t first, struct sockaddr_in *to)
{
    if (s->message_count == MAX_MESSAGES) flush(s);
    struct msghdr *m = &s->messages[s->message_count].msg_hdr;
    *m = (struct msghdr){.msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &s->iov[s->iov_count]};
    for (uint32_t at = first; at != UINT32_MAX; at = slots[at].next) {
        s->iov[s->iov_count++] = (struct iovec){slots[at].data, slots[at].size};
        m->msg_iovlen++;
    }
    if (m->msg_iovlen > 1) {
        m->msg_control = &s->control[s->message_count];
        m->msg_controllen = sizeof s->control[0].bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(m);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = (uint16_t)slots[first].size;
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    s->message_count++;
}

static void *loop(void *nothing)
{
    (void)nothing;
    pin_to(0);
    static uint8_t data[BATCH][2048];
    static struct sockaddr_in from[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr messages[BATCH];
    static slot slots[BATCH * MAX_FANOUT];
    static uint32_t last[MAX_PEERS * MAX_FANOUT], heads[BATCH * MAX_FANOUT];
    static struct sockaddr_in *head_to[BATCH * MAX_FANOUT];
    static sending out;
    for (int i = 0; i < BATCH; i++) iov[i] = (struct iovec){data[i], sizeof data[i]};
    memset(last, 0xff, sizeof last);
    while (!should_stop) {
        for (int i = 0; i < BATCH; i++)
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
        int count = recvmmsg(socket_fd, messages, BATCH, MSG_DONTWAIT, NULL);
        receive_calls++;
        if (count <= 0) {
            struct pollfd fd = {.fd = socket_fd, .events = POLLIN};
            poll(&fd, 1, 10);
            continue;
        }
        received += (uint64_t)count;
        uint32_t used = 0, head_count = 0;
        for (int i = 0; i < count; i++) {
            int at = by_port[from[i].sin_port];
            size_t size = messages[i].msg_len;
            if (!at || !open_packet(&routes[at - 1].in, data[i], &size)) continue;
            route *r = &routes[at - 1];
            for (int k = 0; k < r->fanout; k++) {
                slot *s = &slots[used];
                memcpy(s->data, data[i], size);
                tr__store32(s->data + 8, r->to[k].ssrc);
                s->size = seal_packet(&r->to[k].out, s->data, size);
                s->next = UINT32_MAX;
                uint32_t sender = r->to[k].sender;
                if (last[sender] == UINT32_MAX) {
                    head_to[head_count] = &r->to[k].to;
                    heads[head_count++] = used;
                } else {
                    slots[last[sender]].next = used;
                }
                last[sender] = used++;
            }
        }
        for (uint32_t i = 0; i < head_count; i++) add_run(&out, slots, heads[i], head_to[i]);
        flush(&out);
        for (int i = 0; i < count; i++) {
            int at = by_port[from[i].sin_port];
            for (int k = 0; at && k < routes[at - 1].fanout; k++) last[routes[at - 1].to[k].sender] = UINT32_MAX;
        }
        forwarded += used;
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        cpu_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    return NULL;
}

/* ------------------------------------------------------------------ set-up */

static tr_srtp_profile profile;

/* Both ends of one direction: the peer's context, and the bare keys for the loop. */
static void make_keys(uint32_t number, uint8_t *key, uint8_t *salt)
{
    for (int i = 0; i < 16; i++) key[i] = (uint8_t)(number >> (i % 4 * 8)) ^ (uint8_t)(i * 29);
    for (int i = 0; i < 14; i++) salt[i] = (uint8_t)(number >> (i % 4 * 8)) ^ (uint8_t)(i * 41);
}

static keys bare_keys(const uint8_t *key, const uint8_t *salt)
{
    tr_srtp_keys derived;
    keys k = {0};
    if (!tr__srtp_derive(profile, key, salt, &derived)) die("key derivation");
    memcpy(k.salt, derived.rtp_salt, sizeof k.salt);
    if (is_gcm)
        k.gcm = tr__gcm_new(crypto, derived.rtp_key, 16);
    else
        k.cm = tr__cm_new(crypto, derived.rtp_key, derived.rtp_auth, 20);
    if (!k.gcm && !k.cm) die("keys");
    return k;
}

static end *add_end(uint32_t number, const struct sockaddr_in *to, const tr_crypto *peers, keys *receives, keys *sends)
{
    end *e = &ends[end_count++];
    uint8_t up_key[16], up_salt[14], down_key[16], down_salt[14];
    make_keys(2 * number, up_key, up_salt);
    make_keys(2 * number + 1, down_key, down_salt);
    e->srtp = tr__srtp_new(peers, profile, down_key, down_salt, up_key, up_salt);
    if (!e->srtp) die("srtp");
    if (receives) *receives = bare_keys(up_key, up_salt);
    if (sends) *sends = bare_keys(down_key, down_salt);
    e->fd = open_socket(to);
    return e;
}

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &size);
    return name;
}

static figures read_loop(void)
{
    return (figures){
        .cpu_ns = cpu_ns,
        .forwarded = forwarded,
        .sent = forwarded,
        .send_calls = send_calls,
        .received = received,
        .receive_calls = receive_calls,
    };
}

int main(int argc, char **argv)
{
    job j = read_job(argc, argv);
    if (j.fanout > MAX_FANOUT) die("too many subscribers");
    profile = j.profile;
    is_gcm = profile != TR_SRTP_AES128_CM_SHA1_80;
    crypto = tr__crypto_new(j.crypto); /* the loop's; the generator's thread has one of its own */
    tr_crypto *peers = tr__crypto_new(j.crypto);
    if (!crypto || !peers) die("this crypto backend is not available");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int bytes = 4 << 20;
    socket_fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes))
        setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (bind(socket_fd, (struct sockaddr *)&to, sizeof to)) die("bind");
    to = name_of(socket_fd);
    uint32_t number = 1, sender = 0;
    for (int room = 0; room < j.rooms; room++) {
        route *r = &routes[route_count++];
        end *from = add_end(number++, &to, peers, &r->in, NULL);
        from->ssrc = 100000 + number;
        from->index = 1;
        by_port[name_of(from->fd).sin_port] = route_count;
        r->fanout = j.fanout;
        for (int k = 0; k < j.fanout; k++) {
            end *e = add_end(number++, &to, peers, NULL, &r->to[k].out);
            r->to[k].ssrc = 2000000 + sender;
            r->to[k].sender = sender++;
            r->to[k].to = name_of(e->fd);
        }
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, loop, NULL)) die("thread");
    pin_to(1);
    measure(&j, read_loop);
    should_stop = true;
    pthread_join(thread, NULL);
    return 0;
}
