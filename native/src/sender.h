/* sender: one track on its way to one participant: its own SSRC, numbering, clock and payload types.
 * It chooses the encoding, rewrites the header, copies once, seals and hands to the outbox; answers NACKs from the
 * source's history; keeps its own sender reports.
 * Pure: its memory is taken when it is made, none later. Worker thread.
 *
 * The payload leaves as it came but for RED, whose blocks bear the payload types of the peer, or which the peer gets
 * without its wrapping, and for the picture ids of payload descriptors in the clear (layers.h).
 * A packet is refused only when it would not fit TR_MAX_DATAGRAM sealed: publishers fill datagrams beyond
 * TR_MAX_FORWARD, and a rewritten header may be longer than theirs was. */
#ifndef TR_SENDER_H
#define TR_SENDER_H

#include "egress.h"
#include "layers.h"
#include "resends.h"
#include "source.h"

typedef struct tr_sender tr_sender;

/* first_index below 2^15 (RFC 3711, 3.3.1: a lost first packet must not desynchronise the rollover counter); ts_offset
 * random (RFC 3550, 5.1). Randomness is the caller's. NULL: no memory. */
tr_sender *tr__sender_new(const tr_add_sender *params, tr_egress *egress, uint16_t first_index,
                          uint16_t rtx_first_index, uint32_t ts_offset);
void tr__sender_free(tr_sender *sender);

/* source NULL: nothing from now on. A video sender asks for a keyframe and begins with it. */
void tr__sender_bind(tr_sender *sender, const tr_source *source, const tr_bind_sender *bind, uint64_t now_us);
void tr__sender_pause(tr_sender *sender, bool is_paused, uint64_t now_us);
/* As pausing, for lack of room on the line: either is enough, and neither ends the other. Whether it is held, and
 * whether control was told so. */
void tr__sender_hold(tr_sender *sender, bool is_held, uint64_t now_us);
bool tr__sender_is_held(const tr_sender *sender);
bool tr__sender_is_held_told(const tr_sender *sender);
void tr__sender_on_held_told(tr_sender *sender);
/* At most these, from the next frame on or from the next keyframe of another encoding, which is asked for; until then
 * what is forwarded goes on. Lasts over bindings. */
void tr__sender_set_layer(tr_sender *sender, tr_layer want, uint64_t now_us);

/* Copies of earlier packets of sound, and packets of it that leave as one: telerelay.h says of both what they are. Last
 * over bindings. TR_OK, TR_ERR_NO_MEMORY, and TR_ERR_ARGUMENT for video. */
int tr__sender_set_redundancy(tr_sender *sender, uint8_t count, const uint8_t *distances);
int tr__sender_set_packet_time(tr_sender *sender, uint16_t ms, uint64_t now_us);

/* A packet for this sender, new or late, of any encoding. Where its line has a pacer, and that says so, it waits, as a
 * reference into its history: numbers, layers and protection are given when it leaves; which encoding is forwarded is
 * decided now, and what waits of another is dropped. Voices never wait. TR_DROP_NONE: it left, or waits. Else as
 * forward, or PACER: it found no room, or what it belongs to has waited for so long that only a keyframe helps. */
tr_drop tr__sender_offer(tr_sender *sender, const tr_media *media);
/* May it send what only a line is tried by? It needs RTX, transport-wide numbers, and to have sent media. */
bool tr__sender_can_pad(const tr_sender *sender);
/* About so many bytes on the wire, under RTX: where they are many, something that left lately, or a packet without any
 * payload but padding, which receivers pass over (RFC 4588 says nothing of it; browsers send it so). */
tr_drop tr__sender_pad(tr_sender *sender, uint32_t bytes, uint64_t now_us);
/* What waited leaves now. The caller counts. */
tr_drop tr__sender_release(tr_sender *sender, const tr_pacer_ref *ref, uint64_t now_us);
/* The same without asking the pacer. TR_DROP_NONE: it is in the outbox, or held to be joined with those that follow.
 * Else PAUSED, LAYER, WAIT_KEYFRAME, CODEC, TOO_LARGE, RTP_OLD (audio from before its beginning), or what egress said.
 * The caller counts. Cheap refusals come first. */
tr_drop tr__sender_forward(tr_sender *sender, const tr_media *media);
/* An empty packet (padding that probes a line): its number closes up in the outgoing sequence. One that comes after
 * its successor has left can only fill the hole it made: it leaves as an empty packet, or the peer would ask for that
 * number for ever. */
void tr__sender_skip(tr_sender *sender, const tr_media *media);

/* Fetch what forwarding touches: the sender, then its egress, then the egress's keys. */
void tr__sender_near(const tr_sender *sender);
const tr_egress *tr__sender_egress(const tr_sender *sender);

uint32_t tr__sender_ssrc(const tr_sender *sender);
uint32_t tr__sender_rtx_ssrc(const tr_sender *sender);
uint32_t tr__sender_id(const tr_sender *sender);
uint32_t tr__sender_receiver_id(const tr_sender *sender); /* TR_NONE: unbound */
uint32_t tr__sender_clock_rate(const tr_sender *sender);  /* of what it forwarded last, Hz; 0: nothing yet */

/* Feedback of the peer about this sender's SSRCs. now_us everywhere. NACK: each packet at most once per RTT (at least
 * 10 ms), at most TR_RESENDS_MAX times, within a budget of a quarter of what was sent lately; refusals are counted in
 * the egress's tally as NACK_UNKNOWN and NACK_RATE. */
void tr__sender_on_nack(tr_sender *sender, const uint16_t *seqs, size_t count, uint64_t now_us);
void tr__sender_on_keyframe_request(tr_sender *sender, uint64_t now_us);
/* now_ntp: ours. Updates egress->rtt_us when the report answers one of our SRs. */
void tr__sender_on_report(tr_sender *sender, const tr_rtcp_report *report, uint64_t now_us, uint64_t now_ntp);

/* Sender reports: when the next is due (UINT64_MAX: nothing was sent yet), and SR + SDES into the pen. */
uint64_t tr__sender_report_at(const tr_sender *sender);
bool tr__sender_put_report(tr_sender *sender, tr_pen *pen, uint64_t now_us, uint64_t now_ntp);
/* A better encoding began, the forwarded one fell silent, or none of those wanted is heard: look again; and what is
 * held to be joined waits no longer for a publisher who fell silent. Call about every 100 ms, if it has a choice: where
 * there is one encoding, its packets themselves say what there is to know. */
bool tr__sender_has_choice(const tr_sender *sender);
void tr__sender_on_tick(tr_sender *sender, uint64_t now_us);

void tr__sender_stats(const tr_sender *sender, uint64_t now_us, tr_sender_stats *stats);
void tr__sender_seen(const tr_sender *sender, uint64_t now_us, tr_seen *seen);

#endif
