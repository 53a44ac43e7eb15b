/* fuzz srtp: any bytes as a sealed packet, and as a plain one that is sealed and must come back.
 * Input: one byte of choices, then packets, each behind two bytes of size. */
#include <stdlib.h>

#include "srtp.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) abort();
}

/* What was sealed opens to the same bytes, or says why it may not. */
static void round_trip(tr_srtp *ours, tr_srtp *theirs, const uint8_t *plain, size_t size, bool is_rtcp)
{
    uint8_t data[TR_MAX_DATAGRAM + TR_SRTP_MAX_OVERHEAD];
    uint64_t index = 0;
    if (size) memcpy(data, plain, size);
    if (size >= 4) index = tr__load16(plain + 2);
    size_t sealed = is_rtcp ? tr__srtp_seal_rtcp(ours, data, size) : tr__srtp_seal_rtp(ours, data, size, index);
    if (!sealed) return;
    must(sealed > size && sealed <= size + TR_SRTP_MAX_OVERHEAD);
    uint64_t found = index;
    tr_drop drop =
        is_rtcp ? tr__srtp_open_rtcp(theirs, data, &sealed) : tr__srtp_open_rtp(theirs, data, &sealed, &found);
    if (drop == TR_DROP_NONE) must(sealed == size && (uint16_t)found == index && memcmp(data, plain, size) == 0);
    /* A fuzzer's sequence numbers jump further than any stream's, so an index may be guessed a rollover ahead. */
    else
        must(drop == TR_DROP_SRTP_REPLAY || drop == TR_DROP_SRTP_SSRC_LIMIT || drop == TR_DROP_SRTP_AUTH ||
             sealed > TR_MAX_DATAGRAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tr_srtp_profile profiles[] = {TR_SRTP_AES128_CM_SHA1_80, TR_SRTP_AEAD_AES_128_GCM,
                                               TR_SRTP_AEAD_AES_256_GCM};
    static tr_crypto *crypto;
    static const uint8_t a[32] = {1}, b[32] = {2}, salt[14] = {3};
    if (!crypto) crypto = tr__crypto_new(TR_CRYPTO_AUTO);
    tr_cursor c = tr__cursor(data, size);
    uint8_t choice = tr__take8(&c);
    tr_srtp_profile profile = profiles[choice % 3];
    tr_srtp *ours = tr__srtp_new(crypto, profile, b, salt, a, salt),
            *theirs = tr__srtp_new(crypto, profile, a, salt, b, salt);
    must(ours && theirs);
    while (tr__cursor_left(&c)) {
        size_t length = tr__take16(&c), left = tr__cursor_left(&c);
        if (length > left) length = left;
        if (length > TR_MAX_DATAGRAM) length = TR_MAX_DATAGRAM;
        const uint8_t *packet = tr__take(&c, length);
        if (!packet) break;
        uint8_t copy[TR_MAX_DATAGRAM];
        uint64_t index;
        size_t n = length;
        if (length) memcpy(copy, packet, length);
        if (choice & 0x80)
            tr__srtp_open_rtcp(theirs, copy, &n);
        else
            tr__srtp_open_rtp(theirs, copy, &n, &index);
        round_trip(ours, theirs, packet, length, choice & 0x80);
        if (choice & 0x40 && length >= 12) tr__srtp_retire_ssrc(theirs, tr__load32(packet + 8));
    }
    tr__srtp_free(ours);
    tr__srtp_free(theirs);
    return 0;
}
