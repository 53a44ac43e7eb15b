/* client: one simulated peer: ICE, DTLS, SRTP, what it publishes, what it receives, and its RTCP.
 *
 *     new -> checking -> handshake -> connected <-> disconnected        failed, closed: the end
 *
 * Pure but for what dtls.c reads; datagrams go into the net it is given, events into the ring. Engine thread. Adding a
 * stream, and the first packet of an SSRC or a published stream, may allocate; other packets do not.
 * client.c: life and state. client_media.c: media in and out. client_rtcp.c: feedback and reports. */
#ifndef TL_CLIENT_H
#define TL_CLIENT_H

#include "agent.h"
#include "deadlines.h"
#include "dtls.h"
#include "inbound.h"
#include "net.h"
#include "outbound.h"
#include "ring.h"
#include "rtp.h"
#include "twcc.h"

#define TL_CLIENT_SSRCS TR_SRTP_MAX_SSRCS
#define TL_SOURCE_CHUNK 1024u /* sources are made so many at a time, and stay */

/* What all clients of an engine share. Times are those of the turn. */
typedef struct tl_shared {
    const tl_config *config;
    tl_net *net;
    tr_deadlines *deadlines; /* nanoseconds: of each peer by its id, behind them of each stream a peer may send */
    const tr_crypto *crypto;
    tr_dtls_context *dtls;
    tr_ring *events;
    uint32_t stamp; /* this engine's mark in the payloads */
    uint64_t random;
    uint64_t now_ns, now_us;      /* CLOCK_MONOTONIC */
    int64_t real_to_monotonic_ns; /* to add to a stamp of the kernel's */
    tl_source *sources[TL_MAX_STREAMS / TL_SOURCE_CHUNK];
    tl_totals totals;  /* the counters that move as packets come; the rest is filled when asked */
    tl_tally ended[3]; /* of ways that are gone, by tl_kind; 0: failures that belong to none */
    tl_histogram histograms[TL_HISTOGRAM_COUNT];
} tl_shared;

typedef struct tl_section {
    tl_receive params;
    tl_inbound *latest; /* RTX of an SSRC nobody declared belongs to it */
} tl_section;

typedef struct tl_ssrc_entry {
    uint32_t ssrc;
    uint16_t section;
    bool is_rtx;
    tl_inbound *inbound; /* owned by the entry that is not RTX */
} tl_ssrc_entry;

typedef struct tl_client {
    /* What every packet touches, side by side: see tl__client_near. */
    tl_shared *shared;
    uint32_t id, serial; /* given; serial: never used twice */
    tl_peer_state state;
    uint32_t waiting;               /* datagrams that wait their turn among handshakes; the engine's */
    tr_srtp *srtp;                  /* owned */
    tr_twcc *twcc;                  /* owned; NULL: not negotiated */
    uint32_t rtcp_ssrc, media_ssrc; /* ours in feedback; the latest that came */
    uint16_t twcc_next;
    uint8_t extensions[TR_EXT_COUNT];     /* given */
    tl_route route;                       /* owned */
    tl_outbound *outbounds[TL_MAX_SENDS]; /* owned */
    uint32_t outbound_count, ssrc_count, way_count, way_room;
    tl_ssrc_entry ssrcs[TL_CLIENT_SSRCS];
    /* The rest. Given: */
    tr_fingerprint fingerprint;
    bool is_dtls_client, wants_sending;
    uint64_t start_ns;
    /* owned */
    tl_agent agent;
    tr_dtls *dtls;
    tl_section *sections[TL_MAX_RECEIVES];
    tl_way **ways;
    /* state */
    uint64_t deadline_us; /* of the state */
    uint64_t dtls_due_us, report_due_us;
} tl_client;

/* Where the deadline of a client's nth stream is among the deadlines, and how many there are of all peers. */
static inline uint32_t tl__send_deadline(const tl_client *client, uint32_t n)
{
    return client->shared->config->max_peers + client->id * TL_MAX_SENDS + n;
}
static inline uint32_t tl__deadline_count(const tl_config *config) { return config->max_peers * (1 + TL_MAX_SENDS); }

/* ------------------------------------------------------------------ client.c */

tl_source *tl__shared_source(tl_shared *shared, uint32_t stream, bool makes); /* NULL: none, or no memory */
void tl__shared_tell(tl_shared *shared, tl_event_type type, uint32_t peer, uint16_t section, uint32_t stream,
                     uint64_t at_ns, const char *reason);

/* NULL: no memory. Takes the route's socket over, if it is one of its own, also when it fails. */
tl_client *tl__client_new(tl_shared *shared, const tl_peer *params, const tl_route *route, uint32_t serial);
/* Ends its accounts. `leave`: tl_leave. Whatever waits in the net is sent first. */
void tl__client_free(tl_client *client, int leave);
void tl__client_fail(tl_client *client, const char *reason);

void tl__client_set_remote(tl_client *client, const tl_remote *remote);
void tl__client_start(tl_client *client, uint64_t at_ns);
void tl__client_stop(tl_client *client);

/* Fetch what a datagram of it touches, level by level: itself; what that points to; what that points to. */
void tl__client_near(const tl_client *client);
void tl__client_near_more(const tl_client *client);
void tl__client_near_most(const tl_client *client);
/* And what sending of its nth stream touches, once it is near itself. */
void tl__client_near_send(const tl_client *client, uint32_t n);
void tl__client_near_send_more(const tl_client *client, uint32_t n);

/* What came from the server's address. False: it has to wait its turn among handshakes (DTLS, and media behind it);
 * on_waiting takes it then. arrival_ns is CLOCK_REALTIME. */
bool tl__client_on_datagram(tl_client *client, uint8_t *data, size_t size, uint64_t arrival_ns);
void tl__client_on_waiting(tl_client *client, uint8_t *data, size_t size, uint64_t arrival_ns);
void tl__client_on_timer(tl_client *client);
void tl__client_schedule(tl_client *client);          /* sets its deadline to what is due first */
void tl__client_send(tl_client *client, size_t size); /* what was written into the net's slot */

/* ------------------------------------------------------------------ client_media.c */

int tl__client_add_send(tl_client *client, const tl_send *params);
int tl__client_add_receive(tl_client *client, const tl_receive *params);
void tl__client_remove_receive(tl_client *client, uint32_t section);
void tl__client_on_rtp(tl_client *client, uint8_t *data, size_t size, uint64_t arrival_ns);
void tl__client_send_media(tl_client *client, uint32_t n); /* all that is due of its nth stream; sets its deadline */
void tl__client_end_ways(tl_client *client, int section);  /* -1: of all sections; they count as ended */
tl_tally tl__way_settle(const tl_way *way, const tl_shared *shared);

/* ------------------------------------------------------------------ client_rtcp.c */

void tl__client_on_rtcp(tl_client *client, uint8_t *data, size_t size);
uint64_t tl__client_rtcp_at(const tl_client *client); /* microseconds, UINT64_MAX: never */
void tl__client_rtcp_on_timer(tl_client *client);
void tl__client_send_pli(tl_client *client, tl_inbound *inbound);
void tl__client_send_bye(tl_client *client);

#endif
