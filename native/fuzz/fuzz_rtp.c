/* fuzz_rtp: the first byte picks a table of extension ids, the rest is a packet. What was accepted must add up, and its
 * elements, written anew, must be read back the same. */
#include "demux.h"
#include "rtp.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) abort();
}

static void write_again(const tr_rtp *rtp, const uint8_t ids[TR_EXT_COUNT], const tr_rtp_extensions *found)
{
    static uint8_t out[65536];
    tr_pen pen = tr__pen(out, sizeof out);
    tr__rtp_put_header(&pen, true, rtp->marker, rtp->pt, rtp->seq, rtp->ts, rtp->ssrc);
    tr_rtp_block block = tr__rtp_begin_block(&pen, true);
    for (int ext = 0; ext < TR_EXT_COUNT; ext++)
        if (found->of[ext].at)
            tr__rtp_put_element(&pen, &block, ids[ext], rtp->data + found->of[ext].at, found->of[ext].size);
    tr__rtp_end_block(&pen, &block, 0);
    require(tr__pen_ok(&pen));
    tr_rtp again;
    tr_rtp_extensions found_again;
    require(tr__rtp_parse(&again, out, tr__pen_size(&pen)) == TR_DROP_NONE);
    require(again.seq == rtp->seq && again.ts == rtp->ts && again.ssrc == rtp->ssrc && again.pt == rtp->pt);
    require(tr__rtp_find_extensions(&again, ids, &found_again) == TR_DROP_NONE);
    for (int ext = 0; ext < TR_EXT_COUNT; ext++) {
        require(!found->of[ext].at == !found_again.of[ext].at && found->of[ext].size == found_again.of[ext].size);
        require(memcmp(rtp->data + found->of[ext].at, out + found_again.of[ext].at, found->of[ext].size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t ids[TR_EXT_COUNT];
    for (int ext = 0; ext < TR_EXT_COUNT; ext++) ids[ext] = (uint8_t)(data[0] + ext);
    data++;
    size--;
    tr__demux(data, size);
    tr_rtp rtp;
    tr_rtp_extensions found;
    if (tr__rtp_parse(&rtp, data, size) != TR_DROP_NONE) return 0;
    require((size_t)rtp.header_size + rtp.payload_size + rtp.padding_size == size);
    require(rtp.extension_at + rtp.extension_size <= rtp.header_size);
    if (tr__rtp_find_extensions(&rtp, ids, &found) != TR_DROP_NONE) return 0;
    for (int ext = 0; ext < TR_EXT_COUNT; ext++) {
        if (!found.of[ext].at) continue;
        require(found.of[ext].at > rtp.extension_at && found.of[ext].at + found.of[ext].size <= rtp.header_size);
    }
    write_again(&rtp, ids, &found);
    return 0;
}
