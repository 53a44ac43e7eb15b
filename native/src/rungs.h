/* rungs: the ladder of one transport at work: fed with the estimate of its downlink, what it changes done to the
 * transport's senders, and control told of pictures it pauses. The ladder itself is ladder.h, which knows neither.
 * Memory is taken when control sets the first ladder, none later. Worker thread. */
#ifndef TR_RUNGS_H
#define TR_RUNGS_H

#include "transport.h"

/* Another ladder. The first one takes the estimate there is, so that a track begins with the layer it is to have.
 * Senders that are in it no longer get the best there is. TR_OK, TR_ERR_ARGUMENT (as tr__ladder_set; the old one
 * stays), TR_ERR_NO_MEMORY. */
int tr__rungs_set(tr_transport *transport, const tr_set_ladder *params, uint64_t now_us);
/* After each look of its downlink at the estimator, where there is a ladder. */
void tr__rungs_on_time(tr_transport *transport, uint64_t now_us);

#endif
