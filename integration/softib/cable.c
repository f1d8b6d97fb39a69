// SPDX-License-Identifier: GPL-2.0
/*
 * The cables: Ethernet devices that may come late, lose their carrier and go
 * away.  The notifier runs under rtnl and only notes what happened.  One work
 * item, which never runs twice at the same time, brings the HCAs in line with
 * it: ib_register_device and ib_unregister_device must not run under rtnl, as
 * ib_ipoib takes it.  One item for all cables makes ib0 the first of those that
 * are there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>

#include "cable.h"

struct sib_cable sib_cables[SIB_MAX_CABLES];
int sib_ncables;
bool sib_stopping;

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

enum sib_link sib_cable_link(const struct net_device *ndev)
{
	if (!netif_running(ndev))
		return SIB_LINK_DISABLED;
	return netif_carrier_ok(ndev) ? SIB_LINK_UP : SIB_LINK_NO_CARRIER;
}

/* Make the device fit, and listen on it.  Under rtnl. */
int sib_cable_attach(struct sib_cable *c, struct sib_port *port)
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
void sib_cable_detach(struct sib_port *port)
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
		sib_adapter_remove(h);
		sib_adapter_add(h);
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
