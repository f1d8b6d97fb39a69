// SPDX-License-Identifier: GPL-2.0
/*
 * The HCAs: one is there while all its cables are, unless it was taken away.  All of
 * this runs in the work item of cable.c, which alone makes and frees them.  Nothing is
 * registered, unregistered or freed under rtnl: the core holds its own locks when
 * ib_ipoib takes that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rtnetlink.h>

#include "cable.h"

/* The HCA h, or NULL.  Under rtnl. */
static struct sib_hca *sib_adapter_of(int h)
{
	const struct sib_port *port = sib_cables[h * sib_nports].port;

	return port ? port->hca : NULL;
}

/* Reports whether all cables of the HCA are there.  Under rtnl. */
static bool sib_adapter_whole(const struct sib_hca *hca)
{
	const struct sib_port *port;

	sib_for_each_port(port, hca)
		if (!rtnl_dereference(port->ndev))
			return false;
	return true;
}

/* The HCA h loses its cables.  Under rtnl. */
static void sib_adapter_detach(struct sib_hca *hca, int h)
{
	struct sib_port *port;
	struct sib_cable *c;

	sib_for_each_port(port, hca)
		sib_cable_detach(port);
	sib_for_each_cable_of(c, h)
		c->port = NULL;
}

/*
 * An HCA goes: a cable of it was unplugged, it is taken away, or the module is
 * unloaded.  In the last two cases the cables stay until the clients have left:
 * ib_ipoib says goodbye to its groups, and waits seconds for the answer of a subnet
 * administrator elsewhere.
 */
void sib_adapter_remove(int h)
{
	struct sib_hca *hca;

	rtnl_lock();
	hca = sib_adapter_of(h);
	if (hca && sib_adapter_whole(hca) && !sib_stopping && !sib_is_gone(h))
		hca = NULL;
	rtnl_unlock();
	if (!hca)
		return;
	sib_hca_unregister(hca);
	rtnl_lock();
	sib_adapter_detach(hca, h);
	rtnl_unlock();
	sib_hca_free(hca);
}

/*
 * Nobody could tell two ports with the same GUID, or the LID of it, apart.  Those
 * of other machines are out of sight.
 */
static bool sib_adapter_alike(const struct sib_port *port, const struct sib_port *other)
{
	bool sa = port->hca->sa;

	if (other->own_guid != port->own_guid &&
	    (!sa || sib_guid_lid(other->guid) != sib_guid_lid(port->guid)))
		return false;
	pr_err("%s cannot have GUID %016llx: %s has %016llx, %s\n", port->name, port->own_guid,
	       other->name, other->own_guid,
	       sa ? "and with sa=1 the low 14 bits must differ" : "which is the same");
	return true;
}

/* Against the ports of the HCAs that are there, and those before it of its own. */
static int sib_adapter_unique(const struct sib_port *port)
{
	const struct sib_port *other;
	const struct sib_cable *c;

	sib_for_each_cable(c)
		if (c->port && sib_adapter_alike(port, c->port))
			return -EEXIST;
	for (other = port->hca->ports; other < port; other++)
		if (sib_adapter_alike(port, other))
			return -EEXIST;
	return 0;
}

/* Reports whether the HCA h can be made.  Under rtnl. */
static bool sib_adapter_ready(int h)
{
	const struct sib_cable *c;

	if (sib_stopping || sib_is_gone(h))
		return false;
	sib_for_each_cable_of(c, h)
		if (!c->ndev || c->port || c->err)
			return false;
	return true;
}

/* The cables, all there, become those of the HCA, or one of them has the error.  Under rtnl. */
static int sib_adapter_attach(struct sib_hca *hca, int h)
{
	struct sib_port *port;
	struct sib_cable *c;

	sib_for_each_port(port, hca) {
		c = &sib_cables[port->index];
		c->err = sib_adapter_unique(port);
		if (!c->err)
			c->err = sib_cable_attach(c, port);
		if (c->err) {
			sib_adapter_detach(hca, h);
			return c->err;
		}
		sib_port_init(port, sib_cable_link(c->ndev));
	}
	sib_for_each_port(port, hca) {
		c = &sib_cables[port->index];
		c->lost = false;
		c->port = port;
	}
	return 0;
}

/* Under rtnl. */
static struct sib_hca *sib_adapter_alloc(int h)
{
	struct net_device *ndevs[SIB_MAX_CABLES];
	struct sib_hca *hca;
	struct sib_cable *c;
	int n = 0;

	sib_for_each_cable_of(c, h)
		ndevs[n++] = c->ndev;
	hca = sib_hca_alloc(h, ndevs, n);
	if (!hca)
		sib_cables[h * sib_nports].err = -ENOMEM;
	return hca;
}

static int sib_adapter_register(struct sib_hca *hca, int h)
{
	int ret = sib_hca_register(hca);
	struct sib_port *port;
	struct sib_cable *c;

	if (!ret) {
		sib_for_each_port(port, hca)
			pr_info("%s on %s, LID %#x, GUID %016llx, %s\n", port->name, port->cable,
				be16_to_cpu(port->pi.lid), port->own_guid,
				hca->sa ? "built-in SA" : "waiting for a subnet manager");
		return 0;
	}
	pr_err("%s cannot be registered (%pe)\n", hca->name, ERR_PTR(ret));
	rtnl_lock();
	sib_adapter_detach(hca, h);
	sib_for_each_cable_of(c, h)
		if (c->ndev)
			c->err = ret;
	rtnl_unlock();
	return ret;
}

/* There are the cables and no HCA: make one. */
void sib_adapter_add(int h)
{
	struct sib_hca *hca = NULL;
	int ret = 0;

	rtnl_lock();
	if (sib_adapter_ready(h))
		hca = sib_adapter_alloc(h);
	if (hca)
		ret = sib_adapter_attach(hca, h);
	rtnl_unlock();
	if (!hca)
		return;
	/* A cable may go meanwhile: then the work runs once more. */
	if (!ret)
		ret = sib_adapter_register(hca, h);
	if (ret)
		sib_hca_free(hca);
}
