// SPDX-License-Identifier: GPL-2.0
/*
 * The subnet management agent (IBA 14.2.5): answers Get and Set of a subnet
 * manager, which is opensm over ib_umad on this node or its neighbour.  The
 * M_Key is stored and not checked.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "softib.h"

#define SIB_DEVICE_ID	0x5049

static void sib_node_info(const struct sib_port *port, u8 *p)
{
	const struct sib_hca *hca = port->hca;

	memset(p, 0, IB_SMP_DATA_SIZE);
	p[0] = 1;				/* base and class version */
	p[1] = 1;
	p[2] = RDMA_NODE_IB_CA;
	p[3] = hca->nports;
	put_unaligned_be64(hca->guid, p + 4);	/* system image */
	put_unaligned_be64(hca->guid, p + 12);	/* node */
	put_unaligned_be64(port->guid, p + 20);	/* port */
	put_unaligned_be16(SIB_PKEYS, p + 28);
	put_unaligned_be16(SIB_DEVICE_ID, p + 30);
	put_unaligned_be32(1, p + 32);		/* revision */
	p[36] = port->num;			/* local port */
}

/* Under sib_hca.lock.  Returns the events to dispatch after it. */
static u32 sib_pkey_table(struct sib_port *port, const u8 *set, u8 *p)
{
	bool changed = false;
	u16 pkey;
	int i;

	for (i = 0; i < SIB_PKEYS; i++) {
		if (set) {
			pkey = get_unaligned_be16(set + 2 * i);
			changed |= port->pkeys[i] != pkey;
			port->pkeys[i] = pkey;
		}
		put_unaligned_be16(port->pkeys[i], p + 2 * i);
	}
	return changed ? BIT(IB_EVENT_PKEY_CHANGE) : 0;
}

int sib_process_mad(struct ib_device *ibdev, int flags, u32 num, const struct ib_wc *wc,
		    const struct ib_grh *grh, const struct ib_mad *in, struct ib_mad *out,
		    size_t *out_size, u16 *out_pkey)
{
	struct sib_port *port = to_port(ibdev, num);
	struct sib_hca *hca = port->hca;
	const struct ib_smp *is = (const void *)in;
	struct ib_smp *os = (void *)out;
	bool set = is->method == IB_MGMT_METHOD_SET;
	u32 mod = be32_to_cpu(is->attr_mod), events = 0;
	unsigned long irq;
	u16 status = 0;
	u8 *p = os->data;

	if (is->mgmt_class != IB_MGMT_CLASS_SUBN_LID_ROUTED &&
	    is->mgmt_class != IB_MGMT_CLASS_SUBN_DIRECTED_ROUTE)
		return IB_MAD_RESULT_SUCCESS;
	if (is->method == IB_MGMT_METHOD_TRAP_REPRESS)
		return IB_MAD_RESULT_SUCCESS | IB_MAD_RESULT_CONSUMED;
	/* Answers and traps are for agents: a subnet manager, ibstat's friends. */
	if (!set && is->method != IB_MGMT_METHOD_GET)
		return IB_MAD_RESULT_SUCCESS;
	if (is->attr_id == IB_SMP_ATTR_SM_INFO)
		return IB_MAD_RESULT_SUCCESS;

	sib_dbg(port, "SMP %s attribute %#x modifier %#x\n", set ? "Set" : "Get",
		be16_to_cpu(is->attr_id), mod);
	*out = *in;
	spin_lock_irqsave(&hca->lock, irq);
	switch (is->attr_id) {
	case IB_SMP_ATTR_NODE_DESC:
		memset(p, 0, IB_SMP_DATA_SIZE);
		memcpy(p, ibdev->node_desc, IB_DEVICE_NODE_DESC_MAX);
		break;
	case IB_SMP_ATTR_NODE_INFO:
		sib_node_info(port, p);
		break;
	case IB_SMP_ATTR_PORT_INFO:
		/* The port; 0 is the one it came in by. */
		if (mod > hca->nports) {
			status = IB_MGMT_MAD_STATUS_INVALID_ATTRIB_VALUE;
			break;
		}
		if (mod)
			port = &hca->ports[mod - 1];
		if (set)
			events = sib_port_set(port, (const void *)is->data, &status);
		memcpy(p, &port->pi, sizeof(port->pi));
		break;
	case IB_SMP_ATTR_GUID_INFO:
		memset(p, 0, IB_SMP_DATA_SIZE);
		if (!mod)
			put_unaligned_be64(port->guid, p);
		break;
	case IB_SMP_ATTR_PKEY_TABLE:
		if (mod & 0xffff)			/* the block, and there is one */
			status = IB_MGMT_MAD_STATUS_INVALID_ATTRIB_VALUE;
		else
			events = sib_pkey_table(port, set ? is->data : NULL, p);
		break;
	case IB_SMP_ATTR_SL_TO_VL_TABLE:
	case IB_SMP_ATTR_VL_ARB_TABLE:			/* one VL: nothing to arbitrate */
		if (!set)
			memset(p, 0, IB_SMP_DATA_SIZE);
		break;
	default:
		status = IB_MGMT_MAD_STATUS_UNSUPPORTED_METHOD_ATTRIB;
	}
	spin_unlock_irqrestore(&hca->lock, irq);

	os->status |= cpu_to_be16(status);
	os->method = IB_MGMT_METHOD_GET_RESP;
	if (is->mgmt_class == IB_MGMT_CLASS_SUBN_DIRECTED_ROUTE)
		os->status |= IB_SMP_DIRECTION;
	sib_dispatch(port, events);
	return IB_MAD_RESULT_SUCCESS | IB_MAD_RESULT_REPLY;
}
