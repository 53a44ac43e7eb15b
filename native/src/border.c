/* border: see border.h. */
#include "border.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static size_t rounded(size_t n) { return (n + 63) & ~(size_t)63; }

/* The sizes of all that crosses, as one number: a build whose records differ is told apart even where somebody forgot
 * to count TR_BORDER_VERSION up. */
static uint32_t layout(void)
{
    static const uint32_t sizes[] = {
        sizeof(tr_border_head),
        sizeof(tr_ring_head),
        sizeof(tr_stats),
        sizeof(tr_add_transport),
        sizeof(tr_set_remote),
        sizeof(tr_set_admitted),
        sizeof(tr_add_receiver),
        sizeof(tr_add_sender),
        sizeof(tr_bind_sender),
        sizeof(tr_pause_sender),
        sizeof(tr_set_downlink),
        sizeof(tr_data),
        sizeof(tr_restart_ice),
        sizeof(tr_get_inventory),
        sizeof(tr_one_id),
        sizeof(tr_result),
        sizeof(tr_path_changed),
        sizeof(tr_transport_changed),
        sizeof(tr_inventory),
        sizeof(tr_inventory_end),
        sizeof(tr_get_seen),
        sizeof(tr_seen_page),
        sizeof(tr_receiver_event),
        sizeof(tr_transport_stats),
        sizeof(tr_receiver_stats),
        sizeof(tr_sender_stats),
        sizeof(tr_counts),
        sizeof(tr_estimate),
        sizeof(tr_tapped),
        TR_DROP_COUNT,
        TR_CODEC_COUNT,
        TR_EXT_COUNT,
    };
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) h = (h ^ sizes[i]) * 16777619u;
    return h;
}

int tr__border_create(tr_border *b, uint32_t command_bytes, uint32_t event_bytes)
{
    size_t commands_at = rounded(sizeof(tr_border_head));
    size_t events_at = rounded(commands_at + tr__ring_footprint(command_bytes));
    *b = (tr_border){.size = events_at + tr__ring_footprint(event_bytes), .command_fd = -1, .event_fd = -1};
    b->memory_fd = memfd_create("telerelay", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    b->command_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    b->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    void *memory = MAP_FAILED;
    /* All of it is taken now: a ring is written lap after lap and would touch its last page only after thousands of
     * joins, which looks like a leak; and memory that is short then is a worker that dies amid calls, now one that
     * does not begin. */
    if (b->memory_fd >= 0 && b->command_fd >= 0 && b->event_fd >= 0 &&
        fallocate(b->memory_fd, 0, 0, (off_t)b->size) == 0 && fcntl(b->memory_fd, F_ADD_SEALS, SEALS) == 0)
        memory = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, b->memory_fd, 0);
    if (memory == MAP_FAILED) {
        int error = errno;
        tr__border_close(b);
        errno = error;
        return TR_ERR_SYSTEM;
    }
    b->head = memory;
    b->head->version = TR_BORDER_VERSION;
    b->head->layout = layout();
    b->head->size = (uint32_t)b->size;
    b->head->commands_at = (uint32_t)commands_at;
    b->head->events_at = (uint32_t)events_at;
    tr__ring_create(&b->commands, (uint8_t *)memory + commands_at, command_bytes);
    tr__ring_create(&b->events, (uint8_t *)memory + events_at, event_bytes);
    return TR_OK;
}

/* Whether a ring lies at that offset, wholly within the memory. */
static int attach_ring(tr_ring *ring, uint8_t *memory, size_t size, uint32_t at)
{
    if (at % 64 || at < sizeof(tr_border_head) || at >= size) return TR_ERR_VERSION;
    return tr__ring_attach(ring, memory + at, size - at);
}

int tr__border_attach(tr_border *b, int memory_fd, int command_fd, int event_fd)
{
    *b = (tr_border){.memory_fd = -1, .command_fd = -1, .event_fd = -1};
    struct stat file;
    if (fstat(memory_fd, &file) != 0) return TR_ERR_SYSTEM;
    /* Memory that could shrink under us would end this process. */
    int seals = fcntl(memory_fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) return TR_ERR_VERSION;
    if (file.st_size < (off_t)sizeof(tr_border_head) || file.st_size > INT32_MAX) return TR_ERR_VERSION;
    size_t size = (size_t)file.st_size;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory_fd, 0);
    if (memory == MAP_FAILED) return TR_ERR_SYSTEM;
    tr_border_head head = {0};
    memcpy(&head, memory, offsetof(tr_border_head, stats));
    int status = TR_ERR_VERSION;
    if (head.version == TR_BORDER_VERSION && head.layout == layout() && head.size == size)
        status = attach_ring(&b->commands, memory, size, head.commands_at);
    if (status == TR_OK) status = attach_ring(&b->events, memory, size, head.events_at);
    if (status != TR_OK) {
        munmap(memory, size);
        return status;
    }
    b->head = memory;
    b->size = size;
    b->memory_fd = memory_fd;
    b->command_fd = command_fd;
    b->event_fd = event_fd;
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
