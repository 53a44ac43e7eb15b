/* fuzz engine: a whole worker without sockets, fed raw datagrams, and RTP and RTCP that a valid peer sealed: what an
 * attacker with a token can send. The input is a script: one byte that says which kind and how far time moves, one of
 * size, then the bytes. */
#include "support/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static world w;
static peer *a, *b;

static void setup(void)
{
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, true);
    b = world_add_peer(&w, 0x10002, 1, true);
    if (!world_connect(&w, a) || !world_connect(&w, b)) abort();
    tr_add_receiver video = peer_receiver(1, a->transport, TR_VIDEO, 0x41414141),
                    audio = peer_receiver(2, a->transport, TR_AUDIO, 0x42424242);
    tr_add_sender to_video = peer_sender(1, b->transport, TR_VIDEO, 7000),
                  to_audio = peer_sender(2, b->transport, TR_AUDIO, 8000);
    tr_bind_sender bind_video = peer_bind(1, 1, 120, 121), bind_audio = peer_bind(2, 2, 109, TR_NO_PT);
    video.extensions[TR_EXT_RID] = 5;
    video.extensions[TR_EXT_REPAIRED_RID] = 6;
    to_video.extensions[TR_EXT_TWCC] = to_audio.extensions[TR_EXT_TWCC] = 3;
    video.encoding_count = 3;
    strcpy(video.encodings[1].rid, "h");
    strcpy(video.encodings[2].rid, "f");
    world_command(&w, TR_CMD_ADD_RECEIVER, &video, sizeof video);
    world_command(&w, TR_CMD_ADD_RECEIVER, &audio, sizeof audio);
    world_command(&w, TR_CMD_ADD_SENDER, &to_video, sizeof to_video);
    world_command(&w, TR_CMD_ADD_SENDER, &to_audio, sizeof to_audio);
    world_command(&w, TR_CMD_BIND_SENDER, &bind_video, sizeof bind_video);
    world_command(&w, TR_CMD_BIND_SENDER, &bind_audio, sizeof bind_audio);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!w.engine) setup();
    static uint64_t index = 1 << 20;
    uint8_t packet[2048];
    for (size_t at = 0; at + 2 <= size;) {
        uint8_t kind = data[at] & 7;
        w.now_us += (uint64_t)(data[at] >> 3) * 997;
        size_t n = data[at + 1];
        at += 2;
        if (n > size - at) n = size - at;
        memcpy(packet, data + at, n);
        at += n;
        peer *from = kind & 1 ? b : a;
        switch (kind >> 1) {
        case 0:
            peer_send(&w, from, packet, n);
            break;
        case 1:
            /* The sequence number follows the index, or the peer's own sealing would be refused as a replay. */
            if (n < 12) break;
            index++;
            tr__store16(packet + 2, (uint16_t)index);
            n = tr__srtp_seal_rtp(from->srtp, packet, n, index);
            if (n) peer_send(&w, from, packet, n);
            break;
        case 2:
            n = tr__srtp_seal_rtcp(from->srtp, packet, n);
            if (n) peer_send(&w, from, packet, n);
            break;
        default:
            tr__engine_on_timer(w.engine, w.now_us);
            break;
        }
        tr__outbox_clear(tr__engine_outbox(w.engine));
    }
    world_take_events(&w);
    return 0;
}
