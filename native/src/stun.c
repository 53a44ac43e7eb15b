/* stun: STUN messages as ICE uses them: read in one pass, checked on request, written with integrity and fingerprint.
 * Touches only the bytes it is given, and libcrypto's SHA-1. Worker thread.
 *
 * A flood of messages for nobody must stay cheap, so parsing computes neither CRC nor MAC.
 *
 * SHA-1 goes through SHA_CTX, which OpenSSL 3 calls deprecated: there a call of HMAC() looks its algorithm up and
 * allocates (1.7 us for a check of 100 bytes, an EVP_MAC kept ready 0.5 us), while a SHA_CTX is a value (0.2 us). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "stun.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define HEADER 20
#define MAGIC_COOKIE 0x2112a442u
#define MAC_SIZE 20
#define SHA1_BLOCK 64
#define FINGERPRINT_XOR 0x5354554eu
/* Two ICE fragments of 256 characters and the colon between them (RFC 8445, 5.3; RFC 8489, 14.3 says 508). */
#define MAX_USERNAME 513
/* Browsers' checks have about ten attributes. A datagram of hundreds is a flood that wants to be expensive. */
#define MAX_ATTRIBUTES 64

enum {
    MAPPED_ADDRESS = 0x0001,
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000a,
    REALM = 0x0014,
    NONCE = 0x0015,
    XOR_MAPPED_ADDRESS = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    FINGERPRINT = 0x8028,
    ICE_CONTROLLED = 0x8029,
    ICE_CONTROLLING = 0x802a
};

/* ------------------------------------------------------------------ reading */

static bool read_attribute(tr_stun *stun, uint16_t type, const uint8_t *value, uint16_t size)
{
    switch (type) {
    case USERNAME:
        if (size > MAX_USERNAME) return false;
        /* Of an attribute that stands twice, the first counts (RFC 8489, section 14). */
        if (stun->username) return true;
        stun->username = value;
        stun->username_size = size;
        return true;
    case PRIORITY:
        if (size != 4) return false;
        if (!stun->priority) stun->priority = tr__load32(value);
        return true;
    case USE_CANDIDATE:
        stun->use_candidate = true;
        return size == 0;
    case ICE_CONTROLLED:
    case ICE_CONTROLLING:
        if (size != 8) return false;
        if (stun->is_controlled || stun->is_controlling) return true;
        stun->is_controlled = type == ICE_CONTROLLED;
        stun->is_controlling = type == ICE_CONTROLLING;
        stun->tie_breaker = tr__load64(value);
        return true;
    case ERROR_CODE:
        if (size < 4 || value[3] > 99) return false;
        if (!stun->error_code) stun->error_code = (uint16_t)((value[2] & 7) * 100 + value[3]);
        return true;
    case MAPPED_ADDRESS:
    case UNKNOWN_ATTRIBUTES:
    case REALM:
    case NONCE:
    case XOR_MAPPED_ADDRESS:
        return true; /* known, and nothing that ICE asks of us */
    default:
        if (type < 0x8000 && !stun->unknown_required) stun->unknown_required = type;
        return true;
    }
}

tr_drop tr__stun_parse(tr_stun *stun, const uint8_t *data, size_t size)
{
    *stun = (tr_stun){0};
    if (size < HEADER || size > UINT16_MAX) return TR_DROP_STUN_MALFORMED;
    uint16_t type = tr__load16(data);
    if (type & 0xc000 || tr__load16(data + 2) != size - HEADER || tr__load32(data + 4) != MAGIC_COOKIE)
        return TR_DROP_STUN_MALFORMED;

    stun->data = data;
    stun->size = (uint16_t)size;
    stun->transaction = data + 8;
    /* RFC 8489, section 5: the two class bits sit at 8 and 4, the method around them. */
    stun->class = (tr_stun_class)((type >> 7 & 2) | (type >> 4 & 1));
    stun->method = (uint16_t)((type & 0x000f) | (type >> 1 & 0x0070) | (type >> 2 & 0x0f80));

    tr_cursor c = tr__cursor(data + HEADER, size - HEADER);
    for (unsigned count = 0; tr__cursor_left(&c); count++) {
        if (count == MAX_ATTRIBUTES) return TR_DROP_STUN_MALFORMED;
        size_t at = (size_t)(c.at - data);
        uint16_t attribute = tr__take16(&c), attribute_size = tr__take16(&c);
        const uint8_t *value = tr__take(&c, (attribute_size + 3u) & ~3u);
        if (!value) return TR_DROP_STUN_MALFORMED;
        if (stun->has_fingerprint) return TR_DROP_STUN_MALFORMED; /* it is the last one (RFC 8489, 14.7) */
        if (attribute == FINGERPRINT) {
            if (attribute_size != 4) return TR_DROP_STUN_MALFORMED;
            stun->has_fingerprint = true;
        } else if (stun->integrity_at) {
            continue; /* not covered by the MAC, so not believed (RFC 8489, 14.5) */
        } else if (attribute == MESSAGE_INTEGRITY) {
            if (attribute_size != MAC_SIZE) return TR_DROP_STUN_MALFORMED;
            stun->integrity_at = (uint16_t)at;
        } else if (!read_attribute(stun, attribute, value, attribute_size)) {
            return TR_DROP_STUN_MALFORMED;
        }
    }
    return TR_DROP_NONE;
}

const uint8_t *tr__stun_local_ufrag(const tr_stun *stun, size_t *size)
{
    const uint8_t *colon = stun->username ? memchr(stun->username, ':', stun->username_size) : NULL;
    *size = colon ? (size_t)(colon - stun->username) : 0;
    return *size ? stun->username : NULL;
}

/* ------------------------------------------------------------------ checking */

/* CRC-32 as in ITU V.42, four bits at a time: checks are few and short, a larger table would only cost cache. */
static uint32_t crc32(const uint8_t *data, size_t size)
{
    static const uint32_t TABLE[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ TABLE[crc & 15];
        crc = crc >> 4 ^ TABLE[crc & 15];
    }
    return ~crc;
}

static void begin_pad(SHA_CTX *sha, const uint8_t key[SHA1_BLOCK], uint8_t with)
{
    uint8_t block[SHA1_BLOCK];
    for (size_t i = 0; i < sizeof block; i++) block[i] = key[i] ^ with;
    SHA1_Init(sha);
    SHA1_Update(sha, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

/* HMAC-SHA1 (RFC 2104) over the message up to its MESSAGE-INTEGRITY, with the length field as if the message ended
 * behind that attribute (RFC 8489, 14.5). */
static void make_mac(const uint8_t *data, size_t integrity_at, const char *password, size_t password_size,
                     uint8_t mac[MAC_SIZE])
{
    uint8_t key[SHA1_BLOCK] = {0}, length[2];
    SHA_CTX sha;
    if (password_size > sizeof key) {
        SHA1_Init(&sha);
        SHA1_Update(&sha, password, password_size);
        SHA1_Final(key, &sha);
    } else if (password_size) {
        memcpy(key, password, password_size);
    }
    tr__store16(length, (uint16_t)(integrity_at + 4 + MAC_SIZE - HEADER));

    begin_pad(&sha, key, 0x36);
    SHA1_Update(&sha, data, 2);
    SHA1_Update(&sha, length, sizeof length);
    SHA1_Update(&sha, data + 4, integrity_at - 4);
    SHA1_Final(mac, &sha);
    begin_pad(&sha, key, 0x5c);
    SHA1_Update(&sha, mac, MAC_SIZE);
    SHA1_Final(mac, &sha);
    OPENSSL_cleanse(key, sizeof key);
}

bool tr__stun_verify(const tr_stun *stun, const char *password, size_t password_size)
{
    if (!stun->integrity_at) return false;
    uint8_t mac[MAC_SIZE];
    make_mac(stun->data, stun->integrity_at, password, password_size, mac);
    return CRYPTO_memcmp(mac, stun->data + stun->integrity_at + 4, MAC_SIZE) == 0;
}

bool tr__stun_check_fingerprint(const tr_stun *stun)
{
    if (!stun->has_fingerprint) return false;
    size_t covered = stun->size - 8u; /* it is the last attribute, and the length field counts it (RFC 8489, 14.7) */
    return tr__load32(stun->data + covered + 4) == (crc32(stun->data, covered) ^ FINGERPRINT_XOR);
}

/* ------------------------------------------------------------------ writing */

static void begin_message(tr_pen *pen, uint16_t type, const uint8_t *transaction)
{
    tr__put16(pen, type);
    tr__put16(pen, 0);
    tr__put32(pen, MAGIC_COOKIE);
    tr__put_bytes(pen, transaction, TR_STUN_TRANSACTION);
}

static void put_attribute(tr_pen *pen, uint16_t type, const void *value, size_t size)
{
    tr__put16(pen, type);
    tr__put16(pen, (uint16_t)size);
    tr__put_bytes(pen, value, size);
    for (; size % 4; size++) tr__put8(pen, 0);
}

/* MESSAGE-INTEGRITY, FINGERPRINT and the final length; the size of the message, 0 if it did not fit. */
static size_t end_message(tr_pen *pen, const char *password, size_t password_size)
{
    uint8_t mac[MAC_SIZE], fingerprint[4];
    if (!tr__pen_ok(pen)) return 0;
    make_mac(pen->begin, tr__pen_size(pen), password, password_size, mac);
    put_attribute(pen, MESSAGE_INTEGRITY, mac, sizeof mac);
    if (!tr__pen_ok(pen)) return 0;
    size_t covered = tr__pen_size(pen);
    tr__store16(pen->begin + 2, (uint16_t)(covered + 4 + sizeof fingerprint - HEADER));
    tr__store32(fingerprint, crc32(pen->begin, covered) ^ FINGERPRINT_XOR);
    put_attribute(pen, FINGERPRINT, fingerprint, sizeof fingerprint);
    return tr__pen_ok(pen) ? tr__pen_size(pen) : 0;
}

size_t tr__stun_write_success(uint8_t *out, size_t room, const uint8_t *transaction, int family, const uint8_t *ip,
                              uint16_t port, const char *password, size_t password_size)
{
    if (family != 4 && family != 6) return 0;
    size_t ip_size = family == 4 ? 4 : 16;
    tr_pen pen = tr__pen(out, room);
    begin_message(&pen, 0x0101, transaction);
    /* RFC 8489, 14.2: port and address are masked with the cookie, and the rest of an IPv6 address with the transaction
     * id, which follows the cookie in the header. */
    uint8_t value[4 + 16] = {0, family == 4 ? 1 : 2}, mask[4 + TR_STUN_TRANSACTION];
    tr__store32(mask, MAGIC_COOKIE);
    memcpy(mask + 4, transaction, TR_STUN_TRANSACTION);
    tr__store16(value + 2, (uint16_t)(port ^ MAGIC_COOKIE >> 16));
    for (size_t i = 0; i < ip_size; i++) value[4 + i] = ip[i] ^ mask[i];
    put_attribute(&pen, XOR_MAPPED_ADDRESS, value, 4 + ip_size);
    return end_message(&pen, password, password_size);
}

size_t tr__stun_write_error(uint8_t *out, size_t room, const uint8_t *transaction, uint16_t code, uint16_t unknown,
                            const char *password, size_t password_size)
{
    if (code < 300 || code > 699) return 0;
    tr_pen pen = tr__pen(out, room);
    begin_message(&pen, 0x0111, transaction);
    /* The reason phrase is left empty: the code says it, and an answer must not outgrow its request. */
    uint8_t value[4] = {0, 0, (uint8_t)(code / 100), (uint8_t)(code % 100)};
    put_attribute(&pen, ERROR_CODE, value, sizeof value);
    if (unknown) {
        tr__store16(value, unknown);
        put_attribute(&pen, UNKNOWN_ATTRIBUTES, value, 2);
    }
    return end_message(&pen, password, password_size);
}

size_t tr__stun_write_request(uint8_t *out, size_t room, const uint8_t *transaction, const char *username,
                              uint32_t priority, bool use_candidate, uint64_t tie_breaker, const char *password,
                              size_t password_size)
{
    return tr__stun_write_check(out, room, transaction, username, priority, true, use_candidate, tie_breaker, password,
                                password_size);
}

size_t tr__stun_write_check(uint8_t *out, size_t room, const uint8_t *transaction, const char *username,
                            uint32_t priority, bool is_controlling, bool use_candidate, uint64_t tie_breaker,
                            const char *password, size_t password_size)
{
    size_t username_size = strlen(username);
    if (username_size > MAX_USERNAME) return 0;
    tr_pen pen = tr__pen(out, room);
    uint8_t value[8];
    begin_message(&pen, 0x0001, transaction);
    put_attribute(&pen, USERNAME, username, username_size);
    tr__store32(value, priority);
    put_attribute(&pen, PRIORITY, value, 4);
    tr__store64(value, tie_breaker);
    put_attribute(&pen, is_controlling ? ICE_CONTROLLING : ICE_CONTROLLED, value, 8);
    if (use_candidate) put_attribute(&pen, USE_CANDIDATE, NULL, 0);
    return end_message(&pen, password, password_size);
}
