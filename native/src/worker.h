/* worker: one thread with its sockets, its engine and its clock. The only place below the border that reads a clock or
 * draws random bytes. Takes no lock; talks to control through the border alone. */
#ifndef TR_WORKER_H
#define TR_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "border.h"
#include "engine.h"
#include "udp.h"

/* Datagrams of one pass: three batches fanned out to a large room fit; 6 MiB that only a busy worker touches. */
#define TR_WORKER_OUTBOX 4096

struct tr_worker {
    tr_worker_config config;
    tr_border border;
    tr_udp *udp;
    tr_crypto *crypto;
    tr_dtls_context *dtls;
    tr_engine *engine;
    tr_stats tally;
    bool is_ticking; /* looks once a millisecond instead of at each datagram */
    uint64_t rate_from, rate_since_us;
    pthread_t thread;
    bool is_running;
    bool is_attached; /* the worker itself is elsewhere: only `border` is used */
    _Atomic bool should_stop;
    _Atomic(tr_border *) next; /* takes the place of `border`, which is left there instead */
    sem_t renewed;             /* that was done */
};

int tr__worker_init(tr_worker *worker, const tr_worker_config *config);
void tr__worker_dispose(tr_worker *worker);
/* The loop; returns when should_stop is set and the border was woken. */
void tr__worker_run(tr_worker *worker);

#endif
