/* layers: which layers of the forwarded encoding go on to one peer, and what has to be counted anew in payload
 * descriptors where some are left out or another encoding begins: picture ids and TL0PICIDX. Of k-SVC also what is said
 * of the layers of one picture.
 * Says of each packet whether it is forwarded or left out; a sender asks, numbers and writes.
 * Down at the next picture; up where a decoder can follow: spatial layers at a keyframe, temporal ones there too, and
 * where the stream says that nothing which was left out is needed from there on.
 * Pure: a value, no memory of its own. Worker thread. */
#ifndef TR_LAYERS_H
#define TR_LAYERS_H

#include "codec.h"
#include "descriptor.h"
#include "seqmap.h"
#include "telerelay.h"

/* At most these; TR_LAYER_ANY: the best there is. */
typedef struct tr_layer {
    uint8_t encoding, spatial, temporal;
} tr_layer;

#define TR_LAYERS_ALL ((tr_layer){TR_LAYER_ANY, TR_LAYER_ANY, TR_LAYER_ANY})

/* By what the layers of an encoding are told apart. */
typedef enum tr_layers_rule {
    TR_LAYERS_UNTOLD, /* by nothing: all is forwarded */
    TR_LAYERS_VP8, /* the payload descriptor, of an encoding that began with a keyframe in the clear: it is what it */
    TR_LAYERS_VP9, /* seems to be */
    TR_LAYERS_TOLD /* the dependency descriptor and its structure: AV1, and VP8 that brings one */
} tr_layers_rule;

/* Temporal layers of VP9: TID has three bits. */
#define TR_VP9_LAYERS 8

typedef struct tr_layers {
    /* given */
    tr_layer want;
    /* now, of the encoding that is forwarded */
    uint8_t rule;
    bool closes_up;            /* its picture ids do: of VP8 in the clear */
    uint8_t spatial, temporal; /* what is above is left out, TR_LAYER_ANY: nothing is */
    bool has_left_out;
    uint16_t left_out;             /* the picture left out last, as it came */
    bool is_spatial;               /* AV1: there are, or were, several spatial layers */
    bool has_seen, has_seen_frame; /* VP9, AV1: what the newest packet was of, as it came */
    uint8_t seen_spatial;
    uint8_t alone; /* upper layers' frames in a row that had none below */
    uint16_t seen_frame;
    uint32_t seen;
    bool is_cut;                   /* something was left out because nobody could tell what it is, since a keyframe */
    bool has_ends;                 /* VP9, AV1: pictures of this publisher do end with a marker */
    bool seen_end, seen_frame_end; /* the newest packet has one; it is its frame's last */
    uint8_t seen_temporal;
    bool has_past;                /* VP9 in the clear: */
    uint8_t past_temporal;        /* of the newest picture */
    uint16_t past;                /* the newest picture, as it came */
    uint64_t past_left_out;       /* bit n: the one n before it was left out */
    uint16_t kept[TR_VP9_LAYERS]; /* before it, of a temporal layer and those below: the newest that was not */
    /* what the peer was sent last, of any encoding */
    bool has_picture, has_tl0;
    uint8_t tl0;
    uint16_t picture;
} tr_layers;

typedef enum tr_layers_verdict {
    TR_LAYERS_FORWARD,
    TR_LAYERS_CHANGE, /* forward; it and what follows is rewritten in another way */
    TR_LAYERS_OMIT    /* leave out; what follows is rewritten in another way */
} tr_layers_verdict;

void tr__layers_init(tr_layers *layers);
/* An encoding begins with this packet: fills what of the rewrite is about layers and pictures. */
void tr__layers_begin(tr_layers *layers, tr_codec codec, const tr_codec_info *info, const uint8_t *payload, size_t size,
                      tr_rewrite *rewrite);
/* Are there packets that may be left out, or another set of layers to change to, or to be looked at because they may
 * have spatial layers? Else all is forwarded unasked. */
static inline bool tr__layers_matter(const tr_layers *layers, const tr_codec_info *info)
{
    /* TR_LAYER_ANY has all bits. VP8 has no spatial layers. */
    uint8_t temporal = layers->temporal & layers->want.temporal, spatial = layers->spatial & layers->want.spatial;
    return layers->rule == TR_LAYERS_VP9 ||
           (layers->rule != TR_LAYERS_UNTOLD && (layers->is_spatial || info->is_spatial || temporal != TR_LAYER_ANY ||
                                                 (spatial != TR_LAYER_ANY && layers->rule != TR_LAYERS_VP8)));
}
/* A packet newer than all before it. structure: the stream's latest. rewrite: how the newest are written; changed where
 * the verdict says so. */
tr_layers_verdict tr__layers_next(tr_layers *layers, const tr_codec_info *info, const tr_structure *structure,
                                  tr_rewrite *rewrite);
/* May the packet be of a picture with several spatial layers, whose upper ones could be tied to the lower? */
static inline bool tr__layers_may_tie(const tr_layers *layers, const tr_codec_info *info)
{
    return layers->rule == TR_LAYERS_VP9 ? info->layers_at && info->picture_at : info->is_spatial;
}
/* How a packet stands to the newest one before it. */
typedef struct tr_follows {
    bool is_next;   /* its number is the next one */
    bool is_end;    /* it has the marker */
    bool has_frame; /* it has a dependency descriptor, with this frame number */
    uint16_t frame;
    uint32_t picture; /* its picture's number, or time */
} tr_follows;

/* The same packet, if it may be tied, before it is asked about: does the publisher send all of a picture's spatial
 * layers where the upper ones do not need the lower (k-SVC)? Fills what of the rewrite is about that, for it and all
 * that is missing before it; true: it is another than before. */
bool tr__layers_tie(tr_layers *layers, const tr_codec_info *info, const tr_follows *follows, tr_rewrite *rewrite);
/* The same packet, before that: did the picture before it come to its end without a marker, because its encoder left
 * out its uppermost layers, and is it needed by what follows? libwebrtc never takes such a picture for whole, nor what
 * refers to it, until a keyframe comes. */
bool tr__layers_are_stuck(const tr_layers *layers, const tr_codec_info *info, const tr_follows *follows,
                          const tr_rewrite *rewrite);
/* Was it left out though it is wanted, because only a keyframe can bring it back? */
static inline bool tr__layers_wait(const tr_layers *layers, const tr_codec_info *info)
{
    return layers->is_cut || (info->spatial_layer > layers->spatial && info->spatial_layer <= layers->want.spatial);
}
/* Can it be told of this packet which layer it is of, as the range it belongs to has it? Where a structure says so,
 * which may have been replaced since; a keyframe's lowest layer is told by its own. */
static inline bool tr__layers_can_tell(const tr_rewrite *rewrite, const tr_codec_info *info)
{
    return !rewrite->structure || rewrite->structure == info->structure || (info->is_keyframe && !info->spatial_layer);
}
/* Was it to be left out, where this rewrite is in force? For what comes late, whose number has its place already. */
static inline bool tr__layers_are_above(const tr_rewrite *rewrite, const tr_codec_info *info)
{
    return info->temporal_layer > rewrite->temporal || info->spatial_layer > rewrite->spatial;
}
/* A newer frame than before was sent. */
void tr__layers_on_sent(tr_layers *layers, const tr_codec_info *info, const tr_rewrite *rewrite);

static inline bool tr__layers_must_write(const tr_rewrite *rewrite, const tr_codec_info *info)
{
    return (info->picture_at && rewrite->picture_offset) || (info->tl0_at && rewrite->tl0_offset) ||
           (info->spatial_layer && rewrite->ties_layers) || (info->diff_count && rewrite->diff);
}
/* Does its dependency descriptor have to be written anew, to say that the frame needs the one below? */
static inline bool tr__layers_tie_frame(const tr_rewrite *rewrite, const tr_codec_info *info)
{
    return info->spatial_layer && rewrite->ties_layers && rewrite->structure && !info->needs_layer_below &&
           rewrite->structure == info->structure;
}
/* Is it the last packet of its picture, because what comes behind it is left out (marker: RFC 9628, 4.1; AV1 RTP
 * specification, 4.2)? */
static inline bool tr__layers_end_picture(const tr_rewrite *rewrite, const tr_codec_info *info)
{
    return info->is_frame_end && info->spatial_layer == rewrite->spatial;
}
/* Writes picture id, TL0PICIDX, D and P_DIFF of a payload that is on its way out. */
void tr__layers_write(uint8_t *payload, const tr_codec_info *info, const tr_rewrite *rewrite);

#endif
