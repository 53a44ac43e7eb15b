/* hash: keyed hashes for tables that strangers' bytes are looked up in: without the key nobody can make them collide on
 * purpose for cheap. Not for secrets.
 * Pure. Any thread. */
#ifndef TR_HASH_H
#define TR_HASH_H

#include <string.h>

#include "address.h"

static inline uint32_t tr__hash_bytes(uint64_t key, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t h = key;
    for (size_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return (uint32_t)(h >> 32);
}

/* Each packet pays for this one. The local address has no part in it. */
static inline uint32_t tr__hash_path(uint64_t key, const tr_path *path)
{
    uint64_t a, b;
    memcpy(&a, path->remote.ip, 8);
    memcpy(&b, path->remote.ip + 8, 8);
    uint64_t h = key ^ (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu) ^
                 ((uint64_t)path->remote.port << 16 | (uint64_t)path->socket << 8 | path->kind);
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    return (uint32_t)h;
}

#endif
