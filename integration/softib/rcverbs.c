// SPDX-License-Identifier: GPL-2.0
/*
 * Reliable connections as the verbs see them: queue pairs made, changed and
 * destroyed, and work requests taken.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rc.h"

int sib_rc_create(struct sib_qp *qp)
{
	struct sib_rc *rc = kzalloc(sizeof(*rc), GFP_KERNEL);

	if (!rc)
		return -ENOMEM;
	rc->size = roundup_pow_of_two(qp->cap.max_send_wr + 1);
	rc->sq = kvcalloc(rc->size, sizeof(*rc->sq), GFP_KERNEL);
	if (!rc->sq) {
		kfree(rc);
		return -ENOMEM;
	}
	rc->qp = qp;
	rc->mtu = ib_mtu_enum_to_int(IB_MTU_256);	/* until modify_qp says which */
	timer_setup(&rc->timer, sib_rc_timer, 0);
	qp->rc = rc;
	return 0;
}

/* After the QP has left the list of the HCA. */
void sib_rc_destroy(struct sib_qp *qp)
{
	if (!qp->rc)
		return;
	timer_shutdown_sync(&qp->rc->timer);
	kvfree(qp->rc->sq);
	kfree(qp->rc);
}

void sib_rc_modify(struct sib_hca *hca, struct sib_qp *qp, const struct ib_qp_attr *a, int mask)
{
	struct sib_rc *rc = qp->rc;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	spin_lock(&qp->lock);
	if (mask & IB_QP_PORT)
		qp->port = &hca->ports[a->port_num - 1];
	if (mask & IB_QP_PKEY_INDEX)
		qp->pkey_index = a->pkey_index;
	if (mask & IB_QP_AV) {
		rc->dlid = rdma_ah_get_dlid(&a->ah_attr);
		rc->sl = rdma_ah_get_sl(&a->ah_attr);
	}
	if (mask & IB_QP_PATH_MTU)
		rc->mtu = ib_mtu_enum_to_int(a->path_mtu);
	if (mask & IB_QP_DEST_QPN)
		rc->dqpn = a->dest_qp_num;
	if (mask & IB_QP_RQ_PSN)
		rc->epsn = a->rq_psn & 0xffffff;
	if (mask & IB_QP_SQ_PSN) {
		qp->psn = rc->una = rc->nxt = a->sq_psn & 0xffffff;
		rc->back = ~0;				/* no PSN */
	}
	if (mask & IB_QP_STATE) {
		qp->state = a->qp_state;
		if (qp->state == IB_QPS_ERR)
			sib_rc_error(hca, qp, IB_WC_SUCCESS);
		if (qp->state == IB_QPS_RESET) {
			rc->head = rc->tail = rc->cur = rc->off = rc->retries = 0;
			rc->receiving = rc->nak = false;
			qp->head = qp->tail = 0;
		}
	}
	spin_unlock(&qp->lock);
	spin_unlock_irqrestore(&hca->lock, flags);
}

static int sib_rc_post_one(struct sib_qp *qp, const struct ib_send_wr *wr)
{
	struct sib_rc *rc = qp->rc;
	struct sib_swqe *w = &rc->sq[rc->head & (rc->size - 1)];
	int i;

	if (rc->head - rc->tail == rc->size)
		return -ENOMEM;
	if (wr->num_sge > SIB_MAX_SEND_SGE)
		return -EINVAL;
	*w = (struct sib_swqe){
		.wr_id = wr->wr_id, .opcode = wr->opcode, .nsge = wr->num_sge,
		.signaled = qp->sig_all || (wr->send_flags & IB_SEND_SIGNALED),
	};
	for (i = 0; i < wr->num_sge; i++) {
		if (wr->sg_list[i].lkey != qp->ibqp.device->local_dma_lkey)
			return -EINVAL;
		w->sge[i] = wr->sg_list[i];
		w->len += w->sge[i].length;
	}
	switch (wr->opcode) {
	case IB_WR_SEND:
		break;
	case IB_WR_SEND_WITH_INV:
		w->key = wr->ex.invalidate_rkey;
		break;
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_READ:
		w->va = rdma_wr(wr)->remote_addr;
		w->key = rdma_wr(wr)->rkey;
		break;
	case IB_WR_LOCAL_INV:
		w->key = wr->ex.invalidate_rkey;
		rc->head++;
		return 0;
	case IB_WR_REG_MR:
		w->mr = reg_wr(wr)->mr;
		w->key = reg_wr(wr)->key;
		w->access = reg_wr(wr)->access;
		rc->head++;
		return 0;
	default:
		return -EINVAL;
	}
	w->psn = qp->psn & 0xffffff;
	w->npsn = sib_psns(rc, w->len);
	qp->psn += w->npsn;
	rc->head++;
	return 0;
}

int sib_rc_post_send(struct sib_hca *hca, struct sib_qp *qp, const struct ib_send_wr *wr,
		     const struct ib_send_wr **bad)
{
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&hca->lock, flags);
	spin_lock(&qp->lock);
	if (qp->state != IB_QPS_RTS && qp->state != IB_QPS_ERR)
		ret = -EINVAL;
	for (; wr && !ret; wr = ret ? wr : wr->next)
		ret = sib_rc_post_one(qp, wr);
	if (ret)
		*bad = wr;
	if (qp->state == IB_QPS_ERR)
		sib_rc_error(hca, qp, IB_WC_SUCCESS);
	else
		sib_rc_send(hca, qp);
	spin_unlock(&qp->lock);
	spin_unlock_irqrestore(&hca->lock, flags);
	return ret;
}
