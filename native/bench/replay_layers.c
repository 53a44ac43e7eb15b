/* replay layers: a recording of what a publisher sent goes through a receiver and a sender, in the recording's own time
 * and with a line on either side that loses packets; what the peer has in the end comes out. For tests that decode it.
 *
 * usage: replay_layers CODEC ENCODINGS LOSS_IN_PERCENT LOSS_OUT_PERCENT SEED rtx|plain < recording > received
 * recording: records of  u64 at_us, u8 kind, u8 encoding, u16 size, bytes  (little endian), by time. kind 0: a packet
 * of payload type 96 as its publisher made it; kind 1: three bytes, the layer wanted from then on. received:  records
 * of  u64 at_us, u16 size, bytes: the packets in the order of their numbers, RTX unwrapped. What is lost on the way in
 * is resent 60 ms later; what is lost on the way out is asked for every 40 ms. Prints what became of it as one line of
 * JSON on standard error. */
#include <inttypes.h>

#include "support/sender.h"

#define DESCRIPTOR_ID 5
#define RESENT_US (60 * MS)
#define ASK_US (40 * MS)
#define TICK_US (100 * MS)
#define FIRST_OUT 0xff80 /* the outgoing numbers wrap at once */
#define MAX_TAKEN (1u << 17)
#define MAX_LATER 512

typedef struct record {
    uint64_t at_us;
    uint8_t kind, encoding;
    uint16_t size;
    uint8_t data[1600];
} record;

typedef struct taken {
    uint64_t at_us, asked_us;
    uint16_t size; /* 0: not there */
    uint8_t data[TR_OUTBOX_SLOT];
} taken;

static record next;
static taken *received; /* by index from FIRST_OUT on */
static uint64_t highest, seed, repeats, keyframes_asked;
static uint32_t loss_out;
static struct {
    uint64_t at_us;
    packet p;
    int encoding;
} later[MAX_LATER];
static size_t later_count;
static uint16_t rtx_seq[TR_MAX_ENCODINGS];

static bool is_lost(uint32_t percent) { return check_random(&seed) % 100 < percent; }

static bool read_next(void)
{
    uint8_t head[12];
    if (fread(head, 1, sizeof head, stdin) != sizeof head) return false;
    memcpy(&next.at_us, head, 8);
    next.kind = head[8];
    next.encoding = head[9];
    memcpy(&next.size, head + 10, 2);
    return next.size <= sizeof next.data && fread(next.data, 1, next.size, stdin) == next.size;
}

static void take_one(const uint8_t *data, const tr_rtp *parsed, bool is_rtx)
{
    uint16_t seq = is_rtx ? tr__load16(data + parsed->header_size) : parsed->seq;
    uint64_t index = highest ? tr__seq_unwrap(highest, seq) : seq;
    if (index > highest) highest = index;
    if (index < FIRST_OUT || index - FIRST_OUT >= MAX_TAKEN) return;
    taken *t = &received[index - FIRST_OUT];
    repeats += t->size > 0;
    if (t->size) return;
    size_t skip = is_rtx ? 2 : 0;
    *t = (taken){.at_us = now, .size = (uint16_t)(parsed->header_size + parsed->payload_size - skip)};
    memcpy(t->data, data, parsed->header_size);
    memcpy(t->data + parsed->header_size, data + parsed->header_size + skip, parsed->payload_size - skip);
    t->data[0] &= 0xdf; /* without its padding */
    tr__store16(t->data + 2, seq);
}

static void watch(void)
{
    uint64_t index;
    while (rig_take_sealed(&r, &out)) {
        if (is_lost(loss_out)) continue;
        if (tr__srtp_open_rtp(r.theirs, out.data, &out.size, &index) != TR_DROP_NONE) continue;
        if (tr__rtp_parse(&rtp, out.data, out.size) != TR_DROP_NONE) exit(2);
        take_one(out.data, &rtp, rtp.ssrc == 5001);
    }
    uint64_t from = highest > FIRST_OUT + 300 ? highest - 300 : FIRST_OUT;
    for (uint64_t i = from; highest && i < highest; i++) {
        taken *t = &received[i - FIRST_OUT];
        if (t->size || now - t->asked_us < ASK_US) continue;
        t->asked_us = now;
        uint16_t missing = (uint16_t)i;
        tr__sender_on_nack(sender, &missing, 1, now);
    }
}

static void come_in(uint32_t loss_in)
{
    packet p = {.size = next.size};
    memcpy(p.data, next.data, next.size);
    if (!is_lost(loss_in)) {
        feed(receiver, next.encoding, false, &p, now);
        return;
    }
    if (later_count == MAX_LATER) exit(3);
    later[later_count].at_us = now + RESENT_US;
    later[later_count].encoding = next.encoding;
    later[later_count++].p = make_rtx(&p, 1001 + 10 * (uint32_t)next.encoding, 97, rtx_seq[next.encoding]++);
}

static void come_late(void)
{
    for (size_t i = 0; i < later_count;) {
        if (later[i].at_us > now) {
            i++;
            continue;
        }
        feed(receiver, later[i].encoding, true, &later[i].p, now);
        later[i] = later[--later_count];
    }
}

static void read_feedback(void)
{
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    if (tr__receiver_feedback_at(receiver) > now || !tr__receiver_put_feedback(receiver, &pen, 1, now)) return;
    tr_rtcp_part part;
    for (size_t at = 0; tr__rtcp_next(data, tr__pen_size(&pen), &at, &part);)
        keyframes_asked += part.type == TR_RTCP_PSFB;
}

static uint8_t codec_of(const char *name)
{
    static const struct {
        const char *name;
        uint8_t codec;
    } codecs[] = {{"VP8", TR_CODEC_VP8}, {"VP9", TR_CODEC_VP9}, {"H264", TR_CODEC_H264}, {"AV1", TR_CODEC_AV1}};
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (strcmp(name, codecs[i].name) == 0) return codecs[i].codec;
    exit(1);
}

static void run(uint32_t loss_in)
{
    uint64_t begins_us = now, ticked_us = now, ends_us = UINT64_MAX;
    bool has_next = read_next();
    for (; now < ends_us; now += MS) {
        for (; has_next && begins_us + next.at_us <= now; has_next = read_next()) {
            if (next.kind == 0)
                come_in(loss_in);
            else
                tr__sender_set_layer(sender, (tr_layer){next.data[0], next.data[1], next.data[2]}, now);
            watch();
        }
        if (!has_next && ends_us == UINT64_MAX) ends_us = now + 1 * S;
        if (!has_next) loss_out = 0;
        come_late();
        read_feedback();
        watch();
        if (now - ticked_us < TICK_US) continue;
        tr__sender_on_tick(sender, now);
        ticked_us = now;
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) return 1;
    tr_add_receiver params = video_params((uint8_t)atoi(argv[2]));
    params.codecs[0].codec = codec_of(argv[1]);
    params.extensions[TR_EXT_DEPENDENCY_DESCRIPTOR] = DESCRIPTOR_ID;
    loss_out = (uint32_t)atoi(argv[4]);
    seed = (uint64_t)atoi(argv[5]);
    received = calloc(MAX_TAKEN, sizeof *received);
    if (!received) return 1;
    begin(&params, strcmp(argv[6], "rtx") == 0);
    tr__receiver_remove_sender(receiver, sender, now);
    tr__sender_free(sender);
    sender = tr__sender_new(&viewer, &r.egress, FIRST_OUT, RTX_FIRST, TS_OFFSET);
    bind_to(&params);
    run((uint32_t)atoi(argv[3]));
    uint64_t missing = 0;
    for (uint64_t i = 0; highest && i <= highest - FIRST_OUT; i++) {
        const taken *t = &received[i];
        missing += !t->size;
        if (!t->size) continue;
        fwrite(&t->at_us, 8, 1, stdout);
        fwrite(&t->size, 2, 1, stdout);
        fwrite(t->data, 1, t->size, stdout);
    }
    fprintf(stderr,
            "{\"packets\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"repeats\": %" PRIu64 ", \"conflicts\": %" PRIu64
            ", \"keyframes_asked\": %" PRIu64 "}\n",
            highest ? highest - FIRST_OUT + 1 : 0, missing, repeats, r.conflicts, keyframes_asked);
    end();
    free(received);
    return check__failures != 0;
}
