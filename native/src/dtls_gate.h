/* dtls_gate: which DTLS records are shown to OpenSSL at all, and which are not worth its memory (RFC 6347).
 * Pure: no clock, no allocation. Worker thread. Used by dtls.c alone.
 *
 * Nothing in epoch 0 is authenticated, and OpenSSL keeps what it may need later. The gate holds a half-open
 * association to bounded memory, and takes no forged alert for the peer's. */
#ifndef TR_DTLS_GATE_H
#define TR_DTLS_GATE_H

#include "telerelay.h"
#include "wire.h"

#define TR_DTLS_RECORD_HEADER 13

enum { TR_DTLS_CCS = 20, TR_DTLS_ALERT = 21, TR_DTLS_HANDSHAKE_RECORD = 22, TR_DTLS_DATA = 23 };

typedef struct tr_dtls_record {
    uint8_t type;
    uint16_t epoch;
    uint64_t sequence;   /* 48 bits: of its epoch */
    const uint8_t *data; /* with its header */
    size_t size;         /* with its header */
} tr_dtls_record;

/* Messages of one handshake: a client's are numbered to 5, a server's to 7, with a HelloVerifyRequest one more. */
#define TR_DTLS_MAX_MESSAGES 12

typedef struct tr_dtls_gate {
    bool is_client;                         /* this side is: judges a server's messages */
    uint32_t claimed[TR_DTLS_MAX_MESSAGES]; /* type << 24 | length, by message number; valid by has_claim */
    uint16_t has_claim;                     /* bit by message number */
    uint32_t claimed_bytes;
    bool has_rival_hello; /* the latest record held a ClientHello that cannot be the one begun */
} tr_dtls_gate;

void tr__dtls_gate_init(tr_dtls_gate *gate, bool is_client);

/* The next record of a datagram. False: there is none, or what is left is no record (then the cursor has failed). */
bool tr__dtls_next_record(tr_cursor *datagram, tr_dtls_record *record);

/* May this record of epoch 0 go on in a handshake? TR_DROP_NONE, DTLS_STATE, DTLS_MALFORMED or DTLS_LIMIT.
 * is_first: nothing has come yet, so it must begin a ClientHello (server). */
tr_drop tr__dtls_gate_clear(tr_dtls_gate *gate, const tr_dtls_record *record, bool is_first);

#endif
