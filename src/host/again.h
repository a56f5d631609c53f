/* SPDX-License-Identifier: Apache-2.0 */
/* again: which packets drivers have absorbed, so that the copies that they make of them are known as such. All
 * of it by who has the turn. */
#ifndef WEIR_HOST_AGAIN_H
#define WEIR_HOST_AGAIN_H

#include "host/internal.h"
#include "ndis/nbl.h"

struct walk;

/* The walk's packet has been absorbed (w->taken). */
void again_taken(const struct walk *w);
/* A packet of no frame's, freshly injected by `driver`, comes: is it a copy of one that had been injected
 * before? True: its history has been made as long as that says. */
bool again_comes(struct host *h, const struct wire_packet *p, const struct rt_context *driver,
                 struct ndis_history *history);
void again_destroy(struct host *h);

#endif
