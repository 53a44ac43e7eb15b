/* telerelay: the border's functions: what control calls. Control thread, but for thread_main. */
#include "telerelay.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <openssl/crypto.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

/* What a worker asks of the scheduler at a time: a pass of its loop is shorter. */
#define TURN_NS 200000

uint32_t tr_version(void) { return TR_BORDER_VERSION; }

const char *tr_libraries(void) { return OpenSSL_version(OPENSSL_VERSION); }

int tr_crypto_available(int kind) { return tr__crypto_is_available(kind); }

void tr_worker_config_init(tr_worker_config *config)
{
    *config = (tr_worker_config){
        .bind_count = 1,
        .binds = {{.address = "127.0.0.1", .port = 0}},
        .max_transports = 4096,
        .video_history_bytes = 512 * 1024, /* a second at 4 Mbit/s; a slower stream touches less */
        .audio_history_bytes = 16 * 1024,
        .command_ring_bytes = 1024 * 1024,
        .event_ring_bytes = 4 * 1024 * 1024,
        .socket_buffer_bytes = 8 * 1024 * 1024,
        .udp_gro = 1,
        .crypto = TR_CRYPTO_AUTO,
        .cpu = -1,
        .consent_timeout_us = 30 * 1000000u, /* RFC 7675, 5.1 */
    };
}

static bool is_power_of_two(uint32_t n, uint32_t least, uint32_t most)
{
    return n >= least && n <= most && (n & (n - 1)) == 0;
}

static bool is_history(uint32_t bytes) { return bytes >= 4096 && bytes <= 1u << 26; }

static bool is_sane(const tr_worker_config *c)
{
    bool ok = c->index < 256 && c->bind_count >= 1 && c->bind_count <= TR_MAX_BINDS && c->max_transports >= 1 &&
              c->max_transports <= 65535 && is_history(c->video_history_bytes) && is_history(c->audio_history_bytes) &&
              is_power_of_two(c->command_ring_bytes, 65536, 1u << 28) &&
              is_power_of_two(c->event_ring_bytes, 65536, 1u << 28) && c->consent_timeout_us >= 1000000u &&
              c->cpu < 1024 && c->crypto <= TR_CRYPTO_IPSEC_MB;
    for (uint32_t i = 0; ok && i < c->bind_count; i++)
        ok = memchr(c->binds[i].address, 0, sizeof c->binds[i].address) != NULL;
    return ok;
}

int tr_worker_new(const tr_worker_config *config, tr_worker **out)
{
    if (!config || !out || !is_sane(config)) return TR_ERR_ARGUMENT;
    tr_worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    if (!worker) return TR_ERR_NO_MEMORY;
    memset(worker, 0, sizeof *worker);
    int status = tr__worker_init(worker, config);
    if (status == TR_OK && sem_init(&worker->renewed, 0, 0) != 0) status = TR_ERR_SYSTEM;
    if (status != TR_OK) {
        int error = errno;
        tr__worker_dispose(worker);
        free(worker);
        errno = error;
        return status;
    }
    *out = worker;
    return TR_OK;
}

/* A worker wakes a thousand times a second and works for a fraction of a millisecond, and control, which may share its
 * processor, has milliseconds to do when people join. Who asks for short turns need not wait for the end of another's
 * long one (EEVDF, Linux 6.12); its share of the processor is the same, and no privilege is needed. An older kernel
 * takes no notice, and whoever gave us another policy than the usual one knows why. */
static void ask_for_short_turns(void)
{
    /* As linux/sched/types.h has it, which is at odds with sched.h in some versions. */
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {0};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER)
        return;
    attributes.runtime = TURN_NS;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static void *thread_main(void *worker)
{
    ask_for_short_turns();
    tr__worker_run(worker);
    return NULL;
}

int tr_heap_trim(void)
{
#ifdef __GLIBC__
    return malloc_trim(0);
#else
    return 0;
#endif
}

int tr_worker_start(tr_worker *worker)
{
    if (worker->is_running || worker->is_attached) return TR_ERR_STATE;
    atomic_store(&worker->should_stop, false);
    if (pthread_create(&worker->thread, NULL, thread_main, worker) != 0) return TR_ERR_SYSTEM;
    pthread_setname_np(worker->thread, "telerelay");
    worker->is_running = true;
    return TR_OK;
}

int tr_worker_stop(tr_worker *worker)
{
    if (!worker->is_running) return TR_OK;
    atomic_store_explicit(&worker->should_stop, true, memory_order_release);
    tr__border_wake(worker->border.command_fd);
    pthread_join(worker->thread, NULL);
    worker->is_running = false;
    return TR_OK;
}

void tr_worker_free(tr_worker *worker)
{
    if (!worker) return;
    if (worker->is_attached) {
        tr__border_close(&worker->border);
        free(worker);
        return;
    }
    tr_worker_stop(worker);
    tr__worker_dispose(worker);
    sem_destroy(&worker->renewed);
    OPENSSL_cleanse(&worker->config.certificate, sizeof worker->config.certificate);
    free(worker);
}

int tr_worker_port(const tr_worker *worker, uint32_t bind)
{
    if (worker->is_attached) return TR_ERR_STATE;
    return bind < tr__udp_socket_count(worker->udp) ? tr__udp_socket(worker->udp, bind)->port : TR_ERR_ARGUMENT;
}

int tr_worker_event_fd(const tr_worker *worker) { return worker->border.event_fd; }

int tr_worker_post(tr_worker *worker, uint16_t type, uint64_t tag, const void *body, size_t size)
{
    int status = tr__ring_push(&worker->border.commands, type, tag, body, size);
    if (status == TR_OK) tr__border_wake(worker->border.command_fd);
    return status;
}

int tr_worker_take(tr_worker *worker, tr_event *event)
{
    size_t size = 0;
    int got = tr__ring_pop(&worker->border.events, &event->type, &event->tag, event->body, sizeof event->body, &size);
    event->size = (uint16_t)size;
    if (got == 0) {
        /* Hush first, then look once more: a record pushed in between has woken us again, or is found now. */
        tr__border_hush(worker->border.event_fd);
        got = tr__ring_pop(&worker->border.events, &event->type, &event->tag, event->body, sizeof event->body, &size);
        event->size = (uint16_t)size;
    }
    return got;
}

void tr_worker_stats(const tr_worker *worker, tr_stats *stats) { tr__border_read(&worker->border, stats); }

int64_t tr_worker_thread_cpu_ns(const tr_worker *worker)
{
    return atomic_load_explicit(&worker->border.head->thread_cpu_ns, memory_order_relaxed);
}

int tr_worker_fds(const tr_worker *worker, int *out)
{
    if (worker->is_attached) return TR_ERR_STATE;
    out[0] = worker->border.memory_fd;
    out[1] = worker->border.command_fd;
    out[2] = worker->border.event_fd;
    return TR_OK;
}

int tr_worker_renew(tr_worker *worker)
{
    if (!worker->is_running) return TR_ERR_STATE;
    tr_border border;
    int status = tr__border_create(&border, worker->config.command_ring_bytes, worker->config.event_ring_bytes);
    if (status != TR_OK) return status;
    atomic_store_explicit(&worker->next, &border, memory_order_release);
    tr__border_wake(worker->border.command_fd);
    while (sem_wait(&worker->renewed) != 0 && errno == EINTR) {}
    tr__border_close(&border); /* the old one, by now */
    return TR_OK;
}

int tr_worker_attach(int memory_fd, int command_fd, int event_fd, tr_worker **out)
{
    if (!out || memory_fd < 0 || command_fd < 0 || event_fd < 0) return TR_ERR_ARGUMENT;
    tr_worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    if (!worker) return TR_ERR_NO_MEMORY;
    memset(worker, 0, sizeof *worker);
    worker->is_attached = true;
    int status = tr__border_attach(&worker->border, memory_fd, command_fd, event_fd);
    if (status != TR_OK) {
        free(worker);
        return status;
    }
    *out = worker;
    return TR_OK;
}
