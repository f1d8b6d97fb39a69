// SPDX-License-Identifier: GPL-2.0
/*
 * softib - a software InfiniBand HCA for tests, not for production.
 *
 * A port of link layer InfiniBand for each cable, and an HCA for each port or for
 * several; UD, SMI and GSI queue pairs, RC ones with rc=1.  An IB packet (LRH, GRH if any, BTH, DETH, payload, an ICRC of zeroes) travels in an
 * Ethernet frame, always to the broadcast address: the Ethernet segment is the
 * cable.  README.md says how to use it.
 *
 * main.c	an HCA's birth and death
 * params.c	parameters, those too that may be written
 * order.c	the same from a neighbour, over the cable
 * cable.c	the network devices under it
 * adapter.c	which HCAs they make
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
 * and tells by its one HCA which of them ib0 is on, and by dev_port on which port.
 */
static struct platform_device *sib_platform[SIB_MAX_CABLES];

static void sib_port_alloc(struct sib_hca *hca, u32 num, struct net_device *ndev)
{
	struct sib_port *port = &hca->ports[num - 1];

	port->hca = hca;
	port->num = num;
	port->index = hca->index * sib_nports + num - 1;
	if (hca->nports > 1)
		snprintf(port->name, sizeof(port->name), "%s:%u", hca->name, num);
	else
		strscpy(port->name, hca->name, sizeof(port->name));
	strscpy(port->cable, ndev->name, sizeof(port->cable));
	port->own_guid = sib_own_guid(port->index, ndev->dev_addr);
	port->headroom = LL_RESERVED_SPACE(ndev);
	skb_queue_head_init(&port->txq);
	tasklet_setup(&port->tx, sib_tx_tasklet);
	sib_read_wanted(port, port->pkeys, &port->guid);

	port->pt.type = htons(SIB_ETHERTYPE);
	port->pt.dev = ndev;
	port->pt.func = sib_wire_rx;
	port->pt.af_packet_priv = port;
}

/* With a port for each of n cables. */
struct sib_hca *sib_hca_alloc(int index, struct net_device *const *ndevs, int n)
{
	struct sib_hca *hca = ib_alloc_device(sib_hca, ibdev);
	int i;

	if (!hca)
		return NULL;
	snprintf(hca->name, sizeof(hca->name), KBUILD_MODNAME "%d", index);
	hca->index = index;
	hca->nports = n;
	sib_read_fixed(hca);
	spin_lock_init(&hca->lock);
	INIT_LIST_HEAD(&hca->qps);
	hca->next_qpn = 0x48;
	for (i = 0; i < n; i++)
		sib_port_alloc(hca, i + 1, ndevs[i]);
	hca->guid = hca->ports[0].own_guid;

	hca->ibdev.node_type = RDMA_NODE_IB_CA;
	hca->ibdev.phys_port_cnt = n;
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

/* After the cables are off and, if it was registered, the HCA is unregistered. */
void sib_hca_free(struct sib_hca *hca)
{
	struct sib_port *port;

	sib_for_each_port(port, hca) {
		tasklet_kill(&port->tx);
		skb_queue_purge(&port->txq);
	}
	ib_dealloc_device(&hca->ibdev);
}

static void sib_platform_exit(void)
{
	int i;

	/* One that is not there is passed over. */
	for (i = 0; i < SIB_MAX_CABLES; i++)
		platform_device_unregister(sib_platform[i]);
}

static int __init sib_platform_init(void)
{
	struct platform_device *p;
	int i;

	for (i = 0; i < DIV_ROUND_UP(sib_nnetdev, sib_nports); i++) {
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
