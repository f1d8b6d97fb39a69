// SPDX-License-Identifier: GPL-2.0
/*
 * The cable: an Ethernet device that may come late, lose its carrier and go
 * away.  The notifier runs under rtnl and only notes what happened.  One work
 * item, which never runs twice at the same time, brings the HCA in line with it:
 * ib_register_device and ib_unregister_device must not run under rtnl, as
 * ib_ipoib takes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>

#include "softib.h"

/* All of it under rtnl, but for hca: written by the work under rtnl. */
static struct {
	const char		*want;		/* name or MAC address */
	struct net_device	*ndev;		/* held; NULL: not there */
	struct sib_hca		*hca;
	unsigned int		old_mtu;	/* 0: not raised by us */
	bool			lost;		/* the carrier was away */
	bool			stopping;
	int			err;		/* of the last try, until it is unplugged */
} cable;

static void sib_cable_work(struct work_struct *work);
static DECLARE_WORK(sib_work, sib_cable_work);

void sib_cable_sync(void)
{
	queue_work(system_long_wq, &sib_work);
}

static bool sib_cable_is(const struct net_device *ndev)
{
	u8 mac[ETH_ALEN];

	if (!net_eq(dev_net(ndev), &init_net) || ndev->type != ARPHRD_ETHER)
		return false;
	/* Bonds, bridges and VLANs borrow the MAC address of what is below them. */
	if (mac_pton(cable.want, mac))
		return ndev->dev.parent && ether_addr_equal(ndev->dev_addr, mac);
	return !strcmp(ndev->name, cable.want);
}

static enum sib_link sib_cable_link(const struct net_device *ndev)
{
	if (!netif_running(ndev))
		return SIB_LINK_DISABLED;
	return netif_carrier_ok(ndev) ? SIB_LINK_UP : SIB_LINK_NO_CARRIER;
}

/* Make the device fit, and listen on it. */
static int sib_cable_attach(struct sib_hca *hca, struct net_device *ndev)
{
	unsigned int mtu = ndev->mtu;
	int ret;

	if (mtu < SIB_CABLE_MTU) {
		ret = dev_set_mtu(ndev, SIB_CABLE_MTU);
		if (ret) {
			pr_err("%s cannot be the cable: its MTU is %u and cannot be raised to %u (%pe, the driver's maximum is %u)\n",
			       ndev->name, mtu, SIB_CABLE_MTU, ERR_PTR(ret), ndev->max_mtu);
			return ret;
		}
		cable.old_mtu = mtu;
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
static void sib_cable_put(void)
{
	struct net_device *ndev = cable.ndev;

	if (cable.hca)
		sib_cable_detach(cable.hca);
	if (cable.stopping && cable.old_mtu && ndev->mtu == SIB_CABLE_MTU)
		dev_set_mtu(ndev, cable.old_mtu);
	cable.ndev = NULL;
	cable.old_mtu = 0;
	cable.err = 0;
	dev_put(ndev);
}

static int sib_cable_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *ndev = netdev_notifier_info_to_dev(ptr);

	switch (event) {
	case NETDEV_REGISTER:
	case NETDEV_CHANGENAME:
		if (cable.ndev || !sib_cable_is(ndev))
			break;
		dev_hold(ndev);
		cable.ndev = ndev;
		sib_cable_sync();
		break;
	case NETDEV_UNREGISTER:
		if (ndev != cable.ndev)
			break;
		sib_cable_put();
		sib_cable_sync();
		break;
	case NETDEV_CHANGEMTU:
		if (ndev == cable.ndev && cable.hca && ndev->mtu < SIB_CABLE_MTU)
			pr_warn("the MTU of the cable %s was lowered to %u: large packets will be lost, it needs %u\n",
				ndev->name, ndev->mtu, SIB_CABLE_MTU);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		if (ndev != cable.ndev)
			break;
		/* However short: a port that lost its link starts over. */
		if (sib_cable_link(ndev) != SIB_LINK_UP)
			cable.lost = true;
		sib_cable_sync();
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block sib_cable_nb = { .notifier_call = sib_cable_event };

/*
 * The HCA goes: its cable was unplugged, or the module is unloaded.  Then the
 * cable stays until the clients have left: ib_ipoib says goodbye to its groups,
 * and waits seconds for the answer of a subnet administrator elsewhere.
 */
static void sib_cable_remove(void)
{
	struct sib_hca *hca;

	rtnl_lock();
	hca = cable.hca;
	if (hca && rtnl_dereference(hca->ndev) && !cable.stopping)
		hca = NULL;
	rtnl_unlock();
	if (!hca)
		return;
	sib_hca_unregister(hca);
	rtnl_lock();
	sib_cable_detach(hca);
	cable.hca = NULL;
	rtnl_unlock();
	sib_hca_free(hca);
}

/* There is a cable and no HCA: make one. */
static void sib_cable_add(void)
{
	struct sib_hca *hca = NULL;
	char name[IFNAMSIZ];
	int ret = -ENOMEM;

	rtnl_lock();
	if (!cable.ndev || cable.hca || cable.err || cable.stopping)
		goto out;
	strscpy(name, cable.ndev->name, sizeof(name));
	hca = sib_hca_alloc(cable.ndev);
	if (hca)
		ret = sib_cable_attach(hca, cable.ndev);
	if (ret) {
		cable.err = ret;
		goto out;
	}
	sib_port_init(hca, sib_cable_link(cable.ndev));
	cable.lost = false;
	cable.hca = hca;
	rtnl_unlock();

	/* The cable may go meanwhile: then the work runs once more. */
	ret = sib_hca_register(hca);
	if (!ret) {
		pr_info("%s on %s, LID %#x, GUID %016llx, %s\n", dev_name(&hca->ibdev.dev), name,
			be16_to_cpu(hca->pi.lid), hca->guid,
			hca->sa ? "built-in SA" : "waiting for a subnet manager");
		return;
	}
	pr_err("an HCA on %s cannot be registered (%pe)\n", name, ERR_PTR(ret));
	rtnl_lock();
	sib_cable_detach(hca);
	cable.hca = NULL;
	if (cable.ndev)
		cable.err = ret;
out:
	rtnl_unlock();
	if (hca && ret)
		sib_hca_free(hca);
}

static void sib_cable_work(struct work_struct *work)
{
	enum sib_link link = SIB_LINK_UP;
	struct sib_hca *hca;
	bool lost = false;

	sib_cable_remove();
	sib_cable_add();

	rtnl_lock();
	hca = cable.ndev ? cable.hca : NULL;
	if (hca) {
		link = sib_cable_link(cable.ndev);
		lost = cable.lost;
		cable.lost = false;
	}
	rtnl_unlock();
	if (!hca)
		return;
	/* Only this work frees it. */
	if (lost && link == SIB_LINK_UP)
		sib_port_link(hca, SIB_LINK_NO_CARRIER);
	sib_port_link(hca, link);
	if (hca->sa)
		sib_port_pkeys(hca);
}

int sib_cable_init(const char *netdev)
{
	int ret;

	cable.want = netdev;
	/* Reports the devices that are there already. */
	ret = register_netdevice_notifier(&sib_cable_nb);
	if (ret)
		return ret;
	/* With a cable the HCA is there when insmod returns. */
	flush_work(&sib_work);
	rtnl_lock();
	ret = cable.err;
	if (!ret && !cable.ndev)
		pr_info("there is no Ethernet device %s yet: waiting for it\n", netdev);
	rtnl_unlock();
	if (ret)
		sib_cable_exit();
	return ret;
}

void sib_cable_exit(void)
{
	rtnl_lock();
	cable.stopping = true;
	rtnl_unlock();
	sib_cable_sync();
	flush_work(&sib_work);
	/* Reports every device as unregistered: the cable is put back. */
	unregister_netdevice_notifier(&sib_cable_nb);
	cancel_work_sync(&sib_work);
}
