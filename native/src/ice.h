/* ice: the ICE-lite side of one transport: credentials, validated paths, the selected one, consent.
 * RFC 8445 (lite: sections 2.5, 7.3, 8.1.2), RFC 7675 (consent). Pure. Worker thread.
 *
 * A path is learned from an authenticated check and from nothing else. Of the nominated paths the one of the best
 * priority is selected, of equals the one nominated last: browsers nominate several, and RFC 5245 peers every one.
 * Switches are at least TR_ICE_SWITCH_US apart unless the old path is dead, so that two paths do not flap. Three things
 * move a peer to a path of no better priority: the selected one dies; the peer insists on another (TR_ICE_INSIST); or
 * its NAT gave it a new address, and the new path takes over the nomination of the old (see ice.c).
 * We never send a check: answers only, and never to an address that has not just sent a valid check. */
#ifndef TR_ICE_H
#define TR_ICE_H

#include "address.h"
#include "stun.h"

#define TR_ICE_MAX_PATHS 8
#define TR_ICE_SWITCH_US 200000
#define TR_ICE_DEAD_US 5000000 /* the selected path without a check this long gives way at once */
/* So many nominating checks on one path and none on the selected one: the peer has moved, whatever the priorities.
 * Chromium nominates nothing but the pair it uses, in each of its checks; one check may be a straggler, two are not. */
#define TR_ICE_INSIST 2

typedef struct tr_ice_path {
    tr_path path;
    uint32_t priority;
    bool is_nominated;
    uint64_t nominated_us, checked_us; /* when nomination began; latest check */
    uint32_t nomination;               /* in which order paths were nominated: times can be equal */
    uint8_t insistence;                /* nominating checks here since the latest one on the selected path */
    /* Of the latest nominating check: its retransmissions insist on nothing. */
    uint8_t transaction[TR_STUN_TRANSACTION];
    bool is_old; /* learned before the restart that is under way */
} tr_ice_path;

typedef struct tr_ice_credentials {
    char local_ufrag[33], local_pwd[65], remote_ufrag[257], remote_pwd[257];
    bool has_remote;
} tr_ice_credentials;

typedef struct tr_ice {
    tr_ice_credentials now, before; /* before: until a restart is done, checks of the old session still count */
    bool is_restarting;
    tr_ice_path paths[TR_ICE_MAX_PATHS];
    uint32_t path_count;
    int selected; /* index, -1: none */
    uint32_t nominations;
    uint64_t switched_us, consent_us; /* consent: latest authenticated check on any path; 0: never */
} tr_ice;

typedef struct tr_ice_answer {
    size_t size; /* bytes of answer, 0: silence */
    bool path_added, path_removed, selected_changed;
    tr_path added, removed; /* for the worker's table of validated paths */
    /* The new session of a restart took over: the fragment and the paths of the old one are void. */
    bool is_restarted;
    char voided_ufrag[33];
    uint32_t voided_count;
    tr_path voided[TR_ICE_MAX_PATHS];
} tr_ice_answer;

void tr__ice_init(tr_ice *ice, const char *local_ufrag, const char *local_pwd);
void tr__ice_set_remote(tr_ice *ice, const char *ufrag, const char *pwd);
/* ICE restart (RFC 8445, 9): new credentials of ours; the peer's follow by set_remote. Make before break: media stays
 * on the selected path, and checks of the old session keep it alive, until a path of the new session is nominated. A
 * second restart while one is under way replaces it. */
void tr__ice_restart(tr_ice *ice, const char *local_ufrag, const char *local_pwd);

/* One parsed STUN message for this transport. Writes the answer to `out` (at least TR_STUN_MAX_RESPONSE bytes; never
 * more bytes than the request had) and says what changed. Drops: STUN_INTEGRITY, STUN_UNEXPECTED. A new path always
 * finds a place: the oldest one that is not nominated makes room, else the oldest that is not selected.
 * The remote half of USERNAME is checked once it is known; before, the local half and our password suffice (the answer
 * may be late). */
tr_drop tr__ice_on_stun(tr_ice *ice, const tr_stun *stun, const tr_path *path, uint64_t now_us, uint8_t *out,
                        size_t room, tr_ice_answer *answer);
const tr_path *tr__ice_selected(const tr_ice *ice); /* NULL: none */
bool tr__ice_has_consent(const tr_ice *ice, uint64_t now_us, uint64_t timeout_us);

#endif
