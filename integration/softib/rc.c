// SPDX-License-Identifier: GPL-2.0
/*
 * Reliable connections (IBA 9.7): the requester.  SEND with and without
 * invalidate, RDMA WRITE, RDMA READ, and the local work requests of memory
 * regions.  No atomics, no immediate data, no SRQ, no RNR NAK: without a receive
 * buffer the responder says nothing, and the requester's timer sends again.
 *
 * A requester has a window of packets on the wire, because its peer's NIC drops
 * what it cannot hold, and begins again at the first one without an answer when
 * its timer expires or the responder misses one.  An RDMA READ is asked for in
 * parts, so that its answers stay in the window too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/random.h>

#include "rc.h"

static bool sib_rc_on;
module_param_named(rc, sib_rc_on, bool, 0444);
MODULE_PARM_DESC(rc, "1: reliable connections and memory regions, for NFS over RDMA, iSER and connected mode (0)");

static uint sib_rc_lose;
module_param_named(lose, sib_rc_lose, uint, 0644);
MODULE_PARM_DESC(lose, "of so many packets of reliable connections one is lost on its way out, by chance; 0: none");

bool sib_rc_enabled(void)
{
	return sib_rc_on;
}

/* Copies between buf and the part of a scatter list at off; returns how much there was. */
u32 sib_sge_copy(const struct ib_sge *sge, int n, u32 off, u8 *buf, u32 len, bool in)
{
	u32 done = 0;
	int i;

	for (i = 0; i < n && done < len; i++) {
		u8 *p = (u8 *)(uintptr_t)sge[i].addr;
		u32 part;

		if (off >= sge[i].length) {
			off -= sge[i].length;
			continue;
		}
		part = min(sge[i].length - off, len - done);
		if (in)
			memcpy(p + off, buf + done, part);
		else
			memcpy(buf + done, p + off, part);
		off = 0;
		done += part;
	}
	return done;
}

/* ---- packets out ---- */

/*
 * A packet with ext bytes of extended headers and len of payload, at the
 * returned address one after the other.  NULL: out of memory, which is as if it
 * was lost.  Under hca->lock and qp->lock.
 */
u8 *sib_rc_packet(struct sib_qp *qp, u8 opcode, u32 psn, bool ack, u32 ext, u32 len,
		  struct sk_buff **out)
{
	u32 pad = -len & 3, total = IB_LRH_BYTES + IB_BTH_BYTES + ext + len + pad + 4;
	struct sib_rc *rc = qp->rc;
	struct sib_port *port = qp->port;
	struct sk_buff *skb = alloc_skb(port->headroom + total, GFP_ATOMIC);
	u8 *p;

	*out = skb;
	if (!skb)
		return NULL;
	skb_reserve(skb, port->headroom);
	p = skb_put_zero(skb, total);
	p[1] = rc->sl << 4 | IB_LNH_IBA_LOCAL;
	put_unaligned_be16(rc->dlid, p + 2);
	put_unaligned_be16(total / 4, p + 4);
	put_unaligned_be16(sib_lid(port), p + 6);
	p += IB_LRH_BYTES;
	p[0] = opcode;
	p[1] = BIT(6) | pad << 4;			/* migrated, as ib_ud_header_init has it */
	put_unaligned_be16(port->pkeys[qp->pkey_index], p + 2);
	put_unaligned_be32(rc->dqpn & 0xffffff, p + 4);
	put_unaligned_be32((ack ? BIT(31) : 0) | (psn & 0xffffff), p + 8);
	return p + IB_BTH_BYTES;
}

void sib_rc_queue(struct sib_port *port, struct sk_buff *skb)
{
	uint lose = READ_ONCE(sib_rc_lose);

	/* By chance: what is sent again may be as many packets each time, and would never arrive. */
	if (lose && !(get_random_u32() % lose))
		kfree_skb(skb);
	else if (sib_state(&port->pi) == IB_PORT_ACTIVE &&
		 skb_queue_len_lockless(&port->txq) < SIB_TXQ_MAX)
		skb_queue_tail(&port->txq, skb);
	else
		kfree_skb(skb);
	tasklet_schedule(&port->tx);
}

static void sib_put_reth(u8 *p, u64 va, u32 key, u32 len)
{
	put_unaligned_be64(va, p);
	put_unaligned_be32(key, p + 8);
	put_unaligned_be32(len, p + 12);
}

/* The packet of a SEND or an RDMA WRITE at rc->off, of n bytes. */
static void sib_rc_data(struct sib_hca *hca, struct sib_qp *qp, const struct sib_swqe *w, u32 n)
{
	/* First, middle, last, only; IBA 9.2.1. */
	static const u8 send[] = { IB_OPCODE_RC_SEND_FIRST, IB_OPCODE_RC_SEND_MIDDLE,
				   IB_OPCODE_RC_SEND_LAST, IB_OPCODE_RC_SEND_ONLY };
	static const u8 inv[] = { IB_OPCODE_RC_SEND_FIRST, IB_OPCODE_RC_SEND_MIDDLE,
				  IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE,
				  IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE };
	static const u8 write[] = { IB_OPCODE_RC_RDMA_WRITE_FIRST, IB_OPCODE_RC_RDMA_WRITE_MIDDLE,
				    IB_OPCODE_RC_RDMA_WRITE_LAST, IB_OPCODE_RC_RDMA_WRITE_ONLY };
	struct sib_rc *rc = qp->rc;
	bool first = !rc->off, last = rc->off + n == w->len;
	bool is_write = w->opcode == IB_WR_RDMA_WRITE, is_inv = w->opcode == IB_WR_SEND_WITH_INV;
	bool ack = last || !(rc->nxt % SIB_RC_ACK) ||
		   sib_psn_cmp(rc->nxt, rc->una) == SIB_RC_WINDOW - 1;
	u32 ext = is_write && first ? SIB_RETH : is_inv && last ? SIB_IETH : 0;
	int which = first ? (last ? 3 : 0) : (last ? 2 : 1);
	struct sk_buff *skb;
	u8 *p;

	p = sib_rc_packet(qp, (is_write ? write : is_inv ? inv : send)[which], rc->nxt, ack,
			  ext, n, &skb);
	if (!p)
		return;
	if (is_write && first)
		sib_put_reth(p, w->va, w->key, w->len);
	else if (ext)
		put_unaligned_be32(w->key, p);
	sib_sge_copy(w->sge, w->nsge, rc->off, p + ext, n, false);
	sib_rc_queue(qp->port, skb);
}

static void sib_rc_local(struct sib_qp *qp, struct sib_swqe *w)
{
	if (w->done)
		return;
	w->done = true;
	if (w->opcode == IB_WR_REG_MR)
		sib_mr_reg(w->mr, w->key, w->access);
	else
		sib_mr_invalidate(qp->ibqp.pd, w->key);
}

/* Sends what the window allows.  Under hca->lock and qp->lock. */
void sib_rc_send(struct sib_hca *hca, struct sib_qp *qp)
{
	struct sib_rc *rc = qp->rc;
	struct sk_buff *skb;
	u32 room, k, n;
	u8 *p;

	if (qp->state != IB_QPS_RTS)
		return;
	while (rc->cur != rc->head) {
		struct sib_swqe *w = &rc->sq[rc->cur & (rc->size - 1)];

		if (!w->npsn) {
			sib_rc_local(qp, w);
			rc->cur++;
			continue;
		}
		room = SIB_RC_WINDOW - sib_psn_cmp(rc->nxt, rc->una);
		if (w->opcode == IB_WR_RDMA_READ) {
			k = min_t(u32, SIB_RC_READ, w->npsn - rc->off / rc->mtu);
			if (k > room)
				break;
			n = min(w->len - rc->off, k * rc->mtu);
			p = sib_rc_packet(qp, IB_OPCODE_RC_RDMA_READ_REQUEST, rc->nxt, true,
					  SIB_RETH, 0, &skb);
			if (p) {
				sib_put_reth(p, w->va + rc->off, w->key, n);
				sib_rc_queue(qp->port, skb);
			}
		} else {
			if (!room)
				break;
			k = 1;
			n = min(w->len - rc->off, rc->mtu);
			sib_rc_data(hca, qp, w, n);
		}
		rc->nxt = (rc->nxt + k) & 0xffffff;
		rc->off += n;
		if (rc->off == w->len) {
			rc->cur++;
			rc->off = 0;
		}
	}
	sib_rc_reap(qp);
	if (rc->una != rc->nxt && !timer_pending(&rc->timer))
		mod_timer(&rc->timer, jiffies + SIB_RC_RTO);
}

/* Begins again at the first packet without an answer.  Under both locks. */
void sib_rc_back(struct sib_hca *hca, struct sib_qp *qp)
{
	struct sib_rc *rc = qp->rc;
	u32 i;

	if (rc->una == rc->nxt)
		return;
	rc->back = rc->una;
	for (i = rc->tail; i != rc->head; i++) {
		struct sib_swqe *w = &rc->sq[i & (rc->size - 1)];

		if (!w->npsn || sib_psn_cmp(rc->una, w->psn + w->npsn) >= 0)
			continue;
		rc->cur = i;
		rc->off = sib_psn_cmp(rc->una, w->psn) * rc->mtu;
		rc->nxt = rc->una;
		break;
	}
	mod_timer(&rc->timer, jiffies + SIB_RC_RTO);
	sib_rc_send(hca, qp);
}

void sib_rc_timer(struct timer_list *t)
{
	struct sib_rc *rc = from_timer(rc, t, timer);
	struct sib_qp *qp = rc->qp;
	struct sib_hca *hca = to_hca(qp->ibqp.device);
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	spin_lock(&qp->lock);
	if (qp->state == IB_QPS_RTS && rc->una != rc->nxt) {
		sib_dbg(hca, "qp %#x: again from PSN %#x\n", qp->qpn, rc->una);
		if (++rc->retries > SIB_RC_RETRIES)
			sib_rc_error(hca, qp, IB_WC_RETRY_EXC_ERR);
		else
			sib_rc_back(hca, qp);
	}
	spin_unlock(&qp->lock);
	spin_unlock_irqrestore(&hca->lock, flags);
}

/* ---- completions ---- */

static void sib_rc_complete(struct sib_qp *qp, const struct sib_swqe *w, enum ib_wc_status status)
{
	struct ib_wc wc = { .wr_id = w->wr_id, .qp = &qp->ibqp, .port_num = qp->port->num,
			    .status = status, .byte_len = w->len };

	if (!status && !w->signaled)
		return;
	switch (w->opcode) {
	case IB_WR_RDMA_WRITE:
		wc.opcode = IB_WC_RDMA_WRITE;
		break;
	case IB_WR_RDMA_READ:
		wc.opcode = IB_WC_RDMA_READ;
		break;
	case IB_WR_LOCAL_INV:
		wc.opcode = IB_WC_LOCAL_INV;
		break;
	case IB_WR_REG_MR:
		wc.opcode = IB_WC_REG_MR;
		break;
	default:
		wc.opcode = IB_WC_SEND;
	}
	sib_complete(qp->ibqp.send_cq, &wc);
}

/* Completes what has its answer, in order. */
void sib_rc_reap(struct sib_qp *qp)
{
	struct sib_rc *rc = qp->rc;

	for (; rc->tail != rc->cur; rc->tail++) {
		struct sib_swqe *w = &rc->sq[rc->tail & (rc->size - 1)];

		if (w->npsn ? sib_psn_cmp(rc->una, w->psn + w->npsn) < 0 : !w->done)
			break;
		sib_rc_complete(qp, w, IB_WC_SUCCESS);
	}
}

/*
 * Into the state ERR: the first request that is not complete gets the status,
 * unless it is 0, all others are flushed.  Under both locks.
 */
void sib_rc_error(struct sib_hca *hca, struct sib_qp *qp, enum ib_wc_status status)
{
	struct sib_rc *rc = qp->rc;

	if (status)
		sib_dbg(hca, "qp %#x: %s\n", qp->qpn, ib_wc_status_msg(status));
	qp->state = IB_QPS_ERR;
	del_timer(&rc->timer);
	for (; rc->tail != rc->head; rc->tail++) {
		sib_rc_complete(qp, &rc->sq[rc->tail & (rc->size - 1)],
				status ?: IB_WC_WR_FLUSH_ERR);
		status = 0;
	}
	rc->cur = rc->head;
	rc->una = rc->nxt;
	if (rc->receiving) {
		struct ib_wc wc = { .wr_id = rc->rwqe.wr_id, .qp = &qp->ibqp,
				    .status = IB_WC_WR_FLUSH_ERR, .opcode = IB_WC_RECV };

		rc->receiving = false;
		sib_complete(qp->ibqp.recv_cq, &wc);
	}
	sib_flush_rq(qp);
}
