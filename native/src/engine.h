/* engine: a worker without its sockets, thread and clock: the gate, the commands, the timers.
 * The same object runs in the product, in tests, in the simulator and under the fuzzer: time and randomness come in as
 * arguments, datagrams come in by tr__engine_receive and go out through the outbox, events through the ring.
 * Worker thread.
 *
 * One order at the gate: size, class, lookup by validated path (STUN: by fragment), authenticate; only then learn,
 * parse, forward. Bytes of a stranger allocate nothing and move a named counter. */
#ifndef TR_ENGINE_H
#define TR_ENGINE_H

#include "transport.h"

typedef struct tr_engine tr_engine;

typedef struct tr_engine_config {
    uint32_t max_transports;
    uint32_t outbox_capacity; /* datagrams of one pass */
    uint32_t video_history_bytes, audio_history_bytes;
    uint64_t consent_timeout_us;
    uint64_t ntp_offset_us; /* our NTP time less monotonic time, microseconds */
    uint64_t seed;          /* of everything random: SSRCs, first numbers, hash keys */
    const tr_crypto *crypto;
    tr_dtls_context *dtls;
    tr_ring *events;
    tr_tally *tally;
} tr_engine_config;

tr_engine *tr__engine_new(const tr_engine_config *config);
void tr__engine_free(tr_engine *engine);
tr_outbox *tr__engine_outbox(tr_engine *engine);

/* For what fetches ahead: the bucket a path is looked up in, and whose the path probably is (NULL: nobody's, or a
 * search would be needed). Neither touches a transport. */
const void *tr__engine_bucket(const tr_engine *engine, const tr_path *path);
const tr_transport *tr__engine_guess(const tr_engine *engine, const tr_path *path);

/* One command; its result. Events it asked for (stats) are in the ring when it returns. */
int tr__engine_command(tr_engine *engine, uint16_t type, const void *body, size_t size, uint64_t now_us);

/* One datagram; data is writable, size as the network had it. Counts what it drops, and says so. */
tr_drop tr__engine_receive(tr_engine *engine, const tr_path *path, uint8_t *data, size_t size, uint64_t arrival_us,
                           uint64_t now_us);

/* Up to `limit` waiting handshake datagrams; true while more wait. */
bool tr__engine_handshakes(tr_engine *engine, uint32_t limit, uint64_t now_us);

uint64_t tr__engine_at(const tr_engine *engine); /* when to call on_timer next; UINT64_MAX: never */
void tr__engine_on_timer(tr_engine *engine, uint64_t now_us);
/* Say goodbye on every transport: at a worker's end. */
void tr__engine_close(tr_engine *engine);

#endif
