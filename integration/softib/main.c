// SPDX-License-Identifier: GPL-2.0
/*
 * softib - a software InfiniBand HCA for tests, not for production.
 *
 * An HCA for each cable, with one port of link layer InfiniBand; UD, SMI and GSI queue pairs.  An IB
 * packet (LRH, GRH if any, BTH, DETH, payload, an ICRC of zeroes) travels in an
 * Ethernet frame, always to the broadcast address: the Ethernet segment is the
 * cable.  README.md says how to use it.
 *
 * main.c	an HCA's birth and death
 * params.c	parameters, those too that may be written
 * order.c	the same from a neighbour, over the cable
 * cable.c	the network devices under it
 * port.c	PortInfo, P_Key table, link state
 * sma.c	subnet management agent: what a subnet manager asks and sets
 * sa.c		the subnet administrator that replaces one, sa=1
 * packet.c	packets out and in
 * verbs.c	queue pairs, completion queues, address handles, multicast
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "softib.h"

/*
 * Parents that no cable can take away.  /sys/class/net/ib0/device leads there,
 * and tells by its one HCA which of them ib0 is on.
 */
static struct platform_device *sib_platform[SIB_MAX_CABLES];

/* index is the place of the cable in netdev=. */
struct sib_hca *sib_hca_alloc(struct net_device *ndev, int index)
{
	struct sib_hca *hca = ib_alloc_device(sib_hca, ibdev);

	if (!hca)
		return NULL;
	snprintf(hca->name, sizeof(hca->name), KBUILD_MODNAME "%d", index);
	sib_read_fixed(hca, index, ndev->dev_addr);
	hca->headroom = LL_RESERVED_SPACE(ndev);
	spin_lock_init(&hca->lock);
	INIT_LIST_HEAD(&hca->qps);
	skb_queue_head_init(&hca->txq);
	tasklet_setup(&hca->tx, sib_tx_tasklet);
	hca->next_qpn = 0x48;
	sib_read_wanted(hca, hca->pkeys, &hca->port_guid);

	hca->pt.type = htons(SIB_ETHERTYPE);
	hca->pt.dev = ndev;
	hca->pt.func = sib_wire_rx;
	hca->pt.af_packet_priv = hca;

	hca->ibdev.node_type = RDMA_NODE_IB_CA;
	hca->ibdev.phys_port_cnt = 1;
	hca->ibdev.num_comp_vectors = 1;
	hca->ibdev.local_dma_lkey = 0;
	hca->ibdev.node_guid = cpu_to_be64(hca->guid);
	hca->ibdev.dev.parent = &sib_platform[index]->dev;
	strscpy(hca->ibdev.node_desc, "softib test HCA", sizeof(hca->ibdev.node_desc));
	ib_set_device_ops(&hca->ibdev, &sib_ops);
	return hca;
}

/* Not under rtnl: clients such as ib_ipoib take it. */
int sib_hca_register(struct sib_hca *hca)
{
	return ib_register_device(&hca->ibdev, hca->name, NULL);
}

void sib_hca_unregister(struct sib_hca *hca)
{
	pr_info("%s is gone\n", hca->name);
	ib_unregister_device(&hca->ibdev);
}

/* After the cable is off and, if it was registered, the HCA is unregistered. */
void sib_hca_free(struct sib_hca *hca)
{
	tasklet_kill(&hca->tx);
	skb_queue_purge(&hca->txq);
	ib_dealloc_device(&hca->ibdev);
}

static void sib_platform_exit(void)
{
	int i;

	/* One that is not there is passed over. */
	for (i = 0; i < sib_nnetdev; i++)
		platform_device_unregister(sib_platform[i]);
}

static int __init sib_platform_init(void)
{
	struct platform_device *p;
	int i;

	for (i = 0; i < sib_nnetdev; i++) {
		p = platform_device_register_simple(KBUILD_MODNAME, i, NULL, 0);
		if (IS_ERR(p)) {
			sib_platform_exit();
			return PTR_ERR(p);
		}
		sib_platform[i] = p;
	}
	return 0;
}

static int __init sib_init(void)
{
	int ret;

	ret = sib_check_params();
	if (ret)
		return ret;
	ret = sib_platform_init();
	if (ret)
		return ret;
	ret = sib_cable_init(sib_netdev, sib_nnetdev);
	if (ret) {
		sib_platform_exit();
		return ret;
	}
	sib_set_running(true);
	sib_order_init();
	return 0;
}

static void __exit sib_exit(void)
{
	sib_order_exit();
	sib_set_running(false);
	sib_cable_exit();
	sib_platform_exit();
}

module_init(sib_init);
module_exit(sib_exit);
MODULE_DESCRIPTION("Software InfiniBand HCA for tests");
MODULE_LICENSE("GPL");
