/* ice: answers the checks of one transport's peer, and keeps which paths are valid and which one is used.
 * Touches only the tr_ice and the answer's bytes. Worker thread.
 *
 * Nothing is learned, and nothing answered, before fragment, FINGERPRINT and MESSAGE-INTEGRITY are right. */
#include "ice.h"

#define BINDING 1

_Static_assert(TR_ICE_MAX_PATHS >= 2, "beside the selected path there is always one that can make room");

static void copy_string(char *to, size_t room, const char *from)
{
    size_t size = strnlen(from, room - 1);
    memcpy(to, from, size);
    memset(to + size, 0, room - size);
}

void tr__ice_init(tr_ice *ice, const char *local_ufrag, const char *local_pwd)
{
    *ice = (tr_ice){.selected = -1};
    copy_string(ice->now.local_ufrag, sizeof ice->now.local_ufrag, local_ufrag);
    copy_string(ice->now.local_pwd, sizeof ice->now.local_pwd, local_pwd);
}

void tr__ice_set_remote(tr_ice *ice, const char *ufrag, const char *pwd)
{
    copy_string(ice->now.remote_ufrag, sizeof ice->now.remote_ufrag, ufrag);
    copy_string(ice->now.remote_pwd, sizeof ice->now.remote_pwd, pwd);
    ice->now.has_remote = true;
}

void tr__ice_restart(tr_ice *ice, const char *local_ufrag, const char *local_pwd)
{
    if (!ice->is_restarting) {
        ice->before = ice->now;
        for (uint32_t i = 0; i < ice->path_count; i++) ice->paths[i].is_old = true;
    }
    ice->is_restarting = true;
    ice->now = (tr_ice_credentials){0};
    copy_string(ice->now.local_ufrag, sizeof ice->now.local_ufrag, local_ufrag);
    copy_string(ice->now.local_pwd, sizeof ice->now.local_pwd, local_pwd);
}

/* ------------------------------------------------------------------ who asks */

/* RFC 8445, 7.2.2: USERNAME is our fragment, a colon and the peer's. */
static bool is_username_right(const tr_ice_credentials *own, const tr_stun *stun)
{
    size_t local_size;
    const uint8_t *local = tr__stun_local_ufrag(stun, &local_size);
    if (!local || local_size != strlen(own->local_ufrag) || memcmp(local, own->local_ufrag, local_size) != 0)
        return false;
    if (!own->has_remote) return true;
    const uint8_t *remote = local + local_size + 1;
    size_t remote_size = stun->username_size - local_size - 1;
    return remote_size == strlen(own->remote_ufrag) && memcmp(remote, own->remote_ufrag, remote_size) == 0;
}

/* Which session a check is of: its credentials, or NULL if it is of neither. */
static const tr_ice_credentials *find_session(const tr_ice *ice, const tr_stun *stun)
{
    if (is_username_right(&ice->now, stun)) return &ice->now;
    return ice->is_restarting && is_username_right(&ice->before, stun) ? &ice->before : NULL;
}

/* Cheapest first. ICE demands FINGERPRINT in every check (RFC 8445, 7.1): one without it is no check. */
static bool is_authentic(const tr_ice_credentials *session, const tr_stun *stun)
{
    return stun->integrity_at && session && tr__stun_check_fingerprint(stun) &&
           tr__stun_verify(stun, session->local_pwd, strlen(session->local_pwd));
}

/* ------------------------------------------------------------------ paths */

static bool is_alive(const tr_ice_path *p, uint64_t now_us)
{
    return now_us <= p->checked_us || now_us - p->checked_us <= TR_ICE_DEAD_US;
}

static int find_path(const tr_ice *ice, const tr_path *path)
{
    for (uint32_t i = 0; i < ice->path_count; i++)
        if (tr__path_equal(&ice->paths[i].path, path)) return (int)i;
    return -1;
}

/* The path to give up: of those not nominated the one not checked for longest, else of those not selected. */
static int find_victim(const tr_ice *ice)
{
    int victim = -1;
    for (int i = 0; i < (int)ice->path_count; i++) {
        if (i == ice->selected) continue;
        const tr_ice_path *p = &ice->paths[i], *v = victim < 0 ? NULL : &ice->paths[victim];
        if (!v || (v->is_nominated && !p->is_nominated) ||
            (v->is_nominated == p->is_nominated && p->checked_us < v->checked_us))
            victim = i;
    }
    return victim;
}

static int add_path(tr_ice *ice, const tr_path *path, tr_ice_answer *answer)
{
    int i = (int)ice->path_count;
    if (i < TR_ICE_MAX_PATHS) {
        ice->path_count++;
    } else {
        i = find_victim(ice);
        answer->path_removed = true;
        answer->removed = ice->paths[i].path;
    }
    ice->paths[i] = (tr_ice_path){.path = *path};
    answer->path_added = true;
    answer->added = *path;
    return i;
}

static void nominate(tr_ice *ice, tr_ice_path *p, uint64_t now_us)
{
    if (p->is_nominated) return;
    p->is_nominated = true;
    p->nominated_us = now_us;
    p->nomination = ++ice->nominations;
}

/* A peer whose NAT forgets it goes on with its old pair from a new address, and need not nominate it again. PRIORITY
 * tells: it belongs to the local candidate the check leaves from, and differs between candidates (RFC
 * 8445, 5.1.2, 7.1.1). A new path to the same address of ours with the selected path's priority is that path, moved;
 * unless the selected one was checked just now, and so still stands. */
static bool is_rebinding(const tr_ice *ice, const tr_ice_path *p, uint64_t now_us)
{
    if (ice->selected < 0) return false;
    const tr_ice_path *old = &ice->paths[ice->selected];
    return p->priority && p->priority == old->priority && p->path.kind == old->path.kind &&
           p->path.socket == old->path.socket && tr__address_equal(&p->path.local, &old->path.local) &&
           now_us >= old->checked_us + TR_ICE_SWITCH_US;
}

/* USE-CANDIDATE on path i. Insistence withdraws the nomination of every other path: an RFC 8445 peer has one pair in
 * use, and what an aggressive one nominates on many pairs comes to the selected path too and resets the count. */
static void on_nomination(tr_ice *ice, int i, const uint8_t *transaction, uint64_t now_us)
{
    tr_ice_path *p = &ice->paths[i];
    bool is_repeated = p->is_nominated && memcmp(p->transaction, transaction, TR_STUN_TRANSACTION) == 0;
    memcpy(p->transaction, transaction, TR_STUN_TRANSACTION);
    nominate(ice, p, now_us);
    if (i != ice->selected && !is_repeated) p->insistence++;
    bool has_moved = ice->selected >= 0 && p->insistence >= TR_ICE_INSIST;
    if (i != ice->selected && !has_moved) return;
    for (int k = 0; k < (int)ice->path_count; k++) {
        ice->paths[k].insistence = 0;
        if (has_moved && k != i) ice->paths[k].is_nominated = false;
    }
}

static bool is_better(const tr_ice_path *a, const tr_ice_path *b)
{
    if (a->is_nominated != b->is_nominated) return a->is_nominated;
    if (a->priority != b->priority) return a->priority > b->priority;
    return a->nomination > b->nomination;
}

/* Path i was just checked: does the selected one give way? */
static bool choose(tr_ice *ice, int i, uint64_t now_us)
{
    bool is_dead = ice->selected >= 0 && !is_alive(&ice->paths[ice->selected], now_us);
    /* Only a nominated path may carry media (RFC 8445, 8.1.2), unless the one that did is dead: then a path the peer
     * has just proven is better than none. */
    int best = ice->selected >= 0 && !is_dead ? ice->selected : -1;
    for (int k = 0; k < (int)ice->path_count; k++) {
        const tr_ice_path *p = &ice->paths[k];
        if (k != i && !is_alive(p, now_us)) continue;
        if (!p->is_nominated && !is_dead) continue;
        if (best < 0 || is_better(p, &ice->paths[best])) best = k;
    }
    if (best < 0 || best == ice->selected) return false;
    bool is_early = now_us < ice->switched_us + TR_ICE_SWITCH_US;
    if (ice->selected >= 0 && !is_dead && is_early) return false;
    ice->selected = best;
    ice->switched_us = now_us;
    for (int k = 0; k < (int)ice->path_count; k++) ice->paths[k].insistence = 0;
    return true;
}

/* A path of the new session is nominated: it takes over, and what was learned before goes. */
static void finish_restart(tr_ice *ice, int i, uint64_t now_us, tr_ice_answer *answer)
{
    tr_ice_path kept[TR_ICE_MAX_PATHS];
    uint32_t count = 0;
    for (int k = 0; k < (int)ice->path_count; k++) {
        if (ice->paths[k].is_old) {
            answer->voided[answer->voided_count++] = ice->paths[k].path;
            continue;
        }
        if (k == i) ice->selected = (int)count;
        kept[count++] = ice->paths[k];
    }
    memcpy(ice->paths, kept, count * sizeof *kept);
    ice->path_count = count;
    ice->switched_us = now_us;
    ice->is_restarting = false;
    answer->is_restarted = answer->selected_changed = true;
    copy_string(answer->voided_ufrag, sizeof answer->voided_ufrag, ice->before.local_ufrag);
    ice->before = (tr_ice_credentials){0};
}

/* ------------------------------------------------------------------ answering */

static size_t answer_error(const tr_ice_credentials *session, const tr_stun *stun, uint16_t code, uint8_t *out,
                           size_t room)
{
    return tr__stun_write_error(out, room, stun->transaction, code, code == 420 ? stun->unknown_required : 0,
                                session->local_pwd, strlen(session->local_pwd));
}

tr_drop tr__ice_on_stun(tr_ice *ice, const tr_stun *stun, const tr_path *path, uint64_t now_us, uint8_t *out,
                        size_t room, tr_ice_answer *answer)
{
    *answer = (tr_ice_answer){0};
    if (stun->class != TR_STUN_REQUEST || stun->method != BINDING) return TR_DROP_STUN_UNEXPECTED;
    const tr_ice_credentials *session = find_session(ice, stun);
    if (!is_authentic(session, stun)) return TR_DROP_STUN_INTEGRITY;
    ice->consent_us = now_us ? now_us : 1; /* 0 means never */
    /* An answer larger than its request would make us an amplifier: room that is not there is silence. */
    if (room > stun->size) room = stun->size;

    if (stun->unknown_required) { /* RFC 8489, 6.3.1: after authentication, and nothing else is done */
        answer->size = answer_error(session, stun, 420, out, room);
        return TR_DROP_NONE;
    }
    if (stun->is_controlled) {
        /* A lite agent is controlled towards a full one (RFC 8445, 6.1.1) and cannot switch. Two lite agents may both
         * be, but then neither sends checks: whoever checks us is full, and 487 makes it take its role (7.3.1.1). */
        answer->size = answer_error(session, stun, 487, out, room);
        return TR_DROP_NONE;
    }

    int i = find_path(ice, path);
    bool is_new = i < 0;
    if (is_new) i = add_path(ice, path, answer);
    tr_ice_path *p = &ice->paths[i];
    if (stun->priority) p->priority = stun->priority;
    p->checked_us = now_us;
    answer->size = tr__stun_write_success(out, room, stun->transaction, path->remote.family, path->remote.ip,
                                          path->remote.port, session->local_pwd, strlen(session->local_pwd));
    bool is_next = ice->is_restarting && session == &ice->now;
    if (is_next && (is_new || p->is_old)) { /* what the old session nominated the new one has not */
        p->is_old = false;
        p->is_nominated = false;
    } else if (is_new) {
        p->is_old = ice->is_restarting;
    }
    if (is_next && stun->use_candidate) {
        nominate(ice, p, now_us);
        finish_restart(ice, i, now_us, answer);
        return TR_DROP_NONE;
    }
    if (stun->use_candidate)
        on_nomination(ice, i, stun->transaction, now_us);
    else if (is_new && !is_next && is_rebinding(ice, p, now_us))
        nominate(ice, p, now_us);
    answer->selected_changed = choose(ice, i, now_us);
    return TR_DROP_NONE;
}

const tr_path *tr__ice_selected(const tr_ice *ice)
{
    return ice->selected < 0 ? NULL : &ice->paths[ice->selected].path;
}

bool tr__ice_has_consent(const tr_ice *ice, uint64_t now_us, uint64_t timeout_us)
{
    if (!ice->consent_us) return false;
    return now_us <= ice->consent_us || now_us - ice->consent_us < timeout_us;
}
