/* stun: STUN messages as ICE uses them, read, checked and written (RFC 8489, RFC 8445).
 * Pure: SHA-1 is OpenSSL's. Worker thread.
 *
 * Attributes after MESSAGE-INTEGRITY are ignored, but FINGERPRINT; comparison of the MAC is constant-time. */
#ifndef TR_STUN_H
#define TR_STUN_H

#include "telerelay.h"
#include "wire.h"

#define TR_STUN_TRANSACTION 12
#define TR_STUN_MAX_RESPONSE 128

typedef enum tr_stun_class {
    TR_STUN_REQUEST = 0,
    TR_STUN_INDICATION = 1,
    TR_STUN_SUCCESS = 2,
    TR_STUN_ERROR = 3
} tr_stun_class;

typedef struct tr_stun {
    const uint8_t *data;
    uint16_t size;
    tr_stun_class class;
    uint16_t method;            /* 1: Binding */
    const uint8_t *transaction; /* TR_STUN_TRANSACTION bytes */
    const uint8_t *username;    /* "local:remote" as the peer spells it, NULL: absent */
    uint16_t username_size;
    uint16_t integrity_at; /* offset of the MESSAGE-INTEGRITY attribute, 0: absent */
    bool has_fingerprint;  /* there, and last; whether it is right: tr__stun_check_fingerprint */
    uint32_t priority;     /* 0: absent */
    bool use_candidate, is_controlling, is_controlled;
    uint64_t tie_breaker;
    uint16_t unknown_required; /* first comprehension-required attribute we do not know, 0: none */
    uint16_t error_code;
} tr_stun;

/* TR_DROP_NONE or TR_DROP_STUN_MALFORMED. Reads structure only and computes no checksum: a flood for nobody must be
 * cheap to drop. A MESSAGE-INTEGRITY that is not 20 bytes, or anything behind FINGERPRINT, or more
 * than 64 attributes, is malformed. */
tr_drop tr__stun_parse(tr_stun *stun, const uint8_t *data, size_t size);

/* True if MESSAGE-INTEGRITY is there and made with this password. */
bool tr__stun_verify(const tr_stun *stun, const char *password, size_t password_size);

/* True if FINGERPRINT is there and right. */
bool tr__stun_check_fingerprint(const tr_stun *stun);

/* The fragment before the colon of USERNAME; size 0 when there is none. */
const uint8_t *tr__stun_local_ufrag(const tr_stun *stun, size_t *size);

/* Write into room bytes; the size written, 0 if it does not fit. Answers carry MESSAGE-INTEGRITY and FINGERPRINT.
 * family 4 or 6, ip 4 or 16 bytes, port in host order: the XOR-MAPPED-ADDRESS. */
size_t tr__stun_write_success(uint8_t *out, size_t room, const uint8_t *transaction, int family, const uint8_t *ip,
                              uint16_t port, const char *password, size_t password_size);
size_t tr__stun_write_error(uint8_t *out, size_t room, const uint8_t *transaction, uint16_t code, uint16_t unknown,
                            const char *password, size_t password_size);
/* A Binding request, for clients of this code (load tester, tests): username is the whole USERNAME. */
size_t tr__stun_write_request(uint8_t *out, size_t room, const uint8_t *transaction, const char *username,
                              uint32_t priority, bool use_candidate, uint64_t tie_breaker, const char *password,
                              size_t password_size);
/* The same from an agent in either role. */
size_t tr__stun_write_check(uint8_t *out, size_t room, const uint8_t *transaction, const char *username,
                            uint32_t priority, bool is_controlling, bool use_candidate, uint64_t tie_breaker,
                            const char *password, size_t password_size);

#endif
