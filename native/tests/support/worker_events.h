/* worker_events: the next event of a worker that runs in a thread of its own, waited for. */
#ifndef TR_TEST_WORKER_EVENTS_H
#define TR_TEST_WORKER_EVENTS_H

#include <poll.h>
#include <stdbool.h>

#include "telerelay.h"

/* False: none came within five seconds. */
static inline bool take(tr_worker *worker, tr_event *event)
{
    for (int i = 0; i < 500; i++) {
        if (tr_worker_take(worker, event) == 1) return true;
        struct pollfd fd = {.fd = tr_worker_event_fd(worker), .events = POLLIN};
        poll(&fd, 1, 10);
    }
    return false;
}

#endif
