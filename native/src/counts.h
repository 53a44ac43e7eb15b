/* counts: what is counted of every stream, in pages of small rows: for a control that looks at all calls every second
 * or few, and shall not cost them anything. Reads transports, changes nothing. Worker thread. */
#ifndef TR_COUNTS_H
#define TR_COUNTS_H

#include "transport.h"

/* The rows from a place on, transport by transport, each one's receivers before its senders. transports: by index, NULL
 * where there is none. False: there is no such place. What comes or goes between two pages may be missed, or be told
 * twice, for once. */
bool tr__counts_page(tr_transport *const *transports, uint32_t slots, uint32_t from, uint64_t now_us, tr_counts *page);
/* Bytes of the page that are used. */
size_t tr__counts_size(const tr_counts *page);

/* Likewise what each layer takes that arrives now, receiver by receiver. A layer of which nothing came has no row. */
bool tr__rates_page(tr_transport *const *transports, uint32_t slots, uint32_t from, uint64_t now_us,
                    tr_rate_page *page);
size_t tr__rates_size(const tr_rate_page *page);

/* Likewise what the peers of these transports were shown, sender by sender; NULL: one that is gone. */
void tr__seen_page(tr_transport *const *transports, uint32_t count, uint32_t from, uint64_t now_us, tr_seen_page *page);
size_t tr__seen_size(const tr_seen_page *page);

#endif
