/* transport: one peer connection: ICE-lite, DTLS, SRTP, and the receivers and senders on it; its RTCP is reports.c's.
 * Opens what comes in and leads it to a receiver; owns the egress its senders write to; keeps the state machine
 *
 *     new -> checked -> connected <-> disconnected        failed, closed: the end
 *
 * Pure but for what dtls.c reads. Events go into the ring it is given. Worker thread.
 * Adding a receiver or sender may allocate, and so may DTLS; no packet of media or reports does. */
#ifndef TR_TRANSPORT_H
#define TR_TRANSPORT_H

#include "dtls.h"
#include "ice.h"
#include "ladder.h"
#include "receiver.h"
#include "ring.h"
#include "strangers.h"
#include "twcc.h"

#define TR_TRANSPORT_MAX_RECEIVERS 32
#define TR_TRANSPORT_MAX_SENDERS 256
#define TR_TRANSPORT_MAX_SSRCS 64 /* of receivers: media and RTX of each encoding */

/* What all transports of a worker share. Borrowed. */
typedef struct tr_shared {
    tr_outbox *outbox;
    tr_tally *tally;
    tr_ring *events;
    tr_downlink **woken; /* list of those whose time has begun to run: their transports are to be looked at */
    const tr_crypto *crypto;
    tr_dtls_context *dtls;
    uint64_t consent_timeout_us;
    uint32_t video_history_bytes, audio_history_bytes;
    uint64_t ntp_offset_us; /* our NTP time (microseconds since 1900) less monotonic time, fixed at start */
} tr_shared;

typedef struct tr_ssrc_entry {
    uint32_t ssrc;
    uint16_t receiver; /* index in receivers[] */
    uint8_t encoding;
    bool is_rtx;
} tr_ssrc_entry;

typedef struct tr_transport {
    /* What every packet touches, side by side: see tr__transport_near. The lists from their beginning: who publishes
     * two tracks uses the first line of each. */
    const tr_shared *shared;               /* given */
    uint32_t id, index, room, participant; /* given */
    tr_srtp *srtp;                         /* owned */
    tr_twcc *twcc;                         /* owned; NULL: no receiver ever had the extension */
    tr_downlink *downlink;                 /* owned; NULL: no sender ever had the extension */
    uint64_t due_us;                       /* when on_timer wants to be called */
    uint32_t receiver_count, ssrc_count;
    uint64_t rx_packets, rx_bytes;
    tr_egress egress;
    uint8_t active[TR_TRANSPORT_MAX_RECEIVERS];         /* bit per encoding: control was told it is active */
    tr_receiver *receivers[TR_TRANSPORT_MAX_RECEIVERS]; /* owned */
    tr_ssrc_entry ssrcs[TR_TRANSPORT_MAX_SSRCS];
    /* The rest. Given: */
    uint32_t rtcp_ssrc;
    bool is_dtls_client, has_remote;
    tr_fingerprint fingerprints[TR_MAX_FINGERPRINTS];
    /* owned */
    tr_ice ice;
    tr_dtls *dtls; /* NULL until a handshake may begin */
    tr_clock clock;
    tr_sender **senders;
    uint32_t sender_count;
    tr_strangers strangers;
    tr_set_downlink downlink_set;     /* as control has it; transport TR_NONE: it was never set */
    tr_ladder *ladder;                /* owned; NULL: control never set one */
    bool are_held_untold;             /* the event that the ladder holds a sender back, or not, found its ring full */
    uint8_t extensions[TR_EXT_COUNT]; /* of all receivers together: ids are one space under BUNDLE (RFC 8843, 9) */
    /* state */
    tr_transport_state state;
    bool state_untold; /* the event found its ring full: told again from the timer */
    char reason[32];   /* why it failed */
    tr_path dtls_path; /* where the latest handshake datagram came from */
    bool has_dtls_path;
    uint64_t dtls_due_us, report_due_us, tick_due_us, consent_due_us;
    uint64_t limit_due_us; /* when the limit is told again */
    uint32_t limit_bps;    /* what the peer may send in all, 0: no limit */
    uint8_t unlimited;     /* how often it is to be told yet that there is none any more */
} tr_transport;

/* random: 64 bits of the caller's, for the RTCP SSRC. NULL: no memory. */
tr_transport *tr__transport_new(const tr_shared *shared, const tr_add_transport *params, uint32_t index,
                                uint64_t random, uint64_t now_us);
void tr__transport_free(tr_transport *transport); /* its senders are unbound by then, its receivers have none */
/* Say goodbye: an authenticated close into the outbox, if there is an association. */
void tr__transport_close(tr_transport *transport);

int tr__transport_set_remote(tr_transport *transport, const tr_set_remote *remote, uint64_t now_us);
/* ICE restart: media stays on its path until one of the new session is nominated. */
void tr__transport_restart_ice(tr_transport *transport, const tr_restart_ice *params);
/* For the downlink there is, and the one there will be. */
int tr__transport_set_downlink(tr_transport *transport, const tr_set_downlink *params, uint64_t now_us);
void tr__transport_set_admitted(tr_transport *transport, bool is_admitted, uint64_t now_us);

int tr__transport_add_receiver(tr_transport *transport, const tr_add_receiver *params, tr_receiver **out);
void tr__transport_remove_receiver(tr_transport *transport, tr_receiver *receiver, uint64_t now_us);
int tr__transport_add_sender(tr_transport *transport, const tr_add_sender *params, uint64_t random, tr_sender **out);
void tr__transport_remove_sender(tr_transport *transport, tr_sender *sender);

/* What came in on a validated path (STUN: on any). data is writable and has TR_MAX_DATAGRAM bytes at the most. */
tr_drop tr__transport_on_stun(tr_transport *transport, const tr_stun *stun, const tr_path *path, uint64_t now_us,
                              tr_ice_answer *answer);
tr_drop tr__transport_on_dtls(tr_transport *transport, const tr_path *path, const uint8_t *data, size_t size,
                              uint64_t now_us);
tr_drop tr__transport_on_rtp(tr_transport *transport, uint8_t *data, size_t size, uint64_t arrival_us, uint64_t now_us);

int tr__transport_send_data(tr_transport *transport, const uint8_t *data, size_t size);

/* The receiver's entry of an SSRC of the peer's, or NULL. */
/* Fetch what a packet of it touches. */
void tr__transport_near(const tr_transport *transport);
const tr_ssrc_entry *tr__transport_find_ssrc(const tr_transport *transport, uint32_t ssrc);
/* Now, as sender reports say it. */
static inline uint64_t tr__transport_ntp(const tr_transport *transport, uint64_t now_us)
{
    return tr__ntp_from_us(now_us + transport->shared->ntp_offset_us);
}

/* When it wants to be called next: on_timer for due_us, release for what waits for the line. */
static inline uint64_t tr__transport_at(const tr_transport *transport)
{
    uint64_t release_at = transport->downlink ? tr__downlink_release_at(transport->downlink) : UINT64_MAX;
    return transport->due_us < release_at ? transport->due_us : release_at;
}
void tr__transport_release(tr_transport *transport, uint64_t now_us);
/* Everything else that is due: feedback, reports, handshake timers, consent. Sets due_us. */
void tr__transport_on_timer(tr_transport *transport, uint64_t now_us);

void tr__transport_stats(const tr_transport *transport, uint64_t now_us, tr_transport_stats *stats);

#endif
