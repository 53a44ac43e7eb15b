/* border: see border.h. */
#include "border.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t rounded(size_t n) { return (n + 63) & ~(size_t)63; }

int tr__border_create(tr_border *b, uint32_t command_bytes, uint32_t event_bytes)
{
    size_t commands_at = rounded(sizeof(tr_border_head));
    size_t events_at = rounded(commands_at + tr__ring_footprint(command_bytes));
    *b = (tr_border){.size = events_at + tr__ring_footprint(event_bytes), .command_fd = -1, .event_fd = -1};
    b->memory_fd = memfd_create("telerelay", MFD_CLOEXEC);
    b->command_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    b->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    void *memory = MAP_FAILED;
    if (b->memory_fd >= 0 && b->command_fd >= 0 && b->event_fd >= 0 && ftruncate(b->memory_fd, (off_t)b->size) == 0)
        memory = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->memory_fd, 0);
    if (memory == MAP_FAILED) {
        int error = errno;
        tr__border_close(b);
        errno = error;
        return TR_ERR_SYSTEM;
    }
    b->head = memory;
    b->head->version = TR_BORDER_VERSION;
    b->head->size = (uint32_t)b->size;
    b->head->commands_at = (uint32_t)commands_at;
    b->head->events_at = (uint32_t)events_at;
    tr__ring_create(&b->commands, (uint8_t *)memory + commands_at, command_bytes);
    tr__ring_create(&b->events, (uint8_t *)memory + events_at, event_bytes);
    return TR_OK;
}

void tr__border_close(tr_border *b)
{
    if (b->head) munmap(b->head, b->size);
    b->head = NULL;
    int *fds[] = {&b->memory_fd, &b->command_fd, &b->event_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
}

void tr__border_publish(tr_border *b, const tr_stats *stats, int64_t thread_cpu_ns)
{
    uint64_t words[TR_BORDER_STATS];
    memcpy(words, stats, sizeof words);
    for (size_t i = 0; i < TR_BORDER_STATS; i++)
        atomic_store_explicit(&b->head->stats[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&b->head->thread_cpu_ns, thread_cpu_ns, memory_order_relaxed);
}

void tr__border_read(const tr_border *b, tr_stats *stats)
{
    uint64_t words[TR_BORDER_STATS];
    for (size_t i = 0; i < TR_BORDER_STATS; i++)
        words[i] = atomic_load_explicit(&b->head->stats[i], memory_order_relaxed);
    memcpy(stats, words, sizeof words);
}

/* An eventfd only counts: a full one is awake already, and what else can fail here does not lose a record. */
void tr__border_wake(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = write(fd, &one, sizeof one);
    (void)ignored;
}

void tr__border_hush(int fd)
{
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
}
