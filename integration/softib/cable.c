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

#include "softib.h"

struct sib_cable {
	int			index;		/* in netdev=, fixed */
	const char		*want;		/* name or MAC address, fixed */

	/* Under rtnl; hca is written by the work only, which reads it without. */
	struct net_device	*ndev;		/* held; NULL: not there */
	struct sib_hca		*hca;
	unsigned int		old_mtu;	/* 0: not raised by us */
	bool			lost;		/* the carrier was away */
	int			err;		/* of the last try, until it is unplugged */
};

static struct sib_cable sib_cables[SIB_MAX_CABLES];
static int sib_ncables;		/* fixed before the notifier */
static bool sib_stopping;	/* rtnl */

#define sib_for_each_cable(c) for ((c) = sib_cables; (c) < sib_cables + sib_ncables; (c)++)

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
static int sib_cable_attach(struct sib_cable *c, struct sib_hca *hca)
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
	rcu_assign_pointer(hca->ndev, ndev);
	dev_add_pack(&hca->pt);
	return 0;
}

/* Nothing is received after this, and nothing sent.  Waits for a grace period. */
static void sib_cable_detach(struct sib_hca *hca)
{
	if (!rtnl_dereference(hca->ndev))
		return;
	RCU_INIT_POINTER(hca->ndev, NULL);
	dev_remove_pack(&hca->pt);
}

/* The device leaves, or we do. */
static void sib_cable_put(struct sib_cable *c)
{
	struct net_device *ndev = c->ndev;

	if (c->hca)
		sib_cable_detach(c->hca);
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
			pr_err("netdev: %s is %s, the cable of " KBUILD_MODNAME "%d: each HCA needs its own\n",
			       c->want, ndev->name, owner->index);
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
		if (c && c->hca && ndev->mtu < SIB_CABLE_MTU)
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

/*
 * An HCA goes: its cable was unplugged, it is taken away, or the module is
 * unloaded.  In the last two cases the cable stays until the clients have left:
 * ib_ipoib says goodbye to its groups, and waits seconds for the answer of a subnet
 * administrator elsewhere.
 */
static void sib_cable_remove(struct sib_cable *c)
{
	struct sib_hca *hca;

	rtnl_lock();
	hca = c->hca;
	if (hca && rtnl_dereference(hca->ndev) && !sib_stopping && !sib_is_gone(c->index))
		hca = NULL;
	rtnl_unlock();
	if (!hca)
		return;
	sib_hca_unregister(hca);
	rtnl_lock();
	sib_cable_detach(hca);
	c->hca = NULL;
	rtnl_unlock();
	sib_hca_free(hca);
}

/*
 * Nobody could tell two HCAs with the same GUID, or the LID of it, apart.  Those
 * of other machines are out of sight.
 */
static int sib_cable_unique(const struct sib_hca *hca)
{
	const struct sib_cable *c;

	sib_for_each_cable(c) {
		if (!c->hca || (c->hca->guid != hca->guid &&
				(!hca->sa || sib_guid_lid(c->hca->port_guid) != sib_guid_lid(hca->port_guid))))
			continue;
		pr_err("%s cannot have GUID %016llx: %s has %016llx, %s\n", hca->name, hca->guid,
		       c->hca->name, c->hca->guid,
		       hca->sa ? "and with sa=1 the low 14 bits must differ" : "which is the same");
		return -EEXIST;
	}
	return 0;
}

/* There is a cable and no HCA: make one. */
static void sib_cable_add(struct sib_cable *c)
{
	struct sib_hca *hca = NULL;
	char name[IFNAMSIZ];
	int ret = -ENOMEM;

	rtnl_lock();
	if (!c->ndev || c->hca || c->err || sib_stopping || sib_is_gone(c->index))
		goto out;
	strscpy(name, c->ndev->name, sizeof(name));
	hca = sib_hca_alloc(c->ndev, c->index);
	if (hca)
		ret = sib_cable_unique(hca);
	if (!ret)
		ret = sib_cable_attach(c, hca);
	if (ret) {
		c->err = ret;
		goto out;
	}
	sib_port_init(hca, sib_cable_link(c->ndev));
	c->lost = false;
	c->hca = hca;
	rtnl_unlock();

	/* The cable may go meanwhile: then the work runs once more. */
	ret = sib_hca_register(hca);
	if (!ret) {
		pr_info("%s on %s, LID %#x, GUID %016llx, %s\n", hca->name, name,
			be16_to_cpu(hca->pi.lid), hca->guid,
			hca->sa ? "built-in SA" : "waiting for a subnet manager");
		return;
	}
	pr_err("%s on %s cannot be registered (%pe)\n", hca->name, name, ERR_PTR(ret));
	rtnl_lock();
	sib_cable_detach(hca);
	c->hca = NULL;
	if (c->ndev)
		c->err = ret;
out:
	rtnl_unlock();
	if (hca && ret)
		sib_hca_free(hca);
}

/* What became of the link since the last time goes into the port's state. */
static void sib_cable_follow(struct sib_cable *c, u32 events)
{
	enum sib_link link = SIB_LINK_UP;
	struct sib_hca *hca;
	bool lost = false;

	rtnl_lock();
	hca = c->ndev ? c->hca : NULL;
	if (hca) {
		link = sib_cable_link(c->ndev);
		lost = c->lost;
		c->lost = false;
	}
	rtnl_unlock();
	if (!hca)
		return;
	/* Only the work frees it, and this is the work. */
	if (lost && link == SIB_LINK_UP)
		sib_port_link(hca, SIB_LINK_NO_CARRIER);
	sib_port_link(hca, link);
	sib_port_follow(hca, events);
}

static void sib_cable_work(struct work_struct *work)
{
	u32 events = sib_take_events();
	struct sib_cable *c;

	sib_for_each_cable(c) {
		sib_cable_remove(c);
		sib_cable_add(c);
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
