/* fuzz_rtcp: all or nothing. A compound that is valid is walked to its last byte and every reader finds what its part
 * counts; of one that is not, no reader may read past the end either. */
#include "rtcp.h"

#include <stdlib.h>

#include "twcc.h"

static void require(bool condition)
{
    if (!condition) abort();
}

static unsigned total; /* so that no read is optimized away */

/* Statuses in order, all of them, and a time that no sum of deltas leaves. */
static void read_arrivals(const tr_rtcp_part *part)
{
    tr_twcc_reader reader;
    tr_twcc_status status;
    if (!tr__twcc_read(&reader, part)) return;
    uint32_t next = 0;
    while (tr__twcc_next(&reader, &status)) {
        require(status.from == next && status.count > 0);
        require(!status.is_received || status.count == 1);
        require(status.ticks >= -65535 * 32768ll && status.ticks <= 65535 * 32767ll);
        next += status.count;
    }
    require(next == reader.count && tr__cursor_ok(&reader.chunks) && tr__cursor_ok(&reader.deltas));
    require(tr__cursor_left(&reader.deltas) < 4);
}

static void read_part(const tr_rtcp_part *part, bool is_valid)
{
    tr_rtcp_sr sr;
    tr_rtcp_report report;
    uint16_t seqs[64];
    uint32_t ssrc;
    uint8_t number;
    uint64_t rate;
    for (size_t i = 0; i < part->size; i++) total += part->body[i];
    bool is_sr = tr__rtcp_read_sr(part, &sr);
    if (is_valid) require(is_sr == (part->type == TR_RTCP_SR));
    size_t reports = 0;
    while (tr__rtcp_read_report(part, reports, &report)) reports++;
    if (is_valid && (part->type == TR_RTCP_SR || part->type == TR_RTCP_RR)) require(reports == part->count);
    size_t nacks = tr__rtcp_read_nack(part, seqs, 64);
    if (is_valid && part->type == TR_RTCP_RTPFB && part->count == TR_RTPFB_NACK) require(nacks > 0);
    size_t firs = 0;
    while (tr__rtcp_read_fir(part, firs, &ssrc, &number)) firs++;
    if (is_valid && part->type == TR_RTCP_PSFB && part->count == TR_PSFB_FIR) require(firs > 0);
    tr__rtcp_read_remb(part, &rate);
    read_arrivals(part);
    total += tr__rtcp_media_ssrc(part);
    if (nacks) {
        uint8_t out[4 + 8 + 64 * 4];
        tr_pen pen = tr__pen(out, sizeof out);
        tr__rtcp_put_nack(&pen, 1, 2, seqs, nacks);
        require(tr__pen_ok(&pen) && tr__rtcp_validate(out, tr__pen_size(&pen)) == TR_DROP_NONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_valid = tr__rtcp_validate(data, size) == TR_DROP_NONE;
    size_t at = 0, parts = 0;
    tr_rtcp_part part;
    for (; tr__rtcp_next(data, size, &at, &part); parts++) read_part(&part, is_valid);
    require(at <= size);
    if (is_valid) require(at == size && parts > 0 && parts <= TR_RTCP_MAX_PARTS);
    return 0;
}
