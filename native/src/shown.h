/* shown: what one peer was shown of a track of video, packet by packet as they leave for the first time: which pictures
 * left whole (whole.h), and how large they are (picture.h).
 * Pure: a value, no memory of its own. Worker thread. */
#ifndef TR_SHOWN_H
#define TR_SHOWN_H

#include "picture.h"
#include "stream.h"
#include "whole.h"

/* What few packets touch: to be kept apart from the rest. */
typedef struct tr_shown {
    tr_picture picture; /* as the keyframe said that the present run began with, or one since */
    tr_whole_waiting waiting;
} tr_shown;

/* Another run of pictures begins with this number and this packet. */
void tr__shown_begin(tr_shown *shown, tr_whole *whole, uint32_t number, const tr_media *first);
/* A packet left under this number for the first time, a keyframe's, or one that does not just go on
 * (tr__whole_goes_on). ts, is_last: as it left; codecs: the table that its codec is in. */
void tr__shown_on_edge(tr_shown *shown, tr_whole *whole, const tr_media *media, const tr_codec_params *codecs,
                       uint32_t number, uint32_t ts, bool is_last);

#endif
