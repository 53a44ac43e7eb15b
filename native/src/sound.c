/* sound: see sound.h. Touches its own memory, and reads the source's history. Worker thread. */
#include "sound.h"

#include <stdlib.h>

/* RFC 2198, 3: fourteen bits of time and ten of length. */
#define MAX_BACK_TICKS 16383
#define MAX_BLOCK_SIZE 1023
/* Payload bytes of a packet with copies, and of several joined: no more than fit TR_MAX_FORWARD with header, extensions
 * and seal. Speech at 32 kbit/s has 80 bytes a frame. */
#define MAX_PAYLOAD 1100

typedef struct known {
    uint32_t index; /* low bits */
    tr_recipe recipe;
    bool is_set;
} known;

struct tr_sound {
    /* given */
    uint8_t count, distances[TR_MAX_COPIES];
    uint32_t ticks;
    /* held */
    uint8_t held, toc;
    uint32_t held_ticks, next_ts, held_bytes;
    uint64_t first, since_us;
    known known[TR_SOUND_NUMBERS];
};

tr_sound *tr__sound_new(void) { return calloc(1, sizeof(tr_sound)); }
void tr__sound_free(tr_sound *sound) { free(sound); }

void tr__sound_set_copies(tr_sound *sound, uint8_t count, const uint8_t *distances)
{
    sound->count = count;
    memcpy(sound->distances, distances, count);
}

void tr__sound_set_ticks(tr_sound *sound, uint32_t ticks) { sound->ticks = ticks; }
bool tr__sound_has_ticks(const tr_sound *sound) { return sound->ticks > 0; }

/* ------------------------------------------------------------------ copies */

static bool is_opus(const tr_source *source, const tr_media *media)
{
    return source->codecs[media->codec_index].codec == TR_CODEC_OPUS && media->rtp.payload_size;
}

/* The packet so many before this one, if RED can bear it. */
static bool load_copy(const tr_source *source, const tr_media *media, uint8_t distance, tr_media *copy, uint32_t *ticks)
{
    if (!tr__source_load(source, media->encoding, media->index - distance, copy)) return false;
    *ticks = media->rtp.ts - copy->rtp.ts;
    return copy->codec_index == media->codec_index && is_opus(source, copy) &&
           copy->rtp.payload_size <= MAX_BLOCK_SIZE && *ticks >= 1 && *ticks <= MAX_BACK_TICKS;
}

tr_recipe tr__sound_copies(const tr_sound *sound, const tr_source *source, const tr_media *media, uint64_t first)
{
    tr_recipe recipe = {0};
    if (!is_opus(source, media)) return recipe;
    size_t size = 1u + media->rtp.payload_size;
    uint8_t count = 0;
    for (uint8_t i = 0; i < sound->count; i++) {
        tr_media copy;
        uint32_t ticks;
        if (media->index < first + sound->distances[i] ||
            !load_copy(source, media, sound->distances[i], &copy, &ticks) ||
            size + TR_RED_HEADER + copy.rtp.payload_size > MAX_PAYLOAD)
            continue;
        size += (size_t)TR_RED_HEADER + copy.rtp.payload_size;
        recipe.distances[count++] = sound->distances[i];
    }
    return recipe;
}

static bool copy_parts(tr_recipe recipe, const tr_source *source, const tr_media *media, tr_parts *parts)
{
    for (uint8_t i = TR_MAX_COPIES; i-- > 0;) { /* the farthest is the oldest */
        if (!recipe.distances[i]) continue;
        tr_media copy;
        uint32_t ticks;
        if (!load_copy(source, media, recipe.distances[i], &copy, &ticks)) return false;
        parts->of[parts->copies].ticks = (uint16_t)ticks;
        parts->of[parts->copies].size = copy.rtp.payload_size;
        parts->of[parts->copies++].data = copy.rtp.data + copy.rtp.header_size;
    }
    return true;
}

static void put_copies(tr_pen *pen, const tr_parts *parts, const tr_media *media)
{
    for (uint8_t i = 0; i < parts->copies; i++) {
        tr__put8(pen, 0x80 | (parts->pt & 0x7f));
        tr__put24(pen, (uint32_t)parts->of[i].ticks << 10 | parts->of[i].size);
    }
    tr__put8(pen, parts->pt & 0x7f);
    for (uint8_t i = 0; i < parts->copies; i++) tr__put_bytes(pen, parts->of[i].data, parts->of[i].size);
    tr__put_bytes(pen, media->rtp.data + media->rtp.header_size, media->rtp.payload_size);
}

/* ------------------------------------------------------------------ joining */

static bool parse(const tr_media *media, tr_opus *opus)
{
    return tr__opus_parse(opus, media->rtp.data + media->rtp.header_size, media->rtp.payload_size);
}

bool tr__sound_continues(const tr_sound *sound, const tr_media *media)
{
    tr_opus opus;
    return media->index == sound->first + sound->held && media->rtp.ts == sound->next_ts && parse(media, &opus) &&
           tr__opus_is_alike(sound->toc, opus.toc) && sound->held_ticks + opus.ticks <= sound->ticks &&
           sound->held_bytes + media->rtp.payload_size <= MAX_PAYLOAD && sound->held < TR_SOUND_JOINED;
}

bool tr__sound_hold(tr_sound *sound, const tr_media *media)
{
    tr_opus opus;
    if (!parse(media, &opus) || opus.ticks >= sound->ticks) return false;
    if (!sound->held) {
        sound->first = media->index;
        sound->since_us = media->now_us;
        sound->toc = opus.toc;
        sound->held_ticks = sound->held_bytes = 0;
    }
    sound->held++;
    sound->held_ticks += opus.ticks;
    sound->held_bytes += media->rtp.payload_size;
    sound->next_ts = media->rtp.ts + opus.ticks;
    return true;
}

bool tr__sound_is_full(const tr_sound *sound)
{
    return sound->held_ticks >= sound->ticks || sound->held == TR_SOUND_JOINED;
}

uint8_t tr__sound_held(const tr_sound *sound, uint64_t *first, uint64_t *since_us)
{
    *first = sound->first;
    *since_us = sound->since_us;
    return sound->held;
}

void tr__sound_let_go(tr_sound *sound) { sound->held = 0; }

static bool joined_parts(tr_recipe recipe, const tr_source *source, const tr_media *media, tr_parts *parts)
{
    if (!parse(media, &parts->packets[0])) return false;
    for (parts->joined = 1; parts->joined < recipe.joined; parts->joined++) {
        tr_media next;
        if (!tr__source_load(source, media->encoding, media->index + parts->joined, &next) ||
            !parse(&next, &parts->packets[parts->joined]))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ by number */

void tr__sound_note(tr_sound *sound, uint64_t out, tr_recipe recipe)
{
    known *entry = &sound->known[out % TR_SOUND_NUMBERS];
    /* What comes this late is out of reach and will not leave again; the newer one may. */
    if (entry->is_set && (int32_t)(entry->index - (uint32_t)out) > 0) return;
    *entry = (known){.index = (uint32_t)out, .recipe = recipe, .is_set = true};
}

tr_recipe tr__sound_recall(const tr_sound *sound, uint64_t out)
{
    const known *entry = &sound->known[out % TR_SOUND_NUMBERS];
    return entry->is_set && entry->index == (uint32_t)out ? entry->recipe : (tr_recipe){0};
}

bool tr__sound_parts(tr_recipe recipe, const tr_source *source, const tr_media *media, tr_parts *parts)
{
    parts->copies = parts->joined = 0;
    return recipe.joined ? joined_parts(recipe, source, media, parts) : copy_parts(recipe, source, media, parts);
}

void tr__sound_put(tr_pen *pen, tr_parts *parts, const tr_media *media)
{
    size_t before = tr__pen_size(pen);
    if (parts->joined)
        tr__opus_put(pen, parts->packets, parts->joined);
    else
        put_copies(pen, parts, media);
    parts->size = (uint16_t)(tr__pen_size(pen) - before);
}
