/* forward path: it takes no lock and allocates nothing, in our code or in a library it calls.
 * malloc, its kin (support/allocations.h) and the pthread locks are interposed for the whole process and counted while
 * packets are forwarded: opened, rewritten, numbered, sealed, resent, reported, and told of by transport-wide feedback;
 * as they come, with ample room on their line, and at a pace for which they wait. */
#include <dlfcn.h>
#include <pthread.h>

#include "support/allocations.h"
#include "support/peer.h"

static unsigned long locks;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED_LOCK(name, type)                                                                                       \
    int name(type *lock)                                                                                               \
    {                                                                                                                  \
        static int (*real)(type *);                                                                                    \
        if (!real) real = (int (*)(type *))dlsym(RTLD_NEXT, #name);                                                    \
        locks += counting;                                                                                             \
        return real(lock);                                                                                             \
    }
COUNTED_LOCK(pthread_mutex_lock, pthread_mutex_t)
COUNTED_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
#endif

static void counters_count(void)
{
#ifndef CANNOT_COUNT_ALLOCATIONS
    CHECK(allocations_are_counted());
#endif
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    counting = true;
    pthread_mutex_lock(&mutex);
    counting = false;
    pthread_mutex_unlock(&mutex);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK_EQ(1, locks);
#endif
    allocations = locks = 0;
}

#define AMPLE_BPS 100000000
#define PACED_BPS 20000000 /* more than comes, but for its bursts of twenty packets */
#define BURST 20
#define BURST_US 10000

/* What b got since: it is told of in its next feedback. */
static void note_arrivals(tr_twcc *theirs, const peer *b, uint64_t *noted, uint64_t now_us)
{
    static const uint8_t ids[TR_EXT_COUNT] = {[TR_EXT_TWCC] = 3};
    for (; *noted < b->got_count; ++*noted) {
        uint64_t at = *noted % 256;
        tr_rtp got;
        tr_rtp_extensions found;
        if (!b->got[at].is_rtcp && tr__rtp_parse(&got, b->got[at].data, b->got[at].size) == TR_DROP_NONE &&
            tr__rtp_find_extensions(&got, ids, &found) == TR_DROP_NONE && found.of[TR_EXT_TWCC].at)
            tr__twcc_on_packet(theirs, tr__load16(got.data + found.of[TR_EXT_TWCC].at), now_us + 20000, now_us);
    }
}

/* What becomes of packets: they leave as they come and are numbered; that, with a pacer that lets them pass; they wait
 * for it. */
typedef enum way { NUMBERED, AMPLE, PACED } way;

static void forward(int crypto, way line)
{
    bool is_paced = line == PACED;
    if (!tr__crypto_is_available(crypto)) return;
    world w;
    world_init(&w, 1, crypto);
    peer *a = world_add_peer(&w, 0x10001, 1, true), *b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    tr_add_receiver receiver = peer_receiver(1, a->transport, TR_VIDEO, 5000);
    tr_add_sender sender = peer_sender(1, b->transport, TR_VIDEO, 7000);
    sender.extensions[TR_EXT_TWCC] = 3;
    tr_bind_sender bind = peer_bind(1, 1, 120, 121);
    tr_twcc theirs;
    tr__twcc_init(&theirs);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    uint32_t bps = is_paced ? PACED_BPS : AMPLE_BPS;
    tr_set_downlink set = {b->transport, true, bps, bps, bps};
    if (line != NUMBERED) CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set));
    uint8_t packet[TR_OUTBOX_SLOT], nack[256], feedback[TR_OUTBOX_SLOT];
    uint64_t forwarded = 0, noted = b->got_count;
    for (uint64_t index = 1; index <= 20000; index++) {
        if (index % 50 == 7) continue; /* a loss: the relay asks, in vain */
        size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, index, (uint32_t)index * 90, 5000, index == 1,
                                     true, (uint16_t)index, 1000);
        size = tr__srtp_seal_rtp(a->srtp, packet, size, index);
        for (uint64_t passes = is_paced && index % BURST == 0 ? BURST_US / 1000 : 0; passes--;) {
            w.now_us += 1000;
            counting = true;
            tr__engine_on_timer(w.engine, w.now_us);
            counting = false;
            forwarded += tr__engine_outbox(w.engine)->count;
            world_deliver(&w);
            note_arrivals(&theirs, b, &noted, w.now_us);
        }
        if (!is_paced) w.now_us += 500;
        counting = true;
        tr__engine_receive(w.engine, &a->path, packet, size, w.now_us, w.now_us);
        tr__engine_on_timer(w.engine, w.now_us);
        counting = false;
        forwarded += tr__engine_outbox(w.engine)->count;
        world_deliver(&w);
        note_arrivals(&theirs, b, &noted, w.now_us);
        tr_pen told = tr__pen(feedback, 1200);
        if (tr__twcc_at(&theirs) <= w.now_us && tr__twcc_put_feedback(&theirs, &told, 1, 7000, w.now_us)) {
            size_t feedback_size = tr__srtp_seal_rtcp(b->srtp, feedback, tr__pen_size(&told));
            counting = true;
            tr__engine_receive(w.engine, &b->path, feedback, feedback_size, w.now_us, w.now_us);
            counting = false;
        }
        if (index % 100 == 0) {
            tr_rtp rtp;
            uint64_t at = (b->got_count - 1) % 256;
            if (b->got[at].is_rtcp || tr__rtp_parse(&rtp, b->got[at].data, b->got[at].size) != TR_DROP_NONE) continue;
            tr_pen pen = tr__pen(nack, 200);
            uint16_t seqs[2] = {(uint16_t)(rtp.seq - 3), (uint16_t)(rtp.seq - 2)};
            tr__rtcp_put_rr(&pen, 1, NULL, 0);
            tr__rtcp_put_nack(&pen, 1, 7000, seqs, 2);
            size_t nack_size = tr__srtp_seal_rtcp(b->srtp, nack, tr__pen_size(&pen));
            counting = true;
            tr__engine_receive(w.engine, &b->path, nack, nack_size, w.now_us, w.now_us);
            counting = false;
            world_deliver(&w);
        }
    }
    CHECK(forwarded > 19000);
    CHECK(w.tally.resent_packets > 100);
    CHECK(w.tally.nacks_tx > 100);
    const tr_transport *to = tr__engine_guess(w.engine, &b->path);
    CHECK(to && to->downlink && to->downlink->feedbacks > 50);
    /* With a pacer the first packets are among those that the line is tried by. */
    static const uint64_t least_paced[] = {0, 0, 5000}, most_paced[] = {0, 100, 20000};
    CHECK(w.tally.paced_packets >= least_paced[line] && w.tally.paced_packets <= most_paced[line]);
    CHECK_EQ(line == AMPLE, to->downlink->is_ample);
    CHECK_EQ(0, w.tally.drops[TR_DROP_PACER]);
#ifndef CANNOT_COUNT_ALLOCATIONS
    CHECK_EQ(0, allocations);
#endif
    CHECK_EQ(0, locks);
    allocations = locks = 0;
    world_dispose(&w);
}

/* Sound, a thousand packets each with copies, joined, and as it came. */
static void sound_takes_neither_with_copies_nor_joined(void)
{
    world w;
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    peer *a = world_add_peer(&w, 0x10001, 1, true), *b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a) && world_connect(&w, b));
    tr_add_receiver receiver = peer_receiver(1, a->transport, TR_AUDIO, 5000);
    tr_add_sender sender = peer_sender(1, b->transport, TR_AUDIO, 7000);
    tr_bind_sender bind = peer_bind(1, 1, 120, TR_NO_PT);
    bind.red_pt = 63;
    bind.may_join = 1;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
    static const struct {
        uint8_t count;
        uint16_t ms;
        uint64_t leave;
    } turns[] = {{2, 0, 1000}, {0, 120, 333}, {0, 0, 1000}};
    uint64_t index = 0;
    for (size_t turn = 0; turn < sizeof turns / sizeof *turns; turn++) {
        tr_set_redundancy redundancy = {.sender = 1, .count = turns[turn].count, .distances = {3, 6}};
        tr_set_packet_time time = {.sender = 1, .ms = turns[turn].ms};
        CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_REDUNDANCY, &redundancy, sizeof redundancy));
        CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_PACKET_TIME, &time, sizeof time));
        world_deliver(&w);
        uint64_t before = w.tally.tx_rtp_packets;
        for (int i = 0; i < 1000; i++) {
            uint8_t packet[TR_OUTBOX_SLOT];
            index++; /* its payload reads as Opus of 40 ms */
            size_t size = peer_write_rtp(packet, sizeof packet, PEER_OPUS_PT, index, (uint32_t)index * 1920, 5000,
                                         false, true, (uint16_t)index, 80);
            size = tr__srtp_seal_rtp(a->srtp, packet, size, index);
            w.now_us += 5000; /* faster than it is spoken, so that consent lasts */
            counting = true;
            tr__engine_receive(w.engine, &a->path, packet, size, w.now_us, w.now_us);
            tr__engine_on_timer(w.engine, w.now_us);
            counting = false;
            world_deliver(&w);
        }
        CHECK_EQ(turns[turn].leave, w.tally.tx_rtp_packets - before);
    }
#ifndef CANNOT_COUNT_ALLOCATIONS
    CHECK_EQ(0, allocations);
#endif
    CHECK_EQ(0, locks);
    allocations = locks = 0;
    world_dispose(&w);
}

static void openssl_forwards_without_lock_or_allocation(void) { forward(TR_CRYPTO_OPENSSL, NUMBERED); }
static void ipsec_mb_forwards_without_lock_or_allocation(void) { forward(TR_CRYPTO_IPSEC_MB, NUMBERED); }
static void nor_does_a_pacer_that_lets_them_pass(void) { forward(TR_CRYPTO_OPENSSL, AMPLE); }
static void nor_does_what_waits_take_or_allocate_any(void) { forward(TR_CRYPTO_OPENSSL, PACED); }

static const check_test tests[] = {
    TEST(counters_count),
    TEST(openssl_forwards_without_lock_or_allocation),
    TEST(ipsec_mb_forwards_without_lock_or_allocation),
    TEST(sound_takes_neither_with_copies_nor_joined),
    TEST(nor_does_a_pacer_that_lets_them_pass),
    TEST(nor_does_what_waits_take_or_allocate_any),
};

int main(void)
{
    allocations_interpose();
    return check_main("test_forward_path", tests, sizeof tests / sizeof *tests);
}
