/* A receiver with two senders, one with RTX and one without, under arbitrary opened RTP and arbitrary feedback, in any
 * order. The input is a list of steps. What must hold besides memory: an SRTP index never protects two contents, and
 * whatever leaves is RTP that a peer can read. */
#include <stdlib.h>

#include "receiver.h"
#include "seq.h"

#define LOG_SIZE 4096
#define SENDERS 2
#define MS 1000u

static tr_outbox outbox;
static tr_crypto *crypto;
static tr_srtp *srtp;
static tr_tally tally;
static tr_clock clock_;
static tr_receiver *receiver;
static tr_egress egresses[SENDERS];
static tr_sender *senders[SENDERS];
static tr_bind_sender binds[SENDERS];
static uint64_t now;
static uint16_t seqs[2]; /* of the packets made here, by encoding */
static struct {
    uint64_t index, hash;
    uint32_t ssrc;
} log_[LOG_SIZE];
static struct {
    uint32_t ssrc;
    uint64_t highest;
} lines[3];

static const tr_add_receiver PARAMS = {
    .receiver = 1,
    .kind = TR_VIDEO,
    .codec_count = 6,
    .encoding_count = 2,
    .mid = "0",
    .codecs =
        {
            {.pt = 96, .rtx_pt = 97, .codec = TR_CODEC_VP8, .has_nack = 1, .has_pli = 1, .clock_rate = 90000},
            {.pt = 102, .rtx_pt = 103, .codec = TR_CODEC_H264, .has_nack = 1, .has_fir = 1, .clock_rate = 90000},
            {.pt = 45, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_OTHER, .clock_rate = 8000},
            {.pt = 98, .rtx_pt = 99, .codec = TR_CODEC_VP9, .has_nack = 1, .has_pli = 1, .clock_rate = 90000},
            {.pt = 63, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_RED, .clock_rate = 90000},
            {.pt = 35, .rtx_pt = 36, .codec = TR_CODEC_AV1, .has_nack = 1, .has_pli = 1, .clock_rate = 90000},
        },
    .encodings = {{.rid = "l", .ssrc = 1000, .rtx_ssrc = 1001}, {.rid = "h", .ssrc = 1010, .rtx_ssrc = 1011}},
    .extensions = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
};

static void begin(void)
{
    if (!srtp) {
        static const uint8_t key[16] = "sixteen bytes...", salt[12] = "and twelve..";
        crypto = tr__crypto_new(TR_CRYPTO_OPENSSL);
        srtp = tr__srtp_new(crypto, TR_SRTP_AEAD_AES_128_GCM, key, salt, key, salt);
        if (!srtp || tr__outbox_init(&outbox, 300) != TR_OK) abort();
    }
    memset(&tally, 0, sizeof tally);
    memset(log_, 0, sizeof log_);
    memset(lines, 0, sizeof lines);
    memset(seqs, 0xff, sizeof seqs);
    now = 1000000;
    tr__clock_init(&clock_);
    receiver = tr__receiver_new(&PARAMS, 16384, &clock_, &tally);
    for (uint32_t i = 0; i < SENDERS; i++) {
        egresses[i] = (tr_egress){
            .outbox = &outbox, .tally = &tally, .srtp = srtp, .owner = i, .has_path = true, .is_admitted = true};
        tr_add_sender params = {
            .sender = i, .kind = TR_VIDEO, .ssrc = 5000 + i, .rtx_ssrc = i ? 0 : 6000, .mid = "v", .cname = "c"};
        for (uint8_t e = 0; e < TR_EXT_COUNT; e++) params.extensions[e] = (uint8_t)(i ? e + 9 : 14 - e);
        senders[i] = tr__sender_new(&params, &egresses[i], 0x7fff, 1, 0xffffff00);
        binds[i] = (tr_bind_sender){.sender = i, .receiver = 1};
        memset(binds[i].pts, TR_NO_PT, sizeof binds[i].pts);
        memset(binds[i].rtx_pts, TR_NO_PT, sizeof binds[i].rtx_pts);
        for (uint8_t c = 0; c < (i ? 4 : 3); c++) binds[i].pts[c] = (uint8_t)(100 + c);
        binds[i].pts[4] = i ? 104 : 101; /* the first one gets what is in RED */
        binds[i].pts[5] = 106;
        if (!i) binds[i].rtx_pts[0] = 110, binds[i].rtx_pts[1] = 111;
        tr__receiver_add_sender(receiver, senders[i], &binds[i], now);
    }
}

static void end(void)
{
    for (int i = 0; i < SENDERS; i++) {
        tr__receiver_remove_sender(receiver, senders[i], now);
        tr__sender_free(senders[i]);
    }
    tr__receiver_free(receiver);
}

static void check_index(const uint8_t *data, size_t size)
{
    uint32_t ssrc = tr__load32(data + 8);
    int line = 0;
    while (lines[line].ssrc && lines[line].ssrc != ssrc)
        if (++line == 3) abort();
    uint64_t index =
        lines[line].ssrc ? tr__seq_unwrap(lines[line].highest, tr__load16(data + 2)) : 65536u + tr__load16(data + 2);
    lines[line].ssrc = ssrc;
    if (index > lines[line].highest) lines[line].highest = index;
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 1099511628211u;
    size_t at = (index * 3 + (size_t)line) % LOG_SIZE;
    if (log_[at].ssrc == ssrc && log_[at].index == index && log_[at].hash != hash)
        abort(); /* one index, two contents */
    log_[at].ssrc = ssrc;
    log_[at].index = index;
    log_[at].hash = hash;
}

static void drain(void)
{
    for (uint32_t i = 0; i < outbox.count; i++) {
        tr_rtp rtp;
        const tr_outgoing *out = &outbox.items[i];
        if (out->size > TR_MAX_DATAGRAM) abort();
        /* The header is in the clear. */
        if (tr__rtp_parse(&rtp, out->data, out->size) != TR_DROP_NONE || rtp.csrc_count || rtp.padding_size) abort();
        check_index(out->data, out->size);
    }
    tr__outbox_clear(&outbox);
}

static void feed(int encoding, bool is_rtx, uint8_t *data, size_t size)
{
    tr_rtp rtp;
    tr_rtp_extensions found;
    if (tr__rtp_parse(&rtp, data, size) != TR_DROP_NONE) return;
    if (tr__rtp_find_extensions(&rtp, PARAMS.extensions, &found) != TR_DROP_NONE) return;
    tr__receiver_on_rtp(receiver, encoding, is_rtx, data, &rtp, &found, now, now);
}

/* A packet of sound form: the way in for what no mutation would find. */
static void feed_made(tr_cursor *c, uint8_t op)
{
    static const uint8_t payloads[8][3] = {
        {0x10, 0, 0},    {0x10, 1, 0},    {0x00, 1, 0},       {0x67, 1, 2},
        {0x65, 0x88, 0}, {0x41, 0x9a, 0}, {0x80, 0x80, 0x80}, {0x08, 0, 0},
    };
    static const uint8_t pts[4] = {96, 102, 45, 98};
    uint8_t data[64] = {0x80}, what = tr__take8(c), step = tr__take8(c);
    int encoding = op >> 3 & 1;
    bool is_rtx = op >> 4 & 1;
    size_t size = 12;
    uint16_t seq = (uint16_t)(seqs[encoding] + (int8_t)step);
    if (tr__seq_newer(seq, seqs[encoding])) seqs[encoding] = seq;
    if (op & 0x80) seqs[encoding] = (uint16_t)(seqs[encoding] + 300 * (step & 15));
    bool is_av1 = (what & 3) == 2 && what & 0x10, is_vp9 = (what & 3) == 3;
    data[1] = (uint8_t)((is_av1 ? 35 : pts[what & 3]) + (is_rtx ? 1 : 0));
    tr__store16(data + 2, is_rtx ? (uint16_t)(now >> 3) : seq);
    tr__store32(data + 4, (uint32_t)(now / 100 * 9 / 3000 * 3000));
    tr__store32(data + 8, 1000u + 10u * (uint32_t)encoding + is_rtx);
    if (step & 0x40) { /* a dependency descriptor, at times with a structure */
        static const uint8_t block[8] = {0xbe, 0xde, 0, 1, 0, 0x80, 0, 0};
        data[0] |= 0x10;
        memcpy(data + size, block, sizeof block);
        data[size + 4] = 10 << 4 | 2;
        data[size + 7] = (uint8_t)seq;
        if (is_av1) data[size + 5] = (uint8_t)(0xc0 | (5 + (what >> 5)));
        if (is_av1 && step & 0x20) { /* two spatial layers of two temporal ones; at times with other templates */
            data[size + 3] = 3;
            data[size + 4] = 10 << 4 | 10;
            memcpy(data + size + 8, "\x80\xa3\x67\xaa\x11\x0a\x01\x00", 8);
            if (op & 0x20) data[size + 8] ^= 1;
            size += 8;
        } else if (step & 0x20) {
            data[size + 3] = 2;
            data[size + 4]++;
            memcpy(data + size + 8, "\x80\0\0", 4);
            size += 4;
        }
        size += sizeof block;
    }
    bool is_red = !is_rtx && what >> 5 == 7;
    if (is_red) data[1] = 63;
    if (is_rtx) {
        tr__store16(data + size, seq);
        size += 2;
    }
    if (is_red) {
        memcpy(data + size, "\xe6\0\0\1\x66old", 8);
        data[size + 6] = (uint8_t)seq;
        size += 8;
    } else if (what >> 5 >= 4 && (what & 3) == 0 && !(op & 0x40)) {
        /* VP8 with all that is counted, in the clear for certain when it is a keyframe */
        bool is_key = what >> 5 == 6, is_start = what >> 5 != 4;
        data[size++] = is_start ? 0x90 : 0x80;
        data[size++] = 0xe0;
        tr__store16(data + size, (uint16_t)(0x8000 | (seq >> 1 & 0x7fff)));
        data[size + 2] = (uint8_t)(seq >> 3);
        data[size + 3] = (uint8_t)(is_key ? 0 : (what & 0x1c) << 3);
        memcpy(data + size + 4, is_key ? "\x10\2\0\x9d\1\x2a" : "\x11\2\0\0\0\0", 6);
        data[size + 10] = (uint8_t)seq;
        size += 11;
    } else if (is_vp9 && what >> 5 >= 4 && !(op & 0x40)) {
        bool is_key = what >> 5 == 6;
        data[size] = (uint8_t)(0xa8 | (what & 4) | (is_key ? 0 : 0x40));
        tr__store16(data + size + 1, (uint16_t)(0x8000 | (seq >> 2 & 0x7fff)));
        data[size + 3] = (uint8_t)((what & 8) << 2 | (what & 0x10) | (seq & 3) << 1);
        data[size + 4] = (uint8_t)(seq >> 3);
        memcpy(data + size + 5, is_key ? "\x82\x49\x83\x42" : "\x86\0\0\0", 4);
        data[size + 9] = (uint8_t)seq;
        size += 10;
    } else if (!(op & 0x40)) {
        memcpy(data + size, payloads[what >> 2 & 7], 3);
        data[size + 3] = (uint8_t)seq;
        size += 4 + (what >> 5);
    }
    feed(encoding, is_rtx, data, size);
}

static void on_nack(tr_cursor *c, uint8_t op)
{
    uint16_t asked[64], back = tr__take8(c);
    size_t count = tr__take8(c) & 63;
    int i = op >> 3 & 1;
    uint32_t ssrc = tr__sender_ssrc(senders[i]);
    uint16_t from = 0x7fff;
    for (int line = 0; line < 3; line++)
        if (lines[line].ssrc == ssrc) from = (uint16_t)lines[line].highest;
    for (size_t k = 0; k < count; k++) asked[k] = (uint16_t)(from - back + k);
    tr__sender_on_nack(senders[i], asked, count, now);
}

static void control(uint8_t op, uint8_t what)
{
    int i = op >> 3 & 1;
    switch (what & 15) {
    case 0:
        tr__sender_pause(senders[i], true, now);
        break;
    case 1:
        tr__sender_pause(senders[i], false, now);
        break;
    case 2:
        tr__receiver_remove_sender(receiver, senders[i], now);
        break;
    case 3:
        tr__receiver_add_sender(receiver, senders[i], &binds[i], now);
        break;
    case 4: /* other payload types */
        for (int k = 0; k < 6; k++)
            if (binds[i].pts[k] != TR_NO_PT) binds[i].pts[k] ^= 0x10;
        tr__receiver_add_sender(receiver, senders[i], &binds[i], now);
        break;
    case 5:
        tr__sender_on_keyframe_request(senders[i], now);
        break;
    case 6:
        tr__receiver_request_keyframe(receiver, now);
        break;
    case 7:
        egresses[i].has_path = !egresses[i].has_path;
        break;
    case 8:
        tr__receiver_on_bye(receiver, what >> 4 & 1);
        break;
    case 9:
        egresses[i].rtt_us = (uint64_t)what * 1000;
        break;
    case 12:
        tr__sender_set_layer(senders[i],
                             (tr_layer){(uint8_t)(what >> 4 & 1), what & 0x20 ? TR_LAYER_ANY : (uint8_t)(what >> 6 & 1),
                                        what & 0x80 ? TR_LAYER_ANY : (uint8_t)(what >> 5 & 3)},
                             now);
        break;
    case 11:
        tr__receiver_learn_ssrc(receiver, what >> 4 & 1, 1u + (what >> 5), false, now);
        break;
    case 10:
        now += 1000u * MS;
        break;
    default:
        now += what * MS;
        break;
    }
}

static void report(tr_cursor *c, uint8_t op)
{
    tr_rtcp_sr sr = {.ssrc = 1, .rtp_ts = tr__take32(c), .ntp = tr__take64(c)};
    tr_rtcp_report block = {.ssrc = 5000u + (op >> 3 & 1), .last_sr = sr.rtp_ts, .delay_since_sr = (uint32_t)sr.ntp};
    tr__receiver_on_sr(receiver, op >> 4 & 1, &sr, now, tr__ntp_from_us(now));
    tr__sender_on_report(senders[op >> 3 & 1], &block, now, tr__ntp_from_us(now));
}

static void feedback(uint8_t room)
{
    uint8_t data[256];
    tr_pen pen = tr__pen(data, room);
    bool written = tr__receiver_put_feedback(receiver, &pen, 1, now);
    if (!tr__pen_ok(&pen) || written != (tr__pen_size(&pen) > 0)) abort();
    if (written && tr__rtcp_validate(data, tr__pen_size(&pen)) != TR_DROP_NONE) abort();
    tr_rtcp_report blocks[2];
    tr__receiver_reports(receiver, blocks, 2, now);
    for (int i = 0; i < SENDERS; i++) {
        pen = tr__pen(data, room);
        tr__sender_on_tick(senders[i], now);
        if (tr__sender_report_at(senders[i]) <= now) tr__sender_put_report(senders[i], &pen, now, tr__ntp_from_us(now));
        if (!tr__pen_ok(&pen)) abort();
        tr_sender_stats stats;
        tr__sender_stats(senders[i], now, &stats);
        tr_receiver_stats receiver_stats;
        tr__receiver_stats(receiver, i, now, &receiver_stats);
        tr__receiver_layer_stats(receiver, i, now, &receiver_stats);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    tr_cursor c = tr__cursor(input, size);
    begin();
    while (tr__cursor_left(&c)) {
        uint8_t op = tr__take8(&c), data[256];
        switch (op & 7) {
        case 0:
        case 1:
        case 2:
            feed_made(&c, op);
            break;
        case 3: {
            size_t want = tr__take8(&c), left = tr__cursor_left(&c);
            if (want > left) want = left;
            const uint8_t *raw = tr__take(&c, want);
            if (raw) memcpy(data, raw, want);
            feed(op >> 3 & 1, op >> 4 & 1, data, raw ? want : 0);
            break;
        }
        case 4:
            on_nack(&c, op);
            break;
        case 5:
            control(op, tr__take8(&c));
            break;
        case 6:
            report(&c, op);
            break;
        default:
            feedback(tr__take8(&c));
            break;
        }
        now += (op >> 5) * MS;
        drain();
    }
    end();
    return 0;
}
