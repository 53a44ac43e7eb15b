/* agent: the ICE agent of one simulated peer: full, one candidate pair, either role (RFC 8445, RFC 7675).
 * Pure: time and random numbers are arguments. Engine thread.
 *
 * The pair is checked until it answers, with the retransmissions of RFC 8489 (500 ms, doubled, 2 s at the most), then
 * for consent every five seconds. Controlling, every check nominates: there is one pair to choose from. Checks of the
 * other side are answered. */
#ifndef TL_AGENT_H
#define TL_AGENT_H

#include "stun.h"

typedef struct tl_agent {
    /* given */
    char local_ufrag[33], local_pwd[65], remote_ufrag[257], remote_pwd[257];
    uint64_t tie_breaker;
    bool is_controlling;
    /* state */
    bool has_remote, is_answered, is_nominated;
    uint8_t transaction[TR_STUN_TRANSACTION];
    bool is_waiting;             /* for the answer to `transaction` */
    uint32_t tries;              /* of it */
    uint64_t due_us, consent_us; /* of the next check; of the latest answer */
    uint64_t random;             /* its own sequence */
} tl_agent;

void tl__agent_init(tl_agent *agent, const char *ufrag, const char *pwd, bool is_controlling, uint64_t random);
void tl__agent_set_remote(tl_agent *agent, const char *ufrag, const char *pwd, uint64_t now_us);

/* The pair may carry data: our check was answered and, where the other side decides, it has decided. */
bool tl__agent_is_ready(const tl_agent *agent);
uint64_t tl__agent_at(const tl_agent *agent); /* when the next check is due */
/* The check that is due now; its size, 0 if none is. */
size_t tl__agent_next(tl_agent *agent, uint64_t now_us, uint8_t *out, size_t room);

/* A STUN message from the remote address. TR_DROP_NONE: it was for us; *answer_size bytes of `answer` (room
 * TR_STUN_MAX_RESPONSE) go back if not 0. family, ip, port: where it came from. */
tr_drop tl__agent_on_stun(tl_agent *agent, const uint8_t *data, size_t size, int family, const uint8_t *ip,
                          uint16_t port, uint64_t now_us, uint8_t *answer, size_t *answer_size);

#endif
