/* source: what a sender forwards: the streams of a receiver, and how their packets are read, as they come in and again
 * out of the history.
 * Pure: borrows the receiver's tables. Worker thread. */
#ifndef TR_SOURCE_H
#define TR_SOURCE_H

#include "stream.h"

typedef struct tr_source {
    tr_stream *streams;
    uint8_t count; /* best last */
    uint8_t kind;
    uint8_t codec_count;
    const tr_codec_params *codecs;
    const uint8_t *extensions; /* TR_EXT_COUNT ids: to read what lies in the history */
    const tr_clock *clock;
} tr_source;

/* Where in the codec table; codec_count: nowhere. */
uint32_t tr__source_codec(const tr_source *source, uint8_t pt);
/* What the payload is, as far as that can be told without decoding it: fills info of video and red of RED.
 * RED_MALFORMED: cut short, or a block of a codec that is not in the table, or of RED. */
tr_drop tr__source_inspect(const tr_source *source, tr_media *media);
/* A packet of the history, inspected, as it came in but for the time of its arrival. False: it is not there. */
bool tr__source_load(const tr_source *source, uint8_t encoding, uint64_t index, tr_media *media);
/* May a decoder begin with this packet of a keyframe? Not where its parameter sets may be lost: they are not in it, and
 * of the packets of its picture before it one is missing, which is not `sent` or before that. Where none is, whoever
 * publishes sends them by other ways, or seldom. */
bool tr__source_begins(const tr_source *source, uint8_t encoding, uint64_t index, uint64_t sent);

#endif
