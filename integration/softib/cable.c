// SPDX-License-Identifier: GPL-2.0
/*
 * The cables: Ethernet devices that may come late, lose their carrier and go
 * away.  The notifier runs under rtnl and only notes what happened.  One work
 * item, which never runs twice at the same time, brings the HCAs in line with
 * it: ib_register_device and ib_unregister_device must not run under rtnl, as
 * ib_ipoib takes it.  One item for all cables makes ib0 the first of those that
 * are there.  An HCA is there while all its cables are.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>

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

static struct sib_cable sib_cables[SIB_MAX_CABLES];
static int sib_ncables;		/* fixed before the notifier */
static bool sib_stopping;	/* rtnl */

#define sib_for_each_cable(c) for ((c) = sib_cables; (c) < sib_cables + sib_ncables; (c)++)

/* Those of the HCA h. */
#define sib_for_each_cable_of(c, h) \
	for ((c) = sib_cables + (h) * sib_nports; \
	     (c) < sib_cables + min_t(int, ((h) + 1) * sib_nports, sib_ncables); (c)++)

static void sib_cable_work(struct work_struct *work);
static DECLARE_WORK(sib_work, sib_cable_work);

void sib_cable_sync(void)
{
	queue_work(system_long_wq, &sib_work);
}

static bool sib_cable_is(const struct sib_cable *c, const struct net_device *ndev)
{
	u8 mac[ETH_ALEN];

	if (!net_eq(dev_net(ndev), &init_net) || ndev->type != ARPHRD_ETHER)
		return false;
	/* Bonds, bridges and VLANs borrow the MAC address of what is below them. */
	if (mac_pton(c->want, mac))
		return ndev->dev.parent && ether_addr_equal(ndev->dev_addr, mac);
	return !strcmp(ndev->name, c->want);
}

static enum sib_link sib_cable_link(const struct net_device *ndev)
{
	if (!netif_running(ndev))
		return SIB_LINK_DISABLED;
	return netif_carrier_ok(ndev) ? SIB_LINK_UP : SIB_LINK_NO_CARRIER;
}

/* Make the device fit, and listen on it. */
static int sib_cable_attach(struct sib_cable *c, struct sib_port *port)
{
	struct net_device *ndev = c->ndev;
	unsigned int mtu = ndev->mtu;
	int ret;

	if (mtu < SIB_CABLE_MTU) {
		ret = dev_set_mtu(ndev, SIB_CABLE_MTU);
		if (ret) {
			pr_err("%s cannot be the cable: its MTU is %u and cannot be raised to %u (%pe, the driver's maximum is %u)\n",
			       ndev->name, mtu, SIB_CABLE_MTU, ERR_PTR(ret), ndev->max_mtu);
			return ret;
		}
		c->old_mtu = mtu;
	}
	ret = dev_open(ndev, NULL);
	if (ret) {
		pr_err("%s cannot be the cable: it does not open (%pe)\n", ndev->name,
		       ERR_PTR(ret));
		return ret;
	}
	rcu_assign_pointer(port->ndev, ndev);
	dev_add_pack(&port->pt);
	return 0;
}

/* Nothing is received after this, and nothing sent.  Waits for a grace period. */
static void sib_cable_detach(struct sib_port *port)
{
	if (!rtnl_dereference(port->ndev))
		return;
	RCU_INIT_POINTER(port->ndev, NULL);
	dev_remove_pack(&port->pt);
}

/* The device leaves, or we do. */
static void sib_cable_put(struct sib_cable *c)
{
	struct net_device *ndev = c->ndev;

	if (c->port)
		sib_cable_detach(c->port);
	if (sib_stopping && c->old_mtu && ndev->mtu == SIB_CABLE_MTU)
		dev_set_mtu(ndev, c->old_mtu);
	c->ndev = NULL;
	c->old_mtu = 0;
	c->err = 0;
	dev_put(ndev);
}

/* The one that this device is, or NULL. */
static struct sib_cable *sib_cable_of(const struct net_device *ndev)
{
	struct sib_cable *c;

	sib_for_each_cable(c)
		if (c->ndev == ndev)
			return c;
	return NULL;
}

/* A device is there, or has a new name: the first entry it fits has it. */
static void sib_cable_offer(struct net_device *ndev)
{
	struct sib_cable *owner = sib_cable_of(ndev), *c;

	sib_for_each_cable(c) {
		if (c->ndev || !sib_cable_is(c, ndev))
			continue;
		if (owner) {
			pr_err("netdev: %s is %s, which is entry %d already: each port needs its own cable\n",
			       c->want, ndev->name, owner->index + 1);
			c->err = -EBUSY;
			continue;
		}
		dev_hold(ndev);
		c->ndev = ndev;
		c->err = 0;
		owner = c;
		sib_cable_sync();
	}
}

/*
 * The interface that ib_ipoib has made says in the first byte of its address
 * whether it can have connections (IPOIB_CM_SUPPORTED in its ipoib.h).  Of adapters
 * with a data path of their own, mlx5 from ConnectX-4 on, it says no.
 */
static void sib_refuse_connected(struct net_device *ndev)
{
	static const u8 flags;

	if (ndev->type == ARPHRD_INFINIBAND && sib_refuses_connected())
		dev_addr_mod(ndev, 0, &flags, sizeof(flags));
}

static int sib_cable_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *ndev = netdev_notifier_info_to_dev(ptr);
	struct sib_cable *c = sib_cable_of(ndev);

	switch (event) {
	case NETDEV_REGISTER:
		sib_refuse_connected(ndev);
		fallthrough;
	case NETDEV_CHANGENAME:
		sib_cable_offer(ndev);
		break;
	case NETDEV_UNREGISTER:
		if (!c)
			break;
		sib_cable_put(c);
		sib_cable_sync();
		break;
	case NETDEV_CHANGEMTU:
		if (c && c->port && ndev->mtu < SIB_CABLE_MTU)
			pr_warn("the MTU of the cable %s was lowered to %u: large packets will be lost, it needs %u\n",
				ndev->name, ndev->mtu, SIB_CABLE_MTU);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		if (!c)
			break;
		/* However short: a port that lost its link starts over. */
		if (sib_cable_link(ndev) != SIB_LINK_UP)
			c->lost = true;
		sib_cable_sync();
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block sib_cable_nb = { .notifier_call = sib_cable_event };

/* The HCA h, or NULL.  By the work only, or under rtnl. */
static struct sib_hca *sib_cable_hca(int h)
{
	const struct sib_port *port = sib_cables[h * sib_nports].port;

	return port ? port->hca : NULL;
}

/* Under rtnl. */
static bool sib_cable_whole(const struct sib_hca *hca)
{
	const struct sib_port *port;

	sib_for_each_port(port, hca)
		if (!rtnl_dereference(port->ndev))
			return false;
	return true;
}

/* The HCA h loses its cables.  Under rtnl. */
static void sib_cable_detach_all(struct sib_hca *hca, int h)
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
static void sib_cable_remove(int h)
{
	struct sib_hca *hca;

	rtnl_lock();
	hca = sib_cable_hca(h);
	if (hca && sib_cable_whole(hca) && !sib_stopping && !sib_is_gone(h))
		hca = NULL;
	rtnl_unlock();
	if (!hca)
		return;
	sib_hca_unregister(hca);
	rtnl_lock();
	sib_cable_detach_all(hca, h);
	rtnl_unlock();
	sib_hca_free(hca);
}

/*
 * Nobody could tell two ports with the same GUID, or the LID of it, apart.  Those
 * of other machines are out of sight.
 */
static bool sib_cable_alike(const struct sib_port *port, const struct sib_port *other)
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
static int sib_cable_unique(const struct sib_port *port)
{
	const struct sib_port *other;
	const struct sib_cable *c;

	sib_for_each_cable(c)
		if (c->port && sib_cable_alike(port, c->port))
			return -EEXIST;
	for (other = port->hca->ports; other < port; other++)
		if (sib_cable_alike(port, other))
			return -EEXIST;
	return 0;
}

/* Reports whether the HCA h can be made.  Under rtnl. */
static bool sib_cable_ready(int h)
{
	const struct sib_cable *c;

	if (sib_stopping || sib_is_gone(h))
		return false;
	sib_for_each_cable_of(c, h)
		if (!c->ndev || c->port || c->err)
			return false;
	return true;
}

/* An HCA with its cables, not yet registered; NULL: a cable has the error.  Under rtnl. */
static struct sib_hca *sib_cable_make(int h)
{
	struct net_device *ndevs[SIB_MAX_CABLES];
	struct sib_port *port;
	struct sib_hca *hca;
	struct sib_cable *c;
	int n = 0;

	sib_for_each_cable_of(c, h)
		ndevs[n++] = c->ndev;
	hca = sib_hca_alloc(h, ndevs, n);
	if (!hca) {
		sib_cables[h * sib_nports].err = -ENOMEM;
		return NULL;
	}
	sib_for_each_port(port, hca) {
		c = &sib_cables[port->index];
		c->err = sib_cable_unique(port);
		if (!c->err)
			c->err = sib_cable_attach(c, port);
		if (c->err) {
			sib_cable_detach_all(hca, h);
			sib_hca_free(hca);
			return NULL;
		}
		sib_port_init(port, sib_cable_link(c->ndev));
	}
	sib_for_each_port(port, hca) {
		c = &sib_cables[port->index];
		c->lost = false;
		c->port = port;
	}
	return hca;
}

/* There are the cables and no HCA: make one. */
static void sib_cable_add(int h)
{
	struct sib_hca *hca = NULL;
	struct sib_port *port;
	struct sib_cable *c;
	int ret;

	rtnl_lock();
	if (sib_cable_ready(h))
		hca = sib_cable_make(h);
	rtnl_unlock();
	if (!hca)
		return;

	/* A cable may go meanwhile: then the work runs once more. */
	ret = sib_hca_register(hca);
	if (!ret) {
		sib_for_each_port(port, hca)
			pr_info("%s on %s, LID %#x, GUID %016llx, %s\n", port->name,
				port->cable, be16_to_cpu(port->pi.lid), port->own_guid,
				hca->sa ? "built-in SA" : "waiting for a subnet manager");
		return;
	}
	pr_err("%s cannot be registered (%pe)\n", hca->name, ERR_PTR(ret));
	rtnl_lock();
	sib_cable_detach_all(hca, h);
	sib_for_each_cable_of(c, h)
		if (c->ndev)
			c->err = ret;
	rtnl_unlock();
	sib_hca_free(hca);
}

/* What became of the link since the last time goes into the port's state. */
static void sib_cable_follow(struct sib_cable *c, u32 events)
{
	enum sib_link link = SIB_LINK_UP;
	struct sib_port *port;
	bool lost = false;

	rtnl_lock();
	port = c->ndev ? c->port : NULL;
	if (port) {
		link = sib_cable_link(c->ndev);
		lost = c->lost;
		c->lost = false;
	}
	rtnl_unlock();
	if (!port)
		return;
	/* Only the work frees it, and this is the work. */
	if (lost && link == SIB_LINK_UP)
		sib_port_link(port, SIB_LINK_NO_CARRIER);
	sib_port_link(port, link);
	sib_port_follow(port, events);
}

static void sib_cable_work(struct work_struct *work)
{
	u32 events = sib_take_events();
	struct sib_cable *c;
	int h;

	for (h = 0; h * sib_nports < sib_ncables; h++) {
		sib_cable_remove(h);
		sib_cable_add(h);
		sib_for_each_cable_of(c, h)
			sib_cable_follow(c, events);
	}
}

int sib_cable_init(char **netdev, int n)
{
	struct sib_cable *c;
	int ret;

	sib_ncables = n;
	sib_for_each_cable(c) {
		c->index = c - sib_cables;
		c->want = netdev[c->index];
	}
	/* Reports the devices that are there already. */
	ret = register_netdevice_notifier(&sib_cable_nb);
	if (ret)
		return ret;
	/* The HCAs whose cables are there are, too, when insmod returns. */
	flush_work(&sib_work);
	rtnl_lock();
	sib_for_each_cable(c) {
		if (c->err)
			ret = c->err;
		else if (!c->ndev)
			pr_info("there is no Ethernet device %s yet: waiting for it\n", c->want);
	}
	rtnl_unlock();
	if (ret)
		sib_cable_exit();
	return ret;
}

void sib_cable_exit(void)
{
	rtnl_lock();
	sib_stopping = true;
	rtnl_unlock();
	sib_cable_sync();
	flush_work(&sib_work);
	/* Reports every device as unregistered: the cables are put back. */
	unregister_netdevice_notifier(&sib_cable_nb);
	cancel_work_sync(&sib_work);
}
