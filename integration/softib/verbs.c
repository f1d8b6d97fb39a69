// SPDX-License-Identifier: GPL-2.0
/*
 * Verbs for kernel clients: ib_mad, ib_sa, ib_umad, ib_ipoib.  Userspace gets
 * no queue pairs.  DMA addresses are kernel addresses (virtual DMA).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "softib.h"

/* ---- completion queues ---- */

static void sib_cq_notify(struct tasklet_struct *t)
{
	struct sib_cq *cq = from_tasklet(cq, t, notify);

	cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
}

void sib_complete(struct ib_cq *ibcq, const struct ib_wc *wc)
{
	struct sib_cq *cq = to_cq(ibcq);
	unsigned long flags;
	bool kick;

	spin_lock_irqsave(&cq->lock, flags);
	if (cq->head - cq->tail < cq->size)
		cq->wc[cq->head++ & (cq->size - 1)] = *wc;
	else
		pr_warn_ratelimited("a completion queue is full\n");
	kick = cq->armed;
	cq->armed = false;
	spin_unlock_irqrestore(&cq->lock, flags);
	/* Not from here: the client may hold the lock its handler takes. */
	if (kick)
		tasklet_schedule(&cq->notify);
}

/* What is left of a QP that was reset or destroyed: nobody may poll it. */
static void sib_cq_clean(struct ib_cq *ibcq, const struct sib_qp *qp)
{
	struct sib_cq *cq = to_cq(ibcq);
	u32 mask = cq->size - 1, from, to;
	unsigned long flags;

	spin_lock_irqsave(&cq->lock, flags);
	for (from = to = cq->tail; from != cq->head; from++)
		if (cq->wc[from & mask].qp != &qp->ibqp)
			cq->wc[to++ & mask] = cq->wc[from & mask];
	cq->head = to;
	spin_unlock_irqrestore(&cq->lock, flags);
}

static int sib_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *a,
			 struct ib_udata *udata)
{
	struct sib_cq *cq = to_cq(ibcq);

	if (udata)
		return -EOPNOTSUPP;
	cq->size = roundup_pow_of_two(a->cqe + 1);
	cq->wc = kvcalloc(cq->size, sizeof(*cq->wc), GFP_KERNEL);
	if (!cq->wc)
		return -ENOMEM;
	spin_lock_init(&cq->lock);
	tasklet_setup(&cq->notify, sib_cq_notify);
	ibcq->cqe = a->cqe;
	return 0;
}

static int sib_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	struct sib_cq *cq = to_cq(ibcq);

	tasklet_kill(&cq->notify);
	kvfree(cq->wc);
	return 0;
}

static int sib_poll_cq(struct ib_cq *ibcq, int n, struct ib_wc *wc)
{
	struct sib_cq *cq = to_cq(ibcq);
	unsigned long flags;
	int i;

	spin_lock_irqsave(&cq->lock, flags);
	for (i = 0; i < n && cq->tail != cq->head; i++)
		wc[i] = cq->wc[cq->tail++ & (cq->size - 1)];
	spin_unlock_irqrestore(&cq->lock, flags);
	return i;
}

static int sib_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags fl)
{
	struct sib_cq *cq = to_cq(ibcq);
	unsigned long flags;
	int missed;

	spin_lock_irqsave(&cq->lock, flags);
	cq->armed = true;
	missed = (fl & IB_CQ_REPORT_MISSED_EVENTS) && cq->head != cq->tail;
	spin_unlock_irqrestore(&cq->lock, flags);
	return missed;
}

/* ---- queue pairs ---- */

/* The next receive buffer.  Under qp->lock. */
bool sib_pop_rwqe(struct sib_qp *qp, struct sib_rwqe *w)
{
	if (qp->head == qp->tail)
		return false;
	*w = qp->rq[qp->tail++ & (qp->size - 1)];
	return true;
}

/* Under qp->lock. */
void sib_flush_rq(struct sib_qp *qp)
{
	struct ib_wc wc = { .qp = &qp->ibqp, .status = IB_WC_WR_FLUSH_ERR, .opcode = IB_WC_RECV };
	struct sib_rwqe w;

	while (sib_pop_rwqe(qp, &w)) {
		wc.wr_id = w.wr_id;
		sib_complete(qp->ibqp.recv_cq, &wc);
	}
}

static int sib_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
			 const struct ib_recv_wr **bad)
{
	struct sib_qp *qp = to_qp(ibqp);
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&qp->lock, flags);
	for (; wr; wr = wr->next) {
		struct sib_rwqe *w;

		if (wr->num_sge > SIB_MAX_RECV_SGE)
			ret = -EINVAL;
		else if (qp->head - qp->tail == qp->size)
			ret = -ENOMEM;
		if (ret) {
			*bad = wr;
			break;
		}
		w = &qp->rq[qp->head++ & (qp->size - 1)];
		w->wr_id = wr->wr_id;
		w->nsge = wr->num_sge;
		memcpy(w->sge, wr->sg_list, wr->num_sge * sizeof(w->sge[0]));
	}
	if (qp->state == IB_QPS_ERR)
		sib_flush_rq(qp);
	spin_unlock_irqrestore(&qp->lock, flags);
	return ret;
}

static int sib_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *a, struct ib_udata *udata)
{
	struct sib_hca *hca = to_hca(ibqp->device);
	struct sib_qp *qp = to_qp(ibqp);
	bool rc = a->qp_type == IB_QPT_RC && sib_rc_enabled();
	bool special = a->qp_type == IB_QPT_SMI || a->qp_type == IB_QPT_GSI;
	unsigned long flags;
	int ret;

	if (udata || a->srq || (!rc && !special && a->qp_type != IB_QPT_UD))
		return -EOPNOTSUPP;
	if (special && !rdma_is_port_valid(ibqp->device, a->port_num))
		return -EINVAL;
	qp->size = roundup_pow_of_two(a->cap.max_recv_wr + 1);
	qp->rq = kvcalloc(qp->size, sizeof(*qp->rq), GFP_KERNEL);
	if (!qp->rq)
		return -ENOMEM;
	spin_lock_init(&qp->lock);
	INIT_LIST_HEAD(&qp->mcast);
	/* Of a special QP it is fixed, of others modify_qp says which. */
	qp->port = special ? to_port(ibqp->device, a->port_num) : hca->ports;
	qp->state = IB_QPS_RESET;
	qp->sig_all = a->sq_sig_type == IB_SIGNAL_ALL_WR;
	qp->cap = a->cap;
	ret = rc ? sib_rc_create(qp) : 0;
	if (ret) {
		kvfree(qp->rq);
		return ret;
	}

	spin_lock_irqsave(&hca->lock, flags);
	if (a->qp_type == IB_QPT_SMI)
		qp->qpn = 0;
	else if (a->qp_type == IB_QPT_GSI)
		qp->qpn = 1;
	else
		qp->qpn = hca->next_qpn++ & 0xffffff;
	ibqp->qp_num = qp->qpn;
	list_add_tail(&qp->list, &hca->qps);
	spin_unlock_irqrestore(&hca->lock, flags);
	return 0;
}

static int sib_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *a, int mask,
			 struct ib_udata *udata)
{
	struct sib_qp *qp = to_qp(ibqp);
	unsigned long flags;

	if ((mask & IB_QP_PKEY_INDEX) && a->pkey_index >= SIB_PKEYS)
		return -EINVAL;
	if ((mask & IB_QP_PORT) && !rdma_is_port_valid(ibqp->device, a->port_num))
		return -EINVAL;
	if (qp->rc) {
		sib_rc_modify(to_hca(ibqp->device), qp, a, mask);
		if ((mask & IB_QP_STATE) && a->qp_state == IB_QPS_RESET) {
			sib_cq_clean(ibqp->recv_cq, qp);
			sib_cq_clean(ibqp->send_cq, qp);
		}
		return 0;
	}
	spin_lock_irqsave(&qp->lock, flags);
	if (mask & IB_QP_PORT)
		qp->port = to_port(ibqp->device, a->port_num);
	if (mask & IB_QP_QKEY)
		qp->qkey = a->qkey;
	if (mask & IB_QP_PKEY_INDEX)
		qp->pkey_index = a->pkey_index;
	if (mask & IB_QP_SQ_PSN)
		qp->psn = a->sq_psn;
	if (mask & IB_QP_STATE) {
		qp->state = a->qp_state;
		if (qp->state == IB_QPS_ERR)
			sib_flush_rq(qp);
		if (qp->state == IB_QPS_RESET) {
			qp->head = qp->tail = 0;
			sib_cq_clean(ibqp->recv_cq, qp);
			sib_cq_clean(ibqp->send_cq, qp);
		}
	}
	spin_unlock_irqrestore(&qp->lock, flags);
	return 0;
}

static int sib_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *a, int mask,
			struct ib_qp_init_attr *ia)
{
	struct sib_qp *qp = to_qp(ibqp);
	unsigned long flags;

	memset(a, 0, sizeof(*a));
	memset(ia, 0, sizeof(*ia));
	spin_lock_irqsave(&qp->lock, flags);
	a->qp_state = a->cur_qp_state = qp->state;
	a->qkey = qp->qkey;
	a->pkey_index = qp->pkey_index;
	a->sq_psn = qp->psn & 0xffffff;
	a->port_num = qp->port->num;
	spin_unlock_irqrestore(&qp->lock, flags);
	a->cap = ia->cap = qp->cap;
	ia->qp_type = ibqp->qp_type;
	ia->sq_sig_type = qp->sig_all ? IB_SIGNAL_ALL_WR : IB_SIGNAL_REQ_WR;
	return 0;
}

static int sib_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct sib_hca *hca = to_hca(ibqp->device);
	struct sib_qp *qp = to_qp(ibqp);
	struct sib_mcast *mc, *next;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	list_del(&qp->list);
	spin_unlock_irqrestore(&hca->lock, flags);
	sib_rc_destroy(qp);
	sib_cq_clean(ibqp->recv_cq, qp);
	sib_cq_clean(ibqp->send_cq, qp);
	list_for_each_entry_safe(mc, next, &qp->mcast, list)
		kfree(mc);
	kvfree(qp->rq);
	return 0;
}

/* ---- multicast, address handles, protection domains, memory ---- */

static int sib_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 mlid)
{
	struct sib_hca *hca = to_hca(ibqp->device);
	struct sib_mcast *mc = kzalloc(sizeof(*mc), GFP_KERNEL);
	unsigned long flags;

	if (!mc)
		return -ENOMEM;
	mc->mgid = *gid;
	spin_lock_irqsave(&hca->lock, flags);
	list_add_tail(&mc->list, &to_qp(ibqp)->mcast);
	spin_unlock_irqrestore(&hca->lock, flags);
	return 0;
}

static int sib_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 mlid)
{
	struct sib_hca *hca = to_hca(ibqp->device);
	struct sib_mcast *mc, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	list_for_each_entry(mc, &to_qp(ibqp)->mcast, list)
		if (!memcmp(&mc->mgid, gid, sizeof(*gid))) {
			list_del(&mc->list);
			found = mc;
			break;
		}
	spin_unlock_irqrestore(&hca->lock, flags);
	kfree(found);
	return found ? 0 : -EINVAL;
}

static int sib_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *a, struct ib_udata *udata)
{
	struct sib_ah *ah = to_ah(ibah);

	ah->attr = *a->ah_attr;
	ah->attr.grh.sgid_attr = NULL;		/* the core holds that one */
	return 0;
}

static int sib_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *a)
{
	*a = to_ah(ibah)->attr;
	return 0;
}

static int sib_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	return 0;
}

static int sib_alloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return udata ? -EOPNOTSUPP : 0;
}

static int sib_dealloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return 0;
}

/* The core wants these to be there; the local key, and mr.c, do it all. */
static struct ib_mr *sib_get_dma_mr(struct ib_pd *pd, int access)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static struct ib_mr *sib_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 virt,
				     int access, struct ib_udata *udata)
{
	return ERR_PTR(-EOPNOTSUPP);
}

const struct ib_device_ops sib_ops = {
	.owner = THIS_MODULE,
	.driver_id = RDMA_DRIVER_UNKNOWN,
	.uverbs_abi_ver = 1,
	.alloc_mr = sib_alloc_mr,
	.alloc_pd = sib_alloc_pd,
	.attach_mcast = sib_attach_mcast,
	.create_ah = sib_create_ah,
	.create_cq = sib_create_cq,
	.create_qp = sib_create_qp,
	.dealloc_pd = sib_dealloc_pd,
	.dereg_mr = sib_dereg_mr,
	.destroy_ah = sib_destroy_ah,
	.destroy_cq = sib_destroy_cq,
	.destroy_qp = sib_destroy_qp,
	.detach_mcast = sib_detach_mcast,
	.get_dma_mr = sib_get_dma_mr,
	.get_link_layer = sib_link_layer,
	.get_port_immutable = sib_port_immutable,
	.map_mr_sg = sib_map_mr_sg,
	.modify_port = sib_modify_port,
	.modify_qp = sib_modify_qp,
	.poll_cq = sib_poll_cq,
	.post_recv = sib_post_recv,
	.post_send = sib_post_send,
	.process_mad = sib_process_mad,
	.query_ah = sib_query_ah,
	.query_device = sib_query_device,
	.query_gid = sib_query_gid,
	.query_pkey = sib_query_pkey,
	.query_port = sib_query_port,
	.query_qp = sib_query_qp,
	.reg_user_mr = sib_reg_user_mr,
	.req_notify_cq = sib_req_notify_cq,
	INIT_RDMA_OBJ_SIZE(ib_ah, sib_ah, ibah),
	INIT_RDMA_OBJ_SIZE(ib_cq, sib_cq, ibcq),
	INIT_RDMA_OBJ_SIZE(ib_pd, sib_pd, ibpd),
	INIT_RDMA_OBJ_SIZE(ib_qp, sib_qp, ibqp),
};
