/* telerelay_load: the border between the load tester's decisions (Python) and its peers (C).
 *
 * The slice between the two marks below is read by the build as the CFFI declarations of telerelay._load: there is no
 * second copy. An engine is one thread of C with its sockets and thousands of simulated WebRTC peers: ICE, DTLS, SRTP,
 * RTCP, media that says of each packet which one it is and when it left. Control adds peers and streams, starts them,
 * takes events, and asks for counts.
 *
 * Threads: every tl_* call is for one control thread. Commands (add, set, start, stop, remove) are posted into a ring
 * and taken in order by the engine: they return at once, and what fails later comes back as TL_EVENT_FAILED. Questions
 * (totals, legs, histogram) wait for the engine's next turn, a millisecond or so; CFFI lets go of the interpreter's
 * lock meanwhile.
 *
 * Time: "at_ns" and "now_ns" are CLOCK_MONOTONIC (Python: time.monotonic_ns()). Latency is measured on CLOCK_REALTIME,
 * from the stamp in the payload to the kernel's receive stamp, so both ends must be on this machine: they are, since
 * publisher and subscriber are peers of one engine.
 */
#ifndef TELERELAY_LOAD_H
#define TELERELAY_LOAD_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* As tr_status of telerelay.h: 0 or more is success. */
typedef enum tl_status {
    TL_OK = 0,
    TL_ERR_ARGUMENT = -1,
    TL_ERR_NO_MEMORY = -2,
    TL_ERR_SYSTEM = -3, /* errno says which way */
    TL_ERR_NOT_FOUND = -4,
    TL_ERR_EXISTS = -5,
    TL_ERR_FULL = -6, /* the command ring is full: try again in a millisecond */
    TL_ERR_STATE = -8,
    TL_ERR_CRYPTO = -9
} tl_status;

#define TL_MAX_PAYLOADS 16     /* payload types one receive section may take, RTX not counted */
#define TL_MAX_SENDS 8         /* streams one peer sends: each simulcast encoding is one */
#define TL_MAX_RECEIVES 64     /* sections one peer receives in */
#define TL_MAX_STREAMS 1048576 /* stream ids: 0 to this, each used once in an engine's life */
#define TL_BUCKETS 1408        /* of a histogram */
#define TL_NO_PT 255

typedef enum tl_kind { TL_AUDIO = 1, TL_VIDEO = 2 } tl_kind;
typedef enum tl_codec { TL_CODEC_OPUS = 1, TL_CODEC_VP8 = 2, TL_CODEC_H264 = 3 } tl_codec;

/* Header extensions, by the id negotiated for each: 0 where it was not. */
typedef enum tl_ext {
    TL_EXT_MID = 0,
    TL_EXT_RID,
    TL_EXT_REPAIRED_RID,
    TL_EXT_AUDIO_LEVEL,
    TL_EXT_TWCC,
    TL_EXT_ABS_SEND_TIME,
    TL_EXT_COUNT
} tl_ext;

typedef enum tl_sockets {
    TL_SOCKETS_PACKED = 0, /* a few sockets on 0.0.0.0; each peer has an address of its own in 127.64.0.0/10; the
                              server's must be one of this machine's */
    TL_SOCKETS_EACH = 1    /* a socket for each peer, bound to config.bind_address: for servers that are not local */
} tl_sockets;

typedef struct tl_config {
    uint64_t seed;           /* same seed, same ids, same streams: same packet sizes at the same offsets */
    uint32_t max_peers;      /* peer ids are below this; 1 to 65,536 */
    uint8_t sockets;         /* tl_sockets */
    uint8_t socket_count;    /* packed: how many share the peers, 1 to 8 */
    char bind_address[46];   /* each: "0.0.0.0", "::" or one address of ours; packed: ignored */
    uint32_t buffer_bytes;   /* of a socket; past the system's limit only with CAP_NET_ADMIN, see totals.buffer_bytes */
    uint8_t has_gso;         /* our own sends leave as GSO runs where sizes allow */
    uint8_t has_gro;         /* the kernel may hand us runs: cheaper here, and cheaper for the server as well */
    uint16_t srtp_profile;   /* 0 any; 1 AES_CM_128_HMAC_SHA1_80, 7 AEAD_AES_128_GCM, 8 AEAD_AES_256_GCM alone */
    uint32_t flight_us;      /* how long a packet not yet seen counts as in flight, then as lost: default 1,000,000 */
    uint32_t ice_timeout_us; /* no answer to a check for so long is failure: default 15,000,000 */
} tl_config;

/* ------------------------------------------------------------------ commands */

typedef struct tl_peer {
    uint32_t peer;                       /* an id of control's, below max_peers; free again after TL_EVENT_GONE */
    char local_ufrag[33], local_pwd[65]; /* 4 to 32, 22 to 64 ice-chars */
    uint8_t is_controlling;              /* offerer, or peer of a lite agent: 1 */
    uint8_t extensions[TL_EXT_COUNT];    /* ids of what the peer receives: one space under BUNDLE */
} tl_peer;

typedef struct tl_remote {
    uint32_t peer;
    char ufrag[257], pwd[257];
    char address[46]; /* of the one candidate to use */
    uint16_t port;
    uint8_t fingerprint_size; /* bytes: 32, 48 or 64 (sha-256, -384, -512) */
    uint8_t fingerprint[64];
    uint8_t is_dtls_client; /* we open the handshake (the server is passive) */
} tl_remote;

typedef enum tl_pattern {
    TL_PATTERN_BURST = 0, /* all packets of a frame at once, as cameras and encoders make them */
    TL_PATTERN_SMOOTH = 1 /* spread evenly over the frame's interval */
} tl_pattern;

typedef struct tl_send {
    uint32_t peer, stream; /* stream: an id of control's, never used before in this engine */
    uint8_t kind, codec, pattern;
    uint8_t pt, rtx_pt; /* rtx_pt TL_NO_PT: resends are the packet itself */
    uint32_t ssrc, rtx_ssrc;
    uint32_t clock_rate;   /* Hz */
    char mid[33], rid[17]; /* "" : not sent */
    uint8_t extensions[TL_EXT_COUNT];
    char cname[33];
    uint32_t bitrate_bps;          /* of payloads, mean over keyframe intervals */
    uint32_t frames_per_s_milli;   /* thousandths of a frame a second: 30,000; audio: 50,000 is a ptime of 20 ms */
    uint32_t keyframe_interval_ms; /* 0: only the first and those asked for */
    uint32_t keyframe_ratio_milli; /* a keyframe's size to a mean frame's, thousandths: 4,000 */
    uint32_t jitter_milli;         /* frame sizes vary evenly by so many thousandths to either side: 200 */
    uint16_t max_payload;          /* bytes of one packet's payload: 0 means 1,150 */
    uint16_t width, height;        /* in the keyframe's header; 0: 1280x720 */
    uint64_t group;                /* the encodings of one simulcast publication share a number other than 0 */
} tl_send;

typedef struct tl_payload {
    uint8_t pt, rtx_pt;
    uint8_t has_nack, has_pli;
    uint32_t clock_rate;
} tl_payload;

/* A section of the peer that receives. Packets find it by SSRC where one is given, then by MID, then as the first
 * section of the kind that has their payload type. SSRCs are learned then. */
typedef struct tl_receive {
    uint32_t peer, section; /* section: 0 to TL_MAX_RECEIVES - 1, control's; events and legs bear it */
    uint8_t kind, payload_count;
    uint32_t ssrc, rtx_ssrc; /* 0: learned */
    char mid[33];
    tl_payload payloads[TL_MAX_PAYLOADS];
} tl_receive;

typedef enum tl_leave {
    TL_LEAVE_CLOSE = 0, /* RTCP BYE, then an authenticated close of DTLS */
    TL_LEAVE_VANISH = 1 /* nothing more is sent, nothing is answered: a battery that died */
} tl_leave;

/* ------------------------------------------------------------------ events */

typedef enum tl_event_type {
    TL_EVENT_CONNECTED = 1, /* DTLS finished, fingerprint verified, SRTP keys in use */
    TL_EVENT_FAILED,        /* the peer is useless; reason says why; it stays until it is removed */
    TL_EVENT_CLOSED,        /* the server closed DTLS */
    TL_EVENT_GONE,          /* removed: the last event of this peer, its id is free */
    TL_EVENT_FIRST_PACKET,  /* of a leg: section, stream; at_ns is the packet's arrival */
    TL_EVENT_FIRST_FRAME,   /* of a leg: the first frame that could be decoded (video: from a keyframe on) */
    TL_EVENT_CONSENT_LOST   /* no check was answered for 30 s (RFC 7675); sending stops until one is */
} tl_event_type;

/* Reasons of TL_EVENT_FAILED: "ice_timeout", "dtls_timeout", "dtls_handshake", "fingerprint_mismatch",
 * "no_srtp_profile", "no_memory", "socket", "not_found", "exists", "argument". */
typedef struct tl_event {
    uint16_t type; /* tl_event_type */
    uint16_t section;
    uint32_t peer, stream;
    uint64_t at_ns;
    char reason[32];
} tl_event;

/* ------------------------------------------------------------------ counts */

/* What one subscriber got of one published stream. Packets are known by the counter in their payload, so the server may
 * rewrite headers as it likes. It begins with the first packet that arrives, and sent = received + lost + in_flight
 * always. `lost` may fall again while a resend is on its way. */
typedef struct tl_tally {
    uint64_t sent;     /* by the publisher since this leg's first packet; of a parked leg: up to its last one */
    uint64_t received; /* each packet once, resends included */
    uint64_t lost, in_flight;
    uint64_t duplicates;        /* packets that came again: SRTP replays and second copies of a payload, not resends */
    uint64_t resent_duplicates; /* resends of what had come already */
    uint64_t repaired;          /* of received: came as a resend */
    uint64_t reordered;         /* of received: came after one that was sent later, resends not counted (RFC 4737) */
    uint64_t stale;   /* came more than 4,096 packets late: neither new nor known as a duplicate; counted as lost */
    uint64_t skipped; /* not expected: sent while the server forwarded another encoding of the group */
    uint64_t auth_failures;      /* that bore this stream's SSRC: the tag was wrong */
    uint64_t corrupted;          /* authenticated, but not the bytes that were sent */
    uint64_t bytes;              /* payload */
    uint64_t frames, keyframes;  /* decodable: complete, and all since the last keyframe complete */
    uint64_t freezes, freeze_us; /* see docs/load.md: a gap above max(3 intervals, interval + 150 ms) */
    uint64_t nacks, plis;        /* sent by the subscriber; nacks: packets asked for */
    uint64_t latency_max_us;
} tl_tally;

typedef struct tl_leg {
    uint32_t peer, stream; /* subscriber; published stream */
    uint32_t publisher;    /* peer id of the publisher */
    uint16_t section;
    uint8_t kind, is_parked; /* parked: the section carries another stream now */
    tl_tally tally;
} tl_leg;

typedef enum tl_peer_state {
    TL_PEER_NEW = 0, /* no remote yet */
    TL_PEER_CHECKING,
    TL_PEER_HANDSHAKE,
    TL_PEER_CONNECTED,
    TL_PEER_DISCONNECTED, /* consent ran out */
    TL_PEER_FAILED,
    TL_PEER_CLOSED,
    TL_PEER_STATE_COUNT
} tl_peer_state;

typedef struct tl_totals {
    tl_tally media;        /* of all legs there were, ended ones included */
    tl_tally audio, video; /* its two parts; failures no SSRC could be found for are in `media` alone */
    uint64_t published_packets, published_bytes; /* media of first sendings */
    uint64_t rx_packets, tx_packets;             /* datagrams of any class */
    uint64_t send_messages;                      /* a message is a run of one datagram or more */
    uint64_t send_errors;       /* datagrams the kernel did not take; they count as published, so they are lost */
    uint64_t receive_overflows; /* datagrams the kernel dropped because we read too late: our loss, not the server's */
    uint64_t buffer_bytes;      /* what a socket's receive buffer really is */
    uint64_t handshake_overflows; /* datagrams that found no room behind handshakes: we were too slow. Handshakes are
                                     repeated; media behind one is lost, by our fault */
    uint64_t unknown_packets;     /* from another address than the server's, or of no class, or for a peer that left */
    uint64_t unstamped_packets;   /* media that bears no stamp of ours */
    uint64_t rtcp_rx, rtcp_tx, twcc_rx;
    uint64_t stun_failures;  /* checks and answers that were refused */
    uint64_t rtcp_failures;  /* SRTCP that did not authenticate or was malformed */
    uint64_t legs, peers[7]; /* peers by tl_peer_state */
    uint64_t cpu_ns;         /* the thread's */
    uint64_t late_p50_us, late_p99_us,
        late_max_us;      /* how late frames left, since the last reset of TL_HISTOGRAM_LATE */
    uint64_t events_lost; /* the event ring was full */
    uint64_t now_ns;      /* when this was counted */
} tl_totals;

typedef enum tl_histogram_kind {
    TL_HISTOGRAM_AUDIO = 0, /* one-way latency of first sendings, microseconds */
    TL_HISTOGRAM_VIDEO,
    TL_HISTOGRAM_RESENT, /* of what came as a resend: from the first sending */
    TL_HISTOGRAM_LATE,   /* by how much a frame left later than the plan: the generator's own fault */
    TL_HISTOGRAM_COUNT
} tl_histogram_kind;

/* Log-linear: 64 buckets to each doubling, so a value is known to 1.6 %. Values from 2^27 us on are in the last. */
typedef struct tl_histogram {
    uint64_t count, sum_us, max_us;
    uint64_t buckets[TL_BUCKETS];
} tl_histogram;

/* ------------------------------------------------------------------ engine */

typedef struct tl_engine tl_engine;

const char *tl_crypto_name(const tl_engine *engine); /* "ipsec-mb 1.3.0" */

void tl_config_init(tl_config *config);                      /* the defaults */
int tl_engine_new(const tl_config *config, tl_engine **out); /* binds, makes a certificate, starts nothing */
int tl_engine_start(tl_engine *engine);                      /* the thread runs */
int tl_engine_stop(tl_engine *engine);                       /* joins it; safe twice */
void tl_engine_free(tl_engine *engine);                      /* stops first */
int tl_engine_event_fd(const tl_engine *engine);             /* readable: events wait; not to be read by control */
int tl_engine_take(tl_engine *engine, tl_event *event);      /* 1, or 0 when there is none: the descriptor is quiet */
/* "AB:CD:..." of the engine's certificate, sha-256, as an SDP fingerprint has it; 96 bytes. */
int tl_engine_fingerprint(const tl_engine *engine, char *out);

/* The address the new peer will send from, "127.64.0.1" and the port: for the candidate in an offer. */
int tl_engine_add_peer(tl_engine *engine, const tl_peer *peer, char *address /* 46 bytes */, uint16_t *port);
int tl_engine_set_remote(tl_engine *engine, const tl_remote *remote); /* checks begin */
int tl_engine_add_send(tl_engine *engine, const tl_send *send);
int tl_engine_add_receive(tl_engine *engine, const tl_receive *receive);
int tl_engine_remove_receive(tl_engine *engine, uint32_t peer, uint32_t section);
/* Frames of all the peer's streams leave from at_ns on (at once if that is past), as soon as it is connected. */
int tl_engine_start_sending(tl_engine *engine, uint32_t peer, uint64_t at_ns);
int tl_engine_stop_sending(tl_engine *engine, uint32_t peer);
int tl_engine_remove_peer(tl_engine *engine, uint32_t peer, int leave);

int tl_engine_totals(tl_engine *engine, tl_totals *out);
/* How many were written, `max` at the most; with max 0 how many there are. */
int tl_engine_legs(tl_engine *engine, tl_leg *out, uint32_t max);
int tl_engine_histogram(tl_engine *engine, int kind, tl_histogram *out, int resets);

uint64_t tl_bucket_low(uint32_t bucket); /* the least value of a bucket, microseconds */
/* The value at `share` (0.999: of all), the upper edge of its bucket, never above the greatest; 0 of nothing. */
uint64_t tl_histogram_value(const tl_histogram *histogram, double share);

/* cffi: end */

#endif
