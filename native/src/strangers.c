/* strangers: see strangers.h. Touches only the value it is given. Worker thread. */
#include "strangers.h"

static bool is_known(const tr_strangers *strangers, uint32_t ssrc)
{
    for (uint32_t i = 0; i < strangers->count && i < TR_STRANGERS_MAX; i++)
        if (strangers->ssrcs[i] == ssrc) return true;
    return false;
}

bool tr__strangers_may(const tr_strangers *strangers, uint32_t ssrc, uint64_t now_us)
{
    const uint64_t full_us = (TR_STRANGERS_MAX - 1) * (uint64_t)TR_STRANGERS_INTERVAL_US;
    return is_known(strangers, ssrc) || strangers->at_us <= now_us + full_us;
}

void tr__strangers_note(tr_strangers *strangers, uint32_t ssrc, uint64_t now_us)
{
    if (is_known(strangers, ssrc)) return;
    strangers->ssrcs[strangers->count % TR_STRANGERS_MAX] = ssrc;
    strangers->count++;
    strangers->at_us = (strangers->at_us > now_us ? strangers->at_us : now_us) + TR_STRANGERS_INTERVAL_US;
}
