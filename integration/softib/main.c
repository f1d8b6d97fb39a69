// SPDX-License-Identifier: GPL-2.0
/*
 * softib - a software InfiniBand HCA for tests, not for production.
 *
 * An HCA for each cable, with one port of link layer InfiniBand; UD, SMI and GSI queue pairs.  An IB
 * packet (LRH, GRH if any, BTH, DETH, payload, an ICRC of zeroes) travels in an
 * Ethernet frame, always to the broadcast address: the Ethernet segment is the
 * cable.  README.md says how to use it.
 *
 * main.c	parameters, an HCA's birth and death
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

static char *netdev[SIB_MAX_CABLES] = { "eth0" };
static int nnetdev = 1;
module_param_array(netdev, charp, &nnetdev, 0444);
MODULE_PARM_DESC(netdev, "the cables, an HCA each: names or MAC addresses of Ethernet devices, may appear later (eth0)");

static unsigned long long guid[SIB_MAX_CABLES];
static int nguid;
module_param_array(guid, ullong, &nguid, 0444);
MODULE_PARM_DESC(guid, "GUIDs of nodes and ports, 0x..., in the order of netdev; 0: 02:50:49:03:00 and the last 3 bytes of the cable's MAC address");

static bool sa = true;
module_param(sa, bool, 0444);
MODULE_PARM_DESC(sa, "1: built-in subnet manager and SA, a port is ACTIVE with its cable; 0: wait for a real one");

bool sib_debug;
module_param_named(debug, sib_debug, bool, 0644);
MODULE_PARM_DESC(debug, "log every packet and every management datagram");

/* Entries 1.. of the P_Key table; entry 0 is always 0xffff. */
static DEFINE_MUTEX(sib_pkeys_lock);
static u16 sib_pkeys[SIB_PKEYS - 1];
static int sib_npkeys;
static bool sib_running;	/* between init and exit; sib_pkeys_lock */

static int sib_pkeys_set(const char *val, const struct kernel_param *kp)
{
	u16 table[ARRAY_SIZE(sib_pkeys)];
	char *text, *rest, *word;
	int n = 0, ret = 0;

	text = rest = kstrdup(val, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	while ((word = strsep(&rest, ",")) != NULL) {
		word = strim(word);
		if (!*word)
			continue;
		if (n == ARRAY_SIZE(table)) {
			pr_err("pkeys: more than %zu keys\n", ARRAY_SIZE(table));
			ret = -EINVAL;
			break;
		}
		if (kstrtou16(word, 0, &table[n]) || !(table[n] & 0x7fff)) {
			pr_err("pkeys: '%s' is no P_Key, 0x8001 would be one\n", word);
			ret = -EINVAL;
			break;
		}
		n++;
	}
	kfree(text);
	if (ret)
		return ret;

	/* The file in /sys outlives the exit function by a moment. */
	mutex_lock(&sib_pkeys_lock);
	if (sib_running && !sa) {
		pr_err("pkeys: with sa=0 the table belongs to the subnet manager\n");
		ret = -EPERM;
	} else {
		memcpy(sib_pkeys, table, sizeof(table[0]) * n);
		sib_npkeys = n;
		if (sib_running)
			sib_cable_sync();
	}
	mutex_unlock(&sib_pkeys_lock);
	return ret;
}

static int sib_pkeys_get(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	mutex_lock(&sib_pkeys_lock);
	for (i = 0; i < sib_npkeys; i++)
		len += sysfs_emit_at(buf, len, "%s0x%04x", i ? "," : "", sib_pkeys[i]);
	mutex_unlock(&sib_pkeys_lock);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops sib_pkeys_ops = {
	.set = sib_pkeys_set,
	.get = sib_pkeys_get,
};
module_param_cb(pkeys, &sib_pkeys_ops, NULL, 0644);
__MODULE_PARM_TYPE(pkeys, "array of ushort");
MODULE_PARM_DESC(pkeys, "P_Key table after its first entry, which is 0xffff: 0x8001,0x0002; with sa=1 it may be written later");

/* The whole table as the parameter has it.  Returns the number of keys. */
int sib_read_pkeys(u16 *pkeys)
{
	int n;

	mutex_lock(&sib_pkeys_lock);
	n = sib_npkeys;
	memset(pkeys, 0, sizeof(*pkeys) * SIB_PKEYS);
	pkeys[0] = IB_DEFAULT_PKEY_FULL;
	memcpy(pkeys + 1, sib_pkeys, sizeof(*pkeys) * n);
	mutex_unlock(&sib_pkeys_lock);
	return n + 1;
}

/*
 * Parents that no cable can take away.  /sys/class/net/ib0/device leads there,
 * and tells by its one HCA which of them ib0 is on.
 */
static struct platform_device *sib_platform[SIB_MAX_CABLES];

/* index is the place of the cable in netdev=. */
struct sib_hca *sib_hca_alloc(struct net_device *ndev, int index)
{
	struct sib_hca *hca = ib_alloc_device(sib_hca, ibdev);
	const u8 *mac = ndev->dev_addr;

	if (!hca)
		return NULL;
	snprintf(hca->name, sizeof(hca->name), KBUILD_MODNAME "%d", index);
	hca->guid = guid[index] ?: 0x0250490300000000ull | mac[3] << 16 | mac[4] << 8 | mac[5];
	hca->sa = sa;
	hca->headroom = LL_RESERVED_SPACE(ndev);
	spin_lock_init(&hca->lock);
	INIT_LIST_HEAD(&hca->qps);
	skb_queue_head_init(&hca->txq);
	tasklet_setup(&hca->tx, sib_tx_tasklet);
	hca->next_qpn = 0x48;
	sib_read_pkeys(hca->pkeys);

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

static void sib_set_running(bool on)
{
	mutex_lock(&sib_pkeys_lock);
	sib_running = on;
	mutex_unlock(&sib_pkeys_lock);
}

/* All that is wrong with the lists, before anything is touched. */
static int __init sib_check(void)
{
	int i, ret = 0;

	for (i = 0; i < nnetdev; i++) {
		if (!*netdev[i]) {
			pr_err("netdev: entry %d is empty, eth0,eth1 would be two cables\n", i + 1);
			ret = -EINVAL;
		}
	}
	if (nguid > nnetdev) {
		pr_err("guid: there are %d for %d cables\n", nguid, nnetdev);
		ret = -EINVAL;
	}
	return ret;
}

static void sib_platform_exit(void)
{
	int i;

	/* One that is not there is passed over. */
	for (i = 0; i < nnetdev; i++)
		platform_device_unregister(sib_platform[i]);
}

static int __init sib_platform_init(void)
{
	struct platform_device *p;
	int i;

	for (i = 0; i < nnetdev; i++) {
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

	ret = sib_check();
	if (ret)
		return ret;
	ret = sib_platform_init();
	if (ret)
		return ret;
	ret = sib_cable_init(netdev, nnetdev);
	if (ret) {
		sib_platform_exit();
		return ret;
	}
	sib_set_running(true);
	return 0;
}

static void __exit sib_exit(void)
{
	sib_set_running(false);
	sib_cable_exit();
	sib_platform_exit();
}

module_init(sib_init);
module_exit(sib_exit);
MODULE_DESCRIPTION("Software InfiniBand HCA for tests");
MODULE_LICENSE("GPL");
