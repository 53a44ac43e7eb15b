/* reports: the RTCP of one transport: what its peer reports and asks for, led to the receiver or sender it is about,
 * and what they have to report and ask. Touches the transport's receivers, senders and egress; allocates nothing.
 * Worker thread. */
#ifndef TR_REPORTS_H
#define TR_REPORTS_H

#include "transport.h"

/* A compound on a validated path; data is writable. */
tr_drop tr__reports_take(tr_transport *transport, uint8_t *data, size_t size, uint64_t now_us);

/* What is due of each, as far as the outbox has room; what found none stays due. */
void tr__reports_send_feedback(tr_transport *transport, uint64_t now_us);
void tr__reports_send_receiver(tr_transport *transport, uint64_t now_us);
void tr__reports_send_sender(tr_transport *transport, uint64_t now_us);
/* What the peer may send in all (tr_set_limit), by REMB: due from then on. */
void tr__reports_set_limit(tr_transport *transport, uint32_t bps, uint64_t now_us);
void tr__reports_send_limit(tr_transport *transport, uint64_t now_us);

#endif
