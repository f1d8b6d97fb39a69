// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions for remote access, as a kernel client registers them: an MR of
 * so many pages, filled by ib_map_mr_sg, made valid by a work request REG_MR and
 * invalid by LOCAL_INV, or by a peer's SEND with invalidate (IBA 10.6 and the
 * base memory management extensions of chapter 9.4).  DMA addresses are kernel
 * addresses, so a page is where its address says.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/xarray.h>

#include "softib.h"

#define SIB_MR_MAX_PAGES	512
#define SIB_MR_MAX		(1 << 16)

struct sib_mr {
	struct ib_mr	ibmr;
	struct rcu_head	rcu;
	u32		max_pages;	/* fixed */

	/* By the client, while the MR is not valid. */
	u32		npages;
	u64		*pages;

	/* Under sib_hca.lock. */
	bool		valid;
	int		access;
	u32		key;
	u64		iova, length;
};

/* By the upper 24 bits of the key, of all HCAs; the lower 8 are the client's. */
static DEFINE_XARRAY_ALLOC1(sib_mrs);

static struct sib_mr *to_mr(struct ib_mr *ibmr)
{
	return container_of(ibmr, struct sib_mr, ibmr);
}

void sib_mr_attrs(struct ib_device_attr *a)
{
	a->device_cap_flags |= IB_DEVICE_MEM_MGT_EXTENSIONS;
	a->max_mr = SIB_MR_MAX;
	a->max_fast_reg_page_list_len = SIB_MR_MAX_PAGES;
	a->max_qp_rd_atom = a->max_qp_init_rd_atom = a->max_res_rd_atom = 16;
	a->max_sge_rd = SIB_MAX_SEND_SGE;
}

struct ib_mr *sib_alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 max_pages)
{
	struct sib_mr *mr;
	u32 index;
	int ret;

	if (type != IB_MR_TYPE_MEM_REG || max_pages > SIB_MR_MAX_PAGES)
		return ERR_PTR(-EINVAL);
	mr = kzalloc(sizeof(*mr), GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->pages = kvcalloc(max_pages, sizeof(*mr->pages), GFP_KERNEL);
	ret = -ENOMEM;
	if (!mr->pages)
		goto free;
	ret = xa_alloc(&sib_mrs, &index, mr, XA_LIMIT(1, SIB_MR_MAX), GFP_KERNEL);
	if (ret)
		goto free;
	mr->max_pages = max_pages;
	mr->ibmr.lkey = mr->ibmr.rkey = index << 8;
	return &mr->ibmr;
free:
	kvfree(mr->pages);
	kfree(mr);
	return ERR_PTR(ret);
}

int sib_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	struct sib_hca *hca = to_hca(ibmr->device);
	struct sib_mr *mr = to_mr(ibmr);
	unsigned long flags;

	xa_erase(&sib_mrs, ibmr->rkey >> 8);
	/* Who looked it up holds the lock until the copy is done. */
	spin_lock_irqsave(&hca->lock, flags);
	mr->valid = false;
	spin_unlock_irqrestore(&hca->lock, flags);
	kvfree(mr->pages);
	kfree_rcu(mr, rcu);		/* another HCA may be looking at whose it is */
	return 0;
}

static int sib_set_page(struct ib_mr *ibmr, u64 addr)
{
	struct sib_mr *mr = to_mr(ibmr);

	if (mr->npages == mr->max_pages)
		return -ENOMEM;
	mr->pages[mr->npages++] = addr;
	return 0;
}

int sib_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int n, unsigned int *offset)
{
	to_mr(ibmr)->npages = 0;
	return ib_sg_to_pages(ibmr, sg, n, offset, sib_set_page);
}

/* The work request REG_MR.  Under hca->lock. */
void sib_mr_reg(struct ib_mr *ibmr, u32 key, int access)
{
	struct sib_mr *mr = to_mr(ibmr);

	mr->key = key;
	mr->access = access;
	mr->iova = ibmr->iova;
	mr->length = ibmr->length;
	mr->valid = true;
}

/* Under hca->lock.  NULL: there is none for this key, or not in this domain. */
static struct sib_mr *sib_mr_find(struct ib_pd *pd, u32 key)
{
	struct sib_mr *mr = xa_load(&sib_mrs, key >> 8);

	return mr && mr->valid && mr->key == key && mr->ibmr.pd == pd ? mr : NULL;
}

/* LOCAL_INV, or a peer's SEND with invalidate.  Under hca->lock. */
bool sib_mr_invalidate(struct ib_pd *pd, u32 key)
{
	struct sib_mr *mr = sib_mr_find(pd, key);

	if (!mr)
		return false;
	mr->valid = false;
	return true;
}

/*
 * Copies len bytes from buf into the region, or out of it.  Under hca->lock.
 * Reports whether the key, the range and the access are in order; if they are
 * not, nothing is copied.
 */
bool sib_mr_copy(struct ib_pd *pd, u32 key, u64 va, u8 *buf, u32 len, int access)
{
	struct sib_mr *mr = sib_mr_find(pd, key);
	u32 size, n;
	u64 at;

	if (!mr || !(mr->access & access) || va < mr->iova || va - mr->iova > mr->length ||
	    len > mr->length - (va - mr->iova))
		return false;
	size = mr->ibmr.page_size;
	/* iova has its offset in the first page. */
	for (at = va - (mr->iova & ~(u64)(size - 1)); len; at += n, buf += n, len -= n) {
		u32 in = at & (size - 1);
		u8 *page = (u8 *)(uintptr_t)mr->pages[at / size] + in;

		n = min(len, size - in);
		if (access & IB_ACCESS_REMOTE_WRITE)
			memcpy(page, buf, n);
		else
			memcpy(buf, page, n);
	}
	return true;
}
