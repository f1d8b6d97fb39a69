// SPDX-License-Identifier: GPL-2.0
/*
 * Packets: LRH, GRH if any, BTH, DETH, payload, pad, and 4 bytes of zeroes for
 * the ICRC.  The Ethernet frame has its own checksum, and a short frame its
 * padding: the length is in the LRH.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <rdma/ib_pack.h>

#include "softib.h"

#define SIB_ICRC	4
#define SIB_BTH_PKEY	2		/* where it is in the BTH, IBA 9.2 */

/* One datagram into one QP: 40 bytes of GRH, or of nothing, then the payload. */
static void sib_rx_qp(struct sib_qp *qp, const struct ib_wc *tmpl, const u8 *grh,
		      const u8 *payload, u32 len)
{
	struct ib_wc wc = *tmpl;
	struct sib_rwqe w;
	u32 off = 0, total = IB_GRH_BYTES + len;
	int i;

	lockdep_assert_held(&qp->lock);
	if (qp->state != IB_QPS_RTR && qp->state != IB_QPS_RTS)
		return;
	if (!sib_pop_rwqe(qp, &w)) {
		sib_dbg(qp->port, "qp %#x: no receive buffer\n", qp->qpn);
		return;
	}
	for (i = 0; i < w.nsge && off < total; i++) {
		u8 *dst = (u8 *)(uintptr_t)w.sge[i].addr;
		u32 room = w.sge[i].length, n;

		if (off < IB_GRH_BYTES) {
			n = min(room, IB_GRH_BYTES - off);
			if (grh)
				memcpy(dst, grh + off, n);
			else
				memset(dst, 0, n);
			off += n;
			dst += n;
			room -= n;
		}
		if (off >= IB_GRH_BYTES) {
			n = min(room, total - off);
			memcpy(dst, payload + off - IB_GRH_BYTES, n);
			off += n;
		}
	}
	wc.wr_id = w.wr_id;
	wc.qp = &qp->ibqp;
	wc.status = off < total ? IB_WC_LOC_LEN_ERR : IB_WC_SUCCESS;
	wc.opcode = IB_WC_RECV;
	wc.byte_len = total;
	sib_complete(qp->ibqp.recv_cq, &wc);
}

static void sib_violation(__be16 *counter)
{
	if (*counter != cpu_to_be16(0xffff))
		be16_add_cpu(counter, 1);
}

static bool sib_in_group(const struct sib_qp *qp, const union ib_gid *mgid)
{
	struct sib_mcast *mc;

	list_for_each_entry(mc, &qp->mcast, list)
		if (!memcmp(&mc->mgid, mgid, sizeof(*mgid)))
			return true;
	return false;
}

/* IBA 10.9, and Q_Keys of chapter 10: may this QP have a packet with these keys? */
static bool sib_keys_fit(struct sib_qp *qp, u16 pkey, u32 qkey, struct ib_wc *wc, bool mcast)
{
	struct sib_port *port = qp->port;
	int i = qp->pkey_index;

	if (!qp->qpn)			/* SMPs have no keys */
		return true;
	if (qp->qpn == 1)		/* any key of the table will do */
		i = sib_pkey_find(port, pkey);
	if (i < 0 || !sib_pkey_match(port->pkeys[i], pkey)) {
		sib_dbg(port, "qp %#x: P_Key %#06x does not match\n", qp->qpn, pkey);
		if (!mcast)
			sib_violation(&port->pi.pkey_violations);
		return false;
	}
	if (qp->qkey != qkey) {
		sib_dbg(port, "qp %#x: Q_Key %#x, not %#x\n", qp->qpn, qkey, qp->qkey);
		if (!mcast)
			sib_violation(&port->pi.qkey_violations);
		return false;
	}
	wc->pkey_index = i;
	return true;
}

/* One packet, starting at the LRH, from the cable or from this port itself. */
static void sib_rx(struct sib_port *port, const u8 *p, u32 len, bool from_wire)
{
	struct sib_hca *hca = port->hca;
	u32 hl = IB_LRH_BYTES + IB_BTH_BYTES + IB_DETH_BYTES, plen, qpn;
	struct ib_ud_header h = {};
	struct ib_wc wc = {};
	const u8 *grh = NULL;
	bool mcast, to_me;
	struct sib_qp *qp;
	unsigned long flags;
	u16 dlid;

	if (sib_rc_rx(port, p, len))
		return;
	if (len < hl + SIB_ICRC ||
	    ((p[1] & 3) == IB_LNH_IBA_GLOBAL && len < hl + IB_GRH_BYTES + SIB_ICRC) ||
	    ib_ud_header_unpack((void *)p, &h))
		return;
	if (h.grh_present) {
		grh = p + IB_LRH_BYTES;
		hl += IB_GRH_BYTES;
	}
	plen = (be16_to_cpu(h.lrh.packet_length) & 0x7ff) * 4;
	if (plen > len || plen < hl + SIB_ICRC + h.bth.pad_count)
		return;
	plen -= hl + SIB_ICRC + h.bth.pad_count;
	if (plen > ib_mtu_enum_to_int(hca->max_mtu))
		return;
	p += hl;
	dlid = be16_to_cpu(h.lrh.destination_lid);
	qpn = be32_to_cpu(h.bth.destination_qpn);
	mcast = sib_is_mlid(dlid);
	if (mcast && !grh)
		return;

	wc.slid = be16_to_cpu(h.lrh.source_lid);
	wc.src_qp = be32_to_cpu(h.deth.source_qpn);
	wc.sl = h.lrh.service_level;
	wc.port_num = port->num;
	wc.wc_flags = grh ? IB_WC_GRH : 0;
	sib_dbg(port, "rx slid %#x dlid %#x qpn %#x P_Key %#06x, %u bytes\n", wc.slid, dlid, qpn,
		be16_to_cpu(h.bth.pkey), plen);

	/*
	 * The lock is held until the buffers are filled: nobody may free them, or
	 * the QP, in between.
	 */
	spin_lock_irqsave(&hca->lock, flags);
	to_me = dlid == sib_lid(port) ||
		(dlid == be16_to_cpu(IB_LID_PERMISSIVE) && !qpn && from_wire);
	/* IBA 7.2: below ARMED only subnet management passes. */
	if ((!mcast && !to_me) || sib_state(&port->pi) == IB_PORT_DOWN ||
	    (qpn && sib_state(&port->pi) < IB_PORT_ARMED))
		goto out;
	list_for_each_entry(qp, &hca->qps, list) {
		if (mcast ? !sib_in_group(qp, &h.grh.destination_gid) : qp->qpn != qpn)
			continue;
		spin_lock(&qp->lock);
		if (qp->port == port &&
		    sib_keys_fit(qp, be16_to_cpu(h.bth.pkey), be32_to_cpu(h.deth.qkey), &wc, mcast))
			sib_rx_qp(qp, &wc, grh, p, plen);
		spin_unlock(&qp->lock);
	}
out:
	spin_unlock_irqrestore(&hca->lock, flags);
}

int sib_wire_rx(struct sk_buff *skb, struct net_device *ndev, struct packet_type *pt,
		struct net_device *orig)
{
	struct sib_port *port = pt->af_packet_priv;

	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb)
		return NET_RX_DROP;
	/* A bridge may reflect what it floods. */
	if (skb->pkt_type != PACKET_OUTGOING && !skb_linearize(skb) &&
	    !ether_addr_equal(eth_hdr(skb)->h_source, ndev->dev_addr))
		sib_rx(port, skb->data, skb->len, true);
	kfree_skb(skb);
	return NET_RX_SUCCESS;
}

/*
 * Senders hold locks that receiving takes (ib_mad has its own, we have ours), so
 * packets to this port itself, and all others, leave from here.
 */
void sib_tx_tasklet(struct tasklet_struct *t)
{
	struct sib_port *port = from_tasklet(port, t, tx);
	struct net_device *ndev;
	struct sk_buff *skb;

	rcu_read_lock();
	ndev = rcu_dereference(port->ndev);
	while ((skb = skb_dequeue(&port->txq))) {
		u16 dlid = get_unaligned_be16(skb->data + 2);
		bool mcast = sib_is_mlid(dlid);
		bool own = dlid == be16_to_cpu(READ_ONCE(port->pi.lid));

		if (mcast || own)
			sib_rx(port, skb->data, skb->len, false);
		if (own || !ndev) {
			kfree_skb(skb);
			continue;
		}
		skb->dev = ndev;
		skb->protocol = htons(SIB_ETHERTYPE);
		skb_reset_network_header(skb);
		dev_hard_header(skb, ndev, SIB_ETHERTYPE, ndev->broadcast, NULL, skb->len);
		dev_queue_xmit(skb);
	}
	rcu_read_unlock();
}

/* What of the port goes into a packet, read in one go. */
struct sib_source {
	__be64	gid_prefix, guid;
	u16	lid, pkey;
	u8	state;
};

static void sib_source(struct sib_port *port, u16 pkey_index, struct sib_source *src)
{
	struct sib_hca *hca = port->hca;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	src->gid_prefix = port->pi.gid_prefix;
	src->guid = cpu_to_be64(port->guid);
	src->lid = sib_lid(port);
	src->pkey = pkey_index < SIB_PKEYS ? port->pkeys[pkey_index] : 0;
	src->state = sib_state(&port->pi);
	spin_unlock_irqrestore(&hca->lock, flags);
}

/* The headers, and room for len bytes at *payload. */
static struct sk_buff *sib_packet(struct sib_port *port, const struct sib_source *src,
				  const struct rdma_ah_attr *ah, u32 sqpn, u32 dqpn, u32 qkey,
				  u32 psn, u32 len, u8 **payload)
{
	bool grh = rdma_ah_get_ah_flags(ah) & IB_AH_GRH;
	struct ib_ud_header h;
	struct sk_buff *skb;
	int hl;

	ib_ud_header_init(len, 1, 0, 0, grh, 0, 0, 0, &h);
	h.lrh.virtual_lane = sqpn ? 0 : 15;
	h.lrh.service_level = rdma_ah_get_sl(ah);
	h.lrh.destination_lid = cpu_to_be16(rdma_ah_get_dlid(ah));
	h.lrh.source_lid = cpu_to_be16(src->lid);
	h.bth.pkey = cpu_to_be16(src->pkey);
	h.bth.destination_qpn = cpu_to_be32(dqpn);
	h.bth.psn = cpu_to_be32(psn & 0xffffff);
	h.deth.qkey = cpu_to_be32(qkey);
	h.deth.source_qpn = cpu_to_be32(sqpn);
	hl = IB_LRH_BYTES + IB_BTH_BYTES + IB_DETH_BYTES;
	if (grh) {
		const struct ib_global_route *gr = rdma_ah_read_grh(ah);

		h.grh.traffic_class = gr->traffic_class;
		h.grh.flow_label = cpu_to_be32(gr->flow_label);
		h.grh.hop_limit = gr->hop_limit;
		h.grh.source_gid.global.subnet_prefix = src->gid_prefix;
		h.grh.source_gid.global.interface_id = src->guid;
		h.grh.destination_gid = gr->dgid;
		hl += IB_GRH_BYTES;
	}
	skb = alloc_skb(port->headroom + hl + len + h.bth.pad_count + SIB_ICRC, GFP_ATOMIC);
	if (!skb)
		return NULL;
	skb_reserve(skb, port->headroom);
	ib_ud_header_pack(&h, skb_put(skb, hl));
	*payload = skb_put(skb, len);
	skb_put_zero(skb, h.bth.pad_count + SIB_ICRC);
	return skb;
}

static int sib_send_one(struct sib_hca *hca, struct sib_qp *qp, const struct ib_send_wr *wr)
{
	const struct ib_ud_wr *ud = ud_wr(wr);
	const struct rdma_ah_attr *ah = &to_ah(ud->ah)->attr;
	struct ib_wc wc = { .wr_id = wr->wr_id, .qp = &qp->ibqp, .opcode = IB_WC_SEND,
			    .status = IB_WC_SUCCESS };
	u16 dlid = rdma_ah_get_dlid(ah), pkey_index;
	u32 len = 0, qkey, psn, dqpn = ud->remote_qpn;
	struct sib_source src;
	enum ib_qp_state state;
	struct sib_port *port;
	struct sk_buff *skb;
	unsigned long flags;
	u8 *payload, *p;
	int i;

	for (i = 0; i < wr->num_sge; i++)
		len += wr->sg_list[i].length;
	if (wr->opcode != IB_WR_SEND || wr->num_sge > SIB_MAX_SEND_SGE)
		return -EINVAL;
	if (len > ib_mtu_enum_to_int(hca->max_mtu))
		return -EMSGSIZE;

	spin_lock_irqsave(&qp->lock, flags);
	state = qp->state;
	port = qp->port;
	/* IBA chapter 10: bit 31 says, take the QP's own. */
	qkey = ud->remote_qkey & BIT(31) ? qp->qkey : ud->remote_qkey;
	pkey_index = qp->qpn == 1 ? ud->pkey_index : qp->pkey_index;
	psn = qp->psn++;
	spin_unlock_irqrestore(&qp->lock, flags);
	wc.port_num = port->num;

	if (state == IB_QPS_ERR || state == IB_QPS_SQE) {
		wc.status = IB_WC_WR_FLUSH_ERR;
		goto done;
	}
	if (state != IB_QPS_RTS)
		return -EINVAL;

	sib_source(port, pkey_index, &src);
	if (!qp->qpn) {
		qkey = 0;
		src.pkey = IB_DEFAULT_PKEY_FULL;
		if (dlid == be16_to_cpu(IB_LID_PERMISSIVE))
			src.lid = dlid;
	}
	/* Sent, and lost: below ACTIVE only subnet management passes. */
	if (!(src.pkey & 0x7fff) || (qp->qpn && src.state != IB_PORT_ACTIVE)) {
		sib_dbg(port, "tx qp %#x: not sent, port state %u, P_Key %#06x at %u\n", qp->qpn,
			src.state, src.pkey, pkey_index);
		goto done;
	}
	skb = sib_packet(port, &src, ah, qp->qpn, dqpn, qkey, psn, len, &payload);
	if (!skb)
		return -ENOMEM;
	p = payload;
	for (i = 0; i < wr->num_sge; i++) {
		memcpy(p, (void *)(uintptr_t)wr->sg_list[i].addr, wr->sg_list[i].length);
		p += wr->sg_list[i].length;
	}
	sib_dbg(port, "tx qp %#x dlid %#x dqpn %#x P_Key %#06x, %u bytes\n", qp->qpn, dlid, dqpn,
		src.pkey, len);
	/*
	 * It comes back to QP1 as its own answer, from a full member as every subnet
	 * manager is: the port may be a limited one.
	 */
	if (hca->sa && qp->qpn == 1 && dqpn == 1 && dlid == src.lid &&
	    sib_sa_request(payload, len)) {
		sib_sa_answer(port, (void *)payload);
		put_unaligned_be16(src.pkey | 0x8000,
				   payload - IB_DETH_BYTES - IB_BTH_BYTES + SIB_BTH_PKEY);
	}
	if (skb_queue_len_lockless(&port->txq) < SIB_TXQ_MAX)
		skb_queue_tail(&port->txq, skb);
	else
		kfree_skb(skb);
	tasklet_schedule(&port->tx);
done:
	if (qp->sig_all || (wr->send_flags & IB_SEND_SIGNALED) || wc.status)
		sib_complete(qp->ibqp.send_cq, &wc);
	return 0;
}

int sib_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr, const struct ib_send_wr **bad)
{
	int ret;

	if (to_qp(ibqp)->rc)
		return sib_rc_post_send(to_hca(ibqp->device), to_qp(ibqp), wr, bad);
	for (; wr; wr = wr->next) {
		ret = sib_send_one(to_hca(ibqp->device), to_qp(ibqp), wr);
		if (ret) {
			*bad = wr;
			return ret;
		}
	}
	return 0;
}
