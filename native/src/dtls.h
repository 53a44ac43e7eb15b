/* dtls: one transport's DTLS 1.2 association with use_srtp, on OpenSSL (RFC 6347, RFC 5764, RFC 8827).
 * The exception among the modules: OpenSSL reads its own clock and random source, and allocates. Worker thread.
 *
 * Datagrams go in one at a time; datagrams that come out lie in a queue the caller drains after every call. Nothing is
 * sent to a peer whose address is not validated: the caller sees to that by not calling before (ICE has validated the
 * address, so there is no cookie exchange). No exported key is handed out before the peer's certificate matched a
 * fingerprint from signalling. */
#ifndef TR_DTLS_H
#define TR_DTLS_H

#include "srtp.h"
#include "telerelay.h"

#define TR_DTLS_MAX_DATAGRAM 1200 /* of our own flights, bytes: fits any path a call may take */

typedef struct tr_dtls_context tr_dtls_context; /* certificate, key, ciphers: one per worker */
typedef struct tr_dtls tr_dtls;

/* Prefers AEAD_AES_128_GCM, takes AEAD_AES_256_GCM and AES_CM_128_HMAC_SHA1_80; ECDHE-ECDSA and ECDHE-RSA with AEAD,
 * and with CBC-SHA for old clients; groups X25519, P-256, P-384. NULL: the certificate is unusable. The context must
 * outlive its associations. */
tr_dtls_context *tr__dtls_context_new(const tr_certificate *certificate);
void tr__dtls_context_free(tr_dtls_context *context);
/* Offer or take only this profile: for tests and benchmarks of one. False: unknown. */
bool tr__dtls_context_only(tr_dtls_context *context, tr_srtp_profile profile);
/* How long the first flight waits before it is sent again, for associations made from now on; it doubles each time. */
void tr__dtls_context_set_first_timeout(tr_dtls_context *context, uint32_t timeout_us);

typedef enum tr_dtls_state {
    TR_DTLS_NEW = 0,
    TR_DTLS_HANDSHAKE,
    TR_DTLS_UNVERIFIED, /* finished, but no fingerprint has come yet (the answer is late) */
    TR_DTLS_CONNECTED,  /* finished and verified: keys may be taken */
    TR_DTLS_FAILED,     /* handshake or fingerprint failed; tr__dtls_reason says why */
    TR_DTLS_CLOSED      /* authenticated close_notify from the peer, or closed by us */
} tr_dtls_state;

/* is_client: this side opens. NULL: no memory. */
tr_dtls *tr__dtls_new(tr_dtls_context *context, bool is_client);
void tr__dtls_free(tr_dtls *dtls);

/* Take the fingerprints signalling gave (any of the `count` may match) and verify if the handshake is done. Calls that
 * bring none change nothing; one that brings others than the connected peer's fails the association. */
tr_dtls_state tr__dtls_set_fingerprints(tr_dtls *dtls, const tr_fingerprint *fingerprints, size_t count);

tr_dtls_state tr__dtls_start(tr_dtls *dtls); /* client: first flight */
/* Feed one datagram. Application data it held is kept for tr__dtls_read. *drop says what was wrong with the datagram,
 * TR_DROP_NONE if nothing: DTLS_STATE (a record that may not come now, or not unauthenticated), DTLS_MALFORMED (also:
 * it did not authenticate), DTLS_LIMIT. A failed handshake of a server re-arms: junk from one sender must not end a
 * session. */
tr_dtls_state tr__dtls_receive(tr_dtls *dtls, const uint8_t *data, size_t size, tr_drop *drop);
/* Microseconds until a flight must be resent, UINT64_MAX: none pending; then call on_timer. */
uint64_t tr__dtls_timeout_us(tr_dtls *dtls);
tr_dtls_state tr__dtls_on_timer(tr_dtls *dtls);

tr_dtls_state tr__dtls_state_of(const tr_dtls *dtls);
/* Why it failed, a stable code: "dtls_handshake", "fingerprint_mismatch", "no_srtp_profile"; "" otherwise. */
const char *tr__dtls_reason(const tr_dtls *dtls);
/* TR_SRTP_NONE until the handshake is finished. */
tr_srtp_profile tr__dtls_profile(const tr_dtls *dtls);

/* The next datagram to send; its size, 0 when the queue is empty. With room for TR_MAX_DATAGRAM bytes none is lost. */
size_t tr__dtls_next(tr_dtls *dtls, uint8_t *out, size_t room);

/* Application data (SCTP packets), once CONNECTED. read: size of the next record, 0: none. write: TR_OK, TR_ERR_STATE,
 * TR_ERR_ARGUMENT (empty, or no datagram holds it), TR_ERR_FULL (drain the queue first) or TR_ERR_CRYPTO. */
size_t tr__dtls_read(tr_dtls *dtls, uint8_t *out, size_t room);
int tr__dtls_write(tr_dtls *dtls, const uint8_t *data, size_t size);
void tr__dtls_close(tr_dtls *dtls); /* queues close_notify */

/* Once CONNECTED: SRTP from the exported keys (RFC 5764, 4.2). NULL before, or without memory. */
tr_srtp *tr__dtls_make_srtp(tr_dtls *dtls, const tr_crypto *crypto);

#endif
