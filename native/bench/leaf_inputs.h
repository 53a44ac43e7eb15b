/* leaf inputs: the packets the leaves are timed over: what a browser sends in a call, made by the helpers of the tests.
 * Header only, no state. */
#ifndef TR_BENCH_LEAF_INPUTS_H
#define TR_BENCH_LEAF_INPUTS_H

#include "leaves.h"
#include "stun.h"
#include "support/media.h"

#define VIDEO_SSRC 0x11223344u
#define AUDIO_SSRC 0x55667788u
#define VIDEO_PAYLOAD                                                                                                  \
    1130                 /* with a browser's extensions a packet of 1,160 bytes: what 1.5 Mbit/s splits a frame into */
#define AUDIO_PAYLOAD 80 /* 20 ms of Opus at 32 kbit/s */
#define AT(i) ((i) & (INPUTS - 1))

enum { EXT_ID_TWCC = 3, EXT_ID_MID = 4, EXT_ID_AUDIO_LEVEL = 10, EXT_ID_ABS_SEND_TIME = 2 };

/* MID, transport-wide number and abs-send-time, or the audio level in its place. */
static inline void add_browser_block(packet *p, bool is_audio, uint16_t number)
{
    uint8_t level[] = {EXT_ID_AUDIO_LEVEL << 4 | 0, 0x9c, EXT_ID_TWCC << 4 | 1, (uint8_t)(number >> 8), (uint8_t)number,
                       EXT_ID_MID << 4 | 0,         '0'};
    uint8_t time[] = {
        EXT_ID_ABS_SEND_TIME << 4 | 2, 0x12, 0x34, 0x56, EXT_ID_TWCC << 4 | 1, (uint8_t)(number >> 8), (uint8_t)number,
        EXT_ID_MID << 4 | 0,           '1'};
    if (is_audio)
        add_block(p, level, sizeof level);
    else
        add_block(p, time, sizeof time);
}

/* A packet of video, of slightly different sizes as libwebrtc splits a frame. */
static inline packet make_video(uint16_t seq)
{
    bool is_start = seq % 6 == 0;
    packet p = make_vp8(VIDEO_SSRC, seq, seq / 6 * 3000u, is_start, is_start && seq % 180 == 0, seq % 6 == 5,
                        VIDEO_PAYLOAD - (size_t)AT(seq));
    add_browser_block(&p, false, seq);
    return p;
}

static inline packet make_sound(uint16_t seq)
{
    uint8_t payload[AUDIO_PAYLOAD + INPUTS];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(seq * 31 + i);
    packet p = make_packet(AUDIO_SSRC, 111, seq, seq * 960u, false, payload, AUDIO_PAYLOAD + (size_t)AT(seq));
    add_browser_block(&p, true, seq);
    return p;
}

/* Six packets of a frame and two of sound. */
static inline packet make_media(uint16_t i) { return AT(i) < 6 ? make_video(i) : make_sound(i); }

/* A compound as browsers and the relay send them. */
static inline packet make_compound(uint16_t i)
{
    packet p;
    tr_pen pen = tr__pen(p.data, sizeof p.data);
    tr_rtcp_sr sr = {
        .ssrc = VIDEO_SSRC, .rtp_ts = i * 3000u, .packets = 1000u + i, .bytes = 1000000u + i, .ntp = (uint64_t)i << 32};
    tr_rtcp_report report = {.ssrc = AUDIO_SSRC, .fraction_lost = (uint8_t)i, .lost = i, .highest_seq = 65536u + i};
    uint16_t missing[] = {i, (uint16_t)(i + 2), (uint16_t)(i + 3), (uint16_t)(i + 40)};
    uint32_t ssrc = VIDEO_SSRC;
    switch (i % 5) {
    case 0:
        tr__rtcp_put_sr(&pen, &sr, &report, 1);
        tr__rtcp_put_sdes(&pen, VIDEO_SSRC, "0123456789abcdef");
        break;
    case 1:
        tr__rtcp_put_rr(&pen, AUDIO_SSRC, &report, 1);
        break;
    case 2:
        tr__rtcp_put_rr(&pen, AUDIO_SSRC, &report, 1);
        tr__rtcp_put_nack(&pen, AUDIO_SSRC, VIDEO_SSRC, missing, 4);
        break;
    case 3:
        tr__rtcp_put_rr(&pen, AUDIO_SSRC, &report, 1);
        tr__rtcp_put_remb(&pen, AUDIO_SSRC, 1500000, &ssrc, 1);
        break;
    default:
        tr__rtcp_put_pli(&pen, AUDIO_SSRC, VIDEO_SSRC);
    }
    p.size = tr__pen_size(&pen);
    return p;
}

/* A check of a browser that nominates. */
static inline packet make_check(uint16_t i, const char *username, const char *password)
{
    packet p;
    uint8_t transaction[TR_STUN_TRANSACTION] = {0};
    tr__store16(transaction, i);
    p.size = tr__stun_write_request(p.data, sizeof p.data, transaction, username, 1845501695, true, 77, password,
                                    strlen(password));
    return p;
}

#endif
