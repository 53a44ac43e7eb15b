/* choice: see choice.h. Touches only the value it is given. Worker thread. */
#include "choice.h"

#include <string.h>

/* Opaque video (end-to-end encrypted) shows no keyframe: after this wait the one that was asked for is among it. */
#define OPAQUE_WAIT_US 1000000
/* Who joins is sent the latest keyframe and what followed it from the history, if it is no more than this: a burst that
 * any line takes, and no older than what the history holds. */
#define MAX_CATCH_UP 128
#define CATCH_UP_US TR_HISTORY_US
/* Who changes encodings has a picture meanwhile, and who was paused has a thin line: a keyframe that is older is paid
 * for with all that followed it. docs/layers.md has what either comes to. */
#define MAX_SWITCH 48
#define SWITCH_US 500000
/* The present picture is let come to its end before, unless it takes longer than this. */
#define MID_PICTURE_US 100000

void tr__choice_bind(tr_choice *choice)
{
    choice->current = choice->target = choice->latest = TR_NO_ENCODING;
    memset(choice->last_in, 0, sizeof choice->last_in);
    choice->opaque_since_us = choice->unheard_since_us = 0;
}

void tr__choice_begin(tr_choice *choice, int8_t encoding, uint64_t now_us)
{
    choice->current = choice->target = choice->latest = encoding;
    choice->opaque_since_us = 0;
    choice->started_us = now_us;
}

static uint8_t most_wanted(const tr_source *source, uint8_t most)
{
    for (uint8_t i = 0; i < source->count; i++)
        if (source->streams[i].is_opaque) return TR_LAYER_ANY;
    return most;
}

int8_t tr__choice_best(const tr_source *source, uint8_t most, uint64_t now_us)
{
    most = most_wanted(source, most);
    for (int8_t i = (int8_t)source->count - 1; i >= 0; i--)
        if (i <= most && tr__stream_is_active(&source->streams[i], now_us)) return i;
    return TR_NO_ENCODING;
}

/* Of those that are more than was wanted. */
static int8_t least_active(const tr_source *source, uint64_t now_us)
{
    for (int8_t i = 0; i < (int8_t)source->count; i++)
        if (tr__stream_is_active(&source->streams[i], now_us)) return i;
    return TR_NO_ENCODING;
}

int8_t tr__choice_on_tick(tr_choice *choice, const tr_source *source, uint8_t most, uint64_t now_us)
{
    int8_t best = tr__choice_best(source, most, now_us);
    if (best != TR_NO_ENCODING) {
        choice->unheard_since_us = 0;
        return best;
    }
    if (!choice->unheard_since_us) choice->unheard_since_us = now_us;
    return now_us - choice->unheard_since_us >= TR_STREAM_IDLE_US ? least_active(source, now_us) : TR_NO_ENCODING;
}

bool tr__choice_is_better(const tr_choice *choice, const tr_source *source, uint8_t most, int8_t encoding,
                          uint64_t now_us)
{
    int8_t target = choice->target;
    most = most_wanted(source, most);
    if (encoding > most) return false;
    return target == TR_NO_ENCODING || encoding > target || target > most ||
           !tr__stream_is_active(&source->streams[target], now_us);
}

int8_t tr__choice_at_hand(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us)
{
    if (choice->latest != TR_NO_ENCODING) return encoding;
    for (int8_t i = encoding; i >= 0; i--)
        if (tr__stream_is_active(&source->streams[i], now_us) && tr__choice_has_group(choice, source, i, now_us))
            return i;
    return encoding;
}

bool tr__choice_can_wait(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us)
{
    return choice->current != TR_NO_ENCODING && encoding > choice->current &&
           tr__stream_is_active(&source->streams[choice->current], now_us);
}

bool tr__choice_has_group(const tr_choice *choice, const tr_source *source, int8_t encoding, uint64_t now_us)
{
    const tr_stream *stream = &source->streams[encoding];
    bool joins = choice->latest == TR_NO_ENCODING;
    uint64_t first = stream->keyframe_index;
    if (!stream->has_keyframe || first <= choice->last_in[encoding] ||
        stream->highest - first >= (joins ? MAX_CATCH_UP : MAX_SWITCH) ||
        now_us - stream->keyframe_us >= (joins ? CATCH_UP_US : SWITCH_US))
        return false;
    /* Where times are drawn together nothing may come late that belongs in between. */
    uint64_t last = joins ? first : stream->highest;
    for (uint64_t index = first; index <= last; index++)
        if (!tr__history_has(&stream->history, index)) return false;
    return tr__source_begins(source, (uint8_t)encoding, first, choice->last_in[encoding]);
}

/* A packet of a keyframe: may it begin, and does what belongs to it and came before? */
static bool find_keyframe(const tr_choice *choice, const tr_source *source, const tr_media *media, uint64_t *first)
{
    const tr_stream *stream = &source->streams[media->encoding];
    uint64_t last_in = choice->last_in[media->encoding];
    /* Its parameter sets may have come in a packet of their own before. */
    bool has_earlier = stream->keyframe_ts == media->rtp.ts && stream->keyframe_index < media->index &&
                       stream->keyframe_index > last_in && tr__history_has(&stream->history, stream->keyframe_index);
    if (has_earlier) *first = stream->keyframe_index;
    return stream->highest - *first < MAX_CATCH_UP && tr__source_begins(source, media->encoding, *first, last_in);
}

bool tr__choice_find_start(tr_choice *choice, const tr_source *source, const tr_media *media, uint64_t last_us,
                           uint64_t *first)
{
    const tr_stream *stream = &source->streams[media->encoding];
    *first = media->index;
    /* What has left once does not leave again under another number. */
    if (!tr__choice_is_newest(choice, media)) return false;
    bool is_newest = media->index == stream->highest;
    if (source->kind != TR_VIDEO || source->codecs[media->codec_index].codec == TR_CODEC_OTHER) return is_newest;
    if (media->info.is_readable) {
        if (media->info.is_keyframe) return find_keyframe(choice, source, media, first);
        if (!tr__choice_has_group(choice, source, (int8_t)media->encoding, media->now_us)) return false;
        if (choice->current != TR_NO_ENCODING && choice->is_mid_picture && media->now_us - last_us < MID_PICTURE_US)
            return false;
        *first = stream->keyframe_index;
        return true;
    }
    if (!choice->opaque_since_us) choice->opaque_since_us = media->now_us;
    return is_newest && media->now_us - choice->opaque_since_us >= OPAQUE_WAIT_US;
}
