/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SOFTIB_RC_H
#define SOFTIB_RC_H

#include <linux/timer.h>
#include <rdma/ib_pack.h>

#include "softib.h"

/*
 * What a requester may have on the wire, in packets.  The queues of taps and
 * NICs hold some hundreds, and what does not fit is lost and sent again.
 */
#define SIB_RC_WINDOW	64
#define SIB_RC_READ	32			/* of them, answers to one request */
#define SIB_RC_ACK	16			/* at least so often one is asked for */
/* Extended headers, IBA 9.3 and 9.4. */
#define SIB_RETH	16
#define SIB_AETH	4
#define SIB_IETH	4

#define SIB_RC_RTO	(HZ / 2)
#define SIB_RC_RETRIES	20			/* without progress: 10 s */

/* A send queue entry. */
struct sib_swqe {
	u64			wr_id;
	enum ib_wr_opcode	opcode;
	bool			signaled;
	bool			done;		/* a local one was carried out */
	u32			psn, npsn;	/* npsn 0: local, nothing is sent */
	u32			len;
	u64			va;		/* remote */
	u32			key;		/* remote, or the one to invalidate or to register */
	struct ib_mr		*mr;		/* REG_MR */
	int			access;
	int			nsge;
	struct ib_sge		sge[SIB_MAX_SEND_SGE];
};

/* The connection of an RC queue pair.  Under sib_hca.lock and sib_qp.lock. */
struct sib_rc {
	struct sib_qp		*qp;		/* fixed */
	struct timer_list	timer;
	u16			dlid;
	u8			sl;
	u32			dqpn, mtu;

	/* Requester: tail <= cur <= head, una <= nxt. */
	struct sib_swqe		*sq;		/* size entries, a power of two */
	u32			head, tail, size;
	u32			cur, off;	/* what is sent next */
	u32			una, nxt;	/* PSNs: not acknowledged, sent next */
	u32			back;		/* una when it last began again */
	u32			retries;

	/* Responder. */
	u32			epsn;		/* expected */
	bool			nak;		/* told that a packet is missing */
	bool			receiving;	/* rwqe is in use: a SEND has begun */
	struct sib_rwqe		rwqe;
	u32			roff;
	u32			wkey, wleft;	/* the RDMA WRITE that has begun */
	u64			wva;
};

/* PSNs have 24 bits. */
static inline s32 sib_psn_cmp(u32 a, u32 b)
{
	return (s32)((a - b) << 8) >> 8;
}

static inline u32 sib_psns(const struct sib_rc *rc, u32 len)
{
	return len ? DIV_ROUND_UP(len, rc->mtu) : 1;
}

/* rc.c */
void sib_rc_error(struct sib_hca *hca, struct sib_qp *qp, enum ib_wc_status status);
void sib_rc_send(struct sib_hca *hca, struct sib_qp *qp);
void sib_rc_timer(struct timer_list *t);
void sib_rc_back(struct sib_hca *hca, struct sib_qp *qp);
void sib_rc_reap(struct sib_qp *qp);
u8 *sib_rc_packet(struct sib_qp *qp, u8 opcode, u32 psn, bool ack, u32 ext, u32 len,
		  struct sk_buff **skb);
void sib_rc_queue(struct sib_port *port, struct sk_buff *skb);
u32 sib_sge_copy(const struct ib_sge *sge, int n, u32 off, u8 *buf, u32 len, bool in);

#endif
