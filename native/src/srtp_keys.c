/* srtp_keys: session keys out of a master key (RFC 3711 section 4.3; RFC 7714 section 11 for AEAD).
 * Runs once for each direction of a transport. Worker thread. */
#include <string.h>

#include "srtp.h"

/* RFC 3711 section 4.3.2. */
enum { LABEL_RTP_KEY = 0, LABEL_RTP_AUTH, LABEL_RTP_SALT, LABEL_RTCP_KEY, LABEL_RTCP_AUTH, LABEL_RTCP_SALT };

size_t tr__srtp_key_size(tr_srtp_profile profile)
{
    switch (profile) {
    case TR_SRTP_AES128_CM_SHA1_80:
        return 16;
    case TR_SRTP_AEAD_AES_128_GCM:
        return 16;
    case TR_SRTP_AEAD_AES_256_GCM:
        return 32;
    case TR_SRTP_NONE:
        break;
    }
    return 0;
}

size_t tr__srtp_salt_size(tr_srtp_profile profile)
{
    switch (profile) {
    case TR_SRTP_AES128_CM_SHA1_80:
        return 14;
    case TR_SRTP_AEAD_AES_128_GCM:
        return 12;
    case TR_SRTP_AEAD_AES_256_GCM:
        return 12;
    case TR_SRTP_NONE:
        break;
    }
    return 0;
}

size_t tr__srtp_rtp_overhead(tr_srtp_profile profile)
{
    switch (profile) {
    case TR_SRTP_AES128_CM_SHA1_80:
        return 10;
    case TR_SRTP_AEAD_AES_128_GCM:
        return 16;
    case TR_SRTP_AEAD_AES_256_GCM:
        return 16;
    case TR_SRTP_NONE:
        break;
    }
    return 0;
}

bool tr__srtp_derive(tr_srtp_profile profile, const uint8_t *key, const uint8_t *salt, tr_srtp_keys *out)
{
    const size_t key_size = tr__srtp_key_size(profile), salt_size = tr__srtp_salt_size(profile);
    const size_t auth_size = profile == TR_SRTP_AES128_CM_SHA1_80 ? 20 : 0;
    memset(out, 0, sizeof *out);
    if (!key_size) return false;

    const struct {
        uint8_t label, *out;
        size_t size;
    } rows[] = {
        {LABEL_RTP_KEY, out->rtp_key, key_size},      {LABEL_RTP_AUTH, out->rtp_auth, auth_size},
        {LABEL_RTP_SALT, out->rtp_salt, salt_size},   {LABEL_RTCP_KEY, out->rtcp_key, key_size},
        {LABEL_RTCP_AUTH, out->rtcp_auth, auth_size}, {LABEL_RTCP_SALT, out->rtcp_salt, salt_size},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* The salt, left-aligned in 112 bits (RFC 7714 pads its 96 with zeros), the label seven bytes from their end,
         * and 16 bits of block counter. The rate is 0, so no index goes in. */
        uint8_t iv[16] = {0};
        memcpy(iv, salt, salt_size);
        iv[7] ^= rows[i].label;
        if (rows[i].size && !tr__crypto_keystream(key, key_size, iv, rows[i].out, rows[i].size)) return false;
    }
    return true;
}
