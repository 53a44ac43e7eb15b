/* engine: one thread with its sockets, its clients and its clock. The only place below the border that reads a clock
 * or draws random bytes.
 *
 * Control and engine share a ring of commands, a ring of events, two eventfds, and one question at a time, which the
 * engine answers between two turns while control waits. */
#ifndef TL_ENGINE_H
#define TL_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client.h"

#define TL_ENGINE_WAITING 2048u /* datagrams behind handshakes: a join storm's first seconds */
/* What epoll says of the bell for commands: no peer has so great an id. */
#define TL_WATCH_COMMANDS UINT32_MAX

typedef enum tl_command {
    TL_COMMAND_ADD_PEER = 1,
    TL_COMMAND_SET_REMOTE,
    TL_COMMAND_ADD_SEND,
    TL_COMMAND_ADD_RECEIVE,
    TL_COMMAND_REMOVE_RECEIVE,
    TL_COMMAND_START,
    TL_COMMAND_STOP,
    TL_COMMAND_REMOVE_PEER
} tl_command;

typedef struct tl_add_peer {
    tl_peer params;
    tl_route route;
} tl_add_peer;

typedef struct tl_order { /* commands of a number or two */
    uint32_t peer, value;
    uint64_t at_ns;
} tl_order;

typedef enum tl_topic { TL_TOPIC_TOTALS, TL_TOPIC_LEGS, TL_TOPIC_HISTOGRAM } tl_topic;

typedef struct tl_question {
    tl_topic topic;
    void *out;
    uint32_t max;
    int kind;
    bool resets;
    int result;
} tl_question;

typedef struct tl_waiting { /* a datagram behind handshakes */
    uint32_t peer, serial, size;
    uint64_t arrival_ns;
    uint8_t data[TL_NET_SLOT];
} tl_waiting;

struct tl_engine {
    /* given */
    tl_config config;
    char fingerprint[96];
    /* owned by the engine's thread while it runs */
    tl_shared shared;
    tl_net net;
    tr_deadlines deadlines;
    tr_crypto *crypto;
    tr_dtls_context *dtls;
    tl_client **clients; /* by peer id */
    uint32_t *by_local;  /* packed: peer id + 1 by local address, 0: nobody */
    tl_waiting *waiting;
    uint64_t waiting_put, waiting_taken;
    int epoll_fd;
    uint32_t serial;
    uint32_t ready[256], ready_count; /* each: peers whose sockets have something */
    /* shared with control */
    tr_ring commands, events;
    void *command_memory, *event_memory;
    int command_fd, event_fd;
    _Atomic bool should_stop, is_asked;
    pthread_mutex_t mutex; /* guards question */
    pthread_cond_t answered;
    tl_question *question;
    _Atomic int64_t cpu_ns;
    /* control's */
    pthread_t thread;
    bool is_running;
    uint8_t *taken_peers, *taken_streams; /* a byte for each id; a bit for each */
    uint32_t next_local;
};

/* engine.c: the thread's loop; returns when should_stop is set. */
void tl__engine_run(tl_engine *engine);
void tl__engine_remove(tl_engine *engine, uint32_t peer, int leave);

/* questions.c */
void tl__engine_answer(tl_engine *engine, tl_question *question);

#endif
