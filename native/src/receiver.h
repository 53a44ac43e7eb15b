/* receiver: one track as a participant publishes it: its encodings, and the senders that forward it.
 * Unwraps RTX, drops duplicates, keeps history, asks for what is missing; then the one fan-out loop.
 * Pure: two allocations make it, none follows but the list of senders when it is bound. Worker thread. */
#ifndef TR_RECEIVER_H
#define TR_RECEIVER_H

#include "sender.h"

typedef struct tr_receiver tr_receiver;

/* history_bytes: for each encoding. clock: of the participant, borrowed. NULL: no memory. */
tr_receiver *tr__receiver_new(const tr_add_receiver *params, uint32_t history_bytes, tr_clock *clock, tr_tally *tally);
void tr__receiver_free(tr_receiver *receiver); /* senders must have been unbound */

const tr_add_receiver *tr__receiver_params(const tr_receiver *receiver);
const tr_source *tr__receiver_source(const tr_receiver *receiver);

/* Which encoding has this RID; -1: none. rid_size 0 asks for the only one. */
int tr__receiver_find_rid(const tr_receiver *receiver, const uint8_t *rid, size_t rid_size);
/* An SSRC was learned for an encoding (from MID and RID on an authenticated packet, never from anything less).
 * An encoding that has another one keeps it while that is heard; after TR_STREAM_IDLE_US of silence, or its BYE, the
 * new one takes its place and its RTX is forgotten. False: it has another one. */
bool tr__receiver_learn_ssrc(tr_receiver *receiver, int encoding, uint32_t ssrc, bool is_rtx, uint64_t now_us);
/* Does this payload type belong to the receiver's table? As media or as RTX. */
bool tr__receiver_has_pt(const tr_receiver *receiver, uint8_t pt, bool *is_rtx);

/* One opened packet of an encoding. data is writable: RTX is unwrapped in place. The drop is about the packet itself;
 * what single senders refused is counted in the tally on the way. extensions: found by the receiver's own ids, exactly
 * as a resend will find them in the history: were the two to differ, one SRTP index would protect two contents.
 * arrival_us: kernel's stamp, for jitter. */
tr_drop tr__receiver_on_rtp(tr_receiver *receiver, int encoding, bool is_rtx, uint8_t *data, const tr_rtp *rtp,
                            const tr_rtp_extensions *extensions, uint64_t arrival_us, uint64_t now_us);
void tr__receiver_on_sr(tr_receiver *receiver, int encoding, const tr_rtcp_sr *sr, uint64_t now_us, uint64_t now_ntp);
void tr__receiver_on_bye(tr_receiver *receiver, int encoding);

/* NACK and keyframe requests that are due: parts into the pen, true if any was written; and when to ask next. */
uint64_t tr__receiver_feedback_at(const tr_receiver *receiver);
bool tr__receiver_put_feedback(tr_receiver *receiver, tr_pen *pen, uint32_t sender_ssrc, uint64_t now_us);
/* Report blocks (RFC 3550, 6.4.1) for encodings that have had packets; the number written. */
size_t tr__receiver_reports(tr_receiver *receiver, tr_rtcp_report *reports, size_t max, uint64_t now_us);

/* Fetch what a packet of an encoding touches: first the receiver, then what it points to; its first sender. */
void tr__receiver_near(const tr_receiver *receiver, int encoding);
void tr__receiver_near_more(const tr_receiver *receiver, int encoding, uint16_t seq);

void tr__receiver_request_keyframe(tr_receiver *receiver, uint64_t now_us); /* the best active encoding */

/* Fan-out. add: TR_OK, TR_ERR_NO_MEMORY. A sender is bound to one receiver at a time. */
int tr__receiver_add_sender(tr_receiver *receiver, tr_sender *sender, const tr_bind_sender *bind, uint64_t now_us);
void tr__receiver_remove_sender(tr_receiver *receiver, tr_sender *sender, uint64_t now_us);
/* Any one of its senders, NULL when it has none: to unbind them all. */
tr_sender *tr__receiver_any_sender(const tr_receiver *receiver);

/* All but what it says of layers, which takes some microseconds and is filled apart. */
void tr__receiver_stats(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_receiver_stats *stats);
void tr__receiver_layer_stats(const tr_receiver *receiver, int encoding, uint64_t now_us, tr_receiver_stats *stats);

#endif
