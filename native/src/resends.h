/* resends: which of a sender's packets were sent again, how often and when, and what that may cost; and under which
 * transport-wide number a packet left, that may leave again as it was.
 * Pure: its memory is taken when it is made, in pages: of a line that loses nothing none is ever touched. Worker. */
#ifndef TR_RESENDS_H
#define TR_RESENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A packet is sent again so many times at most. */
#define TR_RESENDS_MAX 17
/* Resends cost at most this share of what was sent, and a loss of 64 KiB at once may be repaired at once: a quarter of
 * a second at 2 Mbit/s. */
#define TR_RESENDS_SHARE 4
#define TR_RESENDS_MAX_CREDIT 65536

typedef struct tr_resend {
    uint32_t index;  /* low bits */
    uint32_t at;     /* latest, in units of 1,024 us */
    uint8_t count;   /* 0: unused */
    bool is_waiting; /* asked for, and waits to leave */
} tr_resend;

typedef struct tr_sent_number {
    uint32_t index; /* low bits */
    uint16_t number;
    bool is_set;
} tr_sent_number;

typedef struct tr_resends {
    uint32_t credit_bytes, mask;
    tr_resend *of;           /* owned */
    tr_sent_number *numbers; /* owned; NULL: what leaves has no transport-wide numbers */
} tr_resends;

bool tr__resends_init(tr_resends *resends, uint8_t kind, bool is_numbered); /* false: no memory */
void tr__resends_dispose(tr_resends *resends);

/* Is a number this far behind next_out still told apart? */
bool tr__resends_reach(const tr_resends *resends, uint64_t out, uint64_t next_out);
/* So much was sent for the first time: a part of it is what resends may cost. */
static inline void tr__resends_on_sent(tr_resends *resends, uint32_t bytes)
{
    uint32_t credit = resends->credit_bytes + bytes / TR_RESENDS_SHARE;
    resends->credit_bytes = credit < TR_RESENDS_MAX_CREDIT ? credit : TR_RESENDS_MAX_CREDIT;
}
/* May this one leave, as so many bytes? Each packet once a round trip (10 to 250 ms), TR_RESENDS_MAX times, within
 * the budget. Where it may, it counts as sent again. */
bool tr__resends_may(tr_resends *resends, uint64_t out, size_t bytes, uint64_t rtt_us, uint64_t now_us);
/* It waits to be sent again; false: it does already. */
bool tr__resends_wait(tr_resends *resends, uint64_t out);
/* It does not wait any more. */
void tr__resends_waited(tr_resends *resends, uint64_t out);
void tr__resends_spend(tr_resends *resends, uint32_t bytes);

/* The transport-wide number a packet has left under; false: it has not left, or leaves anew each time. Only where there
 * are numbers. */
static inline bool tr__resends_number(const tr_resends *resends, uint64_t out, uint16_t *number)
{
    const tr_sent_number *sent = &resends->numbers[out & resends->mask];
    *number = sent->number;
    return sent->is_set && sent->index == (uint32_t)out;
}

static inline void tr__resends_set_number(tr_resends *resends, uint64_t out, uint16_t number)
{
    tr_sent_number *sent = &resends->numbers[out & resends->mask];
    /* One that comes this late does not push out the newer one, which may yet leave again as it was; itself it will
     * not: it is out of reach. */
    if (sent->is_set && (int32_t)(sent->index - (uint32_t)out) > 0) return;
    *sent = (tr_sent_number){.index = (uint32_t)out, .number = number, .is_set = true};
}

#endif
