/* splitmix: numbers from a seed, the same everywhere: splitmix64 (Steele, Lea, Flood 2014). Not for secrets.
 * Pure. Any thread. */
#ifndef TR_SPLITMIX_H
#define TR_SPLITMIX_H

#include <stdint.h>

/* The next one; any state is a good seed. */
static inline uint64_t tr__splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
