/* rtcp: compounds validated as a whole and then read part by part, and the parts the relay writes.
 * Touches only the bytes it is given. Worker thread. */
#include "rtcp.h"

#define REPORT_SIZE 24
#define SR_SIZE 24 /* SSRC and sender information */
#define REMB_TAG 0x52454d42u

static bool is_feedback(const tr_rtcp_part *part) { return part->type == TR_RTCP_RTPFB || part->type == TR_RTCP_PSFB; }

/* ------------------------------------------------------------------ validating */

/* One part at *at: version, length and padding. */
static bool read_part(const uint8_t *data, size_t size, size_t *at, tr_rtcp_part *part)
{
    if (size - *at < 4) return false;
    const uint8_t *head = data + *at;
    size_t body_size = 4u * tr__load16(head + 2);
    if (head[0] >> 6 != 2 || body_size > size - *at - 4) return false;
    *at += 4 + body_size;
    if (head[0] & 0x20) {
        /* RFC 3550, 6.4.1 has padding in whole words and on the last part only. libwebrtc pads transport-wide feedback
         * by one to three bytes, wherever it stands in the compound: so any count that fits is taken. */
        if (body_size == 0) return false;
        uint8_t padding = head[4 + body_size - 1];
        if (padding == 0 || padding > body_size) return false;
        body_size -= padding;
    }
    *part = (tr_rtcp_part){.type = head[1], .count = head[0] & 0x1f, .body = head + 4, .size = body_size};
    return true;
}

/* RFC 3550, 6.5: `count` chunks, each an SSRC and items up to a zero byte, padded to a word. */
static bool is_sdes_right(const tr_rtcp_part *part)
{
    tr_cursor c = tr__cursor(part->body, part->size);
    for (unsigned chunk = 0; chunk < part->count; chunk++) {
        tr__take32(&c);
        while (tr__take8(&c)) tr__take(&c, tr__take8(&c));
        if (!tr__cursor_ok(&c)) return false;
        tr__take(&c, (size_t)(part->body - c.at) & 3);
    }
    return tr__cursor_ok(&c);
}

/* RFC 3550, 6.6: `count` SSRCs and perhaps a reason with its length before it. */
static bool is_bye_right(const tr_rtcp_part *part)
{
    tr_cursor c = tr__cursor(part->body, part->size);
    tr__take(&c, 4u * part->count);
    if (tr__cursor_left(&c)) tr__take(&c, tr__take8(&c));
    return tr__cursor_ok(&c);
}

/* Entries of a fixed size behind the two SSRCs, at least one of them. */
static bool has_entries(const tr_rtcp_part *part, size_t entry_size)
{
    return part->size >= 8 + entry_size && (part->size - 8) % entry_size == 0;
}

static bool is_remb(const tr_rtcp_part *part)
{
    return part->type == TR_RTCP_PSFB && part->count == TR_PSFB_AFB && part->size >= 12 &&
           tr__load32(part->body + 8) == REMB_TAG;
}

static bool is_feedback_right(const tr_rtcp_part *part)
{
    if (part->size < 8) return false;
    if (part->type == TR_RTCP_RTPFB) {
        switch (part->count) {
        case TR_RTPFB_NACK:
            return has_entries(part, 4);
        case TR_RTPFB_TWCC:
            return part->size >= 16;
        default:
            return true;
        }
    }
    switch (part->count) {
    case TR_PSFB_FIR:
        return has_entries(part, 8);
    case TR_PSFB_AFB:
        return !is_remb(part) || (part->size >= 16 && part->size >= 16 + 4u * part->body[12]);
    default:
        return true;
    }
}

static bool is_part_right(const tr_rtcp_part *part)
{
    switch (part->type) {
    case TR_RTCP_SR:
        return part->size >= SR_SIZE + (size_t)REPORT_SIZE * part->count;
    case TR_RTCP_RR:
        return part->size >= 4 + (size_t)REPORT_SIZE * part->count;
    case TR_RTCP_SDES:
        return is_sdes_right(part);
    case TR_RTCP_BYE:
        return is_bye_right(part);
    case TR_RTCP_APP:
        return part->size >= 8;
    case TR_RTCP_RTPFB:
    case TR_RTCP_PSFB:
        return is_feedback_right(part);
    case TR_RTCP_XR:
        return part->size >= 4;
    default:
        return true; /* a type that nobody here reads: its length was right, and that is all we ask */
    }
}

tr_drop tr__rtcp_validate(const uint8_t *data, size_t size)
{
    if (size == 0) return TR_DROP_RTCP_MALFORMED;
    unsigned parts = 0;
    for (size_t at = 0; at < size;) {
        tr_rtcp_part part;
        if (++parts > TR_RTCP_MAX_PARTS) return TR_DROP_RTCP_MALFORMED;
        if (!read_part(data, size, &at, &part) || !is_part_right(&part)) return TR_DROP_RTCP_MALFORMED;
    }
    return TR_DROP_NONE;
}

/* ------------------------------------------------------------------ reading */

bool tr__rtcp_next(const uint8_t *data, size_t size, size_t *at, tr_rtcp_part *part)
{
    return *at < size && read_part(data, size, at, part);
}

bool tr__rtcp_read_sr(const tr_rtcp_part *part, tr_rtcp_sr *sr)
{
    if (part->type != TR_RTCP_SR || part->size < SR_SIZE) return false;
    const uint8_t *body = part->body;
    *sr = (tr_rtcp_sr){
        .ssrc = tr__load32(body),
        .ntp = tr__load64(body + 4),
        .rtp_ts = tr__load32(body + 12),
        .packets = tr__load32(body + 16),
        .bytes = tr__load32(body + 20),
    };
    return true;
}

bool tr__rtcp_read_report(const tr_rtcp_part *part, size_t i, tr_rtcp_report *report)
{
    size_t first = part->type == TR_RTCP_SR ? SR_SIZE : part->type == TR_RTCP_RR ? 4 : SIZE_MAX;
    if (first == SIZE_MAX || i >= part->count || part->size < first + REPORT_SIZE * (i + 1)) return false;
    const uint8_t *block = part->body + first + REPORT_SIZE * i;
    uint32_t lost = tr__load24(block + 5);
    *report = (tr_rtcp_report){
        .ssrc = tr__load32(block),
        .fraction_lost = block[4],
        /* Duplicates can make it negative (RFC 3550, 6.4.1). */
        .lost = (int32_t)lost - (lost & 0x800000 ? 0x1000000 : 0),
        .highest_seq = tr__load32(block + 8),
        .jitter = tr__load32(block + 12),
        .last_sr = tr__load32(block + 16),
        .delay_since_sr = tr__load32(block + 20),
    };
    return true;
}

uint32_t tr__rtcp_media_ssrc(const tr_rtcp_part *part)
{
    return is_feedback(part) && part->size >= 8 ? tr__load32(part->body + 4) : 0;
}

size_t tr__rtcp_read_nack(const tr_rtcp_part *part, uint16_t *seqs, size_t max)
{
    if (part->type != TR_RTCP_RTPFB || part->count != TR_RTPFB_NACK || part->size < 8) return 0;
    size_t count = 0;
    tr_cursor c = tr__cursor(part->body + 8, part->size - 8);
    while (tr__cursor_left(&c) >= 4) {
        uint16_t seq = tr__take16(&c), followers = tr__take16(&c);
        for (unsigned bits = 1u | (unsigned)followers << 1; bits; bits >>= 1, seq++) {
            if (!(bits & 1)) continue;
            if (count == max) return count;
            seqs[count++] = seq;
        }
    }
    return count;
}

bool tr__rtcp_read_fir(const tr_rtcp_part *part, size_t i, uint32_t *ssrc, uint8_t *number)
{
    if (part->type != TR_RTCP_PSFB || part->count != TR_PSFB_FIR || part->size < 8) return false;
    if (i >= (part->size - 8) / 8) return false;
    *ssrc = tr__load32(part->body + 8 + 8 * i);
    *number = part->body[8 + 8 * i + 4];
    return true;
}

bool tr__rtcp_read_remb(const tr_rtcp_part *part, uint64_t *rate_bps)
{
    if (!is_remb(part) || part->size < 16) return false;
    uint32_t packed = tr__load24(part->body + 13);
    uint32_t exponent = packed >> 18;
    uint64_t mantissa = packed & 0x3ffff;
    bool overflows = exponent && mantissa >> (64 - exponent);
    *rate_bps = overflows ? UINT64_MAX : mantissa << exponent;
    return true;
}

/* ------------------------------------------------------------------ writing */

static uint8_t *begin_part(tr_pen *pen, uint8_t type, uint8_t count)
{
    uint8_t *head = tr__put(pen, 4);
    if (head) {
        head[0] = (uint8_t)(0x80 | count);
        head[1] = type;
    }
    return head;
}

static void end_part(tr_pen *pen, uint8_t *head)
{
    if (!tr__pen_ok(pen)) return;
    tr__store16(head + 2, (uint16_t)((size_t)(pen->at - head) / 4 - 1));
}

static void put_reports(tr_pen *pen, const tr_rtcp_report *reports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const tr_rtcp_report *r = &reports[i];
        int32_t lost = r->lost > 0x7fffff ? 0x7fffff : r->lost < -0x800000 ? -0x800000 : r->lost;
        tr__put32(pen, r->ssrc);
        tr__put8(pen, r->fraction_lost);
        tr__put24(pen, (uint32_t)lost & 0xffffff);
        tr__put32(pen, r->highest_seq);
        tr__put32(pen, r->jitter);
        tr__put32(pen, r->last_sr);
        tr__put32(pen, r->delay_since_sr);
    }
}

void tr__rtcp_put_sr(tr_pen *pen, const tr_rtcp_sr *sr, const tr_rtcp_report *reports, size_t count)
{
    if (count > TR_RTCP_MAX_REPORTS) count = TR_RTCP_MAX_REPORTS;
    uint8_t *head = begin_part(pen, TR_RTCP_SR, (uint8_t)count);
    tr__put32(pen, sr->ssrc);
    tr__put64(pen, sr->ntp);
    tr__put32(pen, sr->rtp_ts);
    tr__put32(pen, sr->packets);
    tr__put32(pen, sr->bytes);
    put_reports(pen, reports, count);
    end_part(pen, head);
}

void tr__rtcp_put_rr(tr_pen *pen, uint32_t ssrc, const tr_rtcp_report *reports, size_t count)
{
    if (count > TR_RTCP_MAX_REPORTS) count = TR_RTCP_MAX_REPORTS;
    uint8_t *head = begin_part(pen, TR_RTCP_RR, (uint8_t)count);
    tr__put32(pen, ssrc);
    put_reports(pen, reports, count);
    end_part(pen, head);
}

void tr__rtcp_put_sdes(tr_pen *pen, uint32_t ssrc, const char *cname)
{
    size_t size = strnlen(cname, UINT8_MAX);
    uint8_t *head = begin_part(pen, TR_RTCP_SDES, 1);
    tr__put32(pen, ssrc);
    tr__put8(pen, 1); /* CNAME */
    tr__put8(pen, (uint8_t)size);
    tr__put_bytes(pen, cname, size);
    /* The zero that ends the items, and as many more as fill the word. */
    for (size_t at = 2 + size; at == 2 + size || at % 4; at++) tr__put8(pen, 0);
    end_part(pen, head);
}

void tr__rtcp_put_bye(tr_pen *pen, uint32_t ssrc)
{
    uint8_t *head = begin_part(pen, TR_RTCP_BYE, 1);
    tr__put32(pen, ssrc);
    end_part(pen, head);
}

static uint8_t *begin_feedback(tr_pen *pen, uint8_t type, uint8_t format, uint32_t sender_ssrc, uint32_t media_ssrc)
{
    uint8_t *head = begin_part(pen, type, format);
    tr__put32(pen, sender_ssrc);
    tr__put32(pen, media_ssrc);
    return head;
}

void tr__rtcp_put_pli(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc)
{
    end_part(pen, begin_feedback(pen, TR_RTCP_PSFB, TR_PSFB_PLI, sender_ssrc, media_ssrc));
}

void tr__rtcp_put_fir(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, uint8_t number)
{
    /* RFC 5104, 4.3.1.2: the media SSRC of the header is zero, the entry says whom it is for. */
    uint8_t *head = begin_feedback(pen, TR_RTCP_PSFB, TR_PSFB_FIR, sender_ssrc, 0);
    tr__put32(pen, media_ssrc);
    tr__put32(pen, (uint32_t)number << 24);
    end_part(pen, head);
}

void tr__rtcp_put_nack(tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, const uint16_t *seqs, size_t count)
{
    if (count == 0) return;
    uint8_t *head = begin_feedback(pen, TR_RTCP_RTPFB, TR_RTPFB_NACK, sender_ssrc, media_ssrc);
    for (size_t i = 0; i < count;) {
        uint16_t first = seqs[i++], followers = 0;
        for (; i < count; i++) {
            unsigned ahead = (uint16_t)(seqs[i] - first);
            if (ahead > 16) break;
            if (ahead) followers |= (uint16_t)(1u << (ahead - 1));
        }
        tr__put16(pen, first);
        tr__put16(pen, followers);
    }
    end_part(pen, head);
}

void tr__rtcp_put_remb(tr_pen *pen, uint32_t sender_ssrc, uint64_t rate_bps, const uint32_t *ssrcs, size_t count)
{
    if (count > UINT8_MAX) count = UINT8_MAX;
    uint32_t exponent = 0;
    while (rate_bps >> exponent > 0x3ffff) exponent++;
    uint8_t *head = begin_feedback(pen, TR_RTCP_PSFB, TR_PSFB_AFB, sender_ssrc, 0);
    tr__put32(pen, REMB_TAG);
    tr__put8(pen, (uint8_t)count);
    tr__put24(pen, exponent << 18 | (uint32_t)(rate_bps >> exponent));
    for (size_t i = 0; i < count; i++) tr__put32(pen, ssrcs[i]);
    end_part(pen, head);
}
