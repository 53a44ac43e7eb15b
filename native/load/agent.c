/* agent: see agent.h. Touches only the agent it is given. Engine thread. */
#include "agent.h"

#include <stdio.h>

#include "stamp.h"

#define FIRST_RTO_US 500000u      /* RFC 8445, 14.3 */
#define MAX_RTO_US 2000000u       /* a join that lost three checks should not wait longer than its user would */
#define MAX_TRIES 7               /* RFC 8489, 6.2.1: Rc */
#define CONSENT_EVERY_US 5000000u /* RFC 7675, 5.1: with a fifth to either side at random */
#define PRIORITY 1845501695u      /* of a peer-reflexive candidate, RFC 8445, 5.1.2.1 */
#define ROLE_CONFLICT 487

static uint64_t draw(tl_agent *agent) { return tl__mix(agent->random++); }

void tl__agent_init(tl_agent *agent, const char *ufrag, const char *pwd, bool is_controlling, uint64_t random)
{
    memset(agent, 0, sizeof *agent);
    snprintf(agent->local_ufrag, sizeof agent->local_ufrag, "%s", ufrag);
    snprintf(agent->local_pwd, sizeof agent->local_pwd, "%s", pwd);
    agent->is_controlling = is_controlling;
    agent->random = random;
    agent->tie_breaker = draw(agent);
    agent->due_us = UINT64_MAX;
}

void tl__agent_set_remote(tl_agent *agent, const char *ufrag, const char *pwd, uint64_t now_us)
{
    snprintf(agent->remote_ufrag, sizeof agent->remote_ufrag, "%s", ufrag);
    snprintf(agent->remote_pwd, sizeof agent->remote_pwd, "%s", pwd);
    agent->has_remote = true;
    agent->is_waiting = false;
    agent->due_us = now_us;
}

bool tl__agent_is_ready(const tl_agent *agent)
{
    return agent->is_answered && (agent->is_controlling || agent->is_nominated);
}

uint64_t tl__agent_at(const tl_agent *agent) { return agent->due_us; }

static uint64_t timeout_us(uint32_t tries)
{
    uint64_t rto_us = (uint64_t)FIRST_RTO_US << (tries > 3 ? 3 : tries - 1);
    return rto_us > MAX_RTO_US ? MAX_RTO_US : rto_us;
}

size_t tl__agent_next(tl_agent *agent, uint64_t now_us, uint8_t *out, size_t room)
{
    if (!agent->has_remote || now_us < agent->due_us) return 0;
    if (!agent->is_waiting || agent->tries == MAX_TRIES) {
        tr__store64(agent->transaction, draw(agent));
        tr__store32(agent->transaction + 8, (uint32_t)draw(agent));
        agent->is_waiting = true;
        agent->tries = 0;
    }
    agent->due_us = now_us + timeout_us(++agent->tries);
    char username[sizeof agent->remote_ufrag + sizeof agent->local_ufrag];
    snprintf(username, sizeof username, "%s:%s", agent->remote_ufrag, agent->local_ufrag);
    return tr__stun_write_check(out, room, agent->transaction, username, PRIORITY, agent->is_controlling,
                                agent->is_controlling, agent->tie_breaker, agent->remote_pwd,
                                strlen(agent->remote_pwd));
}

static tr_drop on_response(tl_agent *agent, const tr_stun *stun, uint64_t now_us)
{
    if (!agent->is_waiting || memcmp(stun->transaction, agent->transaction, TR_STUN_TRANSACTION) != 0)
        return TR_DROP_STUN_UNEXPECTED;
    if (!tr__stun_verify(stun, agent->remote_pwd, strlen(agent->remote_pwd))) return TR_DROP_STUN_INTEGRITY;
    agent->is_waiting = false;
    if (stun->class == TR_STUN_ERROR) {
        /* RFC 8445, 7.2.5.1: change sides and ask again. Other errors: ask again later. */
        if (stun->error_code == ROLE_CONFLICT) agent->is_controlling = !agent->is_controlling;
        agent->due_us = stun->error_code == ROLE_CONFLICT ? now_us : now_us + FIRST_RTO_US;
        return TR_DROP_NONE;
    }
    agent->is_answered = true;
    agent->consent_us = now_us;
    agent->due_us = now_us + CONSENT_EVERY_US * (800 + draw(agent) % 401) / 1000;
    return TR_DROP_NONE;
}

/* RFC 8445, 7.3.1.1: with both controlling, or both controlled, the tie-breakers decide. True: the other yields. */
static bool wins_conflict(tl_agent *agent, const tr_stun *stun)
{
    bool is_greater = agent->tie_breaker >= stun->tie_breaker;
    if (agent->is_controlling ? stun->is_controlling : stun->is_controlled) {
        if (agent->is_controlling == is_greater) return true;
        agent->is_controlling = !agent->is_controlling;
    }
    return false;
}

tr_drop tl__agent_on_stun(tl_agent *agent, const uint8_t *data, size_t size, int family, const uint8_t *ip,
                          uint16_t port, uint64_t now_us, uint8_t *answer, size_t *answer_size)
{
    tr_stun stun;
    *answer_size = 0;
    tr_drop drop = tr__stun_parse(&stun, data, size);
    if (drop != TR_DROP_NONE) return drop;
    if (stun.method != 1) return TR_DROP_STUN_UNEXPECTED;
    if (stun.class == TR_STUN_SUCCESS || stun.class == TR_STUN_ERROR) return on_response(agent, &stun, now_us);
    if (stun.class != TR_STUN_REQUEST) return TR_DROP_NONE; /* an indication: a keepalive (RFC 8445, 11) */
    size_t pwd_size = strlen(agent->local_pwd), ufrag_size;
    const uint8_t *ufrag = tr__stun_local_ufrag(&stun, &ufrag_size);
    if (!ufrag || ufrag_size != strlen(agent->local_ufrag) || memcmp(ufrag, agent->local_ufrag, ufrag_size) != 0)
        return TR_DROP_STUN_UNKNOWN_USER;
    if (!tr__stun_verify(&stun, agent->local_pwd, pwd_size)) return TR_DROP_STUN_INTEGRITY;
    if (wins_conflict(agent, &stun)) {
        *answer_size = tr__stun_write_error(answer, TR_STUN_MAX_RESPONSE, stun.transaction, ROLE_CONFLICT, 0,
                                            agent->local_pwd, pwd_size);
        return TR_DROP_NONE;
    }
    agent->is_nominated |= stun.use_candidate;
    if (agent->has_remote && !agent->is_answered && !agent->is_waiting)
        agent->due_us = now_us; /* RFC 8445, 7.3.1.4: a triggered check */
    *answer_size = tr__stun_write_success(answer, TR_STUN_MAX_RESPONSE, stun.transaction, family, ip, port,
                                          agent->local_pwd, pwd_size);
    return TR_DROP_NONE;
}
