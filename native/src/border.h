/* border: the memory control and worker share: two rings, the counters, and two eventfds that wake the other side.
 * One memfd, no pointers inside, so that the two sides may be threads or processes. Its size is sealed: neither side
 * can take the ground from under the other's feet. */
#ifndef TR_BORDER_H
#define TR_BORDER_H

#include "ring.h"

#define TR_BORDER_STATS (sizeof(tr_stats) / sizeof(uint64_t))

typedef struct tr_border_head {
    uint32_t version, layout, size;
    uint32_t commands_at, events_at;                      /* offsets of the rings from the head */
    _Alignas(64) _Atomic uint64_t stats[TR_BORDER_STATS]; /* tr_stats, word by word; the worker's to write */
    _Atomic int64_t thread_cpu_ns;
} tr_border_head;

typedef struct tr_border {
    tr_border_head *head;
    size_t size;
    int memory_fd, command_fd, event_fd; /* eventfds: commands wait for the worker, events wait for control */
    tr_ring commands, events;
} tr_border;

int tr__border_create(tr_border *border, uint32_t command_bytes, uint32_t event_bytes);
/* The other side's view of the same memory. Takes the descriptors over if it succeeds. TR_ERR_VERSION: made by another
 * version, or by nobody we know. What is in the memory is read once, checked, and never believed again. */
int tr__border_attach(tr_border *border, int memory_fd, int command_fd, int event_fd);
void tr__border_close(tr_border *border);
void tr__border_publish(tr_border *border, const tr_stats *stats, int64_t thread_cpu_ns); /* worker */
void tr__border_read(const tr_border *border, tr_stats *stats);                           /* control */
void tr__border_wake(int fd);
void tr__border_hush(int fd);

#endif
