/* resends: see resends.h. Touches only its own memory. Worker thread. */
#include "resends.h"

#include <stdlib.h>

#include "history.h"
#include "pages.h"
#include "telerelay.h"

#define MIN_INTERVAL_US 10000
/* A round trip that was longer than this is one with a queue, and reports of it are rare: who waited for all of it
 * would come when the packet is forgotten (history.h), after one resend was lost. */
#define MAX_INTERVAL_US (TR_HISTORY_US / 4)
/* Numbers that are told apart: seconds of either kind, no less than what a history gives back. */
#define VIDEO_PACKETS 1024
#define AUDIO_PACKETS 128

/* What fits into a page with others' things needs none of its own: what is numbered at all is written lap after lap. */
#define PAGE 4096u

static size_t resend_bytes(uint32_t count) { return count * sizeof(tr_resend); }
static size_t number_bytes(uint32_t count) { return count * sizeof(tr_sent_number); }

static tr_sent_number *numbers_new(uint32_t count)
{
    return number_bytes(count) < PAGE ? calloc(1, number_bytes(count)) : tr__pages_new(number_bytes(count));
}

bool tr__resends_init(tr_resends *resends, uint8_t kind, bool is_numbered)
{
    uint32_t count = kind == TR_VIDEO ? VIDEO_PACKETS : AUDIO_PACKETS;
    *resends = (tr_resends){.mask = count - 1, .of = tr__pages_new(resend_bytes(count))};
    if (is_numbered) resends->numbers = numbers_new(count);
    if (resends->of && (resends->numbers || !is_numbered)) return true;
    tr__resends_dispose(resends);
    return false;
}

void tr__resends_dispose(tr_resends *resends)
{
    uint32_t count = resends->mask + 1;
    tr__pages_free(resends->of, resend_bytes(count));
    if (number_bytes(count) < PAGE)
        free(resends->numbers);
    else
        tr__pages_free(resends->numbers, number_bytes(count));
}

bool tr__resends_reach(const tr_resends *resends, uint64_t out, uint64_t next_out)
{
    return out + resends->mask >= next_out;
}

bool tr__resends_may(tr_resends *resends, uint64_t out, size_t bytes, uint64_t rtt_us, uint64_t now_us)
{
    if (resends->credit_bytes < bytes) return false;
    tr_resend *entry = &resends->of[out & resends->mask];
    uint32_t now = (uint32_t)(now_us >> 10);
    if (!entry->count || entry->index != (uint32_t)out) {
        *entry = (tr_resend){.index = (uint32_t)out, .at = now, .count = 1};
        return true;
    }
    uint64_t wait_us = rtt_us > MIN_INTERVAL_US ? rtt_us : MIN_INTERVAL_US;
    if (wait_us > MAX_INTERVAL_US) wait_us = MAX_INTERVAL_US;
    if (entry->count >= TR_RESENDS_MAX || (uint64_t)(now - entry->at) << 10 < wait_us) return false;
    entry->at = now;
    entry->count++;
    return true;
}

bool tr__resends_wait(tr_resends *resends, uint64_t out)
{
    tr_resend *entry = &resends->of[out & resends->mask];
    if (entry->index != (uint32_t)out) *entry = (tr_resend){.index = (uint32_t)out};
    if (entry->is_waiting) return false;
    entry->is_waiting = true;
    return true;
}

void tr__resends_waited(tr_resends *resends, uint64_t out)
{
    tr_resend *entry = &resends->of[out & resends->mask];
    if (entry->index == (uint32_t)out) entry->is_waiting = false;
}

void tr__resends_spend(tr_resends *resends, uint32_t bytes) { resends->credit_bytes -= bytes; }
