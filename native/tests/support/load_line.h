/* load_line: one simulated peer with its keys, and a server made of a socket and the other end's keys. Time is a
 * number. */
#ifndef TR_TEST_LOAD_LINE_H
#define TR_TEST_LOAD_LINE_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "client.h"

#define LINE_VIDEO_PT 96
#define LINE_RTX_PT 97
#define LINE_AUDIO_PT 111
#define LINE_STAMP 4242
#define LINE_STREAMS 16

/* ------------------------------------------------------------------ a peer and a server */

typedef struct line {
    tl_config config;
    tl_shared shared;
    tl_net net;
    tr_deadlines deadlines;
    tr_crypto *crypto;
    tr_ring events;
    void *events_memory;
    tl_client *client;
    tr_srtp *server;
    int fd;
    tl_outbound published[LINE_STREAMS]; /* by somebody else, whom the server forwards */
    uint16_t twcc;                       /* the server's transport-wide number */
} line;

typedef struct line_packet {
    uint8_t payload[1300];
    size_t size;
} line_packet;

static inline void line_init(line *l)
{
    static const uint8_t UP[16] = {1}, UP_SALT[12] = {2}, DOWN[16] = {3}, DOWN_SALT[12] = {4};
    memset(l, 0, sizeof *l);
    tl_config_init(&l->config);
    CHECK_EQ(TL_OK, tl__net_open(&l->net, &l->config));
    CHECK_EQ(TR_OK, tr__deadlines_init(&l->deadlines, tl__deadline_count(&l->config)));
    l->crypto = tr__crypto_new(TR_CRYPTO_AUTO);
    l->events_memory = aligned_alloc(64, tr__ring_footprint(1 << 16));
    tr__ring_create(&l->events, l->events_memory, 1 << 16);
    l->shared.config = &l->config;
    l->shared.net = &l->net;
    l->shared.deadlines = &l->deadlines;
    l->shared.crypto = l->crypto;
    l->shared.events = &l->events;
    l->shared.stamp = LINE_STAMP;
    l->shared.now_ns = 1000000000000u;
    l->shared.now_us = l->shared.now_ns / 1000;
    l->shared.real_to_monotonic_ns = -1700000000000000000;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    l->fd = socket(AF_INET, SOCK_DGRAM, 0);
    int bytes = 8 << 20;
    setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    CHECK_EQ(0, bind(l->fd, (struct sockaddr *)&at, sizeof at));
    CHECK_EQ(0, getsockname(l->fd, (struct sockaddr *)&at, &size));
    tl_route route = {.is_packed = true, .local = 1, .fd = l->net.fds[0]};
    CHECK(tl__net_set_remote(&route, "127.0.0.1", ntohs(at.sin_port)));
    tl_peer params = {.local_ufrag = "ours",
                      .local_pwd = "0123456789012345678901",
                      .extensions = {[TL_EXT_MID] = 1, [TL_EXT_TWCC] = 3}};
    l->client = tl__client_new(&l->shared, &params, &route, 1);
    l->client->state = TL_PEER_CONNECTED;
    l->client->agent.consent_us = l->shared.now_us;
    l->client->report_due_us = l->shared.now_us + 1000000;
    tl__client_schedule(l->client);
    l->client->srtp = tr__srtp_new(l->crypto, TR_SRTP_AEAD_AES_128_GCM, DOWN, DOWN_SALT, UP, UP_SALT);
    l->server = tr__srtp_new(l->crypto, TR_SRTP_AEAD_AES_128_GCM, UP, UP_SALT, DOWN, DOWN_SALT);
}

static inline void line_dispose(line *l)
{
    tl__client_free(l->client, TL_LEAVE_VANISH);
    for (int i = 0; i < LINE_STREAMS; i++) tl__outbound_dispose(&l->published[i]);
    for (size_t i = 0; i < sizeof l->shared.sources / sizeof *l->shared.sources; i++) free(l->shared.sources[i]);
    tr__srtp_free(l->server);
    tr__crypto_free(l->crypto);
    tr__deadlines_dispose(&l->deadlines);
    tl__net_close(&l->net);
    free(l->events_memory);
    close(l->fd);
}

static inline tl_send line_send(uint32_t stream, tl_kind kind, uint64_t group)
{
    return (tl_send){.peer = 1,
                     .stream = stream,
                     .kind = (uint8_t)kind,
                     .codec = kind == TL_VIDEO ? TL_CODEC_VP8 : TL_CODEC_OPUS,
                     .pattern = TL_PATTERN_BURST,
                     .pt = kind == TL_VIDEO ? LINE_VIDEO_PT : LINE_AUDIO_PT,
                     .rtx_pt = kind == TL_VIDEO ? LINE_RTX_PT : TL_NO_PT,
                     .ssrc = 100 + 2 * stream,
                     .rtx_ssrc = kind == TL_VIDEO ? 101 + 2 * stream : 0,
                     .clock_rate = kind == TL_VIDEO ? 90000 : 48000,
                     .cname = "c",
                     .bitrate_bps = 800000,
                     .frames_per_s_milli = 30000,
                     .keyframe_ratio_milli = 4000,
                     .group = group};
}

/* A stream of somebody else's that the server may forward. */
static inline void line_publish(line *l, uint32_t stream, tl_kind kind, uint64_t group)
{
    tl_send send = line_send(stream, kind, group);
    tl_source *source = tl__shared_source(&l->shared, stream, true);
    CHECK_EQ(TL_OK, tl__outbound_init(&l->published[stream], &send, 1, LINE_STAMP, source, 1000000000u));
    *source = (tl_source){.stream = stream, .peer = 1, .kind = (uint8_t)kind, .exists = true, .group = group};
    tl__outbound_start(&l->published[stream], 0);
}

static inline void line_receive(line *l, uint32_t section, tl_kind kind, const char *mid, uint32_t ssrc, bool has_nack)
{
    tl_receive receive = {
        .section = section, .kind = (uint8_t)kind, .payload_count = 1, .ssrc = ssrc, .rtx_ssrc = ssrc ? ssrc + 1 : 0};
    snprintf(receive.mid, sizeof receive.mid, "%s", mid);
    bool is_video = kind == TL_VIDEO;
    receive.payloads[0] = (tl_payload){.pt = is_video ? LINE_VIDEO_PT : LINE_AUDIO_PT,
                                       .rtx_pt = is_video ? LINE_RTX_PT : TL_NO_PT,
                                       .has_nack = has_nack,
                                       .has_pli = is_video,
                                       .clock_rate = is_video ? 90000 : 48000};
    CHECK_EQ(TL_OK, tl__client_add_receive(l->client, &receive));
}

/* ------------------------------------------------------------------ server to peer */

/* The payload of the stream's next packet, as its publisher sends it now. */
static inline line_packet line_next(line *l, uint32_t stream)
{
    line_packet packet;
    uint8_t out[1500];
    uint16_t twcc = 0;
    uint64_t index, late_ns, real_ns = l->shared.now_ns - (uint64_t)l->shared.real_to_monotonic_ns;
    tl_outbound *o = &l->published[stream];
    /* A plan of its own time: each call is one packet, whatever the clock says. */
    uint64_t at_ns = tl__outbound_at(o);
    size_t size = tl__outbound_next(o, at_ns, real_ns, &twcc, out, &index, &late_ns);
    o->source->last_ns = l->shared.now_ns;
    packet.size = size - o->header.size;
    memcpy(packet.payload, out + o->header.size, packet.size);
    return packet;
}

static inline void line_skip(line *l, uint32_t stream, int count)
{
    while (count--) line_next(l, stream);
}

static inline size_t line_seal(line *l, uint8_t *out, uint32_t ssrc, uint64_t seq, uint8_t pt, const char *mid,
                               const uint8_t *payload, size_t size)
{
    tr_pen pen = tr__pen(out, 1500);
    uint8_t number[2];
    tr__store16(number, l->twcc++);
    tr__rtp_put_header(&pen, true, false, pt, (uint16_t)seq, (uint32_t)seq * 3000, ssrc);
    tr_rtp_block block = tr__rtp_begin_block(&pen, false);
    if (mid) tr__rtp_put_element(&pen, &block, 1, mid, (uint8_t)strlen(mid));
    tr__rtp_put_element(&pen, &block, 3, number, 2);
    tr__rtp_end_block(&pen, &block, 0);
    tr__put_bytes(&pen, payload, size);
    return tr__srtp_seal_rtp(l->server, out, tr__pen_size(&pen), seq);
}

static inline void line_receive_wire(line *l, uint8_t *wire, size_t size)
{
    CHECK(tl__client_on_datagram(l->client, wire, size, l->shared.now_ns - (uint64_t)l->shared.real_to_monotonic_ns));
}

static inline void line_give(line *l, uint32_t ssrc, uint64_t seq, uint8_t pt, const char *mid, const uint8_t *payload,
                             size_t size)
{
    uint8_t wire[1600];
    line_receive_wire(l, wire, line_seal(l, wire, ssrc, seq, pt, mid, payload, size));
}

/* The stream's next packet under the server's SSRC and number. */
static inline void line_forward(line *l, uint32_t stream, uint32_t ssrc, uint64_t seq, const char *mid)
{
    line_packet packet = line_next(l, stream);
    line_give(l, ssrc, seq, l->published[stream].params.pt, mid, packet.payload, packet.size);
}

static inline void line_give_rtcp(line *l, const tr_pen *pen)
{
    uint8_t wire[512];
    memcpy(wire, pen->begin, tr__pen_size(pen));
    line_receive_wire(l, wire, tr__srtp_seal_rtcp(l->server, wire, tr__pen_size(pen)));
}

/* ------------------------------------------------------------------ time, and peer to server */

static inline void line_pass(line *l, uint64_t us)
{
    for (uint64_t end_us = l->shared.now_us + us; l->shared.now_us < end_us;) {
        l->shared.now_us += 1000;
        l->shared.now_ns = l->shared.now_us * 1000;
        l->client->agent.consent_us = l->shared.now_us; /* these tests are not about consent */
        while (tr__deadlines_next(&l->deadlines) <= l->shared.now_ns) {
            uint32_t index = tr__deadlines_first(&l->deadlines);
            if (index == l->client->id)
                tl__client_on_timer(l->client);
            else
                tl__client_send_media(l->client, index - tl__send_deadline(l->client, 0));
        }
        tl__net_flush(&l->net);
    }
}

typedef struct line_heard {
    int rtp, rtx, plis, nacked, feedbacks, reports;
    uint32_t last_seq, first_nacked;
    tr_rtcp_report report;
    tr_rtcp_sr sr;
} line_heard;

static inline void line_hear_rtcp(line_heard *heard, const uint8_t *data, size_t size)
{
    tr_rtcp_part part;
    CHECK_EQ(TR_DROP_NONE, tr__rtcp_validate(data, size));
    for (size_t at = 0; tr__rtcp_next(data, size, &at, &part);) {
        uint16_t seqs[64];
        size_t count = tr__rtcp_read_nack(&part, seqs, 64);
        if (count && !heard->nacked) heard->first_nacked = seqs[0];
        heard->nacked += (int)count;
        heard->plis += part.type == TR_RTCP_PSFB && part.count == TR_PSFB_PLI;
        heard->feedbacks += part.type == TR_RTCP_RTPFB && part.count == TR_RTPFB_TWCC;
        heard->reports += tr__rtcp_read_report(&part, 0, &heard->report);
        tr__rtcp_read_sr(&part, &heard->sr);
    }
}

/* Everything the peer has sent since the last call. */
static inline line_heard line_collect(line *l)
{
    line_heard heard = {0};
    uint8_t data[2048];
    ssize_t got;
    tl__net_flush(&l->net);
    while ((got = recv(l->fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
        size_t size = (size_t)got;
        uint64_t index;
        if (data[1] >= 192 && data[1] < 224) {
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtcp(l->server, data, &size));
            line_hear_rtcp(&heard, data, size);
        } else if (data[0] >= 128) {
            CHECK_EQ(TR_DROP_NONE, tr__srtp_open_rtp(l->server, data, &size, &index));
            bool is_rtx = (data[1] & 0x7f) == LINE_RTX_PT;
            heard.rtx += is_rtx;
            heard.rtp += !is_rtx;
            if (!is_rtx) heard.last_seq = tr__load16(data + 2);
        }
    }
    return heard;
}

#endif
