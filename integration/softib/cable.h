/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SOFTIB_CABLE_H
#define SOFTIB_CABLE_H

#include "softib.h"

struct sib_cable {
	int			index;		/* in netdev=, fixed */
	const char		*want;		/* name or MAC address, fixed */

	/* Under rtnl; port is written by the work only, which reads it without. */
	struct net_device	*ndev;		/* held; NULL: not there */
	struct sib_port		*port;
	unsigned int		old_mtu;	/* 0: not raised by us */
	bool			lost;		/* the carrier was away */
	int			err;		/* of the last try, until it is unplugged */
};

extern struct sib_cable sib_cables[SIB_MAX_CABLES];
extern int sib_ncables;		/* fixed before the notifier */
extern bool sib_stopping;	/* rtnl */

#define sib_for_each_cable(c) for ((c) = sib_cables; (c) < sib_cables + sib_ncables; (c)++)

/* Those of the HCA h. */
#define sib_for_each_cable_of(c, h) \
	for ((c) = sib_cables + (h) * sib_nports; \
	     (c) < sib_cables + min_t(int, ((h) + 1) * sib_nports, sib_ncables); (c)++)

/* cable.c */
enum sib_link sib_cable_link(const struct net_device *ndev);
int sib_cable_attach(struct sib_cable *c, struct sib_port *port);
void sib_cable_detach(struct sib_port *port);

/* adapter.c */
void sib_adapter_remove(int h);
void sib_adapter_add(int h);

#endif
