/* sender: see sender.h. Touches its dispatch, its timeline, and what waits for it in its line's pacer; borrows the
 * source's streams. Worker thread.
 *
 * It decides: which encoding, from which packet on, which layers, now or later. An epoch is one unbroken run of one
 * encoding. How a packet then leaves, and leaves again, is dispatch.h's. */
#include "sender.h"

#include <stdlib.h>

#include "choice.h"
#include "dispatch.h"
#include "near.h"
#include "seq.h"
#include "shown.h"
#include "sr.h"
#include "timeline.h"

/* A packet of parameter sets alone: some forty bytes of H.264, a hundred of H.265. */
#define MAX_SETS 256
/* Packets are held to be joined for no longer than this, beyond which a publisher has fallen silent: 60 ms of sound
 * take 40 to come, and its line may be as much as that late. */
#define HELD_US 80000

struct tr_sender {
    /* given */
    uint32_t id;
    /* what is forwarded */
    uint8_t stops; /* why it is paused: STOPPED_BY_… */
    bool is_paused, is_held_untold;
    tr_layers layers;
    tr_choice choice;
    tr_timeline timeline;
    tr_whole whole; /* of video: pictures that left whole */
    /* counters */
    uint64_t nacks, plis;
    uint64_t asked, asked_runs, asked_last; /* each packet once, in the order of their numbers; the runs they come in */
    tr_sr sr;
    uint32_t peer_lost, peer_jitter, peer_reports;
    uint8_t peer_fraction_lost;
    /* what waits for the line, where it has a pacer */
    tr_pacer_flow flow;
    uint64_t again_us; /* not before it a keyframe is asked for to begin again with */
    tr_dispatch out;
    tr_shown shown; /* of video, what few packets touch */
};

/* ------------------------------------------------------------------ life */

tr_sender *tr__sender_new(const tr_add_sender *params, tr_egress *egress, uint16_t first_index,
                          uint16_t rtx_first_index, uint32_t ts_offset)
{
    tr_sender *sender = calloc(1, sizeof *sender);
    if (!sender) return NULL;
    if (!tr__dispatch_init(&sender->out, params, egress, first_index, rtx_first_index)) {
        free(sender);
        return NULL;
    }
    tr__layers_init(&sender->layers);
    sender->id = params->sender;
    tr__sr_init(&sender->sr, params->ssrc, params->cname);
    tr__timeline_init(&sender->timeline, ts_offset);
    sender->flow.sender = sender;
    tr__choice_bind(&sender->choice);
    return sender;
}

static tr_pacer *pacer_of(const tr_sender *sender) { return tr__dispatch_pacer(&sender->out); }

void tr__sender_free(tr_sender *sender)
{
    if (!sender) return;
    if (pacer_of(sender)) tr__pacer_forget(pacer_of(sender), &sender->flow);
    tr__dispatch_dispose(&sender->out);
    free(sender);
}

void tr__sender_near(const tr_sender *sender) { tr__near(sender, offsetof(tr_sender, out.map.ranges) + TR_LINE); }
const tr_egress *tr__sender_egress(const tr_sender *sender) { return sender->out.egress; }

uint32_t tr__sender_ssrc(const tr_sender *sender) { return sender->out.ssrc; }
uint32_t tr__sender_rtx_ssrc(const tr_sender *sender) { return sender->out.rtx_ssrc; }
uint32_t tr__sender_id(const tr_sender *sender) { return sender->id; }
uint32_t tr__sender_clock_rate(const tr_sender *sender) { return sender->timeline.clock_rate; }

uint32_t tr__sender_receiver_id(const tr_sender *sender)
{
    return sender->out.source ? sender->out.bind.receiver : TR_NONE;
}

/* ------------------------------------------------------------------ sending */

/* The marker bit of what left. */
static bool is_last(const uint8_t *slot) { return slot[1] & 0x80; }

__attribute__((noinline)) static void note_edge(tr_sender *sender, const tr_leaving *left)
{
    tr__shown_on_edge(&sender->shown, &sender->whole, left->media, sender->out.source->codecs, (uint32_t)left->out,
                      left->ts, is_last(left->slot));
}

/* One packet of video has left. */
static inline void note_shown(tr_sender *sender, const tr_leaving *left)
{
    uint32_t number = (uint32_t)left->out;
    if (left->media->info.is_keyframe || !tr__whole_goes_on(&sender->whole.now, number, left->ts))
        note_edge(sender, left);
    else
        tr__whole_go_on(&sender->whole, number, is_last(left->slot));
}

static void note_sent(tr_sender *sender, const tr_leaving *left, uint64_t now_us)
{
    if (tr__timeline_on_sent(&sender->timeline, sender->out.source, left->media, left->rewrite))
        tr__layers_on_sent(&sender->layers, &left->media->info, left->rewrite);
    tr__sr_on_sent(&sender->sr, left->payload_bytes, now_us);
    if (sender->out.kind == TR_VIDEO) note_shown(sender, left);
}

/* One packet of the current epoch; joined: as tr__dispatch_send has it. */
static tr_drop send_joined(tr_sender *sender, const tr_media *media, uint8_t joined, uint64_t now_us)
{
    tr_leaving leaving;
    tr_drop drop = tr__dispatch_number(&sender->out, media, &leaving);
    if (drop != TR_DROP_NONE) return drop;
    tr__choice_on_packet(&sender->choice, media);
    drop = tr__dispatch_send(&sender->out, media, joined, now_us, &leaving);
    if (drop == TR_DROP_NONE) note_sent(sender, &leaving, now_us);
    return drop;
}

static tr_drop send(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    return send_joined(sender, media, 0, now_us);
}

/* What is held leaves as one packet, under the first one's number; the others close up. */
static tr_drop let_go(tr_sender *sender, uint64_t now_us)
{
    uint64_t first, since_us;
    uint8_t held = tr__sound_held(sender->out.sound, &first, &since_us);
    if (!held) return TR_DROP_NONE;
    tr__sound_let_go(sender->out.sound);
    tr_drop drop = TR_DROP_RTP_OLD;
    tr_media media;
    if (tr__source_load(sender->out.source, (uint8_t)sender->choice.current, first, &media)) {
        media.now_us = since_us;
        drop = send_joined(sender, &media, held > 1 ? held : 0, now_us);
    }
    for (uint8_t i = 1; i < held; i++) tr__seqmap_omit(&sender->out.map, first + i, NULL);
    return drop;
}

/* Before something else leaves, or is left out. */
static void let_go_before(tr_sender *sender, uint64_t now_us)
{
    tr_drop drop = sender->out.sound ? let_go(sender, now_us) : TR_DROP_NONE;
    if (drop != TR_DROP_NONE) tr__count_drop(sender->out.egress->tally, drop);
}

/* The newest packet of sound, where packets are joined. */
static tr_drop join(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    if (!tr__sound_continues(sender->out.sound, media)) let_go_before(sender, now_us);
    bool is_opus = sender->out.source->codecs[media->codec_index].codec == TR_CODEC_OPUS;
    if (!is_opus || !tr__sound_hold(sender->out.sound, media)) return send(sender, media, now_us);
    tr__choice_on_packet(&sender->choice, media);
    return tr__sound_is_full(sender->out.sound) ? let_go(sender, now_us) : TR_DROP_NONE;
}

static bool joins(const tr_sender *sender)
{
    return sender->out.sound && sender->out.bind.may_join && tr__sound_has_ticks(sender->out.sound);
}

/* A packet of the current epoch that is not to leave: what follows closes up, unless it has left already. */
static bool omit(tr_sender *sender, const tr_media *media)
{
    uint64_t out;
    const tr_rewrite *rewrite;
    tr__seqmap_omit(&sender->out.map, media->index, NULL);
    tr__choice_on_packet(&sender->choice, media);
    return !tr__seqmap_out(&sender->out.map, media->index, &out, &rewrite);
}

/* A packet newer than all before. What is missing before it and comes late is written alike: it may be of this frame.
 */
static void tie(tr_sender *sender, const tr_media *media)
{
    tr_rewrite rewrite = *tr__seqmap_latest(&sender->out.map);
    uint64_t after = sender->choice.last_in[media->encoding] + 1;
    tr_descriptor descriptor = {0};
    tr_follows follows = {.is_next = media->index == after, .has_frame = tr__media_descriptor(media, &descriptor)};
    follows.frame = descriptor.frame;
    follows.is_end = media->rtp.marker;
    follows.picture = media->info.picture_at ? media->info.picture : media->rtp.ts;
    if (tr__layers_are_stuck(&sender->layers, &media->info, &follows, &rewrite))
        tr__stream_wish_keyframe(&sender->out.source->streams[media->encoding]);
    if (!tr__layers_tie(&sender->layers, &media->info, &follows, &rewrite)) return;
    tr__seqmap_change(&sender->out.map, after > sender->out.epoch_in ? after : sender->out.epoch_in, &rewrite);
}

/* One packet of the current epoch, newer than all before, if it is of a layer that is forwarded. */
static tr_drop choose(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    if (tr__layers_may_tie(&sender->layers, &media->info)) tie(sender, media);
    tr_rewrite rewrite = *tr__seqmap_latest(&sender->out.map);
    tr_stream *stream = &sender->out.source->streams[media->encoding];
    switch (tr__layers_next(&sender->layers, &media->info, stream->structure, &rewrite)) {
    case TR_LAYERS_FORWARD:
        break;
    case TR_LAYERS_CHANGE:
        tr__seqmap_change(&sender->out.map, media->index, &rewrite);
        break;
    case TR_LAYERS_OMIT:
        tr__seqmap_omit(&sender->out.map, media->index, &rewrite);
        tr__choice_on_packet(&sender->choice, media);
        if (tr__layers_wait(&sender->layers, &media->info)) tr__stream_wish_keyframe(stream);
        return TR_DROP_LAYER;
    }
    return send(sender, media, now_us);
}

/* A keyframe that comes late, and what followed it was left out before: another one is needed. */
__attribute__((noinline, cold)) static void note_late(tr_sender *sender, const tr_media *media)
{
    if (sender->layers.is_cut && media->info.is_keyframe)
        tr__stream_wish_keyframe(&sender->out.source->streams[media->encoding]);
}

/* What comes late is not asked about: its number has its place, and the range that has it says whether it is filled. */
static inline tr_drop send_layer(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    if (tr__layers_matter(&sender->layers, &media->info)) {
        if (tr__choice_is_newest(&sender->choice, media)) return choose(sender, media, now_us);
        note_late(sender, media);
    }
    if (joins(sender) && tr__choice_is_newest(&sender->choice, media)) return join(sender, media, now_us);
    return send(sender, media, now_us);
}

/* ------------------------------------------------------------------ waiting for the line */

/* What waits longer than this is not worth sending any more: a picture that is a second behind is not a call. What an
 * encoding begins with has longer, as far as the history reaches: cut, it would only be asked for again; and that not
 * sooner, or a line that is too thin for it would have its publisher send nothing but keyframes. */
#define WAIT_MOST_US 1000000
#define BEGIN_MOST_US 3000000
/* After a silence of the line the pictures from within it are of no use; a quarter of a second may be its own delay. */
#define SILENCE_MOST_US 250000
/* IP, UDP, what sealing adds and our extensions, about. */
#define AROUND_BYTES 60

static void want(tr_sender *sender, int8_t encoding, uint64_t now_us);

static void forget_waiting(tr_sender *sender)
{
    tr_pacer *pacer = pacer_of(sender);
    if (pacer) sender->out.egress->tally->drops[TR_DROP_PACER] += tr__pacer_drop(pacer, &sender->flow);
}

/* What waits, and what would follow, is of no use any more: begin again, as after a pause. */
__attribute__((cold, noinline)) static void cut(tr_sender *sender, uint64_t now_us)
{
    int8_t encoding = sender->choice.current;
    forget_waiting(sender);
    sender->choice.current = TR_NO_ENCODING;
    sender->again_us = sender->choice.started_us + BEGIN_MOST_US;
    if (encoding != TR_NO_ENCODING) want(sender, encoding, now_us);
}

/* It was cut a moment ago, and the line has not come back since. */
static bool may_begin_again(const tr_sender *sender, uint64_t now_us)
{
    return now_us >= sender->again_us || sender->out.egress->downlink->back_us > sender->choice.started_us;
}

static bool has_waited_too_long(const tr_sender *sender, uint64_t now_us)
{
    uint64_t since_us = sender->flow.put_us, back_us = sender->out.egress->downlink->back_us;
    if (since_us + SILENCE_MOST_US < back_us) return true;
    return now_us - since_us > WAIT_MOST_US && now_us - sender->choice.started_us > BEGIN_MOST_US;
}

__attribute__((cold, noinline)) static tr_drop put_waiting(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    tr_pacer *pacer = pacer_of(sender);
    uint32_t bytes = media->rtp.payload_size ? media->rtp.size + (uint32_t)AROUND_BYTES : 0u;
    if (!tr__pacer_put(pacer, &sender->flow, TR_PACER_MEDIA, media->encoding, media->index, bytes, now_us)) {
        /* Whoever has most gives way to the others. */
        tr_pacer_flow *longest = tr__pacer_longest(pacer);
        cut(longest ? longest->sender : sender, now_us);
        if (sender->choice.current == TR_NO_ENCODING ||
            !tr__pacer_put(pacer, &sender->flow, TR_PACER_MEDIA, media->encoding, media->index, bytes, now_us)) {
            if (sender->choice.current != TR_NO_ENCODING) cut(sender, now_us);
            return TR_DROP_PACER;
        }
    }
    tr__downlink_on_waiting(sender->out.egress->downlink);
    return TR_DROP_NONE;
}

/* Is something before a packet of the current epoch, or does the pace not allow it now? */
static inline bool must_wait(const tr_sender *sender, uint64_t now_us)
{
    const tr_pacer *pacer = pacer_of(sender);
    return pacer && sender->out.kind == TR_VIDEO && !tr__pacer_may(pacer, now_us);
}

/* ------------------------------------------------------------------ which encoding, and where it begins */

static int8_t best_active(const tr_sender *sender, uint64_t now_us)
{
    return tr__choice_best(sender->out.source, sender->layers.want.encoding, now_us);
}

static bool has_group(const tr_sender *sender, int8_t encoding, uint64_t now_us)
{
    return tr__choice_has_group(&sender->choice, sender->out.source, encoding, now_us);
}

static void want(tr_sender *sender, int8_t encoding, uint64_t now_us)
{
    bool is_chosen = encoding != TR_NO_ENCODING && !sender->is_paused && sender->out.kind == TR_VIDEO;
    if (is_chosen) encoding = tr__choice_at_hand(&sender->choice, sender->out.source, encoding, now_us);
    sender->choice.target = encoding;
    if (!is_chosen || encoding == sender->choice.current) return;
    tr_stream *stream = &sender->out.source->streams[encoding];
    if (has_group(sender, encoding, now_us) || !may_begin_again(sender, now_us)) return;
    if (tr__choice_can_wait(&sender->choice, sender->out.source, encoding, now_us))
        tr__stream_wish_keyframe(stream);
    else
        tr__stream_request_keyframe(stream, now_us);
}

/* Too much of what is forwarded is missing to be asked for (an outage, of theirs or ours, or another SSRC): close up,
 * so that the peer's rollover guess stays right, and begin again as after a pause. */
static bool begins_again(tr_sender *sender, const tr_media *media)
{
    if (media->index <= sender->choice.last_in[media->encoding] + TR_NACK_MAX_GAP) return false;
    let_go_before(sender, media->now_us);
    sender->choice.current = TR_NO_ENCODING;
    want(sender, (int8_t)media->encoding, media->now_us);
    return true;
}

void tr__sender_skip(tr_sender *sender, const tr_media *media)
{
    if (sender->is_paused || !sender->out.source || sender->choice.current != (int8_t)media->encoding) return;
    if (sender->flow.count) {
        put_waiting(sender, media, media->now_us);
        return;
    }
    if (begins_again(sender, media)) return;
    let_go_before(sender, media->now_us);
    if (omit(sender, media) || sender->out.bind.pts[media->codec_index] == TR_NO_PT) return;
    tr_drop drop = send(sender, media, media->now_us);
    if (drop != TR_DROP_NONE) tr__count_drop(sender->out.egress->tally, drop);
}

/* See tr__timeline_draw. */
static void draw_together(tr_sender *sender, const tr_media *media)
{
    if (!tr__timeline_may_draw(&sender->timeline, media)) return;
    tr_rewrite rewrite = *tr__seqmap_latest(&sender->out.map);
    if (!tr__timeline_draw(&sender->timeline, media, &rewrite)) return;
    tr__seqmap_change(&sender->out.map, media->index, &rewrite);
    sender->sr.is_exact = false;
}

/* Parameter sets in a packet of their own, with which an encoding begins, leave twice, at once. Chromium puts a
 * keyframe of H.264 together across a hole before its slices: it would take the sets of the encoding before and show
 * this one at a wrong size, or garbled, until the next keyframe, and never say so. */
__attribute__((noinline)) static void send_sets_again(tr_sender *sender, const tr_media *media, uint64_t now_us)
{
    uint64_t out;
    const tr_rewrite *rewrite;
    tr_codec codec = (tr_codec)sender->out.source->codecs[media->codec_index].codec;
    if (codec != TR_CODEC_H264 && codec != TR_CODEC_H265) return;
    if (!media->info.is_keyframe || media->info.begins_before || media->rtp.payload_size > MAX_SETS) return;
    if (!tr__seqmap_out(&sender->out.map, media->index, &out, &rewrite)) return;
    /* There may be no RTX, or no room: then it has left once. */
    (void)tr__dispatch_again(&sender->out, out, false, now_us);
}

/* A new epoch from `first` on. Behind it may lie packets that came before this one and were refused. */
__attribute__((noinline)) static tr_drop start(tr_sender *sender, const tr_media *media, uint64_t first)
{
    const tr_stream *stream = &sender->out.source->streams[media->encoding];
    uint8_t *slot;
    tr_drop drop = tr__egress_reserve_media(sender->out.egress, &slot);
    if (drop != TR_DROP_NONE) return drop;
    tr_media stored;
    bool is_stored = first != media->index;
    /* By has_group: it is whole, so nothing that comes late can fall between two times. */
    bool is_group = is_stored && !media->info.is_keyframe;
    if (is_stored && !tr__source_load(sender->out.source, media->encoding, first, &stored))
        return TR_DROP_WAIT_KEYFRAME;
    const tr_media *beginning = is_stored ? &stored : media;
    forget_waiting(sender);
    tr_rewrite rewrite = {.encoding = media->encoding};
    if (tr__timeline_begin(&sender->timeline, sender->out.source, sender->choice.latest, beginning,
                           is_stored ? stream->keyframe_us : media->now_us, is_group ? stream->highest : 0, &rewrite))
        sender->sr.is_exact = false;
    tr__layers_begin(&sender->layers, (tr_codec)sender->out.source->codecs[beginning->codec_index].codec,
                     &beginning->info, beginning->rtp.data + beginning->rtp.header_size, beginning->rtp.payload_size,
                     &rewrite);
    tr__shown_begin(&sender->shown, &sender->whole, (uint32_t)sender->out.map.next_out, beginning);
    tr__dispatch_begin(&sender->out, first, &rewrite);
    tr__choice_begin(&sender->choice, (int8_t)media->encoding, media->now_us);
    for (uint64_t index = first; index <= stream->highest; index++) {
        if (index != media->index && !tr__source_load(sender->out.source, media->encoding, index, &stored)) continue;
        const tr_media *each = index == media->index ? media : &stored;
        stored.now_us = media->now_us;
        tr_drop each_drop = TR_DROP_NONE;
        if (must_wait(sender, media->now_us)) {
            each_drop = put_waiting(sender, each, media->now_us);
            if (sender->choice.current == TR_NO_ENCODING) return TR_DROP_PACER; /* there was no room for so much */
        } else {
            draw_together(sender, each);
            if (!each->rtp.payload_size)
                tr__sender_skip(sender, each);
            else if (sender->out.bind.pts[each->codec_index] == TR_NO_PT)
                omit(sender, each);
            else
                each_drop = send_layer(sender, each, media->now_us);
            if (index == first && each_drop == TR_DROP_NONE) send_sets_again(sender, each, media->now_us);
        }
        if (index == media->index)
            drop = each_drop;
        else if (each_drop != TR_DROP_NONE)
            tr__count_drop(sender->out.egress->tally, each_drop);
    }
    return drop;
}

/* A picture has come to its end: the encoding that is wanted begins here, if its keyframe is in the history. */
static void change_over(tr_sender *sender, uint64_t now_us)
{
    tr_media newest;
    const tr_stream *stream = &sender->out.source->streams[sender->choice.target];
    if (!has_group(sender, sender->choice.target, now_us) ||
        !tr__source_load(sender->out.source, (uint8_t)sender->choice.target, stream->highest, &newest) ||
        !newest.rtp.payload_size || sender->out.bind.pts[newest.codec_index] == TR_NO_PT)
        return;
    newest.now_us = now_us;
    tr_drop drop = start(sender, &newest, stream->keyframe_index);
    if (drop != TR_DROP_NONE) tr__count_drop(sender->out.egress->tally, drop);
}

static void change_over_if_due(tr_sender *sender, uint64_t now_us)
{
    bool is_changing = sender->choice.target != sender->choice.current && sender->choice.target != TR_NO_ENCODING;
    if (is_changing && !sender->choice.is_mid_picture) change_over(sender, now_us);
}

tr_drop tr__sender_forward(tr_sender *sender, const tr_media *media)
{
    int8_t encoding = (int8_t)media->encoding;
    if (sender->is_paused || !sender->out.source) return TR_DROP_PAUSED;
    bool is_current = encoding == sender->choice.current && !begins_again(sender, media);
    if (sender->out.bind.pts[media->codec_index] == TR_NO_PT) {
        if (is_current) {
            let_go_before(sender, media->now_us);
            omit(sender, media);
        }
        return TR_DROP_CODEC;
    }
    if (is_current) {
        if (must_wait(sender, media->now_us)) return put_waiting(sender, media, media->now_us);
        tr_drop drop = send_layer(sender, media, media->now_us);
        change_over_if_due(sender, media->now_us);
        return drop;
    }
    if (encoding != sender->choice.target) {
        if (!tr__choice_is_better(&sender->choice, sender->out.source, sender->layers.want.encoding, encoding,
                                  media->now_us))
            return TR_DROP_LAYER;
        want(sender, encoding, media->now_us);
    }
    uint64_t first;
    if (tr__choice_find_start(&sender->choice, sender->out.source, media, sender->timeline.last_us, &first))
        return start(sender, media, first);
    want(sender, encoding, media->now_us);
    return sender->choice.current == TR_NO_ENCODING ? TR_DROP_WAIT_KEYFRAME : TR_DROP_LAYER;
}

tr_drop tr__sender_offer(tr_sender *sender, const tr_media *media)
{
    if (!sender->flow.count || sender->choice.current != (int8_t)media->encoding)
        return tr__sender_forward(sender, media);
    /* In its turn: layers are chosen and numbers close up in order. */
    bool is_next = media->index <= sender->flow.last_index + TR_NACK_MAX_GAP;
    if (is_next && !has_waited_too_long(sender, media->now_us)) return put_waiting(sender, media, media->now_us);
    cut(sender, media->now_us);
    return tr__sender_forward(sender, media);
}

tr_drop tr__sender_release(tr_sender *sender, const tr_pacer_ref *ref, uint64_t now_us)
{
    if (ref->kind == TR_PACER_RESEND) {
        tr__resends_waited(&sender->out.resends, ref->index);
        return now_us - ref->put_us > WAIT_MOST_US ? TR_DROP_PACER
                                                   : tr__dispatch_again(&sender->out, ref->index, true, now_us);
    }
    tr_media media;
    if (sender->choice.current != (int8_t)ref->encoding)
        return TR_DROP_LAYER; /* never: with it went what waited of it */
    if (!tr__source_load(sender->out.source, ref->encoding, ref->index, &media)) {
        cut(sender, now_us);
        return TR_DROP_PACER;
    }
    media.now_us = now_us;
    draw_together(sender, &media);
    if (media.rtp.payload_size && sender->out.bind.pts[media.codec_index] != TR_NO_PT) {
        tr_drop drop = send_layer(sender, &media, now_us);
        if (ref->index == sender->out.epoch_in && drop == TR_DROP_NONE) send_sets_again(sender, &media, now_us);
        change_over_if_due(sender, now_us);
        return drop;
    }
    if (omit(sender, &media) || sender->out.bind.pts[media.codec_index] == TR_NO_PT) return TR_DROP_NONE;
    return send(sender, &media, now_us);
}

/* A publisher who leaves silence out sends the rest of what is held a long time after, or never. */
static void let_go_late(tr_sender *sender, uint64_t now_us)
{
    uint64_t first, since_us;
    if (tr__sound_held(sender->out.sound, &first, &since_us) && now_us - since_us >= HELD_US)
        let_go_before(sender, now_us);
}

bool tr__sender_has_choice(const tr_sender *sender)
{
    return sender->out.source && (sender->out.source->count > 1 || joins(sender));
}

void tr__sender_on_tick(tr_sender *sender, uint64_t now_us)
{
    if (!sender->out.source || sender->is_paused) return;
    if (sender->out.sound) let_go_late(sender, now_us);
    if (sender->out.source->count == 1) return;
    int8_t best = tr__choice_on_tick(&sender->choice, sender->out.source, sender->layers.want.encoding, now_us);
    if (best != TR_NO_ENCODING) want(sender, best, now_us);
}

void tr__sender_set_layer(tr_sender *sender, tr_layer layer, uint64_t now_us)
{
    sender->layers.want = layer;
    if (!sender->out.source || sender->is_paused) return;
    int8_t best = best_active(sender, now_us);
    if (best != TR_NO_ENCODING) want(sender, best, now_us);
}

static tr_sound *sound_of(tr_sender *sender)
{
    if (!sender->out.sound) sender->out.sound = tr__sound_new();
    return sender->out.sound;
}

int tr__sender_set_redundancy(tr_sender *sender, uint8_t count, const uint8_t *distances)
{
    if (sender->out.kind != TR_AUDIO) return TR_ERR_ARGUMENT;
    if (!count && !sender->out.sound) return TR_OK;
    if (!sound_of(sender)) return TR_ERR_NO_MEMORY;
    tr__sound_set_copies(sender->out.sound, count, distances);
    return TR_OK;
}

int tr__sender_set_packet_time(tr_sender *sender, uint16_t ms, uint64_t now_us)
{
    if (sender->out.kind != TR_AUDIO) return TR_ERR_ARGUMENT;
    if (!ms && !sender->out.sound) return TR_OK;
    if (!sound_of(sender)) return TR_ERR_NO_MEMORY;
    let_go_before(sender, now_us);
    tr__sound_set_ticks(sender->out.sound, ms * (TR_OPUS_RATE / 1000u));
    return TR_OK;
}

/* ------------------------------------------------------------------ binding */

void tr__sender_bind(tr_sender *sender, const tr_source *source, const tr_bind_sender *bind, uint64_t now_us)
{
    if (tr__dispatch_is_bound(&sender->out, source, bind)) {
        sender->out.bind.receiver = bind->receiver;
        return;
    }
    if (sender->out.sound) tr__sound_let_go(sender->out.sound); /* a moment of sound, of what is forwarded no longer */
    forget_waiting(sender);
    tr__dispatch_bind(&sender->out, source, bind);
    tr__choice_bind(&sender->choice);
    if (source) want(sender, best_active(sender, now_us), now_us);
}

#define STOPPED_BY_CLIENT 1u
#define STOPPED_BY_LINE 2u

static void stop(tr_sender *sender, uint8_t why, bool is_on, uint64_t now_us)
{
    sender->stops = (uint8_t)(is_on ? sender->stops | why : sender->stops & ~why);
    bool is_paused = sender->stops != 0;
    if (sender->is_paused == is_paused) return;
    forget_waiting(sender);
    sender->is_paused = is_paused;
    if (sender->out.sound) tr__sound_let_go(sender->out.sound);
    sender->choice.current = TR_NO_ENCODING;
    if (!is_paused && sender->out.source) want(sender, best_active(sender, now_us), now_us);
}

void tr__sender_pause(tr_sender *sender, bool is_paused, uint64_t now_us)
{
    stop(sender, STOPPED_BY_CLIENT, is_paused, now_us);
}

void tr__sender_hold(tr_sender *sender, bool is_held, uint64_t now_us)
{
    if (tr__sender_is_held(sender) == is_held) return;
    sender->is_held_untold = !sender->is_held_untold; /* back before it was told: nothing to tell */
    stop(sender, STOPPED_BY_LINE, is_held, now_us);
}

bool tr__sender_is_held(const tr_sender *sender) { return (sender->stops & STOPPED_BY_LINE) != 0; }

bool tr__sender_is_held_told(const tr_sender *sender) { return !sender->is_held_untold; }

void tr__sender_on_held_told(tr_sender *sender) { sender->is_held_untold = false; }

/* ------------------------------------------------------------------ trying the line */

bool tr__sender_can_pad(const tr_sender *sender)
{
    return sender->timeline.has_sent && tr__dispatch_can_pad(&sender->out);
}

tr_drop tr__sender_pad(tr_sender *sender, uint32_t bytes, uint64_t now_us)
{
    return tr__dispatch_pad(&sender->out, bytes, sender->timeline.last_ts, now_us);
}

/* ------------------------------------------------------------------ what the peer asks for */

/* What is asked for tells what is lost, and in which runs; a peer asks for the same again with each packet it gets. */
static void note_asked(tr_sender *sender, uint64_t out)
{
    if (out <= sender->asked_last || out >= sender->out.map.next_out) return;
    sender->asked++;
    if (out != sender->asked_last + 1) sender->asked_runs++;
    sender->asked_last = out;
}

/* At once, or when the line has room. */
static tr_drop offer_resend(tr_sender *sender, uint64_t out, uint64_t now_us)
{
    tr_pacer *pacer = pacer_of(sender);
    if (!pacer || sender->out.kind != TR_VIDEO || tr__pacer_may(pacer, now_us))
        return tr__dispatch_again(&sender->out, out, true, now_us);
    if (out >= sender->out.map.next_out || !tr__resends_reach(&sender->out.resends, out, sender->out.map.next_out))
        return TR_DROP_NACK_UNKNOWN;
    if (!tr__resends_wait(&sender->out.resends, out)) return TR_DROP_NACK_RATE;
    if (!tr__pacer_put(pacer, &sender->flow, TR_PACER_RESEND, 0, out, TR_MAX_FORWARD, now_us)) {
        tr__resends_waited(&sender->out.resends, out);
        return TR_DROP_PACER;
    }
    tr__downlink_on_waiting(sender->out.egress->downlink);
    return TR_DROP_NONE;
}

void tr__sender_on_nack(tr_sender *sender, const uint16_t *seqs, size_t count, uint64_t now_us)
{
    sender->nacks += count;
    for (size_t i = 0; i < count; i++) {
        /* next_out is one past the newest: of two numbers 2^16 apart the nearer one is meant. */
        uint64_t out = tr__seq_unwrap(sender->out.map.next_out, seqs[i]);
        note_asked(sender, out);
        tr_drop drop = offer_resend(sender, out, now_us);
        if (drop != TR_DROP_NONE) tr__count_drop(sender->out.egress->tally, drop);
    }
}

void tr__sender_on_keyframe_request(tr_sender *sender, uint64_t now_us)
{
    sender->plis++;
    int8_t encoding = sender->choice.current != TR_NO_ENCODING ? sender->choice.current : sender->choice.target;
    if (!sender->out.source || sender->is_paused || sender->out.kind != TR_VIDEO || encoding == TR_NO_ENCODING) return;
    /* It left before the keyframe that this encoding began with can have come; were that lost, another one follows. */
    if (sender->choice.current != TR_NO_ENCODING && now_us - sender->choice.started_us < sender->out.egress->rtt_us)
        return;
    tr__stream_request_keyframe(&sender->out.source->streams[encoding], now_us);
}

void tr__sender_on_report(tr_sender *sender, const tr_rtcp_report *report, uint64_t now_us, uint64_t now_ntp)
{
    (void)now_us;
    if (report->ssrc != sender->out.ssrc) return;
    sender->peer_lost = report->lost > 0 ? (uint32_t)report->lost : 0;
    sender->peer_fraction_lost = report->fraction_lost;
    sender->peer_jitter = report->jitter;
    sender->peer_reports++;
    uint64_t sample_us = tr__sr_rtt_us(&sender->sr, report, now_ntp);
    if (!sample_us) return;
    tr_egress *egress = sender->out.egress;
    /* Longer is a queue as often as not; shorter is what the way has, and reports are seconds apart. */
    bool is_longer = egress->rtt_us && sample_us > egress->rtt_us;
    egress->rtt_us = is_longer ? (7 * egress->rtt_us + sample_us) / 8 : sample_us;
}

/* ------------------------------------------------------------------ sender reports */

static const tr_stream *timed_stream(const tr_sender *sender)
{
    return tr__timeline_stream(&sender->timeline, sender->out.source, sender->choice.latest);
}

/* A tap keeps what it gets, and had better know of no time than of that of arrival: what it keeps would be out of step
 * by the way's length. It waits for the source's report. */
static bool waits_for_source(const tr_sender *sender) { return sender->out.egress->tap && !timed_stream(sender); }

uint64_t tr__sender_report_at(const tr_sender *sender)
{
    if (!tr__sr_has_news(&sender->sr) || waits_for_source(sender)) return UINT64_MAX;
    return tr__sr_at(&sender->sr, timed_stream(sender));
}

bool tr__sender_put_report(tr_sender *sender, tr_pen *pen, uint64_t now_us, uint64_t now_ntp)
{
    if (waits_for_source(sender)) return false;
    return tr__sr_put(&sender->sr, &sender->timeline, sender->out.source, timed_stream(sender), pen, now_us, now_ntp);
}

/* The highest layer there is of what is forwarded, within what is let through. */
static uint8_t top_layer(uint8_t count, uint8_t most)
{
    uint8_t top = count ? (uint8_t)(count - 1) : 0;
    return top < most ? top : most;
}

void tr__sender_stats(const tr_sender *sender, uint64_t now_us, tr_sender_stats *stats)
{
    bool is_forwarding = sender->out.source && sender->choice.current != TR_NO_ENCODING;
    const tr_meter *meter = is_forwarding ? sender->out.source->streams[sender->choice.current].meter : NULL;
    uint8_t spatial_layers = 0, temporal_layers = 0;
    if (meter) tr__meter_count(meter, now_us, &spatial_layers, &temporal_layers);
    *stats = (tr_sender_stats){
        .sender = sender->id,
        .receiver = tr__sender_receiver_id(sender),
        .ssrc = sender->out.ssrc,
        .tx_packets = sender->out.tx_packets,
        .tx_bytes = sender->out.tx_bytes,
        .resent_packets = sender->out.resent,
        .nacks = sender->nacks,
        .asked = sender->asked,
        .asked_runs = sender->asked_runs,
        .plis = sender->plis,
        .peer_lost = sender->peer_lost,
        .peer_fraction_lost = sender->peer_fraction_lost,
        .peer_jitter = sender->peer_jitter,
        .encoding = is_forwarding ? (uint8_t)sender->choice.current : TR_LAYER_ANY,
        .spatial = is_forwarding ? top_layer(spatial_layers, sender->layers.spatial) : TR_LAYER_ANY,
        .temporal = is_forwarding ? top_layer(temporal_layers, sender->layers.temporal) : TR_LAYER_ANY,
    };
}

void tr__sender_seen(const tr_sender *sender, uint64_t now_us, tr_seen *seen)
{
    tr_sender_stats stats;
    tr__sender_stats(sender, now_us, &stats);
    bool is_forwarding = stats.encoding != TR_LAYER_ANY;
    bool is_told = is_forwarding && !sender->out.source->streams[sender->choice.current].is_opaque;
    *seen = (tr_seen){
        .sender = sender->id,
        .receiver = stats.receiver,
        .packets = (uint32_t)sender->sr.packets,
        .frames = sender->whole.pictures,
        .keyed_frames = sender->whole.keyed,
        .keyframes = sender->whole.keyframes,
        .reports = sender->peer_reports,
        .fraction_lost = sender->peer_fraction_lost,
        .height = is_told && stats.spatial < TR_MAX_SPATIAL ? sender->shown.picture.heights[stats.spatial] : 0,
        .keyframes_told = is_told ? sender->shown.picture.told : (uint8_t)TR_KEYFRAMES_UNTOLD,
        .is_forwarding = is_forwarding,
        .is_video = sender->out.kind == TR_VIDEO,
    };
}
