/* telerelay: the border between decisions (Python) and packets (C).
 *
 * The slice between the two marks below is read by the build as the CFFI declarations: there is no second copy.
 * What crosses is flat: records with ids, no pointers. A worker is one thread of C that owns its sockets,
 * transports, streams and clock. Control posts commands into a ring, takes events out of another, and is woken by
 * an eventfd. The same rings can lie between two processes.
 *
 * Threads: every tr_worker_* call is for the control thread alone, unless it says otherwise.
 */
#ifndef TELERELAY_H
#define TELERELAY_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* What a caller gets back: 0 or more is success. Python raises the rest through dataplane.status. */
typedef enum tr_status {
    TR_OK = 0,
    TR_ERR_ARGUMENT = -1,  /* a value out of its range */
    TR_ERR_NO_MEMORY = -2, /* an allocation failed; nothing was changed */
    TR_ERR_SYSTEM = -3,    /* a system call failed; errno says which way */
    TR_ERR_NOT_FOUND = -4, /* no such transport, receiver or sender */
    TR_ERR_EXISTS = -5,    /* the id, or the local fragment, is taken */
    TR_ERR_FULL = -6,      /* a ring or a table is full: try again later */
    TR_ERR_FORBIDDEN = -7, /* across two rooms, or not admitted */
    TR_ERR_STATE = -8,     /* not in this state */
    TR_ERR_CRYPTO = -9,    /* the crypto library refused */
    TR_ERR_VERSION = -10   /* a border or a record of another version */
} tr_status;

/* Why a packet went no further. C returns it, the worker counts it, metrics carry its name: tr_drop_name. */
typedef enum tr_drop {
    TR_DROP_NONE = 0,
    /* gate: before anything is known of the sender */
    TR_DROP_SIZE,         /* empty, or larger than TR_MAX_DATAGRAM */
    TR_DROP_CLASS,        /* first byte belongs to no protocol we speak (RFC 7983) */
    TR_DROP_UNKNOWN_PATH, /* not STUN, and from an address that no check has validated */
    /* STUN (RFC 8489, RFC 8445) */
    TR_DROP_STUN_MALFORMED,
    TR_DROP_STUN_UNKNOWN_USER, /* the fragment names no transport here */
    TR_DROP_STUN_INTEGRITY,    /* MESSAGE-INTEGRITY or FINGERPRINT absent or wrong */
    TR_DROP_STUN_UNEXPECTED,   /* a response we did not ask for, an indication, another method */
    TR_DROP_STUN_RATE,         /* too many failures from one source */
    /* DTLS (RFC 6347) */
    TR_DROP_DTLS_STATE, /* no association may start now */
    TR_DROP_DTLS_MALFORMED,
    TR_DROP_DTLS_LIMIT, /* larger than an association may buffer, or too many at once */
    /* SRTP (RFC 3711, RFC 7714) */
    TR_DROP_SRTP_NO_KEYS, /* media before the handshake is finished and the fingerprint checked */
    TR_DROP_SRTP_SHORT,
    TR_DROP_SRTP_AUTH,
    TR_DROP_SRTP_REPLAY,     /* seen before, or older than the window */
    TR_DROP_SRTP_SSRC_LIMIT, /* more SSRCs than one transport may have, or too many new ones that lead nowhere */
    /* RTP and RTCP (RFC 3550) */
    TR_DROP_RTP_MALFORMED,
    TR_DROP_RTP_EXTENSION,    /* the extension block does not add up */
    TR_DROP_RTP_UNKNOWN_SSRC, /* no receiver declared it, and no MID or RID leads to one */
    TR_DROP_RTP_PAYLOAD_TYPE, /* not in the receiver's table */
    TR_DROP_RTP_DUPLICATE,    /* already forwarded (a resend that came twice) */
    TR_DROP_RTP_OLD,          /* older than any history */
    TR_DROP_RTX_MALFORMED,
    TR_DROP_RTX_UNWANTED,  /* a resend of what was not asked for; most are padding */
    TR_DROP_RED_MALFORMED, /* RFC 2198: cut short, too many blocks, or RED in RED */
    TR_DROP_RTCP_MALFORMED,
    TR_DROP_RTCP_FOREIGN, /* feedback about a stream that is not the peer's to speak of */
    /* forwarding: per receiver of media */
    TR_DROP_NOT_ADMITTED,  /* from or to a transport that waits */
    TR_DROP_NO_SUBSCRIBER, /* nobody wants it */
    TR_DROP_PAUSED,
    TR_DROP_LAYER,         /* an encoding or a layer that this sender does not forward */
    TR_DROP_WAIT_KEYFRAME, /* of no use to the decoder before the next keyframe */
    TR_DROP_CODEC,         /* the peer did not negotiate this payload type */
    TR_DROP_TOO_LARGE,     /* does not fit a datagram once rewritten */
    TR_DROP_NO_PATH,       /* no consented path to send on */
    TR_DROP_OUTBOX_FULL,
    TR_DROP_SEND_ERROR, /* the kernel refused it */
    /* feedback we will not act on */
    TR_DROP_NACK_UNKNOWN, /* asks for what was never sent, or is no longer held */
    TR_DROP_NACK_RATE,    /* asks again too soon, or over the resend budget */
    TR_DROP_PACER,        /* waited too long for the line of whom it is for, or its picture began anew */
    TR_DROP_EVENTS_FULL,  /* an event for control found its ring full */
    TR_DROP_COUNT
} tr_drop;

#define TR_BORDER_VERSION 6  /* of these records: one more with every change to them */
#define TR_MAX_DATAGRAM 1500 /* bytes taken from the network */
#define TR_MAX_FORWARD 1232  /* bytes of UDP payload that leave: 1280 (IPv6 minimum) less 48 */
#define TR_MAX_BINDS 8
#define TR_MAX_CODECS 16   /* payload types of one receiver or sender, RTX not counted */
#define TR_MAX_ENCODINGS 4 /* simulcast encodings of one receiver */
#define TR_MAX_SPATIAL 4   /* layers of one encoding that are told apart: calls have three of either kind */
#define TR_MAX_TEMPORAL 4
#define TR_LAYER_ANY 255 /* wanted: the best there is; forwarded: nothing is */
#define TR_MAX_FINGERPRINTS 4
#define TR_MAX_COPIES 2         /* of earlier packets that the relay adds to one of sound */
#define TR_MAX_COPY_DISTANCE 16 /* packets back: RED reaches 341 ms (RFC 2198, 3), which is 17 of 20 ms */
#define TR_MAX_PACKET_MS 120    /* of sound in one packet (RFC 6716, 3.4) */
#define TR_NONE 0               /* no id */
#define TR_NO_PT 255

typedef enum tr_kind { TR_AUDIO = 1, TR_VIDEO = 2 } tr_kind;

typedef enum tr_codec {
    TR_CODEC_OTHER = 0,
    TR_CODEC_OPUS,
    TR_CODEC_VP8,
    TR_CODEC_VP9,
    TR_CODEC_H264,
    TR_CODEC_AV1,
    TR_CODEC_H265,
    TR_CODEC_RED,
    TR_CODEC_COUNT
} tr_codec;

/* Header extensions the relay knows, each by the id negotiated for its URI; docs/signaling.md has the URIs. */
typedef enum tr_ext {
    TR_EXT_MID = 0,
    TR_EXT_RID,
    TR_EXT_REPAIRED_RID,
    TR_EXT_AUDIO_LEVEL,
    TR_EXT_TWCC,
    TR_EXT_ABS_SEND_TIME,
    TR_EXT_ABS_CAPTURE_TIME,
    TR_EXT_VIDEO_ORIENTATION,
    TR_EXT_PLAYOUT_DELAY,
    TR_EXT_DEPENDENCY_DESCRIPTOR,
    TR_EXT_VIDEO_LAYERS_ALLOCATION,
    TR_EXT_COUNT
} tr_ext;

/* ------------------------------------------------------------------ commands, control to worker */

typedef enum tr_command_type {
    TR_CMD_ADD_TRANSPORT = 1,
    TR_CMD_SET_REMOTE,
    TR_CMD_SET_ADMITTED,
    TR_CMD_REMOVE_TRANSPORT,
    TR_CMD_ADD_RECEIVER,
    TR_CMD_REMOVE_RECEIVER,
    TR_CMD_ADD_SENDER,
    TR_CMD_BIND_SENDER,
    TR_CMD_PAUSE_SENDER,
    TR_CMD_REMOVE_SENDER,
    TR_CMD_REQUEST_KEYFRAME,
    TR_CMD_SEND_DATA,
    TR_CMD_GET_STATS,
    TR_CMD_RESTART_ICE,
    TR_CMD_GET_INVENTORY,
    TR_CMD_GET_COUNTS,
    TR_CMD_SET_LAYER,
    TR_CMD_SET_DOWNLINK,
    TR_CMD_SET_LIMIT,
    TR_CMD_SET_REDUNDANCY,
    TR_CMD_SET_PACKET_TIME,
    TR_CMD_SET_LADDER,
    TR_CMD_GET_RATES,
    TR_CMD_GET_SEEN
} tr_command_type;

typedef struct tr_add_transport {
    uint32_t transport;   /* an id control chose: generation << 16 | index, index < max_transports */
    uint32_t room;        /* media never crosses rooms */
    uint32_t participant; /* streams of one participant share one clock offset */
    uint8_t is_admitted;
    uint8_t is_tap;       /* it has no peer: what its senders send is told to control, TR_EVENT_TAPPED */
    char local_ufrag[33]; /* 4 to 32 ice-chars, unique on the worker */
    char local_pwd[65];   /* 22 to 64 ice-chars */
} tr_add_transport;

/* New credentials of ours; the peer's follow by set_remote. */
typedef struct tr_restart_ice {
    uint32_t transport;
    char local_ufrag[33], local_pwd[65];
} tr_restart_ice;

typedef struct tr_fingerprint {
    uint8_t size; /* bytes: 32 (sha-256), 48 (sha-384), 64 (sha-512); 0: unused */
    uint8_t bytes[64];
} tr_fingerprint;

typedef struct tr_set_remote {
    uint32_t transport;
    uint8_t is_dtls_client; /* the relay opens the handshake (the peer is passive) */
    char ufrag[257], pwd[257];
    tr_fingerprint fingerprints[TR_MAX_FINGERPRINTS];
} tr_set_remote;

typedef struct tr_set_admitted {
    uint32_t transport;
    uint8_t is_admitted;
} tr_set_admitted;

typedef struct tr_codec_params {
    uint8_t pt, rtx_pt; /* rtx_pt TR_NO_PT: none */
    uint8_t codec;      /* tr_codec */
    uint8_t has_nack, has_pli, has_fir, has_twcc, has_remb;
    uint32_t clock_rate; /* Hz */
} tr_codec_params;

typedef struct tr_encoding {
    char rid[17];            /* "" where none was negotiated */
    uint32_t ssrc, rtx_ssrc; /* 0: learned from MID and RID */
} tr_encoding;

typedef struct tr_add_receiver {
    uint32_t receiver, transport;
    uint8_t kind; /* tr_kind */
    uint8_t codec_count, encoding_count;
    char mid[33];
    tr_codec_params codecs[TR_MAX_CODECS];
    tr_encoding encodings[TR_MAX_ENCODINGS]; /* best last, as RID lists from browsers are */
    uint8_t extensions[TR_EXT_COUNT];        /* negotiated id 1-255, 0: not negotiated */
} tr_add_receiver;

typedef struct tr_add_sender {
    uint32_t sender, transport;
    uint8_t kind;
    uint8_t may_pad;         /* packets of video may bear RTP padding, so that a frame's leave as one run */
    uint32_t ssrc, rtx_ssrc; /* chosen by control; rtx_ssrc 0: no RTX */
    char mid[33];
    uint8_t extensions[TR_EXT_COUNT];
    char cname[33];
} tr_add_sender;

/* What a sender forwards from now on. receiver TR_NONE: nothing. The two tables run parallel to the receiver's
 * codecs: which payload type the peer knows each of them by, TR_NO_PT: cannot take it. RED under the payload type of
 * another codec: the peer gets the primary block alone, as that codec. */
typedef struct tr_bind_sender {
    uint32_t sender, receiver;
    uint8_t pts[TR_MAX_CODECS], rtx_pts[TR_MAX_CODECS];
    /* Of sound whose payloads are Opus in the clear, which is nobody's measurement: what may be done to it once it is
     * told so. Where frames are encrypted end to end both are 0: what unwraps them takes a payload for one frame. */
    uint8_t red_pt;   /* as which the peer takes RED around that Opus, for copies of the relay's; 0: it adds none */
    uint8_t may_join; /* packets may leave as one */
} tr_bind_sender;

/* Each packet of Opus leaves with copies of earlier ones: `count` of them, so many packets back, rising, at most
 * TR_MAX_COPY_DISTANCE. Copies that are not there, or that RED cannot bear, are left out. count 0: none, as is true of
 * a sender that was told nothing. Nothing comes of it where the binding has no red_pt, and while packets are joined. */
typedef struct tr_set_redundancy {
    uint32_t sender;
    uint8_t count, distances[TR_MAX_COPIES];
} tr_set_redundancy;

/* Packets of Opus leave joined, up to so many milliseconds in one, at most TR_MAX_PACKET_MS; 0: as they come, as is
 * true of a sender that was told nothing. Nothing comes of it where the binding does not allow it. */
typedef struct tr_set_packet_time {
    uint32_t sender;
    uint16_t ms;
} tr_set_packet_time;

/* What the peer may send in all: told by REMB, where that was negotiated, at once and each second. bps 0: no limit,
 * which is told as well if there was one. */
typedef struct tr_set_limit {
    uint32_t transport;
    uint32_t bps;
} tr_set_limit;

typedef struct tr_pause_sender {
    uint32_t sender;
    uint8_t is_paused;
} tr_pause_sender;

/* What a sender forwards of its receiver: at most these, each counted from the lowest; TR_LAYER_ANY: the best there is,
 * as is true of a sender that was told nothing. A better encoding than this one is taken while no other arrives.
 * Encodings change at a keyframe of the new one, which is asked for; temporal layers go at the next frame and come
 * where a decoder can follow. A stream that shows no keyframes is not switched. */
typedef struct tr_set_layer {
    uint32_t sender;
    uint8_t encoding, spatial, temporal;
} tr_set_layer;

/* The estimate of what a transport's peer can be sent: on, with what is known of the line, or off. It is at work while
 * a sender of the transport has transport-wide numbers. Until told so it is on, between bounds of the worker's own,
 * tells nothing, and nothing is held back by it; once told that it is on it tells of itself (TR_EVENT_ESTIMATE), and
 * pictures leave at its pace. The start counts where nothing has
 * left yet, or it was off; else the bounds alone. */
typedef struct tr_set_downlink {
    uint32_t transport;
    uint8_t is_on;
    uint32_t start_bps, least_bps, most_bps; /* on the wire; 1 <= least <= start <= most; unused where it is off */
} tr_set_downlink;

#define TR_MAX_RUNGS 64

/* Taken together with those below it, it sets that sender to that layer; of a sender the uppermost rung counts. */
typedef struct tr_rung {
    uint32_t sender, cost_bps;           /* cost: of everything up to and including this rung; never less than below */
    uint8_t encoding, spatial, temporal; /* at most these; TR_LAYER_ANY: the best there is */
    uint8_t is_paused;                   /* nothing of this sender */
} tr_rung;

/* What a transport's senders get of what its line carries: rungs that the worker climbs and falls down by itself, with
 * the estimate of the downlink. A sender of which no rung is taken is held back, whatever pause_sender says; senders
 * that are on none get the best there is. It lasts until another is set; without rungs there is none. */
typedef struct tr_set_ladder {
    uint32_t transport;
    uint16_t count;
    tr_rung rungs[TR_MAX_RUNGS]; /* only the first count of them need be there */
} tr_set_ladder;

typedef struct tr_one_id {
    uint32_t id;
} tr_one_id; /* remove_*, request_keyframe (a receiver), get_stats (a transport) */
typedef struct tr_data {
    uint32_t transport;
    uint16_t size;
    uint8_t bytes[1500];
} tr_data; /* one DTLS record's worth */

typedef enum tr_inventory_kind {
    TR_INVENTORY_TRANSPORT = 1,
    TR_INVENTORY_RECEIVER,
    TR_INVENTORY_SENDER
} tr_inventory_kind;

/* What is there, for a control that was not there before: one page of one kind, from an index on. */
typedef struct tr_get_inventory {
    uint8_t kind;  /* tr_inventory_kind */
    uint32_t from; /* index: 0, then what the page before said */
} tr_get_inventory;

/* One page of what is counted of every stream, for all transports at once: from a place on. */
typedef struct tr_get_counts {
    uint32_t from; /* 0, then what the page before said */
} tr_get_counts;

/* One page of what each layer of each stream that arrives takes, for all transports at once: from a place on. */
typedef struct tr_get_rates {
    uint32_t from; /* 0, then what the page before said */
} tr_get_rates;

#define TR_MAX_SEEN_TRANSPORTS 64

/* One page of what the peers of these transports were shown: from a row on, counted over the senders of all of them in
 * this order. One that is gone has no rows, so a page after that may miss some, for once. */
typedef struct tr_get_seen {
    uint32_t from; /* 0, then what the page before said */
    uint32_t count;
    uint32_t transports[TR_MAX_SEEN_TRANSPORTS]; /* only the first count of them need be there */
} tr_get_seen;

/* ------------------------------------------------------------------ events, worker to control */

typedef enum tr_event_type {
    TR_EVENT_RESULT = 1, /* one for each command, in order */
    TR_EVENT_TRANSPORT_STATE,
    TR_EVENT_PATH,
    TR_EVENT_DATA,
    TR_EVENT_RECEIVER_ACTIVE,
    TR_EVENT_RECEIVER_IDLE,
    TR_EVENT_TRANSPORT_STATS,
    TR_EVENT_RECEIVER_STATS,
    TR_EVENT_SENDER_STATS,
    TR_EVENT_STOPPED,
    TR_EVENT_INVENTORY,     /* of a page, in order of their indexes */
    TR_EVENT_INVENTORY_END, /* of a page; its result follows */
    TR_EVENT_COUNTS,
    TR_EVENT_ESTIMATE,
    TR_EVENT_RATES,
    TR_EVENT_SENDER_HELD,
    TR_EVENT_SEEN,
    TR_EVENT_TAPPED
} tr_event_type;

typedef enum tr_transport_state {
    TR_TRANSPORT_NEW = 0,      /* no valid check yet */
    TR_TRANSPORT_CHECKED,      /* a path is validated, DTLS not finished */
    TR_TRANSPORT_CONNECTED,    /* keys are in use */
    TR_TRANSPORT_DISCONNECTED, /* consent ran out: sending pauses, a check revives it */
    TR_TRANSPORT_FAILED,       /* DTLS or fingerprint failed: a new transport is needed */
    TR_TRANSPORT_CLOSED,       /* the peer closed it by an authenticated alert */
    TR_TRANSPORT_STATE_COUNT
} tr_transport_state;

typedef struct tr_result {
    int32_t status;
    uint16_t command;
} tr_result;

typedef struct tr_transport_changed {
    uint32_t transport;
    uint8_t state;        /* tr_transport_state */
    uint8_t srtp_profile; /* RFC 5764 and 7714 number, low byte, once connected */
    char reason[32];      /* why it failed: a stable code, else "" */
} tr_transport_changed;

typedef struct tr_path_changed {
    uint32_t transport;
    char local[56], remote[56]; /* "address port": compared and never shown, to no log and no peer */
} tr_path_changed;

typedef struct tr_receiver_event {
    uint32_t receiver;
    uint8_t encoding;
    uint32_t ssrc;
} tr_receiver_event;

typedef struct tr_transport_stats {
    uint32_t transport;
    uint8_t state, is_admitted;
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t rtt_us;          /* 0: unknown */
    uint64_t last_consent_us; /* age */
} tr_transport_stats;

/* Of a layer with all it needs below it: bits of datagrams with IPv4 and UDP headers a second. */
typedef struct tr_layer_rate {
    uint32_t rate_bps; /* of the latest second */
    uint32_t peak_bps; /* what nine quarters of a second in ten stay within, of the latest five */
} tr_layer_rate;

typedef struct tr_receiver_stats {
    uint32_t receiver;
    uint8_t encoding, is_active;
    uint8_t spatial_layers, temporal_layers; /* how many of each came in the latest five seconds; 0: nothing came */
    uint32_t ssrc;
    uint64_t rx_packets, rx_bytes, keyframes;
    uint64_t lost_packets;     /* never arrived, not even as a resend */
    uint64_t repaired_packets; /* arrived as a resend */
    uint64_t nacks, plis;      /* sent upstream */
    uint64_t gaps;             /* runs of packets that did not come in their turn */
    uint32_t jitter_us, rate_bps;
    tr_layer_rate layers[TR_MAX_SPATIAL][TR_MAX_TEMPORAL]; /* of video */
} tr_receiver_stats;

typedef struct tr_sender_stats {
    uint32_t sender, receiver;
    uint32_t ssrc;
    uint64_t tx_packets, tx_bytes, resent_packets, nacks, plis; /* nacks: packets asked for, as often as they were */
    uint64_t asked, asked_runs;                                 /* each packet once; the runs of them, one at least */
    uint32_t peer_lost;                                         /* cumulative loss of the latest receiver report */
    uint8_t peer_fraction_lost;                                 /* 0-255 */
    uint32_t peer_jitter;                                       /* RTP clock */
    uint8_t encoding, spatial, temporal; /* forwarded now, the highest of each; TR_LAYER_ANY: nothing is */
} tr_sender_stats;

typedef struct tr_inventory {
    uint32_t id, transport;     /* of a transport they are the same */
    uint32_t receiver;          /* of a sender: what it forwards, TR_NONE: nothing */
    uint32_t room, participant; /* of a transport, as are those below */
    uint8_t kind;               /* tr_inventory_kind */
    uint8_t state, is_admitted, srtp_profile;
    char local_ufrag[33];
    uint8_t is_held; /* of a sender: the ladder holds it back */
} tr_inventory;

typedef struct tr_inventory_end {
    uint32_t next; /* where the next page begins, 0: there is none */
} tr_inventory_end;

/* Of one receiver, its best active encoding, or of one sender. Counters are those of the statistics above, modulo 2^32:
 * who asks every few seconds sees the differences. */
typedef struct tr_count {
    uint32_t id; /* of the receiver or sender */
    uint32_t packets, bytes;
    uint32_t lost;              /* receiver: lost_packets; sender: peer_lost */
    uint32_t resent;            /* receiver: repaired_packets; sender: resent_packets */
    uint32_t gaps;              /* receiver: gaps; sender: asked_runs */
    uint32_t asked;             /* sender only */
    uint32_t jitter_us, rtt_us; /* 0: unknown */
    uint8_t is_sender, encoding;
    uint8_t fraction_lost; /* sender only: of the latest report, 0-255 */
    uint8_t is_active;     /* receiver: packets come; sender: bound to a receiver */
} tr_count;

#define TR_MAX_COUNTS 38 /* so that a page fits one event */

typedef struct tr_counts {
    uint32_t next; /* where the next page begins, 0: there is none */
    uint32_t count;
    tr_count rows[TR_MAX_COUNTS];
} tr_counts;

/* What a transport's peer can be sent: told when it has changed by a tenth, or its mode or rung has, at most five
 * times a second, and every two seconds while media flows. */
typedef struct tr_estimate {
    uint32_t transport;
    uint32_t target_bps;   /* on the wire */
    uint32_t estimate_bps; /* what the line carries, whatever waits here and whether it is heard of just now */
    uint32_t queue_us;     /* what packets of ours wait on the line now */
    uint32_t pacer_us;     /* the longest that one waited here for its line, since it was told last; voices do not */
    uint32_t rtt_us;       /* from a packet to the feedback of it; 0: unknown */
    uint16_t loss_q16;     /* share that was lost of the latest second, of 65536, at most 65535 */
    uint8_t mode;          /* 0 the line is free, 1 its queue is drained, 2 others hold it full, 3 no feedback comes,
                              4 by receiver reports and REMB */
    uint8_t rung;          /* how many of the ladder's are taken */
} tr_estimate;

/* The ladder holds a sender back, or no longer does: told at once. */
typedef struct tr_sender_held {
    uint32_t transport, sender;
    uint8_t is_held;
} tr_sender_held;

/* A layer of an encoding that arrives, with all it needs below it; of sound there is one. */
typedef struct tr_rate {
    uint32_t receiver;
    uint8_t encoding, spatial, temporal;
    uint8_t loudness; /* of sound, of late: 0 silence to 127 (RFC 6464, turned over); 0 where it is not told */
    uint32_t rate_bps, peak_bps; /* as tr_layer_rate; of sound they are the same */
} tr_rate;

#define TR_MAX_RATES 94 /* so that a page fits one event */

typedef struct tr_rate_page {
    uint32_t next; /* where the next page begins, 0: there is none */
    uint32_t count;
    tr_rate rows[TR_MAX_RATES];
} tr_rate_page;

/* How it is known of a sender's video what is a keyframe. */
typedef enum tr_keyframes {
    TR_KEYFRAMES_UNTOLD = 0,  /* it is not: nothing of it can be read, or no keyframe has left yet */
    TR_KEYFRAMES_BY_LOOKS,    /* by headers that the bytes of a cipher might look like */
    TR_KEYFRAMES_FOR_CERTAIN, /* by a start code, or by the publisher's dependency descriptor */
} tr_keyframes;

/* What one sender's peer was sent of its track. Counters run on, modulo 2^32, whatever the sender is bound to; nothing
 * that left a second time counts in them. */
typedef struct tr_seen {
    uint32_t sender, receiver; /* receiver: what it forwards, TR_NONE: nothing */
    uint32_t packets;          /* of media */
    uint32_t frames;           /* of video: pictures of which every packet left */
    uint32_t keyed_frames;     /* of these: keyframes, and those behind a keyframe that left whole */
    uint32_t keyframes;        /* of these: keyframes */
    uint32_t reports;          /* receiver reports of the peer */
    uint16_t height;           /* of the picture forwarded now, pixels on its shorter side; 0: unknown */
    uint8_t fraction_lost;     /* of the latest report, 0-255 */
    uint8_t keyframes_told;    /* tr_keyframes */
    uint8_t is_forwarding;     /* something of the receiver is forwarded now */
    uint8_t is_video;
} tr_seen;

#define TR_MAX_SEEN 42 /* so that a page fits one event */

typedef struct tr_seen_page {
    uint32_t next; /* where the next page begins, 0: there is none */
    uint32_t count;
    tr_seen rows[TR_MAX_SEEN];
} tr_seen_page;

/* What a sender of a tap sent: one RTP packet, or one compound of RTCP, as its peer would have opened it. Media goes on
 * whether or not these are taken: while more than half of the ring waits none is told (TR_DROP_EVENTS_FULL). */
typedef struct tr_tapped {
    uint32_t transport;
    uint16_t size;
    uint8_t is_rtcp;
    uint8_t bytes[1500];
} tr_tapped;

typedef struct tr_event {
    uint16_t type;      /* tr_event_type */
    uint16_t size;      /* of body, bytes */
    uint64_t tag;       /* of the command this answers, else 0 */
    uint8_t body[1536]; /* the struct that belongs to the type */
} tr_event;

/* ------------------------------------------------------------------ worker */

typedef struct tr_worker tr_worker;

typedef struct tr_certificate {
    char cert_pem[2048], key_pem[512];
    char fingerprint[96]; /* "AB:CD:…", sha-256, as an SDP fingerprint has it */
} tr_certificate;

typedef struct tr_bind {
    char address[46];
    uint16_t port;
} tr_bind; /* port 0: the kernel chooses */

typedef struct tr_worker_config {
    uint32_t index; /* of the worker, 0-255 */
    uint32_t bind_count;
    tr_bind binds[TR_MAX_BINDS];
    uint32_t max_transports;                           /* 1-65535 */
    uint32_t video_history_bytes, audio_history_bytes; /* per stream, 4096 to 1 << 26 */
    uint32_t command_ring_bytes, event_ring_bytes;     /* powers of two */
    uint32_t socket_buffer_bytes;
    uint8_t crypto;  /* tr_crypto_kind */
    uint8_t udp_gro; /* 1: bursts of one peer are received as one message, where the kernel can */
    int32_t cpu;     /* to pin to, -1: none */
    uint64_t consent_timeout_us;
    tr_certificate certificate;
} tr_worker_config;

typedef enum tr_crypto_kind { TR_CRYPTO_AUTO = 0, TR_CRYPTO_OPENSSL, TR_CRYPTO_IPSEC_MB } tr_crypto_kind;

typedef struct tr_stats {
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes; /* datagrams of any class */
    uint64_t rx_rtp_packets, tx_rtp_packets;             /* media, resends included */
    uint64_t stun_requests, dtls_handshakes, rtcp_rx, rtcp_tx;
    uint64_t nacks_rx, nacks_tx, resent_packets, plis_rx, plis_tx;
    uint64_t receive_calls, send_calls, wakes;
    uint64_t paced_packets, paced_us; /* that waited for a subscriber's line, and how long all of them did */
    uint64_t padding_packets;         /* to try a line by; media that was sent again unasked among them */
    uint64_t transports[6];           /* by tr_transport_state */
    uint64_t receivers, senders;
    uint64_t drops[64]; /* by tr_drop */
} tr_stats;

uint32_t tr_version(void);              /* TR_BORDER_VERSION */
const char *tr_libraries(void);         /* linked versions, for the start-up report */
const char *tr_drop_name(int drop);     /* "srtp_replay"; NULL past the end */
const char *tr_status_name(int status); /* "not_found" */
int tr_crypto_available(int kind);      /* 1 or 0 */
/* Give back to the system whatever whole pages the heaps of this process hold and nobody uses: 1 where there were some,
 * 0 where not or where the C library cannot. Any thread. Whoever allocates meanwhile waits, some milliseconds where
 * hundreds of people were: media does not, a handshake of the worker's may. */
int tr_heap_trim(void);

int tr_certificate_make(tr_certificate *out); /* ECDSA P-256, self-signed, 30 days back to 1 year ahead */
int tr_certificate_load(tr_certificate *out, const char *cert_pem, const char *key_pem);

void tr_worker_config_init(tr_worker_config *config);               /* the defaults */
int tr_worker_new(const tr_worker_config *config, tr_worker **out); /* binds, starts nothing */
int tr_worker_start(tr_worker *worker);                             /* the thread runs */
int tr_worker_stop(tr_worker *worker);                              /* joins it; safe twice */
void tr_worker_free(tr_worker *worker);                             /* stops first */
int tr_worker_port(const tr_worker *worker, uint32_t bind);         /* the bound UDP port */
int tr_worker_event_fd(const tr_worker *worker);                    /* readable: events wait */
int tr_worker_post(tr_worker *worker, uint16_t type, uint64_t tag, const void *body, size_t size);
int tr_worker_take(tr_worker *worker, tr_event *event); /* 1, or 0 when there is none */
void tr_worker_stats(const tr_worker *worker, tr_stats *stats);
int64_t tr_worker_thread_cpu_ns(const tr_worker *worker); /* CPU the thread has used */

/* A worker in a process of its own. There it is started; the process that controls it attaches to the memory and the
 * two eventfds that tr_worker_fds names, which a Unix socket has passed on. An attached worker is posted to, taken from
 * and read like any other; it cannot be started or stopped, and freeing it leaves the worker running. */
int tr_worker_fds(const tr_worker *worker,
                  int *out); /* three: memory, commands wait, events wait; still the worker's */
/* New rings and eventfds, for another control than before: what was posted and not taken, and what was told and not
 * read, is gone with the old ones, and whoever holds those reaches nobody. Not while control threads use the worker. */
int tr_worker_renew(tr_worker *worker);
/* The descriptors are the worker's from then on, unless it fails: TR_ERR_VERSION where the memory is not what this
 * build would have made. */
int tr_worker_attach(int memory_fd, int command_fd, int event_fd, tr_worker **out);

/* --------------------------------------------------------------- estimator
 *
 * The send-side bandwidth estimator that a worker has one of for each transport, alone: for the simulator, which drives
 * the same compiled object. Pure: any one thread at a time; times are us and never go back. */

typedef struct tr_estimator tr_estimator;

#define TR_NO_PROBE -1
#define TR_NOT_RECEIVED -1

typedef struct tr_arrival {
    int64_t seq;         /* transport-wide, not wrapped */
    int64_t received_us; /* the receiver's clock, or TR_NOT_RECEIVED */
} tr_arrival;

typedef struct tr_probe {
    int32_t probe_id;
    uint64_t rate_bps;
    uint32_t least_bytes, least_packets;
} tr_probe;

typedef struct tr_rates {
    uint64_t target_bps;   /* what to send at most, on the wire */
    uint64_t pacing_bps;   /* how fast to let go of what is queued */
    uint64_t padding_bps;  /* to fill up to, 0: do not pad */
    uint64_t estimate_bps; /* what the line carries, whatever waits here and whether it is heard of just now */
    uint64_t queue_us;     /* standing, on the line */
} tr_rates;

/* NULL: out of memory, or not 0 < least_bps <= start_bps <= most_bps. */
tr_estimator *tr_estimator_new(uint64_t start_bps, uint64_t least_bps, uint64_t most_bps);
void tr_estimator_free(tr_estimator *estimator);
void tr_estimator_on_packet_sent(tr_estimator *estimator, int64_t now_us, int64_t seq, uint32_t size_bytes,
                                 int32_t probe_id);
/* What is not in its own history, or known already, is left out: a number counts once. */
void tr_estimator_on_feedback(tr_estimator *estimator, int64_t now_us, const tr_arrival *arrivals, size_t count);
void tr_estimator_on_time(tr_estimator *estimator, int64_t now_us, uint64_t queued_bytes);
void tr_estimator_on_demand(tr_estimator *estimator, int64_t now_us, uint64_t wanted_bps);
int tr_estimator_next_probe(tr_estimator *estimator, tr_probe *probe); /* 1, or 0 when there is none */
void tr_estimator_rates(const tr_estimator *estimator, tr_rates *rates);

/* --------------------------------------------------------------- ladder
 *
 * What one receiver gets of what its line carries, as rungs that are climbed and fallen down with the estimate; alone:
 * for the simulator, which drives the same compiled object. Pure: any one thread at a time; times are us and never go
 * back. */

typedef struct tr_ladder tr_ladder;

tr_ladder *tr_ladder_new(void); /* NULL: out of memory */
void tr_ladder_free(tr_ladder *ladder);
/* What is sent already stays where it is in the new ladder and fits. TR_ERR_ARGUMENT: too many, or costs that fall. */
int tr_ladder_set(tr_ladder *ladder, const tr_rung *rungs, uint32_t count, int64_t now_us);
/* 1: some sender's layer is another; take the changes, after a set too. */
int tr_ladder_on_estimate(tr_ladder *ladder, uint64_t estimate_bps, uint32_t queue_us, int64_t now_us);
int tr_ladder_next_change(tr_ladder *ladder, tr_rung *out); /* 1, or 0 when there is no more */
uint32_t tr_ladder_rung(const tr_ladder *ladder);           /* how many rungs are taken */
uint64_t tr_ladder_wanted_bps(const tr_ladder *ladder);     /* what the estimator is to look for */

/* cffi: end */

#endif
