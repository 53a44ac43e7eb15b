/* wire: the only way bytes of a packet are read or written: big-endian, bounded, sticky on failure.
 * Pure. Any thread.
 *
 * A cursor that ran past its end stays failed and reads zeros; ask tr__cursor_ok once, at the end. */
#ifndef TR_WIRE_H
#define TR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct tr_cursor {
    const uint8_t *at, *end;
    bool failed;
} tr_cursor;

static inline tr_cursor tr__cursor(const void *data, size_t size)
{
    const uint8_t *at = data;
    return (tr_cursor){at, at + size, false};
}

static inline bool tr__cursor_ok(const tr_cursor *c) { return !c->failed; }
static inline size_t tr__cursor_left(const tr_cursor *c) { return c->failed ? 0 : (size_t)(c->end - c->at); }

/* The next n bytes, or NULL. */
static inline const uint8_t *tr__take(tr_cursor *c, size_t n)
{
    if (c->failed || (size_t)(c->end - c->at) < n) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    return p;
}

static inline uint16_t tr__load16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t tr__load24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }
static inline uint32_t tr__load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t tr__load64(const uint8_t *p) { return (uint64_t)tr__load32(p) << 32 | tr__load32(p + 4); }

static inline uint8_t tr__take8(tr_cursor *c)
{
    const uint8_t *p = tr__take(c, 1);
    return p ? *p : 0;
}
static inline uint16_t tr__take16(tr_cursor *c)
{
    const uint8_t *p = tr__take(c, 2);
    return p ? tr__load16(p) : 0;
}
static inline uint32_t tr__take24(tr_cursor *c)
{
    const uint8_t *p = tr__take(c, 3);
    return p ? tr__load24(p) : 0;
}
static inline uint32_t tr__take32(tr_cursor *c)
{
    const uint8_t *p = tr__take(c, 4);
    return p ? tr__load32(p) : 0;
}
static inline uint64_t tr__take64(tr_cursor *c)
{
    const uint8_t *p = tr__take(c, 8);
    return p ? tr__load64(p) : 0;
}

/* Bit by bit, the first one the most significant; as sticky as a cursor. */
typedef struct tr_bits {
    const uint8_t *data;
    size_t at, end; /* in bits */
    bool failed;
} tr_bits;

/* n of them, 32 at most; 0 once it has failed. */
static inline uint32_t tr__take_bits(tr_bits *b, unsigned n)
{
    uint32_t value = 0;
    if (b->failed || b->end - b->at < n) {
        b->failed = true;
        return 0;
    }
    for (; n > 0; n--, b->at++) value = value << 1 | (b->data[b->at >> 3] >> (7 - (b->at & 7)) & 1u);
    return value;
}

static inline void tr__store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void tr__store24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}
static inline void tr__store32(uint8_t *p, uint32_t v)
{
    tr__store16(p, (uint16_t)(v >> 16));
    tr__store16(p + 2, (uint16_t)v);
}
static inline void tr__store64(uint8_t *p, uint64_t v)
{
    tr__store32(p, (uint32_t)(v >> 32));
    tr__store32(p + 4, (uint32_t)v);
}

/* The writing twin: past its room it stays failed and writes nothing more. */
typedef struct tr_pen {
    uint8_t *begin, *at, *end;
    bool failed;
} tr_pen;

static inline tr_pen tr__pen(void *data, size_t room)
{
    uint8_t *at = data;
    return (tr_pen){at, at, at + room, false};
}

static inline bool tr__pen_ok(const tr_pen *p) { return !p->failed; }
static inline size_t tr__pen_size(const tr_pen *p) { return (size_t)(p->at - p->begin); }

/* Room for n bytes, or NULL. */
static inline uint8_t *tr__put(tr_pen *p, size_t n)
{
    if (p->failed || (size_t)(p->end - p->at) < n) {
        p->failed = true;
        return NULL;
    }
    uint8_t *at = p->at;
    p->at += n;
    return at;
}

static inline void tr__put8(tr_pen *p, uint8_t v)
{
    uint8_t *at = tr__put(p, 1);
    if (at) *at = v;
}
static inline void tr__put16(tr_pen *p, uint16_t v)
{
    uint8_t *at = tr__put(p, 2);
    if (at) tr__store16(at, v);
}
static inline void tr__put24(tr_pen *p, uint32_t v)
{
    uint8_t *at = tr__put(p, 3);
    if (at) tr__store24(at, v);
}
static inline void tr__put32(tr_pen *p, uint32_t v)
{
    uint8_t *at = tr__put(p, 4);
    if (at) tr__store32(at, v);
}
static inline void tr__put64(tr_pen *p, uint64_t v)
{
    uint8_t *at = tr__put(p, 8);
    if (at) tr__store64(at, v);
}
static inline void tr__put_bytes(tr_pen *p, const void *data, size_t n)
{
    uint8_t *at = tr__put(p, n);
    if (at && n) memcpy(at, data, n);
}

#endif
