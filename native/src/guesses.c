/* guesses: see guesses.h. Touches only the value it is given. Worker thread. */
#include "guesses.h"

#include "hash.h"

tr_guess *tr__guesses_of(tr_guesses *guesses, uint32_t transport, const tr_address *source, uint64_t now_us)
{
    uint32_t hash = tr__hash_bytes(guesses->key ^ (uint64_t)transport << 32, source->ip, sizeof source->ip);
    tr_guess *guess = &guesses->of[hash & (TR_GUESSES_SOURCES - 1)];
    uint32_t second = (uint32_t)(now_us / 1000000);
    if (guess->second != second) *guess = (tr_guess){second, 0};
    return guess;
}
