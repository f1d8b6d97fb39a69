// SPDX-License-Identifier: GPL-2.0
/*
 * Reliable connections, packets in: the responder, and the answers that a
 * requester gets (IBA 9.7.4 and 9.7.5).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rc.h"

/* Syndromes of the AETH, IBA 9.7.5.2.1: 0x1f is an ACK without credits. */
enum {
	SIB_ACK = 0x1f, SIB_NAK_SEQUENCE = 0x60, SIB_NAK_REQUEST = 0x61, SIB_NAK_ACCESS = 0x62,
};

static void sib_rc_answer(struct sib_qp *qp, u8 syndrome, u32 psn)
{
	struct sk_buff *skb;
	u8 *p = sib_rc_packet(qp, IB_OPCODE_RC_ACKNOWLEDGE, psn, false, SIB_AETH, 0, &skb);

	if (!p)
		return;
	p[0] = syndrome;
	sib_rc_queue(qp->port, skb);
}

/* A request that must not be: the requester hears it, and this end is in ERR. */
static void sib_rc_refuse(struct sib_hca *hca, struct sib_qp *qp, u8 syndrome, u32 psn)
{
	pr_info_ratelimited("%s: qp %#x: request refused, syndrome %#x\n", qp->port->name, qp->qpn,
			    syndrome);
	sib_rc_answer(qp, syndrome, psn);
	sib_rc_error(hca, qp, IB_WC_SUCCESS);
}

/* A part of a SEND.  Reports whether the packet was taken. */
static bool sib_rc_rx_send(struct sib_hca *hca, struct sib_qp *qp, u8 opcode, const u8 *p, u32 len,
			   u32 psn)
{
	struct sib_rc *rc = qp->rc;
	bool inv = opcode == IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE ||
		   opcode == IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE;
	bool first = opcode == IB_OPCODE_RC_SEND_FIRST || opcode == IB_OPCODE_RC_SEND_ONLY ||
		     opcode == IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE;
	struct ib_wc wc = { .qp = &qp->ibqp, .src_qp = rc->dqpn, .slid = rc->dlid, .sl = rc->sl,
			    .port_num = qp->port->num, .opcode = IB_WC_RECV, .pkey_index = qp->pkey_index };
	u32 key = 0;

	if (inv) {
		if (len < SIB_IETH)
			return false;
		key = get_unaligned_be32(p);
		p += SIB_IETH;
		len -= SIB_IETH;
	}
	if (first == rc->receiving) {
		sib_rc_refuse(hca, qp, SIB_NAK_REQUEST, psn);
		return false;
	}
	if (first) {
		if (!sib_pop_rwqe(qp, &rc->rwqe)) {
			sib_dbg(hca, "qp %#x: no receive buffer\n", qp->qpn);
			return false;
		}
		rc->receiving = true;
		rc->roff = 0;
	}
	if (sib_sge_copy(rc->rwqe.sge, rc->rwqe.nsge, rc->roff, (u8 *)p, len, true) != len ||
	    (inv && !sib_mr_invalidate(qp->ibqp.pd, key))) {
		sib_rc_refuse(hca, qp, inv ? SIB_NAK_ACCESS : SIB_NAK_REQUEST, psn);
		return false;
	}
	rc->roff += len;
	if (opcode == IB_OPCODE_RC_SEND_FIRST || opcode == IB_OPCODE_RC_SEND_MIDDLE)
		return true;
	rc->receiving = false;
	wc.wr_id = rc->rwqe.wr_id;
	wc.byte_len = rc->roff;
	if (inv) {
		wc.wc_flags = IB_WC_WITH_INVALIDATE;
		wc.ex.invalidate_rkey = key;
	}
	sib_complete(qp->ibqp.recv_cq, &wc);
	return true;
}

static bool sib_rc_rx_write(struct sib_hca *hca, struct sib_qp *qp, u8 opcode, const u8 *p, u32 len,
			    u32 psn)
{
	struct sib_rc *rc = qp->rc;

	if (opcode == IB_OPCODE_RC_RDMA_WRITE_FIRST || opcode == IB_OPCODE_RC_RDMA_WRITE_ONLY) {
		if (len < SIB_RETH)
			return false;
		rc->wva = get_unaligned_be64(p);
		rc->wkey = get_unaligned_be32(p + 8);
		rc->wleft = get_unaligned_be32(p + 12);
		p += SIB_RETH;
		len -= SIB_RETH;
	}
	/* Without a byte nothing is checked, IBA 9.7.4.1.6. */
	if (len > rc->wleft || (len && !sib_mr_copy(qp->ibqp.pd, rc->wkey, rc->wva, (u8 *)p, len,
						    IB_ACCESS_REMOTE_WRITE))) {
		sib_rc_refuse(hca, qp, SIB_NAK_ACCESS, psn);
		return false;
	}
	rc->wva += len;
	rc->wleft -= len;
	return true;
}

/* Answers an RDMA READ, which may be a repeated one. */
static void sib_rc_rx_read(struct sib_hca *hca, struct sib_qp *qp, const u8 *p, u32 len, u32 psn)
{
	struct sib_rc *rc = qp->rc;
	u32 key, left, k, i, n, end;
	u64 va;

	if (len < SIB_RETH)
		return;
	va = get_unaligned_be64(p);
	key = get_unaligned_be32(p + 8);
	left = get_unaligned_be32(p + 12);
	k = sib_psns(rc, left);
	for (i = 0; i < k; i++, va += n, left -= n) {
		bool first = !i, last = i == k - 1;
		u32 ext = first || last ? SIB_AETH : 0;
		struct sk_buff *skb;
		u8 *out;

		n = min(left, rc->mtu);
		out = sib_rc_packet(qp,
				    first && last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY :
				    first ? IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST :
				    last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST :
					   IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE,
				    psn + i, false, ext, n, &skb);
		if (!out)
			break;
		if (ext)
			out[0] = SIB_ACK;
		if (n && !sib_mr_copy(qp->ibqp.pd, key, va, out + ext, n, IB_ACCESS_REMOTE_READ)) {
			kfree_skb(skb);
			sib_rc_refuse(hca, qp, SIB_NAK_ACCESS, psn + i);
			return;
		}
		sib_rc_queue(qp->port, skb);
	}
	end = (psn + k) & 0xffffff;
	if (sib_psn_cmp(end, rc->epsn) > 0)
		rc->epsn = end;
}

static void sib_rc_rx_request(struct sib_hca *hca, struct sib_qp *qp, u8 opcode, u32 psn, bool ack,
			      const u8 *p, u32 len)
{
	struct sib_rc *rc = qp->rc;
	bool read = opcode == IB_OPCODE_RC_RDMA_READ_REQUEST, taken;
	s32 ahead = sib_psn_cmp(psn, rc->epsn);

	if (ahead > 0) {
		if (!rc->nak)
			sib_rc_answer(qp, SIB_NAK_SEQUENCE, rc->epsn);
		rc->nak = true;
		return;
	}
	if (read) {
		rc->nak = false;
		sib_rc_rx_read(hca, qp, p, len, psn);
		return;
	}
	if (!ahead) {
		rc->nak = false;
		if (opcode >= IB_OPCODE_RC_RDMA_WRITE_FIRST && opcode <= IB_OPCODE_RC_RDMA_WRITE_ONLY)
			taken = sib_rc_rx_write(hca, qp, opcode, p, len, psn);
		else
			taken = sib_rc_rx_send(hca, qp, opcode, p, len, psn);
		if (!taken)
			return;
		rc->epsn = (rc->epsn + 1) & 0xffffff;
	}
	/* A repeated one was taken before: the acknowledgement was lost. */
	if (ack)
		sib_rc_answer(qp, SIB_ACK, rc->epsn - 1);
}

/* ---- what a requester hears ---- */

/*
 * Every packet before psn has arrived, as an answer to psn says.  Reports
 * whether it is so: an RDMA READ before it must have had its data.
 */
static bool sib_rc_before(struct sib_hca *hca, struct sib_qp *qp, u32 psn)
{
	struct sib_rc *rc = qp->rc;
	u32 i;

	for (i = rc->tail; i != rc->head; i++) {
		const struct sib_swqe *w = &rc->sq[i & (rc->size - 1)];

		if (!w->npsn || sib_psn_cmp(rc->una, w->psn + w->npsn) >= 0)
			continue;
		if (sib_psn_cmp(w->psn, psn) >= 0)
			break;
		if (w->opcode != IB_WR_RDMA_READ)
			continue;
		/* Up to the read, and not into it. */
		if (sib_psn_cmp(w->psn, rc->una) > 0)
			rc->una = w->psn;
		if (rc->una == psn)
			break;
		sib_dbg(hca, "qp %#x: answers from PSN %#x on were lost\n", qp->qpn, rc->una);
		return false;
	}
	if (sib_psn_cmp(psn, rc->una) > 0) {
		rc->una = psn;
		rc->retries = 0;
	}
	return true;
}

static void sib_rc_rx_answer(struct sib_hca *hca, struct sib_qp *qp, u8 opcode, u32 psn,
			     const u8 *p, u32 len)
{
	bool data = opcode != IB_OPCODE_RC_ACKNOWLEDGE;
	u32 ext = opcode == IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE ? 0 : SIB_AETH;
	struct sib_rc *rc = qp->rc;
	struct sib_swqe *w;
	u8 syndrome = SIB_ACK;

	/* Older than what is waited for, or never sent. */
	if (len < ext || sib_psn_cmp(psn, rc->una) < 0 || sib_psn_cmp(psn, rc->nxt) >= 0)
		return;
	if (ext)
		syndrome = p[0];
	p += ext;
	len -= ext;
	if (!data && syndrome < 0x20) {
		if (!sib_rc_before(hca, qp, (psn + 1) & 0xffffff))
			goto back;
	} else if (!sib_rc_before(hca, qp, psn)) {
		goto back;
	}
	sib_rc_reap(qp);
	if (syndrome == SIB_NAK_SEQUENCE)
		goto back;
	if (syndrome >= 0x60) {
		sib_rc_error(hca, qp, syndrome == SIB_NAK_ACCESS ? IB_WC_REM_ACCESS_ERR :
								  IB_WC_REM_INV_REQ_ERR);
		return;
	}
	if (data && rc->una == psn) {
		/* The first that is not complete, but for local ones. */
		u32 i = rc->tail;

		while (i != rc->cur && !rc->sq[i & (rc->size - 1)].npsn)
			i++;
		w = &rc->sq[i & (rc->size - 1)];
		if (i == rc->head || w->opcode != IB_WR_RDMA_READ)
			return;
		sib_sge_copy(w->sge, w->nsge, sib_psn_cmp(psn, w->psn) * rc->mtu, (u8 *)p, len, true);
		rc->una = (psn + 1) & 0xffffff;
		rc->retries = 0;
	}
	if (rc->una == rc->nxt)
		del_timer(&rc->timer);
	else
		mod_timer(&rc->timer, jiffies + SIB_RC_RTO);
	sib_rc_send(hca, qp);
	return;
back:
	sib_rc_reap(qp);
	/* What follows a lost packet says so again and again: once is enough, or the timer. */
	if (rc->back != rc->una)
		sib_rc_back(hca, qp);
}

/*
 * A packet from the LRH on, if it is of a reliable connection.  Reports whether
 * it is.
 */
bool sib_rc_rx(struct sib_port *port, const u8 *p, u32 len)
{
	struct sib_hca *hca = port->hca;
	u32 hl = IB_LRH_BYTES + IB_BTH_BYTES, plen, qpn, psn;
	struct sib_qp *qp;
	unsigned long flags;
	u8 opcode, pad;
	bool ack;

	/* The connections of this module have no GRH. */
	if (len < hl + 4 || (p[1] & 3) != IB_LNH_IBA_LOCAL || p[IB_LRH_BYTES] >= IB_OPCODE_UC)
		return false;
	opcode = p[IB_LRH_BYTES];
	pad = p[IB_LRH_BYTES + 1] >> 4 & 3;
	qpn = get_unaligned_be32(p + IB_LRH_BYTES + 4) & 0xffffff;
	psn = get_unaligned_be32(p + IB_LRH_BYTES + 8);
	ack = psn & BIT(31);
	psn &= 0xffffff;
	plen = (get_unaligned_be16(p + 4) & 0x7ff) * 4;
	if (plen > len || plen < hl + 4 + pad)
		return true;
	plen -= hl + 4 + pad;

	spin_lock_irqsave(&hca->lock, flags);
	if (get_unaligned_be16(p + 2) != sib_lid(port) || sib_state(&port->pi) < IB_PORT_ARMED)
		goto out;
	list_for_each_entry(qp, &hca->qps, list) {
		if (!qp->rc || qp->qpn != qpn)
			continue;
		spin_lock(&qp->lock);
		if (qp->port == port && (qp->state == IB_QPS_RTR || qp->state == IB_QPS_RTS) &&
		    get_unaligned_be16(p + 6) == qp->rc->dlid &&
		    sib_pkey_match(port->pkeys[qp->pkey_index],
				   get_unaligned_be16(p + IB_LRH_BYTES + 2))) {
			if (opcode >= IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST &&
			    opcode <= IB_OPCODE_RC_ACKNOWLEDGE)
				sib_rc_rx_answer(hca, qp, opcode, psn, p + hl, plen);
			else
				sib_rc_rx_request(hca, qp, opcode, psn, ack, p + hl, plen);
		}
		spin_unlock(&qp->lock);
		break;
	}
out:
	spin_unlock_irqrestore(&hca->lock, flags);
	return true;
}
