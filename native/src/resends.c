/* resends: see resends.h. Touches only its own memory. Worker thread. */
#include "resends.h"

#include "pages.h"
#include "telerelay.h"

#define MIN_INTERVAL_US 10000
/* Numbers that are told apart: seconds of either kind, no less than what a history gives back. */
#define VIDEO_PACKETS 1024
#define AUDIO_PACKETS 128

static size_t bytes_of(uint32_t count, bool is_numbered)
{
    return count * (sizeof(tr_resend) + (is_numbered ? sizeof(tr_sent_number) : 0));
}

bool tr__resends_init(tr_resends *resends, uint8_t kind, bool is_numbered)
{
    uint32_t count = kind == TR_VIDEO ? VIDEO_PACKETS : AUDIO_PACKETS;
    *resends = (tr_resends){.mask = count - 1, .of = tr__pages_new(bytes_of(count, is_numbered))};
    if (resends->of && is_numbered) resends->numbers = (tr_sent_number *)(resends->of + count);
    return resends->of != NULL;
}

void tr__resends_dispose(tr_resends *resends)
{
    tr__pages_free(resends->of, bytes_of(resends->mask + 1, resends->numbers != NULL));
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
