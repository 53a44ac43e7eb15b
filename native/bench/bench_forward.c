/* bench forward: what one forwarded packet costs the worker's thread, over real sockets on loopback.
 * A worker with its own thread and, in this thread, real peers (checks, DTLS, SRTP on the project's modules in the
 * client role). Rooms of one publisher and `fanout` subscribers; frames are bursts of equal packets, as cameras make
 * them.
 *
 * usage: bench_forward FANOUT ROOMS SECONDS gcm|cm ipsec-mb|openssl [RATE [gro|- [ROOM]]]
 * RATE is frames a second and room; 0 (default) is saturation; gro: the relay's sockets have UDP_GRO. ROOM: subscribers
 * tell when packets came, their lines are taken to carry ROOM times what is sent to them, and packets leave at the pace
 * of that; 0 (default): none of it. Prints one line of JSON. */
#include "generator.h"

static tr_worker *worker;
static tr_crypto *crypto;
static tr_dtls_context *peer_context;
static tr_certificate relay_certificate, peer_certificate;

static int command(uint16_t type, const void *body, size_t size)
{
    static uint64_t tag;
    tr_event event;
    tr_worker_post(worker, type, ++tag, body, size);
    for (uint64_t until = clock_us() + 5000000; clock_us() < until;) {
        if (tr_worker_take(worker, &event) != 1) {
            struct pollfd fd = {.fd = tr_worker_event_fd(worker), .events = POLLIN};
            poll(&fd, 1, 10);
            continue;
        }
        if (event.type != TR_EVENT_RESULT || event.tag != tag) continue;
        tr_result result;
        memcpy(&result, event.body, sizeof result);
        return result.status;
    }
    die("no answer from the worker");
    return 1;
}

static void pump(end *e)
{
    uint8_t data[2048];
    ssize_t size;
    while ((size = recv(e->fd, data, sizeof data, MSG_DONTWAIT)) > 0) peer_receive(e->peer, data, (size_t)size);
    size_t out;
    while ((out = tr__dtls_next(e->peer->dtls, data, sizeof data)) > 0) send(e->fd, data, out, 0);
}

static end *add_end(uint32_t transport, uint32_t room, const struct sockaddr_in *to)
{
    end *e = &ends[end_count++];
    peer *p = e->peer = calloc(1, sizeof *p);
    p->transport = transport;
    p->random = transport;
    snprintf(p->local_ufrag, sizeof p->local_ufrag, "relay%08x", transport);
    snprintf(p->local_pwd, sizeof p->local_pwd, "relaypassword%016x", transport);
    snprintf(p->remote_ufrag, sizeof p->remote_ufrag, "peer%08x", transport);
    snprintf(p->remote_pwd, sizeof p->remote_pwd, "peerpassword0%016x", transport);
    tr_add_transport add = {.transport = transport, .room = room, .participant = transport, .is_admitted = 1};
    memcpy(add.local_ufrag, p->local_ufrag, sizeof add.local_ufrag);
    memcpy(add.local_pwd, p->local_pwd, sizeof add.local_pwd);
    tr_set_remote remote = {.transport = transport};
    memcpy(remote.ufrag, p->remote_ufrag, sizeof p->remote_ufrag);
    memcpy(remote.pwd, p->remote_pwd, sizeof p->remote_pwd);
    world_read_fingerprint(&peer_certificate, &remote.fingerprints[0]);
    if (command(TR_CMD_ADD_TRANSPORT, &add, sizeof add) || command(TR_CMD_SET_REMOTE, &remote, sizeof remote))
        die("add transport");
    e->fd = open_socket(to);
    uint8_t request[256];
    send(e->fd, request, peer_write_check(p, request, sizeof request, true), 0);
    p->dtls = tr__dtls_new(peer_context, true);
    tr_fingerprint relay;
    world_read_fingerprint(&relay_certificate, &relay);
    tr__dtls_set_fingerprints(p->dtls, &relay, 1);
    for (uint64_t until = clock_us() + 5000000; clock_us() < until && !p->srtp;) {
        pump(e);
        if (p->stun_answers && tr__dtls_state_of(p->dtls) == TR_DTLS_NEW) tr__dtls_start(p->dtls);
        if (tr__dtls_state_of(p->dtls) == TR_DTLS_CONNECTED) p->srtp = tr__dtls_make_srtp(p->dtls, crypto);
        struct pollfd fd = {.fd = e->fd, .events = POLLIN};
        poll(&fd, 1, 1);
    }
    if (!p->srtp) die("handshake");
    e->srtp = p->srtp;
    return e;
}

/* On the wire, with what is around a payload of a packet. */
#define PACKET_BITS (8.0 * (PAYLOAD + 74))

static void estimate_line(const job *j, end *e)
{
    uint32_t bps = (uint32_t)(j->room * j->rate * BURST * PACKET_BITS);
    tr_set_downlink set = {e->peer->transport, true, bps, bps, bps};
    if (command(TR_CMD_SET_DOWNLINK, &set, sizeof set)) die("set downlink");
    e->twcc = malloc(sizeof *e->twcc);
    if (!e->twcc) die("memory");
    tr__twcc_init(e->twcc);
}

/* Control is told of each line every two seconds, if nothing changes. */
static double take_least_bps(void)
{
    static double least_bps;
    tr_event event;
    while (tr_worker_take(worker, &event) == 1) {
        tr_estimate told;
        if (event.type != TR_EVENT_ESTIMATE) continue;
        memcpy(&told, event.body, sizeof told);
        if (!least_bps || told.estimate_bps < least_bps) least_bps = told.estimate_bps;
    }
    return least_bps;
}

static figures read_worker(void)
{
    tr_stats stats;
    tr_worker_stats(worker, &stats);
    return (figures){
        .cpu_ns = tr_worker_thread_cpu_ns(worker),
        .forwarded = stats.tx_rtp_packets,
        .sent = stats.tx_packets,
        .sent_bytes = stats.tx_bytes,
        .send_calls = stats.send_calls,
        .received = stats.rx_packets,
        .receive_calls = stats.receive_calls,
        .paced = stats.paced_packets,
        .least_bps = take_least_bps(),
    };
}

int main(int argc, char **argv)
{
    job j = read_job(argc, argv);
    tr_worker_config config;
    tr_worker_config_init(&config);
    config.crypto = (uint8_t)j.crypto;
    config.cpu = 0;
    config.udp_gro = j.has_gro;
    if (tr_certificate_make(&config.certificate) || tr_certificate_make(&peer_certificate)) die("certificate");
    relay_certificate = config.certificate;
    if (tr_worker_new(&config, &worker) || tr_worker_start(worker)) die("worker (is the crypto backend available?)");
    pin_to(1);
    crypto = tr__crypto_new(j.crypto);
    peer_context = tr__dtls_context_new(&peer_certificate);
    tr__dtls_context_only(peer_context, j.profile);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)tr_worker_port(worker, 0))};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    uint32_t id = 1, sender = 1;
    for (int room = 0; room < j.rooms; room++) {
        end *from = add_end(0x10000 | id, (uint32_t)room + 1, &to);
        from->ssrc = 100000 + id;
        from->index = 1;
        tr_add_receiver receiver = peer_receiver(0x10000 | id, 0x10000 | id, TR_VIDEO, from->ssrc);
        receiver.encodings[0].rtx_ssrc = 900000 + id;
        if (command(TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver)) die("add receiver");
        uint32_t publisher = 0x10000 | id++;
        for (int i = 0; i < j.fanout; i++, sender++) {
            end *subscriber = add_end(0x10000 | id, (uint32_t)room + 1, &to);
            if (j.room) estimate_line(&j, subscriber);
            tr_add_sender add = peer_sender(0x10000 | sender, 0x10000 | id, TR_VIDEO, 2000000 + 2 * sender);
            if (j.room) add.extensions[TR_EXT_TWCC] = TWCC_ID;
            tr_bind_sender bind = peer_bind(0x10000 | sender, publisher, 120, 121);
            if (command(TR_CMD_ADD_SENDER, &add, sizeof add) || command(TR_CMD_BIND_SENDER, &bind, sizeof bind))
                die("subscribe");
            id++;
        }
    }
    measure(&j, read_worker);
    tr_worker_free(worker);
    for (int i = 0; i < end_count; i++) {
        free(ends[i].twcc);
        peer_free(ends[i].peer);
        close(ends[i].fd);
    }
    tr__dtls_context_free(peer_context);
    tr__crypto_free(crypto);
    return 0;
}
