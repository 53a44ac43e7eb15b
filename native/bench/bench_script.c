/* bench script: a fixed script of packets through an engine in memory, without sockets, threads or a clock: the same
 * work each time, for counting instructions (benchmarks/instructions.py runs it under callgrind, which collects within
 * run_script alone).
 *
 * usage: bench_script FANOUT gcm|cm ipsec-mb|openssl [downlink|ample|paced]
 * Ten rooms; every publisher sends two seconds of frames of five packets of VP8 and, between them, Opus.
 * downlink: what leaves has transport-wide numbers, and every subscriber sends feedback of them, of each third frame.
 * ample: that, and downlinks are on: the estimate is fourteen times what is sent. paced: it is a quarter more, so that
 * four packets of a frame wait. Neither tries the line: a script cannot know the numbers of what that takes.
 * Prints one line of JSON. */
#include "support/peer.h"

#define ROOMS 10
#define MAX_FANOUT 8
#define FRAMES 60
#define BURST 5
#define VIDEO_PAYLOAD 1150
#define AUDIO_PAYLOAD 80
#define PACKETS (ROOMS * FRAMES * (BURST + 2))
#define FEEDBACK_FRAMES 3
#define FEEDBACKS (ROOMS * MAX_FANOUT * FRAMES / FEEDBACK_FRAMES)
#define FRAME_US 33000
#define TWCC_ID 3
/* From a packet's arrival here to that of its feedback. */
#define LATER_US 60000
#define AMPLE_BPS 20000000
#define PACED_BPS 1850000
/* What waits still, once all has come. */
#define LAST_US 300000

typedef struct step {
    peer *from;
    uint64_t at_us;
    size_t size;
    uint8_t data[TR_OUTBOX_SLOT];
} step;

static step steps[PACKETS + FEEDBACKS];
static size_t first_step, step_count;
static world w;

void run_script(void);

static inline void take(step *s)
{
    if (s->at_us > w.now_us) {
        w.now_us = s->at_us;
        tr__engine_on_timer(w.engine, w.now_us);
    }
    tr__engine_receive(w.engine, &s->from->path, s->data, s->size, w.now_us, w.now_us);
    tr_outbox *outbox = tr__engine_outbox(w.engine);
    if (outbox->count >= 128) tr__outbox_clear(outbox);
}

/* What callgrind collects: received, forwarded, and the timers of the time that passes. */
__attribute__((noinline)) void run_script(void)
{
    for (size_t i = first_step; i < step_count; i++) take(&steps[i]);
    tr__outbox_clear(tr__engine_outbox(w.engine));
}

/* Without what the first packet to a subscriber has in its wake. */
static void try_no_line(peer *const *subscribers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        tr_downlink *downlink = tr__engine_guess(w.engine, &subscribers[i]->path)->downlink;
        tr__probes_clear(&downlink->estimator->probes);
        downlink->has_probe = false;
    }
}

static void command(uint16_t type, const void *body, size_t size)
{
    if (world_command(&w, type, body, size) == TR_OK) return;
    fprintf(stderr, "bench_script: a command was refused\n");
    exit(1);
}

static peer *connect_peer(uint32_t id, uint32_t room)
{
    peer *p = world_add_peer(&w, 0x10000 | id, room, true);
    if (world_connect(&w, p)) return p;
    fprintf(stderr, "bench_script: no connection\n");
    exit(1);
}

static void write_frame(peer *p, uint32_t ssrc, uint64_t frame, uint64_t at_us, step **to)
{
    for (uint64_t i = 0; i < BURST + 2; i++, (*to)++) {
        step *s = *to;
        bool is_audio = i >= BURST;
        uint64_t index = is_audio ? 1 + frame * 2 + i - BURST : 1 + frame * BURST + i;
        s->from = p;
        s->at_us = at_us + (is_audio ? (i - BURST) * 16000 : 0);
        s->size = peer_write_rtp(s->data, sizeof s->data, is_audio ? PEER_OPUS_PT : PEER_VP8_PT, index,
                                 (uint32_t)frame * (is_audio ? 1584 : 2970), is_audio ? ssrc + 50000 : ssrc,
                                 !is_audio && frame % 30 == 0 && i == 0, i == BURST - 1,
                                 (uint16_t)(1 + frame * (BURST + 2) + i), is_audio ? AUDIO_PAYLOAD : VIDEO_PAYLOAD);
        s->size = tr__srtp_seal_rtp(p->srtp, s->data, s->size, index);
    }
}

/* Of the frames up to this one, by somebody who has had all of them: packets of one frame come within 5 ms. */
static void write_feedback(peer *p, uint64_t frame, uint64_t at_us, step **to)
{
    step *s = (*to)++;
    tr_twcc theirs;
    tr__twcc_init(&theirs);
    for (uint64_t f = frame + 1 - FEEDBACK_FRAMES; f <= frame; f++)
        for (uint64_t i = 0; i < BURST + 2; i++) {
            uint64_t arrived_us = 1000000 + f * FRAME_US + (i < BURST ? i * 1000 : (i - BURST) * 16000 + 5000);
            tr__twcc_on_packet(&theirs, (uint16_t)(f * (BURST + 2) + i), arrived_us, arrived_us);
        }
    tr_pen pen = tr__pen(s->data, 1000);
    tr__twcc_put_feedback(&theirs, &pen, 1, 2, UINT64_MAX - 1);
    s->from = p;
    s->at_us = at_us + LATER_US;
    s->size = tr__srtp_seal_rtcp(p->srtp, s->data, tr__pen_size(&pen));
}

static int by_time(const void *a, const void *b)
{
    const step *x = a, *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

int main(int argc, char **argv)
{
    int fanout = argc == 4 || argc == 5 ? atoi(argv[1]) : 0;
    const char *mode = argc == 5 ? argv[4] : "";
    uint32_t bps = strcmp(mode, "ample") == 0 ? AMPLE_BPS : strcmp(mode, "paced") == 0 ? PACED_BPS : 0;
    bool has_downlink = bps || strcmp(mode, "downlink") == 0;
    if (fanout < 1 || fanout > MAX_FANOUT) {
        fprintf(stderr, "usage: bench_script FANOUT gcm|cm ipsec-mb|openssl [downlink|ample|paced]\n");
        return 2;
    }
    world_init(&w, 1, strcmp(argv[3], "openssl") ? TR_CRYPTO_IPSEC_MB : TR_CRYPTO_OPENSSL);
    tr__dtls_context_only(w.peer_context, strcmp(argv[2], "cm") ? TR_SRTP_AEAD_AES_128_GCM : TR_SRTP_AES128_CM_SHA1_80);
    uint32_t id = 1, sender = 1;
    peer *publishers[ROOMS], *subscribers[ROOMS * MAX_FANOUT];
    uint32_t subscriber_count = 0;
    uint32_t ssrcs[ROOMS];
    for (uint32_t room = 0; room < ROOMS; room++) {
        publishers[room] = connect_peer(id, room + 1);
        uint32_t publisher = id++;
        ssrcs[room] = 100000 + 10 * publisher;
        tr_add_receiver video = peer_receiver(0x10000 | (2 * publisher), 0x10000 | publisher, TR_VIDEO, ssrcs[room]);
        tr_add_receiver audio =
            peer_receiver(0x10000 | (2 * publisher + 1), 0x10000 | publisher, TR_AUDIO, ssrcs[room] + 50000);
        command(TR_CMD_ADD_RECEIVER, &video, sizeof video);
        command(TR_CMD_ADD_RECEIVER, &audio, sizeof audio);
        for (int k = 0; k < fanout; k++, id++) {
            subscribers[subscriber_count++] = connect_peer(id, room + 1);
            tr_set_downlink set = {0x10000 | id, true, bps, bps, bps};
            if (bps) command(TR_CMD_SET_DOWNLINK, &set, sizeof set);
            for (int kind = TR_AUDIO; kind <= TR_VIDEO; kind++, sender++) {
                tr_add_sender add = peer_sender(0x10000 | sender, 0x10000 | id, (tr_kind)kind, 2000000 + 2 * sender);
                tr_bind_sender bind =
                    peer_bind(0x10000 | sender, kind == TR_VIDEO ? video.receiver : audio.receiver, 120, 121);
                if (has_downlink) add.extensions[TR_EXT_TWCC] = TWCC_ID;
                command(TR_CMD_ADD_SENDER, &add, sizeof add);
                command(TR_CMD_BIND_SENDER, &bind, sizeof bind);
            }
        }
    }
    world_run(&w, 100000);
    step *to = steps;
    for (uint64_t frame = 0; frame < FRAMES; frame++)
        for (uint32_t room = 0; room < ROOMS; room++)
            write_frame(publishers[room], ssrcs[room], frame, w.now_us + frame * FRAME_US + room * 3000, &to);
    for (uint64_t frame = FEEDBACK_FRAMES - 1; has_downlink && frame < FRAMES; frame += FEEDBACK_FRAMES)
        for (uint32_t i = 0; i < subscriber_count; i++)
            write_feedback(subscribers[i], frame, w.now_us + frame * FRAME_US, &to);
    step_count = (size_t)(to - steps);
    qsort(steps, step_count, sizeof *steps, by_time);
    uint64_t before = w.tally.tx_rtp_packets;
    for (; bps && first_step < step_count && steps[first_step].at_us < steps[0].at_us + FRAME_US; first_step++) {
        take(&steps[first_step]);
        try_no_line(subscribers, subscriber_count);
    }
    uint64_t early = w.tally.tx_rtp_packets - before;
    run_script();
    uint64_t counted = w.tally.tx_rtp_packets - before - early;
    for (uint64_t until = w.now_us + LAST_US; bps && w.now_us < until; w.now_us += 1000) {
        tr__engine_on_timer(w.engine, w.now_us);
        tr__outbox_clear(tr__engine_outbox(w.engine));
    }
    printf("{\"fanout\": %d, \"profile\": \"%s\", \"crypto\": \"%s\", \"received\": %d, \"forwarded\": %llu}\n", fanout,
           argv[2], argv[3], PACKETS, (unsigned long long)counted);
    world_dispose(&w);
    return w.tally.tx_rtp_packets - before == (uint64_t)PACKETS * (uint64_t)fanout ? 0 : 1;
}
