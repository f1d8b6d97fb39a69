// SPDX-License-Identifier: GPL-2.0
/*
 * Orders over the cable: a test changes what the adapter of a node is like at any
 * moment of its boot, when nobody can write to /sys there.  An order is an
 * Ethernet frame of type 0x88b6 to the address of one of the cables, with the
 * text NAME=VALUE as /sys/module/softib/parameters has it, and zeroes after it.
 * Frames may come in softirq; a work item carries them out.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>

#include "softib.h"

#define SIB_ORDER_TYPE	0x88b6		/* IEEE 802, local experimental 2 */
#define SIB_ORDER_MAX	256		/* bytes of text */
#define SIB_ORDERS_MAX	16		/* waiting; more are lost */

static struct sk_buff_head sib_orders;

static void sib_order_one(const struct sk_buff *skb)
{
	char text[SIB_ORDER_MAX + 1] = {}, *value = text, *name;
	int ret;

	if (skb_copy_bits(skb, 0, text, min_t(u32, skb->len, SIB_ORDER_MAX)))
		return;
	name = strsep(&value, "=");
	ret = value ? sib_param_set(name, value) : -EINVAL;
	if (ret)
		pr_err("the order %s=%s was not carried out (%pe)\n", name, value ?: "", ERR_PTR(ret));
	else
		pr_info("ordered: %s=%s\n", name, value);
}

static void sib_order_work(struct work_struct *work)
{
	struct sk_buff *skb;

	while ((skb = skb_dequeue(&sib_orders))) {
		sib_order_one(skb);
		kfree_skb(skb);
	}
}
static DECLARE_WORK(sib_orders_work, sib_order_work);

static int sib_order_rx(struct sk_buff *skb, struct net_device *ndev, struct packet_type *pt,
			struct net_device *orig)
{
	if (skb->pkt_type != PACKET_HOST || !net_eq(dev_net(ndev), &init_net) ||
	    skb_queue_len_lockless(&sib_orders) >= SIB_ORDERS_MAX) {
		kfree_skb(skb);
		return NET_RX_DROP;
	}
	skb_queue_tail(&sib_orders, skb);
	schedule_work(&sib_orders_work);
	return NET_RX_SUCCESS;
}

static struct packet_type sib_order_pt = {
	.type = htons(SIB_ORDER_TYPE),
	.func = sib_order_rx,
};

void sib_order_init(void)
{
	skb_queue_head_init(&sib_orders);
	dev_add_pack(&sib_order_pt);
}

void sib_order_exit(void)
{
	dev_remove_pack(&sib_order_pt);		/* waits for a grace period */
	cancel_work_sync(&sib_orders_work);
	skb_queue_purge(&sib_orders);
}
