/* hex: bytes of test vectors, written as the RFCs print them. */
#ifndef TR_TEST_HEX_H
#define TR_TEST_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes the bytes, returns how many. */
static inline size_t hex(const char *digits, uint8_t *out)
{
    size_t size = 0;
    for (; digits[0] && digits[1]; digits += 2) {
        uint8_t byte = 0;
        for (int i = 0; i < 2; i++)
            byte = (uint8_t)(byte << 4 | (digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 32) - 'a' + 10));
        out[size++] = byte;
    }
    return size;
}

#endif
