/* sound: what an Opus packet of one sender leaves as, where it does not leave as it came: with copies of earlier ones
 * (RED, RFC 2198), which come with what follows and need no round trip, or joined with those before it (RFC 6716, 3.2),
 * so that a thin line carries fewer headers.
 * Says what a packet is made of, and remembers it by the number it left under: made again it is the same bytes, or it
 * is not made again at all. What it is made of lies in the history.
 * Made when a sender is first told of either; none of it is there else. Worker thread. */
#ifndef TR_SOUND_H
#define TR_SOUND_H

#include "opus.h"
#include "source.h"

#define TR_SOUND_JOINED 6 /* packets of one: 60 ms of 10, 120 ms of 20 */
/* Numbers that are told apart, as many as may be sent again (resends.c). */
#define TR_SOUND_NUMBERS 128

/* What a packet leaves as. All 0: as it came. */
typedef struct tr_recipe {
    uint8_t distances[TR_MAX_COPIES]; /* copies: how many packets before this one, rising; 0: none */
    uint8_t joined;                   /* this one and those after it, two or more of them; 0: alone */
} tr_recipe;

/* The same with the bytes it takes, which are good until the next packet comes in. */
typedef struct tr_parts {
    uint8_t pt;             /* of what copies are of */
    uint8_t copies, joined; /* of the two one is 0 */
    uint16_t size;          /* of the payload, once it is put */
    struct {
        uint16_t ticks; /* before this packet */
        uint16_t size;
        const uint8_t *data;
    } of[TR_MAX_COPIES]; /* the oldest first */
    tr_opus packets[TR_SOUND_JOINED];
} tr_parts;

typedef struct tr_sound tr_sound;

tr_sound *tr__sound_new(void); /* NULL: no memory */
void tr__sound_free(tr_sound *sound);

/* From the next packet on. count up to TR_MAX_COPIES; distances rising. */
void tr__sound_set_copies(tr_sound *sound, uint8_t count, const uint8_t *distances);
/* ticks: up to TR_OPUS_TICKS; 0: packets leave as they come. What is held is to be let go first. */
void tr__sound_set_ticks(tr_sound *sound, uint32_t ticks);
bool tr__sound_has_ticks(const tr_sound *sound);

/* Which copies this packet is to bring: those of its distances that are there, of the same codec and not before
 * `first`, near enough and small enough for RED. All 0: none. */
tr_recipe tr__sound_copies(const tr_sound *sound, const tr_source *source, const tr_media *media, uint64_t first);

/* Joining. A newest packet is held if it may be joined with others at all; before that what is held has to go if this
 * one does not continue it. What is held is `held` packets from `first` on, none missing. */
bool tr__sound_continues(const tr_sound *sound, const tr_media *media);
bool tr__sound_hold(tr_sound *sound, const tr_media *media);
bool tr__sound_is_full(const tr_sound *sound);
/* How many are held, 0: none; since when. */
uint8_t tr__sound_held(const tr_sound *sound, uint64_t *first, uint64_t *since_us);
void tr__sound_let_go(tr_sound *sound); /* nothing is held any more */

/* It left under that number as this. */
void tr__sound_note(tr_sound *sound, uint64_t out, tr_recipe recipe);
/* As what has it left? As it came, where nothing is known. */
tr_recipe tr__sound_recall(const tr_sound *sound, uint64_t out);
/* The bytes a recipe takes; false: not all of them are there any more. media: the packet itself, the first of those
 * joined. */
bool tr__sound_parts(tr_recipe recipe, const tr_source *source, const tr_media *media, tr_parts *parts);
/* The payload. */
void tr__sound_put(tr_pen *pen, tr_parts *parts, const tr_media *media);

#endif
