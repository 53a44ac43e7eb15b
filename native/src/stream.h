/* stream: one encoding as it comes in: numbering, loss, resends, jitter, keyframe requests, clock.
 * A receiver owns its streams; senders borrow them for history, keyframes and time.
 * Pure: its memory is given at init. Worker thread. */
#ifndef TR_STREAM_H
#define TR_STREAM_H

#include "clock.h"
#include "codec.h"
#include "descriptor.h"
#include "history.h"
#include "meter.h"
#include "nack.h"
#include "red.h"
#include "rtcp.h"
#include "rtp.h"

/* One keyframe request upstream in this time for a track, the first at once: encoders answer in a frame or two, and a
 * storm of requests costs everybody picture quality. */
#define TR_KEYFRAME_INTERVAL_US 500000
/* Who has a picture and would have a larger one can wait, and the longer the more of them there are: each keyframe is
 * paid for by all who watch, and one serves all who wait for it. A second and a half leaves twenty people who come
 * within a second, and whose lines show what they carry in the second after, with one request more than the first. */
#define TR_KEYFRAME_PATIENCE_US 100000 /* for each who watches besides */
#define TR_KEYFRAME_PATIENCE_MOST_US 1000000
/* A video encoding without packets this long is inactive: the next best one is taken. */
#define TR_STREAM_IDLE_US 1000000

/* Indices start one cycle up, so that packets from before the first one would have a number too. */
#define TR_STREAM_FIRST_CYCLE 65536u

/* One opened packet on its way from a receiver to senders. Everything is borrowed for the call. */
typedef struct tr_media {
    tr_rtp rtp; /* as received, RTX already unwrapped */
    tr_rtp_extensions extensions;
    tr_codec_info info;
    tr_red red;     /* count 0: not RED */
    uint64_t index; /* unwrapped sequence number of the stream */
    uint64_t now_us;
    uint8_t encoding;    /* which stream of the receiver */
    uint8_t codec_index; /* in the receiver's codec table */
    bool is_repair;      /* arrived as a resend */
} tr_media;

typedef struct tr_stream {
    /* given */
    uint32_t ssrc, rtx_ssrc; /* 0: not known yet */
    char rid[17];
    uint32_t clock_rate; /* of the payload type last seen, Hz */
    bool has_nack, has_pli, has_fir;
    /* owned */
    tr_history history;
    tr_nack nack;
    tr_meter *meter;         /* of video; of audio NULL */
    tr_structure *structure; /* likewise: the latest that a dependency descriptor brought */
    /* numbering (RFC 3550, A.1, A.3, A.8) */
    bool is_started;
    uint8_t generation; /* counts the SSRCs it has had */
    uint64_t first_cycle, highest, first;
    uint32_t first_rollover; /* SRTP's, of the first packet */
    bool has_transit;
    uint32_t transit, jitter_q4; /* RTP clock; jitter in 1/16 */
    uint64_t received;           /* on the stream's own SSRC, each index once */
    uint64_t expected_prior, received_prior;
    int64_t expected_before; /* of earlier generations */
    /* keyframes wanted upstream */
    bool keyframe_wanted;
    bool keyframe_can_wait;     /* by none who has no picture */
    uint64_t keyframe_asked_us; /* 0: never */
    uint8_t fir_number;
    /* the latest keyframe: its first packet, and when that came */
    bool has_keyframe, has_structure; /* the latter: told by a dependency descriptor */
    bool is_opaque;                   /* of video: its latest packet could not be read, keyframes cannot be told */
    uint8_t structure_number;         /* of the latest structure; another one has another number. 0: none yet */
    uint64_t structure_index;         /* the first packet it holds for */
    uint64_t keyframe_index, keyframe_us;
    uint32_t keyframe_ts;
    /* the sender report last seen */
    bool has_sr;
    uint64_t sr_ntp, sr_arrival_us;
    uint32_t sr_rtp_ts;
    /* counters */
    uint64_t last_packet_us, rx_packets, rx_bytes, keyframes, repaired, nacks, plis, gaps;
    uint64_t rate_window_us, rate_window_bytes;
    uint32_t rate_bps;
    uint32_t loudness_q8; /* of sound: mean of late, in 1/256 */
} tr_stream;

/* What a stream keeps packets and gaps in, by its kind. It may be large, and is touched as far as it is used. */
size_t tr__stream_memory(uint8_t kind, uint32_t history_bytes); /* a multiple of 16, so that another may follow */
/* memory: of that size, zeroed, aligned for any type; borrowed. */
void tr__stream_init(tr_stream *stream, const tr_encoding *encoding, uint8_t kind, uint32_t history_bytes,
                     uint8_t *memory);
/* It goes on under another SSRC, whose numbers and timestamps have nothing to do with those before: they become indices
 * above all that were, and its resends are to be learned anew. */
void tr__stream_restart(tr_stream *stream, uint32_t ssrc);
/* A sender, or control, needs a keyframe: asked upstream now or when the interval allows, once for all who wait. */
void tr__stream_request_keyframe(tr_stream *stream, uint64_t now_us);
/* The same for a sender whose peer has a picture meanwhile, and waits for a better one. */
void tr__stream_wish_keyframe(tr_stream *stream);
bool tr__stream_is_active(const tr_stream *stream, uint64_t now_us);

/* Is one to be asked for, and is there a way to? */
static inline bool tr__stream_is_keyframe_due(const tr_stream *stream)
{
    return stream->keyframe_wanted && stream->ssrc && (stream->has_pli || stream->has_fir);
}

/* What the receiver tells of a packet it accepted. The descriptor begins a keyframe. */
void tr__stream_on_structure(tr_stream *stream, uint64_t index, const uint8_t *descriptor, size_t size);
void tr__stream_on_keyframe(tr_stream *stream, uint64_t index, uint32_t ts, uint64_t now_us);
void tr__stream_on_jitter(tr_stream *stream, uint32_t ts, uint64_t arrival_us);
void tr__stream_on_bytes(tr_stream *stream, size_t bytes, uint64_t now_us);
/* The audio level of a packet (RFC 6464): 0 to 127 below the loudest, so that 127 is silence. */
void tr__stream_on_level(tr_stream *stream, uint8_t level);
/* How loud it has been of late, 0 silence to 127. */
uint8_t tr__stream_loudness(const tr_stream *stream, uint64_t now_us);

/* The packet's dependency descriptor; false: none. */
static inline bool tr__media_descriptor(const tr_media *media, tr_descriptor *descriptor)
{
    uint16_t at = media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at;
    return at && tr__descriptor_read(descriptor, media->rtp.data + at,
                                     media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size);
}

int64_t tr__stream_expected(const tr_stream *stream);
/* A report block, and the next interval begins. False: nothing has come yet. */
bool tr__stream_report(tr_stream *stream, tr_rtcp_report *report, uint64_t now_us);

#endif
