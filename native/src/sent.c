/* sent: see sent.h. */
#include "sent.h"

void tr__sent_init(tr_sent *s)
{
    s->mask = TR_SENT_LEAST - 1;
    s->oldest_seq = s->next_seq = -1;
    s->flight_bytes = 0;
}

/* Twice the ring: each packet stays, or goes up by the old length, where nothing was ever written. */
__attribute__((cold, noinline)) static void grow(tr_sent *s)
{
    uint32_t old = s->mask + 1;
    for (uint32_t at = 0; at < old; at++) {
        int64_t seq = s->next_seq - 1 - ((s->next_seq - 1 - at) & s->mask);
        if (seq < 0 || !(seq & old)) continue;
        s->packets[at + old] = s->packets[at];
        s->packets[at].fate = TR_FATE_NONE;
    }
    s->mask = 2 * old - 1;
}

/* Numbers that were passed over were never sent. */
__attribute__((cold, noinline)) static void pass_over(tr_sent *s, int64_t seq)
{
    int64_t passed = s->next_seq;
    if (seq - passed > s->mask) passed = seq - s->mask;
    for (; passed < seq; passed++) tr__sent_settle(s, &s->packets[passed & s->mask], TR_FATE_NONE);
}

bool tr__sent_put(tr_sent *s, int64_t now_us, int64_t seq, uint32_t size_bytes, int32_t probe_id, bool is_tracked)
{
    if (seq < 0 || seq < s->next_seq) return false;
    if (s->next_seq < 0) s->oldest_seq = s->next_seq = seq;
    if (s->packets[seq & s->mask].fate == TR_FATE_ON_WAY && s->mask + 1 < TR_SENT_MOST) grow(s);
    if (seq != s->next_seq) pass_over(s, seq);
    tr_sent_packet *p = &s->packets[seq & s->mask];
    tr__sent_settle(s, p, TR_FATE_NONE);
    uint32_t probe = probe_id >= 0 && probe_id < TR_SENT_PROBES ? (uint32_t)probe_id : TR_SENT_PROBES;
    *p = (tr_sent_packet){
        .sent_us = (uint32_t)(uint64_t)now_us,
        .size_bytes = size_bytes < 65535 ? (uint16_t)size_bytes : 65535,
        .probe = probe & TR_SENT_PROBES,
        .fate = is_tracked ? TR_FATE_ON_WAY : TR_FATE_GIVEN_UP,
    };
    if (is_tracked) s->flight_bytes += p->size_bytes;
    s->next_seq = seq + 1;
    if (s->oldest_seq < s->next_seq - s->mask - 1) s->oldest_seq = s->next_seq - s->mask - 1;
    return true;
}

void tr__sent_give_up(tr_sent *s, int64_t before_us, int64_t now_us)
{
    for (; s->oldest_seq < s->next_seq; s->oldest_seq++) {
        tr_sent_packet *p = &s->packets[s->oldest_seq & s->mask];
        if (p->fate != TR_FATE_ON_WAY) continue;
        if (tr__sent_us(p, now_us) > before_us) return;
        tr__sent_settle(s, p, TR_FATE_GIVEN_UP);
    }
}
