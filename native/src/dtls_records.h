/* dtls_records: the records of one association after its handshake: sealed, opened, each taken once (RFC 6347, 4.1).
 * OpenSSL keeps 47 KiB for every association until it ends, of which what comes after the handshake needs the keys, two
 * numbers and a window. This holds those, and takes the place of OpenSSL's once its Finished has come.
 * Only suites with AEAD: AES-GCM (RFC 5288) and ChaCha20-Poly1305 (RFC 7905). Others stay with OpenSSL, whose check of
 * their padding takes the same time whatever it finds.
 * Allocates nothing after the ciphers are made. Worker thread. Used by dtls.c alone. */
#ifndef TR_DTLS_RECORDS_H
#define TR_DTLS_RECORDS_H

#include <openssl/ssl.h>

#include "dtls_gate.h"

/* Header, explicit nonce and tag: the most that sealing adds. */
#define TR_DTLS_SEAL_BYTES (TR_DTLS_RECORD_HEADER + 8 + 16)

/* What all associations of a worker share: a context for each cipher, which gets its key record by record. Data is rare
 * beside media, and a key schedule costs less than a context kept for each direction of each association. */
typedef struct tr_dtls_ciphers tr_dtls_ciphers;
tr_dtls_ciphers *tr__dtls_ciphers_new(void); /* NULL: no memory, or OpenSSL lacks one */
void tr__dtls_ciphers_free(tr_dtls_ciphers *ciphers);

typedef struct tr_dtls_direction {
    uint8_t key[32], iv[12];
} tr_dtls_direction;

typedef struct tr_dtls_records {
    /* given */
    tr_dtls_ciphers *ciphers; /* borrowed */
    uint8_t suite;            /* row of the table in dtls_records.c */
    /* owned */
    tr_dtls_direction out, in;
    uint64_t out_sequence; /* of the next record */
    uint64_t out_nonce;    /* its explicit part */
    uint64_t in_highest;   /* the latest record taken, and which of the 64 up to it were: the lowest bit is itself */
    uint64_t in_window;
} tr_dtls_records;

/* While OpenSSL still writes: what it wrote, for numbers and nonces to go on behind it. */
void tr__dtls_records_wrote(tr_dtls_records *records, const tr_dtls_record *record);

/* Takes the keys out of a finished handshake. last_in: the number of the peer's Finished, which alone counts as taken:
 * werift numbers that one on from the epoch before and begins at 1 with the next. False: another suite, or no memory;
 * then nothing has changed. */
bool tr__dtls_records_take(tr_dtls_records *records, tr_dtls_ciphers *ciphers, SSL *ssl, bool is_client,
                           uint64_t last_in);

/* One record into out, which has room for size + TR_DTLS_SEAL_BYTES; its size, 0: OpenSSL failed. */
size_t tr__dtls_records_seal(tr_dtls_records *records, uint8_t type, const uint8_t *data, size_t size, uint8_t *out);

/* The plain content of one record of epoch 1 into out, which has room for record->size. False: it does not
 * authenticate, or was taken before, or is too old to tell. */
bool tr__dtls_records_open(tr_dtls_records *records, const tr_dtls_record *record, uint8_t *out, size_t *size);

#endif
