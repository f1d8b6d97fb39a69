// SPDX-License-Identifier: GPL-2.0
/*
 * A port: PortInfo (IBA 14.2.5.6) is the only copy of its state, the P_Key
 * table is beside it, both under sib_hca.lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "softib.h"

/* In this order the core's caches are right when clients hear of the state. */
static const enum ib_event_type sib_event_order[] = {
	IB_EVENT_PORT_ERR, IB_EVENT_GID_CHANGE, IB_EVENT_PKEY_CHANGE, IB_EVENT_LID_CHANGE,
	IB_EVENT_SM_CHANGE, IB_EVENT_PORT_ACTIVE, IB_EVENT_CLIENT_REREGISTER,
};

/* events is a set of BIT(IB_EVENT_...).  Not under a lock. */
void sib_dispatch(struct sib_port *port, u32 events)
{
	struct ib_event e = { .device = &port->hca->ibdev, .element.port_num = port->num };
	int i;

	if (events & BIT(IB_EVENT_PKEY_CHANGE))
		pr_info("%s: the P_Key table has changed, its first entries are %#06x %#06x\n",
			port->name, READ_ONCE(port->pkeys[0]), READ_ONCE(port->pkeys[1]));
	for (i = 0; i < ARRAY_SIZE(sib_event_order); i++) {
		if (!(events & BIT(sib_event_order[i])))
			continue;
		e.event = sib_event_order[i];
		ib_dispatch_event(&e);
	}
}

static void sib_set_state(struct ib_port_info *pi, u8 state, u8 phys)
{
	pi->linkspeed_portstate = (pi->linkspeed_portstate & 0xf0) | state;
	pi->portphysstate_linkdown = (pi->portphysstate_linkdown & 0xf) | phys << 4;
}

static u8 sib_link_phys(enum sib_link link)
{
	switch (link) {
	case SIB_LINK_UP:
		return IB_PORT_PHYS_STATE_LINK_UP;
	case SIB_LINK_NO_CARRIER:
		return IB_PORT_PHYS_STATE_POLLING;
	case SIB_LINK_DISABLED:
		break;
	}
	return IB_PORT_PHYS_STATE_DISABLED;
}

static u8 sib_link_state(const struct sib_hca *hca, enum sib_link link)
{
	if (link != SIB_LINK_UP)
		return IB_PORT_DOWN;
	return hca->sa ? IB_PORT_ACTIVE : IB_PORT_INIT;
}

/* Before the HCA is registered. */
void sib_port_init(struct sib_port *port, enum sib_link link)
{
	struct sib_hca *hca = port->hca;
	struct ib_port_info *pi = &port->pi;

	pi->gid_prefix = cpu_to_be64(0xfe80000000000000ull);
	pi->local_port_num = port->num;
	pi->link_width_enabled = pi->link_width_supported = 3;	/* 1x, 4x */
	pi->link_width_active = IB_WIDTH_4X;
	pi->linkspeed_portstate = IB_SPEED_SDR << 4;
	pi->portphysstate_linkdown = IB_PORT_PHYS_STATE_POLLING;	/* when down */
	pi->linkspeedactive_enabled = IB_SPEED_SDR << 4 | IB_SPEED_SDR;
	pi->neighbormtu_mastersmsl = hca->max_mtu << 4;
	pi->vlcap_inittype = 1 << 4;				/* VL0 */
	pi->inittypereply_mtucap = hca->max_mtu;
	pi->operationalvl_pei_peo_fpi_fpo = 1 << 4;
	pi->guid_cap = 1;
	pi->resv_resptimevalue = 16;
	pi->cap_mask = cpu_to_be32(IB_PORT_CLIENT_REG_SUP);
	if (hca->sa)
		pi->lid = pi->sm_lid = cpu_to_be16(sib_guid_lid(port->guid));
	sib_set_state(pi, sib_link_state(hca, link), sib_link_phys(link));
}

/* The cable got or lost its carrier. */
void sib_port_link(struct sib_port *port, enum sib_link link)
{
	struct sib_hca *hca = port->hca;
	u8 phys = sib_link_phys(link), state = sib_link_state(hca, link), was;
	struct ib_port_info *pi = &port->pi;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	was = sib_state(pi);
	/* From down to up it starts over; while it is up the manager decides. */
	if (pi->portphysstate_linkdown >> 4 == phys)
		state = was;
	sib_set_state(pi, state, phys);
	spin_unlock_irqrestore(&hca->lock, flags);

	if (state == was)
		return;
	pr_info("%s: port state %u -> %u, the cable is %s\n", port->name, was, state,
		link == SIB_LINK_UP ? "up" :
		link == SIB_LINK_NO_CARRIER ? "without carrier" : "down");
	if (state == IB_PORT_DOWN)
		sib_dispatch(port, BIT(IB_EVENT_PORT_ERR));
	else if (state == IB_PORT_ACTIVE)
		sib_dispatch(port, BIT(IB_EVENT_PORT_ACTIVE));
}

/*
 * Set(PortInfo) by a subnet manager, under sib_hca.lock.  Returns the events to
 * dispatch after it; *status is not 0 if the state asked for is not allowed.
 */
u32 sib_port_set(struct sib_port *port, const struct ib_port_info *want, u16 *status)
{
	struct ib_port_info *pi = &port->pi, old = *pi;
	u8 state = sib_state(want), was = sib_state(pi);
	u32 events = 0;

	pi->mkey = want->mkey;
	pi->gid_prefix = want->gid_prefix;
	pi->lid = want->lid;
	pi->sm_lid = want->sm_lid;
	pi->mkey_lease_period = want->mkey_lease_period;
	pi->neighbormtu_mastersmsl = want->neighbormtu_mastersmsl;
	pi->vl_high_limit = want->vl_high_limit;
	pi->operationalvl_pei_peo_fpi_fpo = want->operationalvl_pei_peo_fpi_fpo;
	pi->clientrereg_resv_subnetto = want->clientrereg_resv_subnetto & 0x1f;

	/* A manager that takes the link down sees it train again at once. */
	if (state == IB_PORT_DOWN || want->portphysstate_linkdown >> 4 == IB_PORT_PHYS_STATE_POLLING)
		state = IB_PORT_INIT;
	if (was == IB_PORT_DOWN)
		state = was;				/* without a cable: no way up */
	else if (state == IB_PORT_NOP)
		state = was;
	/* ARMED comes after INIT, ACTIVE after ARMED. */
	if ((state == IB_PORT_ARMED && was == IB_PORT_ACTIVE) || state > IB_PORT_ACTIVE ||
	    (state == IB_PORT_ACTIVE && was == IB_PORT_INIT)) {
		*status = IB_MGMT_MAD_STATUS_INVALID_ATTRIB_VALUE;
		state = was;
	}
	pi->linkspeed_portstate = (pi->linkspeed_portstate & 0xf0) | state;

	if (state != was || old.lid != pi->lid || old.sm_lid != pi->sm_lid)
		pr_info("%s: port state %u -> %u, LID %#x, SM LID %#x\n", port->name, was, state,
			sib_lid(port), be16_to_cpu(pi->sm_lid));
	if (old.gid_prefix != pi->gid_prefix)
		events |= BIT(IB_EVENT_GID_CHANGE);
	if (old.lid != pi->lid)
		events |= BIT(IB_EVENT_LID_CHANGE);
	if (old.sm_lid != pi->sm_lid)
		events |= BIT(IB_EVENT_SM_CHANGE);
	if (state == IB_PORT_ACTIVE && was != IB_PORT_ACTIVE)
		events |= BIT(IB_EVENT_PORT_ACTIVE);
	if (state != IB_PORT_ACTIVE && was == IB_PORT_ACTIVE)
		events |= BIT(IB_EVENT_PORT_ERR);
	if (want->clientrereg_resv_subnetto & 0x80)
		events |= BIT(IB_EVENT_CLIENT_REREGISTER);
	return events;
}

/*
 * The port becomes what the parameters say now, and reports that, and events.  Of
 * the P_Key table only with sa=1: else it is the subnet manager's.
 */
void sib_port_follow(struct sib_port *port, u32 events)
{
	struct sib_hca *hca = port->hca;
	u16 pkeys[SIB_PKEYS];
	unsigned long flags;
	u64 guid;

	sib_read_wanted(port, pkeys, &guid);
	spin_lock_irqsave(&hca->lock, flags);
	if (hca->sa && memcmp(port->pkeys, pkeys, sizeof(pkeys))) {
		memcpy(port->pkeys, pkeys, sizeof(pkeys));
		events |= BIT(IB_EVENT_PKEY_CHANGE);
	}
	if (port->guid != guid) {
		port->guid = guid;
		events |= BIT(IB_EVENT_GID_CHANGE);
		/* Everybody calculates the LID from it. */
		if (hca->sa) {
			port->pi.lid = port->pi.sm_lid = cpu_to_be16(sib_guid_lid(guid));
			events |= BIT(IB_EVENT_LID_CHANGE);
		}
	}
	spin_unlock_irqrestore(&hca->lock, flags);
	if (events & BIT(IB_EVENT_GID_CHANGE))
		pr_info("%s: the port GUID is %016llx now\n", port->name, guid);
	sib_dispatch(port, events);
}

/* Where a key that matches pkey is, or -ENOENT.  Under sib_hca.lock. */
int sib_pkey_find(const struct sib_port *port, u16 pkey)
{
	int i;

	for (i = 0; i < SIB_PKEYS; i++)
		if (sib_pkey_match(port->pkeys[i], pkey))
			return i;
	return -ENOENT;
}

int sib_query_device(struct ib_device *ibdev, struct ib_device_attr *a, struct ib_udata *udata)
{
	memset(a, 0, sizeof(*a));
	a->fw_ver = 1;
	a->sys_image_guid = ibdev->node_guid;
	a->max_mr_size = ~0ull;
	a->page_size_cap = PAGE_SIZE;
	a->max_qp = 1024;
	a->max_qp_wr = 16384;
	a->max_send_sge = SIB_MAX_SEND_SGE;
	a->max_recv_sge = SIB_MAX_RECV_SGE;
	a->max_sge_rd = 1;
	a->max_cq = 1024;
	a->max_cqe = 65535;
	a->max_pd = 1024;
	a->max_ah = 65535;
	a->max_pkeys = SIB_PKEYS;
	a->max_mcast_grp = 1024;
	a->max_mcast_qp_attach = 64;
	a->max_total_mcast_qp_attach = 65535;
	a->kernel_cap_flags = IBK_LOCAL_DMA_LKEY;
	if (sib_rc_enabled())
		sib_mr_attrs(a);
	return 0;
}

int sib_query_port(struct ib_device *ibdev, u32 num, struct ib_port_attr *a)
{
	struct sib_port *port = to_port(ibdev, num);
	struct sib_hca *hca = port->hca;
	struct ib_port_info pi;
	unsigned long flags;

	spin_lock_irqsave(&hca->lock, flags);
	pi = port->pi;
	spin_unlock_irqrestore(&hca->lock, flags);

	a->state = sib_state(&pi);
	a->phys_state = pi.portphysstate_linkdown >> 4;
	a->max_mtu = hca->max_mtu;
	a->active_mtu = pi.neighbormtu_mastersmsl >> 4;
	a->gid_tbl_len = 1;
	a->pkey_tbl_len = SIB_PKEYS;
	a->port_cap_flags = be32_to_cpu(pi.cap_mask);
	a->max_msg_sz = ib_mtu_enum_to_int(hca->max_mtu);
	a->bad_pkey_cntr = be16_to_cpu(pi.pkey_violations);
	a->qkey_viol_cntr = be16_to_cpu(pi.qkey_violations);
	a->lid = be16_to_cpu(pi.lid);
	a->sm_lid = be16_to_cpu(pi.sm_lid);
	a->sm_sl = pi.neighbormtu_mastersmsl & 0xf;
	a->subnet_timeout = pi.clientrereg_resv_subnetto & 0x1f;
	a->max_vl_num = 1;
	a->active_width = IB_WIDTH_4X;
	a->active_speed = IB_SPEED_SDR;
	return 0;
}

int sib_modify_port(struct ib_device *ibdev, u32 num, int mask, struct ib_port_modify *pm)
{
	struct sib_port *port = to_port(ibdev, num);
	struct sib_hca *hca = port->hca;
	unsigned long flags;
	u32 cap;

	spin_lock_irqsave(&hca->lock, flags);
	cap = be32_to_cpu(port->pi.cap_mask);
	cap = (cap | pm->set_port_cap_mask) & ~pm->clr_port_cap_mask;
	port->pi.cap_mask = cpu_to_be32(cap);
	if (mask & IB_PORT_RESET_QKEY_CNTR)
		port->pi.qkey_violations = 0;
	spin_unlock_irqrestore(&hca->lock, flags);
	return 0;
}

int sib_port_immutable(struct ib_device *ibdev, u32 num, struct ib_port_immutable *im)
{
	im->core_cap_flags = RDMA_CORE_PORT_IBA_IB;
	im->gid_tbl_len = 1;
	im->pkey_tbl_len = SIB_PKEYS;
	im->max_mad_size = IB_MGMT_MAD_SIZE;
	return 0;
}

enum rdma_link_layer sib_link_layer(struct ib_device *ibdev, u32 num)
{
	return IB_LINK_LAYER_INFINIBAND;
}

int sib_query_gid(struct ib_device *ibdev, u32 num, int i, union ib_gid *gid)
{
	struct sib_port *port = to_port(ibdev, num);
	struct sib_hca *hca = port->hca;
	unsigned long flags;

	if (i)
		return -EINVAL;
	spin_lock_irqsave(&hca->lock, flags);
	gid->global.subnet_prefix = port->pi.gid_prefix;
	gid->global.interface_id = cpu_to_be64(port->guid);
	spin_unlock_irqrestore(&hca->lock, flags);
	return 0;
}

int sib_query_pkey(struct ib_device *ibdev, u32 num, u16 i, u16 *pkey)
{
	struct sib_port *port = to_port(ibdev, num);
	struct sib_hca *hca = port->hca;
	unsigned long flags;

	if (i >= SIB_PKEYS)
		return -EINVAL;
	spin_lock_irqsave(&hca->lock, flags);
	*pkey = port->pkeys[i];
	spin_unlock_irqrestore(&hca->lock, flags);
	return 0;
}
