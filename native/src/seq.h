/* seq: RTP sequence numbers and timestamps that wrap (RFC 3550, appendix A.1; RFC 1982).
 * Pure. Any thread. */
#ifndef TR_SEQ_H
#define TR_SEQ_H

#include <stdbool.h>
#include <stdint.h>

/* How far a is ahead of b, -32768 to 32767. */
static inline int16_t tr__seq_diff(uint16_t a, uint16_t b) { return (int16_t)(uint16_t)(a - b); }
static inline bool tr__seq_newer(uint16_t a, uint16_t b) { return tr__seq_diff(a, b) > 0; }
static inline int32_t tr__ts_diff(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

/* The 64-bit number nearest to `reference` whose low 16 bits are seq. Below zero there is nothing: a result
 * before 0 is returned as its positive twin one cycle up. */
static inline uint64_t tr__seq_unwrap(uint64_t reference, uint16_t seq)
{
    int64_t value = (int64_t)reference + tr__seq_diff(seq, (uint16_t)reference);
    return (uint64_t)(value < 0 ? value + 65536 : value);
}

#endif
