/* client: life and state of one simulated peer; see client.h. Engine thread. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#include "demux.h"

/* RFC 7675, 5.1: consent is gone so long after the latest answer. */
#define CONSENT_EXPIRES_US 30000000u
/* A handshake is a few round trips; one that takes so long is given up, as its person would. */
#define DTLS_TIMEOUT_US 15000000u
/* The answer has come and waits its turn: to send the flight again would be to ask for it twice. */
#define HANDSHAKE_PAUSE_US 50000u

_Static_assert((int)TL_EXT_MID == (int)TR_EXT_MID && (int)TL_EXT_RID == (int)TR_EXT_RID &&
                   (int)TL_EXT_REPAIRED_RID == (int)TR_EXT_REPAIRED_RID &&
                   (int)TL_EXT_AUDIO_LEVEL == (int)TR_EXT_AUDIO_LEVEL && (int)TL_EXT_TWCC == (int)TR_EXT_TWCC &&
                   (int)TL_EXT_ABS_SEND_TIME == (int)TR_EXT_ABS_SEND_TIME,
               "the border's extensions are the first of the relay's");

/* ------------------------------------------------------------------ what is shared */

tl_source *tl__shared_source(tl_shared *shared, uint32_t stream, bool makes)
{
    if (stream >= TL_MAX_STREAMS) return NULL;
    tl_source **chunk = &shared->sources[stream / TL_SOURCE_CHUNK];
    if (!*chunk && makes) *chunk = calloc(TL_SOURCE_CHUNK, sizeof **chunk);
    if (!*chunk) return NULL;
    tl_source *source = &(*chunk)[stream % TL_SOURCE_CHUNK];
    return source->exists || makes ? source : NULL;
}

void tl__shared_tell(tl_shared *shared, tl_event_type type, uint32_t peer, uint16_t section, uint32_t stream,
                     uint64_t at_ns, const char *reason)
{
    tl_event event = {.type = (uint16_t)type, .section = section, .peer = peer, .stream = stream, .at_ns = at_ns};
    snprintf(event.reason, sizeof event.reason, "%s", reason);
    if (tr__ring_push(shared->events, event.type, 0, &event, sizeof event) != TR_OK) shared->totals.events_lost++;
}

static void tell(tl_client *c, tl_event_type type, const char *reason)
{
    tl__shared_tell(c->shared, type, c->id, 0, 0, c->shared->now_ns, reason);
}

/* ------------------------------------------------------------------ life */

tl_client *tl__client_new(tl_shared *shared, const tl_peer *params, const tl_route *route, uint32_t serial)
{
    tl_client *c = calloc(1, sizeof *c);
    bool wants_twcc = params->extensions[TL_EXT_TWCC] != 0;
    tr_twcc *twcc = wants_twcc ? malloc(sizeof *twcc) : NULL;
    if (!c || (wants_twcc && !twcc)) {
        if (!route->is_packed) tl__net_close_one(shared->net, route->fd);
        free(c);
        free(twcc);
        return NULL;
    }
    c->shared = shared;
    c->id = params->peer;
    c->serial = serial;
    c->route = *route;
    memcpy(c->extensions, params->extensions, sizeof params->extensions);
    c->twcc = twcc;
    if (twcc) tr__twcc_init(twcc);
    uint64_t random = tl__mix(shared->random++);
    tl__agent_init(&c->agent, params->local_ufrag, params->local_pwd, params->is_controlling, random);
    c->rtcp_ssrc = (uint32_t)tl__mix(random + 1) | 1;
    c->deadline_us = c->dtls_due_us = c->report_due_us = UINT64_MAX;
    return c;
}

static void send_dtls(tl_client *c)
{
    size_t size;
    while ((size = tr__dtls_next(c->dtls, tl__net_reserve(c->shared->net), TL_NET_SLOT)) > 0) tl__client_send(c, size);
}

void tl__client_free(tl_client *c, int leave)
{
    tl_shared *shared = c->shared;
    if (leave == TL_LEAVE_CLOSE && c->dtls && c->route.remote_size) {
        if (c->srtp) tl__client_send_bye(c);
        tr__dtls_close(c->dtls);
        send_dtls(c);
    }
    tl__net_flush(shared->net);
    tl__client_end_ways(c, -1);
    for (uint32_t i = 0; i < TL_MAX_RECEIVES; i++) free(c->sections[i]);
    for (uint32_t i = 0; i < c->ssrc_count; i++)
        if (!c->ssrcs[i].is_rtx) tl__inbound_free(c->ssrcs[i].inbound);
    for (uint32_t i = 0; i < c->outbound_count; i++) {
        tl__outbound_stop(c->outbounds[i], shared->now_ns);
        shared->totals.published_packets += c->outbounds[i]->source->next;
        shared->totals.published_bytes += c->outbounds[i]->bytes;
        tr__deadlines_set(shared->deadlines, tl__send_deadline(c, i), TR_DEADLINES_NEVER);
        tl__outbound_dispose(c->outbounds[i]);
        free(c->outbounds[i]);
    }
    tr__deadlines_set(shared->deadlines, c->id, TR_DEADLINES_NEVER);
    tr__srtp_free(c->srtp);
    tr__dtls_free(c->dtls);
    free(c->twcc);
    free(c->ways);
    if (!c->route.is_packed) tl__net_close_one(shared->net, c->route.fd);
    free(c);
}

/* ------------------------------------------------------------------ state */

static void pause_sending(tl_client *c)
{
    for (uint32_t i = 0; i < c->outbound_count; i++) {
        if (c->outbounds[i]->is_sending) tl__outbound_stop(c->outbounds[i], c->shared->now_ns);
        tr__deadlines_set(c->shared->deadlines, tl__send_deadline(c, i), TR_DEADLINES_NEVER);
    }
}

static void resume_sending(tl_client *c)
{
    if (!c->wants_sending || c->state != TL_PEER_CONNECTED) return;
    for (uint32_t i = 0; i < c->outbound_count; i++) {
        tl_outbound *o = c->outbounds[i];
        tl__outbound_start(o, c->start_ns > c->shared->now_ns ? c->start_ns : c->shared->now_ns);
        tr__deadlines_set(c->shared->deadlines, tl__send_deadline(c, i), tl__outbound_at(o));
    }
}

void tl__client_start(tl_client *c, uint64_t at_ns)
{
    c->wants_sending = true;
    c->start_ns = at_ns;
    resume_sending(c);
}

void tl__client_stop(tl_client *c)
{
    c->wants_sending = false;
    pause_sending(c);
}

void tl__client_fail(tl_client *c, const char *reason)
{
    if (c->state == TL_PEER_FAILED || c->state == TL_PEER_CLOSED) return;
    c->state = TL_PEER_FAILED;
    pause_sending(c);
    tell(c, TL_EVENT_FAILED, reason);
}

static void become_connected(tl_client *c)
{
    c->srtp = tr__dtls_make_srtp(c->dtls, c->shared->crypto);
    if (!c->srtp || !tr__srtp_reserve(c->srtp, TR_SRTP_MAX_SSRCS)) {
        tl__client_fail(c, "no_memory");
        return;
    }
    c->state = TL_PEER_CONNECTED;
    c->deadline_us = UINT64_MAX;
    c->report_due_us = c->shared->now_us + tl__mix(c->rtcp_ssrc) % 1000000u;
    tell(c, TL_EVENT_CONNECTED, "");
    resume_sending(c);
}

/* After every step of the association: send what it has to say, see where it stands. */
static void follow_dtls(tl_client *c)
{
    uint8_t data[TR_MAX_DATAGRAM];
    send_dtls(c);
    while (tr__dtls_read(c->dtls, data, sizeof data)) {} /* SCTP: nobody is home */
    uint64_t wait_us = tr__dtls_timeout_us(c->dtls);
    c->dtls_due_us = wait_us == UINT64_MAX ? UINT64_MAX : c->shared->now_us + wait_us;
    switch (tr__dtls_state_of(c->dtls)) {
    case TR_DTLS_CONNECTED:
        if (!c->srtp && c->state == TL_PEER_HANDSHAKE) become_connected(c);
        break;
    case TR_DTLS_FAILED:
        tl__client_fail(c, tr__dtls_reason(c->dtls));
        break;
    case TR_DTLS_CLOSED:
        if (c->state == TL_PEER_CLOSED) break;
        c->state = TL_PEER_CLOSED;
        pause_sending(c);
        tell(c, TL_EVENT_CLOSED, "");
        break;
    case TR_DTLS_NEW:
    case TR_DTLS_HANDSHAKE:
    case TR_DTLS_UNVERIFIED:
        break;
    }
}

void tl__client_set_remote(tl_client *c, const tl_remote *remote)
{
    if (c->state != TL_PEER_NEW) return;
    if (!tl__net_set_remote(&c->route, remote->address, remote->port)) {
        tl__client_fail(c, "socket");
        return;
    }
    c->fingerprint.size = remote->fingerprint_size;
    memcpy(c->fingerprint.bytes, remote->fingerprint, sizeof c->fingerprint.bytes);
    c->is_dtls_client = remote->is_dtls_client;
    c->dtls = tr__dtls_new(c->shared->dtls, c->is_dtls_client);
    if (!c->dtls) {
        tl__client_fail(c, "no_memory");
        return;
    }
    tr__dtls_set_fingerprints(c->dtls, &c->fingerprint, 1);
    tl__agent_set_remote(&c->agent, remote->ufrag, remote->pwd, c->shared->now_us);
    c->state = TL_PEER_CHECKING;
    c->deadline_us = c->shared->now_us + c->shared->config->ice_timeout_us;
    tl__client_on_timer(c);
}

static void follow_agent(tl_client *c)
{
    if (c->state == TL_PEER_CHECKING && tl__agent_is_ready(&c->agent)) {
        c->state = TL_PEER_HANDSHAKE;
        c->deadline_us = c->shared->now_us + DTLS_TIMEOUT_US;
        if (c->is_dtls_client) tr__dtls_start(c->dtls);
        follow_dtls(c);
    } else if (c->state == TL_PEER_DISCONNECTED && c->shared->now_us - c->agent.consent_us < CONSENT_EXPIRES_US) {
        c->state = TL_PEER_CONNECTED;
        resume_sending(c);
    }
}

/* ------------------------------------------------------------------ datagrams and time */

void tl__client_send(tl_client *c, size_t size) { tl__net_commit(c->shared->net, &c->route, size); }

static void on_stun(tl_client *c, const uint8_t *data, size_t size)
{
    const tl_sockaddr *from = &c->route.remote;
    bool is_v4 = from->any.sa_family == AF_INET;
    const void *ip = is_v4 ? (const void *)&from->v4.sin_addr : (const void *)&from->v6.sin6_addr;
    uint16_t port = ntohs(is_v4 ? from->v4.sin_port : from->v6.sin6_port);
    size_t answer_size;
    uint8_t *answer = tl__net_reserve(c->shared->net);
    tr_drop drop =
        tl__agent_on_stun(&c->agent, data, size, is_v4 ? 4 : 6, ip, port, c->shared->now_us, answer, &answer_size);
    if (drop != TR_DROP_NONE) c->shared->totals.stun_failures++;
    if (answer_size) tl__client_send(c, answer_size);
    follow_agent(c);
    tl__client_schedule(c);
}

bool tl__client_on_datagram(tl_client *c, uint8_t *data, size_t size, uint64_t arrival_ns)
{
    if (c->state == TL_PEER_NEW || c->state >= TL_PEER_FAILED) {
        c->shared->totals.unknown_packets++;
        return true;
    }
    switch (tr__demux(data, size)) {
    case TR_CLASS_STUN:
        on_stun(c, data, size);
        return true;
    case TR_CLASS_DTLS:
        return false;
    case TR_CLASS_RTP:
        if (!c->srtp || c->waiting) return false;
        tl__client_on_rtp(c, data, size, arrival_ns);
        return true;
    case TR_CLASS_RTCP:
        if (!c->srtp || c->waiting) return false;
        tl__client_on_rtcp(c, data, size);
        return true;
    case TR_CLASS_OTHER:
        break;
    }
    c->shared->totals.unknown_packets++;
    return true;
}

void tl__client_on_waiting(tl_client *c, uint8_t *data, size_t size, uint64_t arrival_ns)
{
    tr_class class = tr__demux(data, size);
    if (class == TR_CLASS_DTLS) {
        if (!c->dtls || c->state >= TL_PEER_FAILED) return;
        tr_drop drop;
        tr__dtls_receive(c->dtls, data, size, &drop);
        follow_dtls(c);
        tl__client_schedule(c);
    } else if (!c->srtp) {
        c->shared->totals.unknown_packets++; /* still no keys: the server was too early */
    } else if (class == TR_CLASS_RTP) {
        tl__client_on_rtp(c, data, size, arrival_ns);
    } else {
        tl__client_on_rtcp(c, data, size);
    }
}

static void check_deadlines(tl_client *c)
{
    uint64_t now_us = c->shared->now_us;
    if (now_us >= c->deadline_us) {
        c->deadline_us = UINT64_MAX;
        if (c->state == TL_PEER_CHECKING) tl__client_fail(c, "ice_timeout");
        if (c->state == TL_PEER_HANDSHAKE) tl__client_fail(c, "dtls_timeout");
    }
    if (c->state == TL_PEER_CONNECTED && now_us - c->agent.consent_us >= CONSENT_EXPIRES_US) {
        c->state = TL_PEER_DISCONNECTED;
        pause_sending(c);
        tell(c, TL_EVENT_CONSENT_LOST, "");
    }
}

void tl__client_on_timer(tl_client *c)
{
    uint64_t now_us = c->shared->now_us;
    check_deadlines(c);
    if (c->state >= TL_PEER_CHECKING && c->state < TL_PEER_FAILED) {
        size_t size = tl__agent_next(&c->agent, now_us, tl__net_reserve(c->shared->net), TL_NET_SLOT);
        if (size) tl__client_send(c, size);
        if (now_us >= c->dtls_due_us && c->waiting) {
            c->dtls_due_us = now_us + HANDSHAKE_PAUSE_US;
        } else if (now_us >= c->dtls_due_us) {
            tr__dtls_on_timer(c->dtls);
            follow_dtls(c);
        }
    }
    if (c->state == TL_PEER_CONNECTED) tl__client_rtcp_on_timer(c);
    tl__client_schedule(c);
}

void tl__client_schedule(tl_client *c)
{
    uint64_t at_us = UINT64_MAX;
    if (c->state < TL_PEER_FAILED) {
        uint64_t rtcp_us = c->state == TL_PEER_CONNECTED ? tl__client_rtcp_at(c) : UINT64_MAX;
        uint64_t dues[] = {tl__agent_at(&c->agent), c->dtls_due_us, c->deadline_us, rtcp_us};
        for (size_t i = 0; i < sizeof dues / sizeof *dues; i++)
            if (dues[i] < at_us) at_us = dues[i];
    }
    tr__deadlines_set(c->shared->deadlines, c->id, at_us == UINT64_MAX ? TR_DEADLINES_NEVER : at_us * 1000);
}
