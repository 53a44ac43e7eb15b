/* rtp: the RTP header and its extensions, read and written (RFC 3550 section 5.1, RFC 8285).
 * Pure. Worker thread.
 *
 * A view borrows the packet's bytes: it is valid while they are, and offsets count from `data`. */
#ifndef TR_RTP_H
#define TR_RTP_H

#include "telerelay.h"
#include "wire.h"

#define TR_RTP_MAX_EXTENSIONS 32 /* elements read from one block; more is an attack, not a call */

typedef struct tr_rtp {
    const uint8_t *data;
    uint16_t size;         /* whole packet, bytes */
    uint16_t header_size;  /* fixed part, CSRCs and extension block */
    uint16_t payload_size; /* without padding */
    uint8_t padding_size, csrc_count, pt;
    bool marker, has_extension;
    uint16_t extension_profile;            /* 0xBEDE: one-byte; 0x100x: two-byte */
    uint16_t extension_at, extension_size; /* elements only, without the 4-byte block header */
    uint16_t seq;
    uint32_t ts, ssrc;
    /* Not in the packet: how often its numbers have wrapped, where SRTP has authenticated that. */
    uint32_t rollover;
    bool has_rollover;
} tr_rtp;

/* Where each known element lies, by tr_ext: at 0 means absent. */
typedef struct tr_rtp_extensions {
    struct {
        uint16_t at;
        uint8_t size;
    } of[TR_EXT_COUNT];
} tr_rtp_extensions;

/* TR_DROP_NONE, TR_DROP_RTP_MALFORMED or TR_DROP_RTP_EXTENSION; on a drop the view must not be used.
 * A packet that is all padding (probing) is legal: payload_size 0. */
tr_drop tr__rtp_parse(tr_rtp *rtp, const uint8_t *data, size_t size);

/* Fill `found` for the ids in `ids` (by tr_ext, 0: not negotiated). Unknown ids are passed over.
 * TR_DROP_RTP_EXTENSION when the elements do not add up or are more than TR_RTP_MAX_EXTENSIONS. */
tr_drop tr__rtp_find_extensions(const tr_rtp *rtp, const uint8_t ids[TR_EXT_COUNT], tr_rtp_extensions *found);

/* Writing. `tr__rtp_put_header` writes the 12 fixed bytes (no CSRC; X set if has_extension).
 * An extension block is begun, filled and ended; two_byte when an id is above 14, or an element is empty or above
 * 16 bytes. End pads with zeros to a word, and at least to `min_size` bytes of elements. */
void tr__rtp_put_header(tr_pen *pen, bool has_extension, bool marker, uint8_t pt, uint16_t seq, uint32_t ts,
                        uint32_t ssrc);

typedef struct tr_rtp_block {
    uint8_t *begin; /* of the 4-byte block header */
    bool two_byte;
} tr_rtp_block;

tr_rtp_block tr__rtp_begin_block(tr_pen *pen, bool two_byte);
void tr__rtp_put_element(tr_pen *pen, const tr_rtp_block *block, uint8_t id, const void *data, uint8_t size);
void tr__rtp_end_block(tr_pen *pen, const tr_rtp_block *block, size_t min_size);

#endif
