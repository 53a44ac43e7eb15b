/* writer: see writer.h. Touches the slot it is given. Worker thread. */
#include "writer.h"

#include <string.h>

/* Encoders' packetizers cut a frame into sizes that differ by a byte; one GSO message has but one size. So packets of
 * video that may be part of a frame are filled up to a multiple of 8 with padding (RFC 3550, 5.1): seven frames in
 * eight leave as one run instead of two, for 3.5 bytes a packet. It depends on the packet's own size alone, so that a
 * resend is padded alike. Frames are cut above some 1,200 bytes: a part is no smaller than half of that. */
#define PAD_TO 8u
#define PAD_FROM 500u

/* What is copied when both sides negotiated it, by size. RID, repaired RID, transport-wide number, send time and layers
 * allocation speak of the publisher's own connection and never leave it. A transport-wide number of ours has its place
 * at the head of the block, in every packet.
 *
 * Of a capture time the first 8 bytes go on. What may follow is how far the capturer's clock is from that of whoever
 * sends; our reports bear our own clock, so the publisher's word would be wrong, and ours would change between a packet
 * and its resend. Left out it says "unknown". */
static const struct copied {
    uint8_t ext, min, max;
    uint8_t kept;     /* at most so many bytes are copied */
    uint8_t reserved; /* bytes that have their place in every packet */
} COPIED[] = {
    {TR_EXT_AUDIO_LEVEL, 1, 1, 1, 1},       /* RFC 6464 */
    {TR_EXT_VIDEO_ORIENTATION, 1, 1, 1, 1}, /* 3GPP TS 26.114 */
    {TR_EXT_PLAYOUT_DELAY, 3, 3, 3, 0},     /* until it is acknowledged, and few senders set it */
    {TR_EXT_ABS_CAPTURE_TIME, 8, 16, 8, 0}, /* once a second */
    {TR_EXT_DEPENDENCY_DESCRIPTOR, TR_DESCRIPTOR_MIN, 255, 255, TR_DESCRIPTOR_MIN},
};
#define COPIED_COUNT (sizeof COPIED / sizeof *COPIED)

static bool has_mid(const tr_writer *writer) { return writer->extensions[TR_EXT_MID] && writer->mid_size; }

static bool is_shared(const tr_writer *writer, uint8_t ext)
{
    return writer->extensions[ext] && writer->source->extensions[ext];
}

/* The form and the least size of the extension block, for this binding. */
static void plan_block(tr_writer *writer)
{
    writer->is_two_byte = has_mid(writer) && (writer->extensions[TR_EXT_MID] > 14 || writer->mid_size > 16);
    size_t elements = has_mid(writer) ? 1 : 0, bytes = has_mid(writer) ? writer->mid_size : 0;
    if (writer->is_numbered) {
        writer->is_two_byte |= writer->extensions[TR_EXT_TWCC] > 14;
        elements++;
        bytes += 2;
    }
    for (size_t i = 0; i < COPIED_COUNT; i++) {
        if (!is_shared(writer, COPIED[i].ext)) continue;
        writer->is_two_byte |= writer->extensions[COPIED[i].ext] > 14;
        if (!COPIED[i].reserved) continue;
        elements++;
        bytes += COPIED[i].reserved;
    }
    writer->block_size = (uint16_t)(elements * (writer->is_two_byte ? 2 : 1) + bytes);
}

/* Which RED is to leave as the codec within: where the peer knows both by one payload type. */
static void plan_red(tr_writer *writer)
{
    const tr_source *source = writer->source;
    writer->bare_red = 0;
    for (uint32_t red = 0; red < source->codec_count; red++) {
        if (source->codecs[red].codec != TR_CODEC_RED || writer->bind->pts[red] == TR_NO_PT) continue;
        for (uint32_t i = 0; i < source->codec_count; i++)
            if (source->codecs[i].codec != TR_CODEC_RED && writer->bind->pts[i] == writer->bind->pts[red])
                writer->bare_red = (uint16_t)(writer->bare_red | 1u << red);
    }
}

void tr__writer_init(tr_writer *writer, const tr_add_sender *params, bool is_numbered)
{
    *writer = (tr_writer){
        .kind = params->kind, .is_numbered = is_numbered, .may_pad = params->may_pad && params->kind == TR_VIDEO};
    memcpy(writer->mid, params->mid, sizeof writer->mid - 1);
    memcpy(writer->extensions, params->extensions, sizeof writer->extensions);
    writer->mid_size = (uint8_t)strlen(writer->mid);
}

void tr__writer_plan(tr_writer *writer, const tr_source *source, const tr_bind_sender *bind)
{
    writer->source = source;
    writer->bind = bind;
    plan_block(writer);
    plan_red(writer);
}

/* One element that is copied. */
static void put_copied(tr_pen *pen, const tr_rtp_block *block, const struct copied *copied, uint8_t id,
                       const uint8_t *data, uint8_t size)
{
    tr__rtp_put_element(pen, block, id, data, size > copied->kept ? copied->kept : size);
}

/* Frames are counted anew by each encoding: to the peer they are one stream. */
static void put_descriptor(const tr_writer *writer, tr_pen *pen, const tr_rtp_block *block, uint8_t id,
                           const tr_media *media, const tr_rewrite *rewrite)
{
    const tr_structure *structure = writer->source->streams[media->encoding].structure;
    const uint8_t *data = media->rtp.data + media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at;
    uint8_t size = media->extensions.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size, tied[TR_DESCRIPTOR_TIED];
    if (tr__layers_tie_frame(rewrite, &media->info)) {
        size_t tied_size = tr__descriptor_tie(structure, tied, data, size);
        if (tied_size) {
            data = tied;
            size = (uint8_t)tied_size;
        }
    }
    tr__rtp_put_element(pen, block, id, data, size);
    if (!tr__pen_ok(pen)) return;
    uint8_t *frame = pen->at - size + TR_DESCRIPTOR_FRAME_AT;
    tr__store16(frame, (uint16_t)(tr__load16(frame) + rewrite->frame_offset));
}

static void put_red(const tr_writer *writer, tr_pen *pen, const tr_media *media)
{
    const uint8_t *payload = media->rtp.data + media->rtp.header_size;
    if (writer->bare_red >> media->codec_index & 1) {
        tr__put_bytes(pen, payload + media->red.primary_at, media->red.primary_size);
        return;
    }
    uint8_t *blocks = pen->at;
    tr__put_bytes(pen, payload, media->rtp.payload_size);
    if (!tr__pen_ok(pen)) return;
    for (size_t at = 0; at < (size_t)TR_RED_HEADER * media->red.count; at += TR_RED_HEADER) {
        uint8_t pt = writer->bind->pts[tr__source_codec(writer->source, payload[at] & 0x7f)];
        blocks[at] = (uint8_t)((payload[at] & 0x80) | (pt & 0x7f));
    }
}

static void put_payload(tr_pen *pen, const tr_media *media, const tr_rewrite *rewrite)
{
    const tr_rtp *rtp = &media->rtp;
    tr__put_bytes(pen, rtp->data + rtp->header_size, rtp->payload_size);
    if (rtp->payload_size && tr__layers_must_write(rewrite, &media->info) && tr__pen_ok(pen))
        tr__layers_write(pen->at - rtp->payload_size, &media->info, rewrite);
}

static void pad(tr_pen *pen, uint8_t *slot)
{
    size_t size = tr__pen_size(pen), fill = (0 - size) % PAD_TO;
    if (!fill || size + fill > TR_MAX_PACKET) return;
    uint8_t *padding = tr__put(pen, fill);
    memset(padding, 0, fill);
    padding[fill - 1] = (uint8_t)fill;
    slot[0] |= 0x20;
}

/* Every packet has it: written in one go. In a block of one-byte headers its id is one that fits (init). */
static inline void put_number(tr_pen *pen, const tr_rtp_block *block, uint8_t id, uint16_t number)
{
    if (block->two_byte)
        tr__put32(pen, (uint32_t)id << 24 | 2u << 16 | number);
    else
        tr__put24(pen, (uint32_t)id << 20 | 1u << 16 | number);
}

size_t tr__writer_write(const tr_writer *writer, uint8_t *slot, const tr_media *media, const tr_heading *h)
{
    const tr_rtp *rtp = &media->rtp;
    bool is_copied[COPIED_COUNT], is_two_byte = writer->is_two_byte, has_block = writer->block_size > 0;
    for (size_t i = 0; i < COPIED_COUNT; i++) {
        uint8_t size = media->extensions.of[COPIED[i].ext].size;
        is_copied[i] = media->extensions.of[COPIED[i].ext].at && is_shared(writer, COPIED[i].ext) &&
                       size >= COPIED[i].min && size <= COPIED[i].max;
        has_block |= is_copied[i];
        is_two_byte |= is_copied[i] && size > 16 && COPIED[i].kept > 16;
    }
    tr_pen pen = tr__pen(slot, TR_MAX_PACKET);
    bool marker = rtp->marker || tr__layers_end_picture(h->rewrite, &media->info);
    tr__rtp_put_header(&pen, has_block, marker, h->pt, h->seq, h->ts, h->ssrc);
    if (has_block) {
        tr_rtp_block block = tr__rtp_begin_block(&pen, is_two_byte);
        if (writer->is_numbered) put_number(&pen, &block, writer->extensions[TR_EXT_TWCC], h->number);
        if (has_mid(writer))
            tr__rtp_put_element(&pen, &block, writer->extensions[TR_EXT_MID], writer->mid, writer->mid_size);
        for (size_t i = 0; i < COPIED_COUNT; i++) {
            uint8_t ext = COPIED[i].ext, id = writer->extensions[ext];
            if (!is_copied[i]) continue;
            if (ext == TR_EXT_DEPENDENCY_DESCRIPTOR)
                put_descriptor(writer, &pen, &block, id, media, h->rewrite);
            else
                put_copied(&pen, &block, &COPIED[i], id, rtp->data + media->extensions.of[ext].at,
                           media->extensions.of[ext].size);
        }
        tr__rtp_end_block(&pen, &block, writer->block_size);
    }
    if (h->osn >= 0) tr__put16(&pen, (uint16_t)h->osn);
    if (h->parts)
        tr__sound_put(&pen, h->parts, media);
    else if (media->red.count)
        put_red(writer, &pen, media);
    else
        put_payload(&pen, media, h->rewrite);
    if (writer->may_pad && rtp->payload_size >= PAD_FROM && tr__pen_ok(&pen)) pad(&pen, slot);
    return tr__pen_ok(&pen) ? tr__pen_size(&pen) : 0;
}
