/* writer: one packet of a sender as it is to leave, before it is sealed: header, extensions and payload, into the slot
 * it leaves from: the one copy.
 * Every packet carries the same extension block size, so that runs of equal size can leave as one GSO message; only
 * what comes now and then (capture time, playout delay, the structure in a dependency descriptor) makes it larger, and
 * what a descriptor says besides of an upper spatial layer, alike in all packets of its frame.
 * Same packet, same heading, same bytes: nothing else has a say, or one SRTP index would protect two contents.
 * Pure: a value; borrows the sender's binding and its source. Worker thread. */
#ifndef TR_WRITER_H
#define TR_WRITER_H

#include "layers.h"
#include "sound.h"
#include "srtp.h"

/* A packet of ours before sealing: sealed it must still be a datagram. */
#define TR_MAX_PACKET (TR_MAX_DATAGRAM - TR_SRTP_MAX_OVERHEAD)

typedef struct tr_writer {
    /* given */
    uint8_t kind, mid_size;
    bool is_numbered; /* every packet bears a transport-wide number */
    bool may_pad;     /* see pad() */
    char mid[33];
    uint8_t extensions[TR_EXT_COUNT];
    /* by binding */
    bool is_two_byte;
    uint16_t block_size; /* every packet's extension elements take at least this */
    uint16_t bare_red;   /* bit per codec of the source: RED that leaves without its wrapping */
    const tr_source *source;
    const tr_bind_sender *bind;
} tr_writer;

typedef struct tr_heading {
    uint8_t pt;
    uint16_t seq;
    uint32_t ts, ssrc;
    int32_t osn; /* RTX: the number the packet had (RFC 4588, 4), else -1 */
    const tr_rewrite *rewrite;
    uint16_t number; /* transport-wide */
    tr_parts *parts; /* what the payload is made of; NULL: it leaves as it came */
} tr_heading;

void tr__writer_init(tr_writer *writer, const tr_add_sender *params, bool is_numbered);
/* Both stay where they are until the next plan. */
void tr__writer_plan(tr_writer *writer, const tr_source *source, const tr_bind_sender *bind);
/* The packet, rewritten, into the slot of TR_MAX_PACKET bytes. CSRCs and its own padding stay behind. Its size; 0: too
 * large. */
size_t tr__writer_write(const tr_writer *writer, uint8_t *slot, const tr_media *media, const tr_heading *heading);

#endif
