/* dispatch: see dispatch.h. Touches its own numbering, its egress, and of the line's downlink the transport-wide
 * numbers. Worker thread.
 *
 * Whatever could change a packet's bytes is fixed: payload types and header ids for an epoch; for a range of it
 * (tr_rewrite) the offsets of its numbers, and the layers whose late packets fill their hole without a payload. So the
 * same packet written again under the same number is the same plaintext: SRTP allows no other under one index
 * (RFC 3711, 9.1; RFC 7714, 8.2). */
#include "dispatch.h"

#include <string.h>

bool tr__dispatch_init(tr_dispatch *dispatch, const tr_add_sender *params, tr_egress *egress, uint16_t first_index,
                       uint16_t rtx_first_index)
{
    bool is_numbered = params->extensions[TR_EXT_TWCC] && egress->downlink;
    if (!tr__resends_init(&dispatch->resends, params->kind, is_numbered)) return false;
    dispatch->ssrc = params->ssrc;
    dispatch->rtx_ssrc = params->rtx_ssrc;
    dispatch->kind = params->kind;
    dispatch->egress = egress;
    dispatch->rtx_next = rtx_first_index;
    tr__writer_init(&dispatch->writer, params, is_numbered);
    tr__seqmap_init(&dispatch->map, first_index);
    return true;
}

void tr__dispatch_dispose(tr_dispatch *dispatch)
{
    tr__resends_dispose(&dispatch->resends);
    tr__sound_free(dispatch->sound);
}

void tr__dispatch_bind(tr_dispatch *dispatch, const tr_source *source, const tr_bind_sender *bind)
{
    dispatch->source = source;
    dispatch->bind = bind ? *bind : (tr_bind_sender){0};
    dispatch->first_epoch = dispatch->epoch + 1;
    if (source) tr__writer_plan(&dispatch->writer, source, &dispatch->bind);
}

bool tr__dispatch_is_bound(const tr_dispatch *dispatch, const tr_source *source, const tr_bind_sender *bind)
{
    return source && source == dispatch->source && memcmp(dispatch->bind.pts, bind->pts, source->codec_count) == 0 &&
           memcmp(dispatch->bind.rtx_pts, bind->rtx_pts, source->codec_count) == 0 &&
           dispatch->bind.red_pt == bind->red_pt && dispatch->bind.may_join == bind->may_join;
}

void tr__dispatch_begin(tr_dispatch *dispatch, uint64_t first, const tr_rewrite *rewrite)
{
    tr__seqmap_switch(&dispatch->map, ++dispatch->epoch, first, rewrite);
    dispatch->epoch_in = first;
}

static bool has_rtx(const tr_dispatch *dispatch, uint32_t codec)
{
    return dispatch->rtx_ssrc && dispatch->bind.rtx_pts[codec] != TR_NO_PT;
}

/* The transport-wide number a packet is to leave under: the next one, or, where it has left already as the bytes it is
 * to be again, what it had then. */
static uint16_t numbered(const tr_dispatch *dispatch, uint64_t out, bool is_rtx)
{
    uint16_t number;
    if (!is_rtx && tr__resends_number(&dispatch->resends, out, &number)) return number;
    return tr__downlink_number(dispatch->egress->downlink);
}

static inline uint16_t number_for(const tr_dispatch *dispatch, uint64_t out, bool is_rtx)
{
    return dispatch->resends.numbers ? numbered(dispatch, out, is_rtx) : 0;
}

/* It has left, and under that number, where it has one. */
static void note_number(tr_dispatch *dispatch, uint64_t out, bool is_rtx, uint16_t number, uint64_t bytes,
                        uint64_t now_us)
{
    uint16_t before;
    tr_downlink *downlink = dispatch->egress->downlink;
    uint32_t wire_bytes = tr__egress_wire_bytes(dispatch->egress, bytes);
    if (downlink->pacer) tr__pacer_charge(downlink->pacer, wire_bytes, now_us);
    if (!dispatch->resends.numbers) return;
    if (!is_rtx && tr__resends_number(&dispatch->resends, out, &before)) {
        tr__downlink_on_resent(downlink, number);
        return;
    }
    if (!is_rtx) tr__resends_set_number(&dispatch->resends, out, number);
    tr__downlink_on_sent(downlink, wire_bytes, now_us);
}

/* Can it still be told of a packet which layer it is of? */
static inline bool can_tell(const tr_media *media, const tr_rewrite *rewrite)
{
    return !media->rtp.payload_size || tr__layers_can_tell(rewrite, &media->info);
}

__attribute__((noinline)) static const tr_media *emptied(const tr_media *media, tr_media *empty)
{
    *empty = *media;
    empty->rtp.payload_size = 0;
    empty->red.count = 0;
    return empty;
}

/* A packet of a layer that is left out where it leaves has its number already, and so has one that came too late to
 * tell, behind a keyframe with another structure. Something must bear that number: it leaves without what it carries,
 * or the peer would ask for it for ever. The one to write; empty: room for it. */
static inline const tr_media *within_layers(const tr_media *media, const tr_rewrite *rewrite, tr_media *empty)
{
    bool is_left_out = !can_tell(media, rewrite) || tr__layers_are_above(rewrite, &media->info);
    return media->rtp.payload_size && is_left_out ? emptied(media, empty) : media;
}

/* Fills what a packet is made of, and the payload type that goes with it; false: that is not to be had. */
static bool compose(const tr_dispatch *dispatch, const tr_media *media, tr_recipe recipe, tr_heading *h,
                    tr_parts *parts)
{
    if (!recipe.joined && !recipe.distances[0]) return true;
    if (!tr__sound_parts(recipe, dispatch->source, media, parts)) return false;
    parts->pt = dispatch->bind.pts[media->codec_index];
    if (parts->copies) h->pt = dispatch->bind.red_pt;
    h->parts = parts;
    return true;
}

/* The same of what leaves for the first time; recipe: what it is made of. */
__attribute__((noinline)) static bool compose_first(const tr_dispatch *dispatch, const tr_media *media, uint8_t joined,
                                                    tr_heading *h, tr_parts *parts, tr_recipe *recipe)
{
    *recipe = (tr_recipe){.joined = joined};
    if (!joined && dispatch->bind.red_pt && !tr__sound_has_ticks(dispatch->sound))
        *recipe = tr__sound_copies(dispatch->sound, dispatch->source, media, dispatch->epoch_in);
    return compose(dispatch, media, *recipe, h, parts);
}

tr_drop tr__dispatch_send(tr_dispatch *dispatch, const tr_media *media, uint8_t joined, uint64_t now_us,
                          tr_leaving *leaving)
{
    uint64_t out = leaving->out;
    bool has_resends = has_rtx(dispatch, media->codec_index); /* of its own: these bytes leave once */
    media = within_layers(media, leaving->rewrite, &leaving->empty);
    tr_heading h = {.pt = dispatch->bind.pts[media->codec_index],
                    .seq = (uint16_t)out,
                    .ts = media->rtp.ts + leaving->rewrite->ts_offset,
                    .ssrc = dispatch->ssrc,
                    .osn = -1,
                    .rewrite = leaving->rewrite,
                    .number = number_for(dispatch, out, has_resends)};
    tr_recipe recipe;
    tr_parts parts;
    if (dispatch->sound && !compose_first(dispatch, media, joined, &h, &parts, &recipe)) return TR_DROP_RTP_OLD;
    size_t size = tr__writer_write(&dispatch->writer, leaving->slot, media, &h);
    if (!size) return TR_DROP_TOO_LARGE;
    uint64_t bytes_before = dispatch->egress->tx_bytes;
    tr_drop drop = tr__egress_seal_media(dispatch->egress, leaving->slot, size, out);
    if (drop != TR_DROP_NONE) return drop;
    uint64_t bytes = dispatch->egress->tx_bytes - bytes_before;
    leaving->media = media;
    leaving->ts = h.ts;
    leaving->payload_bytes = h.parts ? parts.size : media->rtp.payload_size;
    dispatch->tx_packets++;
    dispatch->tx_bytes += bytes;
    tr__resends_on_sent(&dispatch->resends, (uint32_t)bytes);
    if (dispatch->egress->downlink) note_number(dispatch, out, has_resends, h.number, bytes, now_us);
    if (dispatch->sound) tr__sound_note(dispatch->sound, out, recipe);
    return TR_DROP_NONE;
}

tr_drop tr__dispatch_again(tr_dispatch *dispatch, uint64_t out, bool is_asked, uint64_t now_us)
{
    uint32_t epoch;
    uint64_t in;
    const tr_rewrite *rewrite;
    tr_media media;
    if (!dispatch->source || !tr__resends_reach(&dispatch->resends, out, dispatch->map.next_out) ||
        !tr__seqmap_in(&dispatch->map, out, &epoch, &in, &rewrite) || epoch < dispatch->first_epoch ||
        !tr__source_load(dispatch->source, rewrite->encoding, in, &media) ||
        (!can_tell(&media, rewrite) && !has_rtx(dispatch, media.codec_index)) || /* one index, one content */
        dispatch->bind.pts[media.codec_index] == TR_NO_PT)
        return TR_DROP_NACK_UNKNOWN;
    tr_media empty;
    const tr_media *written = within_layers(&media, rewrite, &empty);
    uint8_t *slot;
    tr_drop drop = tr__egress_reserve_media(dispatch->egress, &slot);
    if (drop != TR_DROP_NONE) return drop;
    tr_heading h = {.pt = dispatch->bind.pts[media.codec_index],
                    .seq = (uint16_t)out,
                    .ts = media.rtp.ts + rewrite->ts_offset,
                    .ssrc = dispatch->ssrc,
                    .osn = -1,
                    .rewrite = rewrite};
    uint64_t index = out;
    bool is_rtx = has_rtx(dispatch, media.codec_index);
    if (!is_rtx && !is_asked) return TR_DROP_NACK_UNKNOWN;
    tr_recipe recipe = {0};
    tr_parts parts;
    if (dispatch->sound) {
        recipe = tr__sound_recall(dispatch->sound, out);
        if (!compose(dispatch, written, recipe, &h, &parts)) return TR_DROP_NACK_UNKNOWN;
    }
    h.number = number_for(dispatch, out, is_rtx);
    if (is_rtx) {
        index = dispatch->rtx_next;
        h.pt = dispatch->bind.rtx_pts[media.codec_index];
        h.seq = (uint16_t)index;
        h.ssrc = dispatch->rtx_ssrc;
        h.osn = (uint16_t)out;
    }
    size_t size = tr__writer_write(&dispatch->writer, slot, written, &h);
    if (!size) return TR_DROP_TOO_LARGE;
    if (is_asked &&
        !tr__resends_may(&dispatch->resends, out, size + TR_SRTP_MAX_OVERHEAD, dispatch->egress->rtt_us, now_us))
        return TR_DROP_NACK_RATE;
    uint64_t bytes_before = dispatch->egress->tx_bytes;
    drop = tr__egress_seal_media(dispatch->egress, slot, size, index);
    if (drop != TR_DROP_NONE) return drop;
    if (is_rtx) dispatch->rtx_next++;
    uint64_t bytes = dispatch->egress->tx_bytes - bytes_before;
    if (dispatch->egress->downlink) note_number(dispatch, out, is_rtx, h.number, bytes, now_us);
    if (dispatch->sound) tr__sound_note(dispatch->sound, out, recipe);
    dispatch->tx_packets++;
    dispatch->tx_bytes += bytes;
    if (!is_asked) return TR_DROP_NONE;
    tr__resends_spend(&dispatch->resends, (uint32_t)bytes);
    dispatch->resent++;
    dispatch->egress->tally->resent_packets++;
    /* libwebrtc asks once for what is of an upper spatial layer: by the lower one of the next picture it takes this one
     * for continuous, forgets what it asked for, and stands still until a keyframe if that is lost again. */
    if (media.info.spatial_layer && tr__dispatch_again(dispatch, out, false, now_us) == TR_DROP_NONE)
        tr__resends_spend(&dispatch->resends, (uint32_t)bytes);
    return TR_DROP_NONE;
}

/* ------------------------------------------------------------------ trying the line */

/* Less is padding alone: a packet of media is often twice of that, and a slow line would be tried with too much. */
#define AGAIN_BYTES 600
/* How far back: the packets of a frame or two. */
#define AGAIN_REACH 16
#define MAX_PADDING 255 /* RFC 3550, 5.1: the count is a byte */

/* Of what it has payload types for. */
static uint8_t rtx_pt(const tr_dispatch *dispatch)
{
    for (uint8_t i = 0; i < dispatch->source->codec_count; i++)
        if (dispatch->bind.rtx_pts[i] != TR_NO_PT) return dispatch->bind.rtx_pts[i];
    return TR_NO_PT;
}

bool tr__dispatch_can_pad(const tr_dispatch *dispatch)
{
    return dispatch->kind == TR_VIDEO && dispatch->rtx_ssrc && dispatch->resends.numbers && dispatch->source &&
           rtx_pt(dispatch) != TR_NO_PT;
}

static tr_drop pad_alone(tr_dispatch *dispatch, uint32_t bytes, uint32_t ts, uint64_t now_us)
{
    static const tr_rewrite as_it_is;
    uint8_t *slot;
    if (!dispatch->writer.may_pad) return TR_DROP_CODEC; /* who passes it on may lose the padding and keep its bit */
    tr_drop drop = tr__egress_reserve_media(dispatch->egress, &slot);
    if (drop != TR_DROP_NONE) return drop;
    tr_media nothing = {0};
    tr_heading h = {.pt = rtx_pt(dispatch),
                    .seq = (uint16_t)dispatch->rtx_next,
                    .ts = ts,
                    .ssrc = dispatch->rtx_ssrc,
                    .osn = -1,
                    .rewrite = &as_it_is,
                    .number = tr__downlink_number(dispatch->egress->downlink)};
    size_t size = tr__writer_write(&dispatch->writer, slot, &nothing, &h);
    if (!size) return TR_DROP_TOO_LARGE;
    uint32_t around = tr__egress_wire_bytes(dispatch->egress, size) + TR_SRTP_MAX_OVERHEAD;
    uint32_t padding = bytes > around ? bytes - around : 1;
    if (padding > MAX_PADDING) padding = MAX_PADDING;
    memset(slot + size, 0, padding);
    slot[size + padding - 1] = (uint8_t)padding;
    slot[0] |= 0x20;
    uint64_t bytes_before = dispatch->egress->tx_bytes;
    drop = tr__egress_seal_media(dispatch->egress, slot, size + padding, dispatch->rtx_next);
    if (drop != TR_DROP_NONE) return drop;
    dispatch->rtx_next++;
    uint64_t sealed = dispatch->egress->tx_bytes - bytes_before;
    note_number(dispatch, 0, true, h.number, sealed, now_us);
    dispatch->tx_packets++;
    dispatch->tx_bytes += sealed;
    return TR_DROP_NONE;
}

tr_drop tr__dispatch_pad(tr_dispatch *dispatch, uint32_t bytes, uint32_t ts, uint64_t now_us)
{
    uint64_t end = dispatch->map.next_out;
    for (int i = 0; i < 2 && bytes >= AGAIN_BYTES; i++) {
        if (dispatch->padded > end || end - dispatch->padded >= AGAIN_REACH) dispatch->padded = end;
        if (tr__dispatch_again(dispatch, --dispatch->padded, false, now_us) == TR_DROP_NONE) return TR_DROP_NONE;
        dispatch->padded = end; /* it went back further than there is anything */
    }
    return pad_alone(dispatch, bytes, ts, now_us);
}
