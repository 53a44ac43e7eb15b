/* downlink: the way to one subscriber as a whole: the transport-wide numbers of what leaves, the estimator that its
 * feedback feeds (draft-holmer-rmcat-transport-wide-cc-extensions-01), and, where control has turned it on, the pacer
 * that lets go by what the estimator says.
 * Pure: memory is taken when it is made or set, none later. Worker thread.
 *
 * A number is given to a packet as it leaves, one counter for all tracks; so order on the wire is order of numbers. The
 * packet that is resent as it was, without RTX, keeps its number: what comes back of it then tells of a loss. */
#ifndef TR_DOWNLINK_H
#define TR_DOWNLINK_H

#include "estimator.h"
#include "pacer.h"
#include "twcc.h"

/* The estimator and what is heard are looked at this often while media flows: libwebrtc's process interval. Where there
 * is ample room, and all that is wanted, nothing is decided in between two feedbacks: then as often as those come. */
#define TR_DOWNLINK_INTERVAL_US 25000
#define TR_DOWNLINK_CALM_INTERVAL_US 100000

/* How often control is told: what it decides by that holds for seconds, and thousands of peers are told of. */
#define TR_DOWNLINK_TELL_US 200000        /* at most */
#define TR_DOWNLINK_TELL_AGAIN_US 2000000 /* at least, while media flows */
#define TR_DOWNLINK_TELL_SHARE 10         /* a change by one of so many is told of: less is the estimate's own noise */

typedef struct tr_downlink tr_downlink;
struct tr_downlink {
    /* given */
    uint32_t owner;      /* transport index */
    tr_downlink **woken; /* borrowed: list of those whose time has begun to run; NULL: nobody asks for it */
    tr_downlink *next_woken;
    bool is_woken;       /* it is in that list */
    bool is_told;        /* control wants to know of it */
    int64_t next_number; /* of the next packet; its low 16 bits leave */
    uint64_t sent_us;    /* when the latest one left, 0: never */
    /* what is heard */
    bool is_heard;        /* feedback has come, ever */
    bool is_silent;       /* it was heard of, and is not now */
    bool is_ample;        /* what leaves is a small part of the pace */
    uint64_t back_us;     /* when the latest silence was over; 0: there was none */
    int64_t reported_to;  /* numbers below were told of, as arrived or missing */
    int64_t their_offset; /* of their reference time from ours, in its units */
    uint64_t due_us;
    /* counters */
    uint64_t feedbacks;
    /* what control was told last, told_us 0: nothing yet */
    uint64_t told_us;
    tr_estimate told;
    tr_estimator *estimator; /* owned; NULL: it is off, and numbers are all there is */
    tr_pacer *pacer;         /* owned; NULL: control has not turned it on, and nothing waits */
    /* clusters and padding */
    int32_t probe_id; /* what leaves now belongs to it; TR_NO_PROBE: to none */
    tr_probe probe;   /* the next one, or that which is on its way */
    bool has_probe;   /* there is a next one, since probe_us */
    uint64_t probe_us;
    uint32_t sent_bytes;   /* since the latest on_time */
    int32_t padding_bytes; /* what is to be padded */
};

/* On, between bounds of its own, telling nothing. owner and woken as above. NULL: no memory. */
tr_downlink *tr__downlink_new(uint32_t owner, tr_downlink **woken);
void tr__downlink_free(tr_downlink *downlink);
/* TR_OK, TR_ERR_ARGUMENT, TR_ERR_NO_MEMORY; see tr_set_downlink. Where that turns it off, end_pacing is called first,
 * once nothing waits any more. */
int tr__downlink_set(tr_downlink *downlink, const tr_set_downlink *params);
bool tr__downlink_may_set(const tr_set_downlink *params);

/* The number of the packet that is being written; it is its own once on_sent was called. */
static inline uint16_t tr__downlink_number(const tr_downlink *downlink) { return (uint16_t)downlink->next_number; }
/* It is in the outbox: sealed size, and the bytes of IP and UDP. */
void tr__downlink_on_sent(tr_downlink *downlink, uint32_t size_bytes, uint64_t now_us);
/* A packet left again under this number. */
void tr__downlink_on_resent(tr_downlink *downlink, uint16_t number);

/* Transport-wide feedback of the peer. False: malformed, and nothing was learned. */
bool tr__downlink_on_feedback(tr_downlink *downlink, const tr_rtcp_part *part, uint64_t now_us);
/* What decides where no such feedback comes: bit/s as a REMB has it; a report block's loss and the round trip it gives,
 * 0: unknown. */
void tr__downlink_on_remb(tr_downlink *downlink, uint64_t bps, uint64_t now_us);
void tr__downlink_on_report(tr_downlink *downlink, uint8_t lost_of_256, uint64_t rtt_us, uint64_t now_us);

/* Something waits that did not: whoever keeps the timers is to hear of it. */
void tr__downlink_on_waiting(tr_downlink *downlink);
/* When what waits may go on; UINT64_MAX: nothing does. */
static inline uint64_t tr__downlink_release_at(const tr_downlink *downlink)
{
    return downlink->pacer ? tr__pacer_at(downlink->pacer) : UINT64_MAX;
}
/* Takes the next cluster that the estimator wants, where the one before is over; none that has become old. True: there
 * is one to begin, by whoever has what it takes. */
bool tr__downlink_has_probe(tr_downlink *downlink, uint64_t now_us);
/* The pace as it is now: what left since it was set may be too much on its way. */
void tr__downlink_set_pace(tr_downlink *downlink, uint64_t now_us);
/* Control has turned it off; nothing waits any more. */
void tr__downlink_end_pacing(tr_downlink *downlink);

/* When to call on_time next; UINT64_MAX: nothing has left for a while. */
static inline uint64_t tr__downlink_at(const tr_downlink *downlink) { return downlink->due_us; }
void tr__downlink_on_time(tr_downlink *downlink, uint64_t now_us);
/* One whose time began to run, or of which something waits, taken out of the list, or NULL. */
tr_downlink *tr__downlink_take_woken(tr_downlink **woken);

/* True: control is to be told this now; then on_told, if it was. rung: of the ladder there is, 0 without. Its transport
 * is the caller's to fill in. */
bool tr__downlink_has_news(const tr_downlink *downlink, uint8_t rung, uint64_t now_us, tr_estimate *estimate);
void tr__downlink_on_told(tr_downlink *downlink, const tr_estimate *estimate, uint64_t now_us);

#endif
