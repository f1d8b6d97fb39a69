// SPDX-License-Identifier: GPL-2.0
/*
 * The subnet administrator of sa=1.  Each port asks its own, and none of them
 * keeps anything: the MLID of a group is a hash of its MGID, the LID of a port
 * is a part of its GUID.  So any number of them agree without talking.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jhash.h>
#include <rdma/ib_sa.h>

#include "softib.h"

#define SIB_QKEY	0x0b1b		/* what opensm gives to IPoIB groups */
#define SIB_SL		0
#define SIB_LIFETIME	(IB_SA_EQ << 6 | 0x12)
#define SIB_INVALID	0x0200		/* IBA chapter 15: ERR_REQ_INVALID */

/* Offsets in the records of IBA 15.2.5.16 and 15.2.5.17. */
enum {
	PR_DGID = 8, PR_DLID = 40, PR_SLID = 42, PR_REVERSIBLE = 49, PR_PKEY = 50,
	PR_SL = 52, PR_MTU = 54, PR_RATE = 55, PR_LIFETIME = 56,
	MC_QKEY = 32, MC_MLID = 36, MC_MTU = 38, MC_TCLASS = 39, MC_PKEY = 40,
	MC_RATE = 42, MC_LIFETIME = 43, MC_SL_FLOW_HOP = 44, MC_SCOPE_STATE = 48,
};

bool sib_sa_request(const void *mad, u32 len)
{
	const struct ib_mad_hdr *h = mad;

	return len == sizeof(struct ib_sa_mad) && h->mgmt_class == IB_MGMT_CLASS_SUBN_ADM &&
	       !(h->method & IB_MGMT_METHOD_RESP);
}

/*
 * The key to answer with: the one asked for, if this port has it (limited
 * members get the group's full key), the default one if none was asked for.
 * Returns 0 if the port has no such key.
 */
static u16 sib_sa_pkey(struct sib_port *port, const struct ib_sa_mad *m,
		       ib_sa_comp_mask asked, int off)
{
	u16 pkey = IB_DEFAULT_PKEY_FULL;
	unsigned long flags;

	if (m->sa_hdr.comp_mask & asked)
		pkey = get_unaligned_be16(m->data + off) | 0x8000;
	spin_lock_irqsave(&port->hca->lock, flags);
	if (sib_pkey_find(port, pkey) < 0) {
		pr_info_ratelimited("%s: SA: P_Key %#06x is not in the port's table\n",
				    port->name, pkey);
		pkey = 0;
	}
	spin_unlock_irqrestore(&port->hca->lock, flags);
	return pkey;
}

static u16 sib_sa_member(struct sib_port *port, struct ib_sa_mad *m)
{
	const struct sib_hca *hca = port->hca;
	u8 *r = m->data;
	u16 pkey;

	/* Leaving is always granted. */
	if (m->mad_hdr.method != IB_SA_METHOD_DELETE) {
		pkey = sib_sa_pkey(port, m, IB_SA_MCMEMBER_REC_PKEY, MC_PKEY);
		/* A port that cannot carry the group's packets is not let in. */
		if (!pkey || hca->max_mtu < hca->group_mtu)
			return SIB_INVALID;
		put_unaligned_be16(pkey, r + MC_PKEY);
	}
	put_unaligned_be32(SIB_QKEY, r + MC_QKEY);
	put_unaligned_be16(be16_to_cpu(IB_MULTICAST_LID_BASE) | jhash(r, 16, 0) % 0x3ffe,
			   r + MC_MLID);
	r[MC_MTU] = IB_SA_EQ << 6 | hca->group_mtu;
	r[MC_TCLASS] = 0;
	r[MC_RATE] = IB_SA_EQ << 6 | SIB_RATE;
	r[MC_LIFETIME] = SIB_LIFETIME;
	memset(r + MC_SL_FLOW_HOP, 0, 4);
	r[MC_SCOPE_STATE] = (r[MC_SCOPE_STATE] & 0xf) | 0x20;	/* link-local */
	return 0;
}

static u16 sib_sa_path(struct sib_port *port, struct ib_sa_mad *m)
{
	const struct sib_hca *hca = port->hca;
	u8 *r = m->data;
	u16 pkey;

	pkey = sib_sa_pkey(port, m, IB_SA_PATH_REC_PKEY, PR_PKEY);
	if (!pkey)
		return SIB_INVALID;
	put_unaligned_be16(sib_guid_lid(get_unaligned_be64(r + PR_DGID + 8)), r + PR_DLID);
	put_unaligned_be16(be16_to_cpu(READ_ONCE(port->pi.lid)), r + PR_SLID);
	r[PR_REVERSIBLE] = 0x81;				/* and one path */
	put_unaligned_be16(pkey, r + PR_PKEY);
	put_unaligned_be16(SIB_SL, r + PR_SL);
	r[PR_MTU] = IB_SA_EQ << 6 | min(hca->max_mtu, hca->group_mtu);
	r[PR_RATE] = IB_SA_EQ << 6 | SIB_RATE;
	r[PR_LIFETIME] = SIB_LIFETIME;
	return 0;
}

/* Turns the request into its answer, in place. */
void sib_sa_answer(struct sib_port *port, struct ib_sa_mad *m)
{
	u16 status = IB_MGMT_MAD_STATUS_UNSUPPORTED_METHOD_ATTRIB;
	u16 attr = be16_to_cpu(m->mad_hdr.attr_id);
	u8 method = m->mad_hdr.method;

	switch (attr) {
	case 0x0001:						/* ClassPortInfo */
		if (method != IB_MGMT_METHOD_GET)
			break;
		memset(m->data, 0, IB_MGMT_SA_DATA);
		m->data[0] = IB_MGMT_BASE_VERSION;
		m->data[1] = IB_SA_CLASS_VERSION;
		status = 0;
		break;
	case IB_SA_ATTR_MC_MEMBER_REC:
		if (method == IB_MGMT_METHOD_SET || method == IB_MGMT_METHOD_GET ||
		    method == IB_SA_METHOD_DELETE)
			status = sib_sa_member(port, m);
		break;
	case IB_SA_ATTR_PATH_REC:
		if (method == IB_MGMT_METHOD_GET)
			status = sib_sa_path(port, m);
		break;
	}
	sib_dbg(port, "SA method %#x attribute %#x: status %#x\n", method, attr, status);
	m->mad_hdr.method |= IB_MGMT_METHOD_RESP;
	m->mad_hdr.status = cpu_to_be16(status);
}
