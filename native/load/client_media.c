/* client_media: media in and out of one simulated peer; see client.h. Engine thread. */
#include <stdlib.h>

#include "client.h"
#include "histogram.h"
#include "near.h"
#include "seq.h"

/* ------------------------------------------------------------------ publishing */

int tl__client_add_send(tl_client *c, const tl_send *params)
{
    tl_shared *shared = c->shared;
    if (c->outbound_count == TL_MAX_SENDS) return TL_ERR_FULL;
    tl_source *source = tl__shared_source(shared, params->stream, true);
    tl_outbound *o = calloc(1, sizeof *o);
    if (!source || !o) {
        free(o);
        return TL_ERR_NO_MEMORY;
    }
    int status = tl__outbound_init(o, params, shared->config->seed, shared->stamp, source,
                                   (uint64_t)shared->config->flight_us * 1000);
    if (status != TL_OK) {
        free(o);
        return status;
    }
    *source = (tl_source){
        .stream = params->stream, .peer = c->id, .kind = params->kind, .exists = true, .group = params->group};
    c->outbounds[c->outbound_count++] = o;
    if (c->wants_sending) tl__client_start(c, c->start_ns);
    return TL_OK;
}

void tl__client_send_media(tl_client *c, uint32_t n)
{
    tl_shared *shared = c->shared;
    tl_outbound *o = c->outbounds[n];
    uint64_t index, late_ns, real_ns = shared->now_ns - (uint64_t)shared->real_to_monotonic_ns;
    for (;;) {
        uint8_t *out = tl__net_reserve(shared->net);
        size_t size = tl__outbound_next(o, shared->now_ns, real_ns, &c->twcc_next, out, &index, &late_ns);
        if (!size) break;
        if (late_ns != UINT64_MAX) tl__histogram_add(&shared->histograms[TL_HISTOGRAM_LATE], late_ns / 1000);
        tl__client_send(c, tr__srtp_seal_rtp(c->srtp, out, size, index));
    }
    tr__deadlines_set(shared->deadlines, tl__send_deadline(c, n), tl__outbound_at(o));
}

/* ------------------------------------------------------------------ sections and their SSRCs */

int tl__client_add_receive(tl_client *c, const tl_receive *params)
{
    if (c->sections[params->section]) return TL_ERR_EXISTS;
    tl_section *section = calloc(1, sizeof *section);
    if (!section) return TL_ERR_NO_MEMORY;
    section->params = *params;
    c->sections[params->section] = section;
    return TL_OK;
}

void tl__client_remove_receive(tl_client *c, uint32_t number)
{
    if (!c->sections[number]) return;
    tl__client_end_ways(c, (int)number);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->ssrc_count; i++) {
        tl_ssrc_entry entry = c->ssrcs[i];
        if (entry.section != number) {
            c->ssrcs[kept++] = entry;
            continue;
        }
        if (!entry.is_rtx) tl__inbound_free(entry.inbound);
        if (c->srtp) tr__srtp_retire_ssrc(c->srtp, entry.ssrc);
    }
    c->ssrc_count = kept;
    free(c->sections[number]);
    c->sections[number] = NULL;
}

static tl_ssrc_entry *find_entry(tl_client *c, uint32_t ssrc)
{
    for (uint32_t i = 0; i < c->ssrc_count; i++)
        if (c->ssrcs[i].ssrc == ssrc) return &c->ssrcs[i];
    return NULL;
}

static const tl_payload *find_payload(const tl_section *section, uint8_t pt, bool *is_rtx)
{
    for (uint32_t i = 0; i < section->params.payload_count; i++) {
        const tl_payload *payload = &section->params.payloads[i];
        *is_rtx = payload->rtx_pt == pt;
        if (*is_rtx || payload->pt == pt) return payload;
    }
    return NULL;
}

static bool has_mid(const tl_section *section, const tr_rtp *rtp, const tr_rtp_extensions *found)
{
    size_t size = strlen(section->params.mid);
    return size && found->of[TR_EXT_MID].size == size &&
           memcmp(rtp->data + found->of[TR_EXT_MID].at, section->params.mid, size) == 0;
}

/* Declared SSRC before MID before payload type (RFC 8843, 9.2). */
static tl_section *find_section(tl_client *c, const tr_rtp *rtp, const tr_rtp_extensions *found)
{
    tl_section *by_mid = NULL, *by_pt = NULL;
    bool is_rtx;
    for (uint32_t i = 0; i < TL_MAX_RECEIVES; i++) {
        tl_section *section = c->sections[i];
        if (!section) continue;
        if (section->params.ssrc == rtp->ssrc || section->params.rtx_ssrc == rtp->ssrc) return section;
        if (!by_mid && has_mid(section, rtp, found)) by_mid = section;
        if (!by_pt && (!section->params.ssrc || section->params.ssrc == rtp->ssrc) &&
            find_payload(section, rtp->pt, &is_rtx))
            by_pt = section;
    }
    return by_mid ? by_mid : by_pt;
}

/* The RTX twin of which SSRC? The declared one, else the one its section received last. */
static tl_inbound *find_primary(tl_client *c, const tl_section *section)
{
    tl_ssrc_entry *declared = section->params.ssrc ? find_entry(c, section->params.ssrc) : NULL;
    return declared ? declared->inbound : section->latest;
}

static tl_ssrc_entry *learn(tl_client *c, const tr_rtp *rtp, const tr_rtp_extensions *found)
{
    tl_section *section = find_section(c, rtp, found);
    bool is_rtx = false;
    const tl_payload *payload = section ? find_payload(section, rtp->pt, &is_rtx) : NULL;
    if (!payload || c->ssrc_count == TL_CLIENT_SSRCS) return NULL;
    uint16_t number = (uint16_t)section->params.section;
    tl_inbound *in = is_rtx ? find_primary(c, section) : tl__inbound_new(rtp->ssrc, number, payload);
    if (!in) return NULL;
    if (!is_rtx) section->latest = in;
    c->ssrcs[c->ssrc_count] = (tl_ssrc_entry){.ssrc = rtp->ssrc, .section = number, .is_rtx = is_rtx, .inbound = in};
    return &c->ssrcs[c->ssrc_count++];
}

/* ------------------------------------------------------------------ ways */

tl_tally tl__way_settle(const tl_way *way, const tl_shared *shared)
{
    tl_tally tally =
        tl__account_settle(&way->account, way->source, shared->now_ns, (uint64_t)shared->config->flight_us * 1000);
    tally.frames = way->frames.decoded;
    tally.keyframes = way->kind == TL_VIDEO ? way->frames.keyframes : 0;
    tally.freezes = way->frames.freezes;
    tally.freeze_us = way->frames.freeze_us;
    if (way->source->is_sending && !way->account.is_parked) {
        uint64_t going_on_us = tl__frames_freezing_us(&way->frames, shared->now_us);
        tally.freezes += going_on_us != 0;
        tally.freeze_us += going_on_us;
    }
    return tally;
}

void tl__client_end_ways(tl_client *c, int section)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->way_count; i++) {
        tl_way *way = c->ways[i];
        if (section >= 0 && way->section != section) {
            c->ways[kept++] = way;
            continue;
        }
        tl__account_park(&way->account);
        tl_tally tally = tl__way_settle(way, c->shared);
        tl__tally_add(&c->shared->ended[way->kind], &tally);
        free(way);
    }
    c->way_count = kept;
}

static tl_way *make_way(tl_client *c, const tl_inbound *in, uint32_t stream, uint64_t at_ns)
{
    tl_source *source = tl__shared_source(c->shared, stream, false);
    if (!source) return NULL;
    if (c->way_count == c->way_room) {
        uint32_t room = c->way_room ? 2 * c->way_room : 4;
        tl_way **ways = realloc(c->ways, room * sizeof *ways);
        if (!ways) return NULL;
        c->ways = ways;
        c->way_room = room;
    }
    tl_way *way = malloc(sizeof *way);
    if (!way) return NULL;
    *way = (tl_way){.stream = stream, .section = in->section, .kind = source->kind, .source = source};
    tl__account_init(&way->account);
    tl__frames_init(&way->frames);
    c->ways[c->way_count++] = way;
    tl__shared_tell(c->shared, TL_EVENT_FIRST_PACKET, c->id, in->section, stream, at_ns, "");
    return way;
}

static tl_way *find_way(tl_client *c, const tl_inbound *in, uint32_t stream, uint64_t at_ns)
{
    if (in->way && in->way->stream == stream) return in->way;
    for (uint32_t i = 0; i < c->way_count; i++)
        if (c->ways[i]->stream == stream && c->ways[i]->section == in->section) return c->ways[i];
    return make_way(c, in, stream, at_ns);
}

static void park(tl_way *way)
{
    tl__account_park(&way->account);
    tl__frames_cut(&way->frames);
}

/* The SSRC carries another stream than before, or the section another encoding of the same picture under an SSRC of
 * its own: nothing more is expected of the old one until it comes again. */
static void switch_to(tl_client *c, tl_inbound *in, tl_way *way)
{
    if (in->way) {
        park(in->way);
        tl__frames_cut(&way->frames);
    }
    for (uint32_t i = 0; i < c->way_count; i++) {
        tl_way *other = c->ways[i];
        if (other != way && other->section == way->section && way->source->group &&
            other->source->group == way->source->group)
            park(other);
    }
    in->way = way;
}

/* ------------------------------------------------------------------ receiving */

static void measure_latency(tl_shared *shared, tl_way *way, const tl_stamp *stamp, uint64_t arrival_ns, bool is_resend)
{
    uint64_t us = arrival_ns > stamp->sent_ns ? (arrival_ns - stamp->sent_ns) / 1000 : 0;
    int which = is_resend ? TL_HISTOGRAM_RESENT : way->kind == TL_AUDIO ? TL_HISTOGRAM_AUDIO : TL_HISTOGRAM_VIDEO;
    tl__histogram_add(&shared->histograms[which], us);
    if (!is_resend && us > way->account.tally.latency_max_us) way->account.tally.latency_max_us = us;
}

static void count_arrival(tl_client *c, tl_inbound *in, const tl_stamp *stamp, size_t size, bool is_resend,
                          uint64_t arrival_ns, uint64_t at_ns)
{
    tl_way *way = find_way(c, in, stamp->stream, at_ns);
    if (!way) {
        c->shared->totals.unstamped_packets++;
        return;
    }
    tl_tally *tally = &way->account.tally;
    tl_arrival arrival = tl__account_on_packet(&way->account, stamp->counter);
    switch (arrival) {
    case TL_ARRIVAL_NEW:
        if (in->way != way) switch_to(c, in, way);
        tally->repaired += is_resend;
        break;
    case TL_ARRIVAL_LATE:
        tally->repaired += is_resend;
        tally->reordered += !is_resend;
        break;
    case TL_ARRIVAL_DUPLICATE:
        tally->resent_duplicates += is_resend;
        tally->duplicates += !is_resend;
        return;
    case TL_ARRIVAL_STALE:
    case TL_ARRIVAL_UNEXPECTED:
        return;
    }
    tally->bytes += size;
    measure_latency(c->shared, way, stamp, arrival_ns, is_resend);
    bool has_decoded = tl__frames_on_packet(&way->frames, stamp->frame, stamp->parts, stamp->is_keyframe, at_ns / 1000);
    if (has_decoded && !way->has_frame) {
        way->has_frame = true;
        tl__shared_tell(c->shared, TL_EVENT_FIRST_FRAME, c->id, in->section, way->stream, at_ns, "");
    }
}

/* What failed before anybody was authenticated is put down to the SSRC it claims: of packets that a line corrupted
 * that is nearly always the right one. */
static void count_failure(tl_client *c, tr_drop drop, uint32_t ssrc)
{
    tl_ssrc_entry *entry = find_entry(c, ssrc);
    tl_tally *tally = &c->shared->ended[0];
    if (entry && entry->inbound->way) tally = &entry->inbound->way->account.tally;
    if (drop == TR_DROP_SRTP_REPLAY)
        tally->duplicates++;
    else
        tally->auth_failures++;
}

/* Sound and picture, and their resends. */
#define NEAR_SSRCS 4

void tl__client_near(const tl_client *c) { tr__near(c, offsetof(tl_client, ssrcs) + NEAR_SSRCS * sizeof *c->ssrcs); }

void tl__client_near_more(const tl_client *c)
{
    if (c->srtp) tr__srtp_near(c->srtp);
    if (c->twcc) tr__near(c->twcc, TR_LINE);
    for (uint32_t i = 0; i < c->ssrc_count && i < NEAR_SSRCS; i++)
        if (!c->ssrcs[i].is_rtx) tr__near(c->ssrcs[i].inbound, sizeof(tl_inbound));
}

void tl__client_near_most(const tl_client *c)
{
    if (c->srtp) tr__srtp_near_rx(c->srtp);
    for (uint32_t i = 0; i < c->ssrc_count && i < NEAR_SSRCS; i++) {
        const tl_way *way = c->ssrcs[i].is_rtx ? NULL : c->ssrcs[i].inbound->way;
        if (!way) continue;
        tr__near(way, TR_LINE);
        tr__near(&way->account.tally, sizeof way->account.tally);
    }
}

void tl__client_near_send(const tl_client *c, uint32_t n)
{
    if (c->srtp) tr__srtp_near(c->srtp);
    tr__near(c->outbounds[n], sizeof(tl_outbound));
}

void tl__client_near_send_more(const tl_client *c, uint32_t n)
{
    const tl_outbound *o = c->outbounds[n];
    if (c->srtp) tr__srtp_near_tx(c->srtp);
    tr__near(o->source, sizeof *o->source);
    tr__near(&o->held[o->source->next & (o->held_size - 1)], sizeof *o->held);
}

void tl__client_on_rtp(tl_client *c, uint8_t *data, size_t size, uint64_t arrival_ns)
{
    tl_shared *shared = c->shared;
    uint64_t index, at_ns = arrival_ns + (uint64_t)shared->real_to_monotonic_ns;
    uint32_t claimed = size >= 12 ? tr__load32(data + 8) : 0;
    tr_drop drop = tr__srtp_open_rtp(c->srtp, data, &size, &index);
    if (drop != TR_DROP_NONE) {
        count_failure(c, drop, claimed);
        return;
    }
    tr_rtp rtp;
    tr_rtp_extensions found = {0};
    tl_ssrc_entry *entry = NULL;
    if (tr__rtp_parse(&rtp, data, size) == TR_DROP_NONE) {
        entry = find_entry(c, rtp.ssrc);
        if (!entry || c->twcc) tr__rtp_find_extensions(&rtp, c->extensions, &found);
        if (!entry) entry = learn(c, &rtp, &found);
    }
    if (!entry) {
        shared->totals.unknown_packets++;
        return;
    }
    c->media_ssrc = rtp.ssrc;
    if (c->twcc && found.of[TR_EXT_TWCC].size == 2)
        tr__twcc_on_packet(c->twcc, tr__load16(data + found.of[TR_EXT_TWCC].at), at_ns / 1000, shared->now_us);
    const uint8_t *payload = data + rtp.header_size;
    size_t payload_size = rtp.payload_size;
    tl_inbound *in = entry->inbound;
    if (entry->is_rtx) {
        if (payload_size < 2) return; /* padding, to probe the path */
        index = tr__seq_unwrap(in->highest_index, tr__load16(payload));
        payload += 2;
        payload_size -= 2;
    }
    bool is_resend = tl__inbound_on_rtp(in, index, rtp.ts, entry->is_rtx, at_ns / 1000, shared->now_us);
    if (!payload_size) return;
    tl_stamp stamp;
    switch (tl__stamp_read(payload, payload_size, shared->stamp, &stamp)) {
    case TL_STAMP_OK:
        count_arrival(c, in, &stamp, payload_size, is_resend, arrival_ns, at_ns);
        break;
    case TL_STAMP_ABSENT:
        shared->totals.unstamped_packets++;
        break;
    case TL_STAMP_CORRUPT:
        (in->way ? &in->way->account.tally : &shared->ended[0])->corrupted++;
        break;
    }
    if (tl__inbound_wants_keyframe(in, shared->now_us)) tl__client_send_pli(c, in);
    uint64_t due_us = in->nack ? tr__nack_at(in->nack) : UINT64_MAX;
    if (c->twcc && tr__twcc_at(c->twcc) < due_us) due_us = tr__twcc_at(c->twcc);
    if (due_us < tr__deadlines_at(shared->deadlines, c->id) / 1000)
        tr__deadlines_set(shared->deadlines, c->id, due_us * 1000);
}
