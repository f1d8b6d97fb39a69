/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SOFTIB_H
#define SOFTIB_H

#include <asm/unaligned.h>
#include <linux/interrupt.h>
#include <linux/netdevice.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_smi.h>
#include <rdma/ib_verbs.h>

#define SIB_ETHERTYPE	0x88b5		/* IEEE 802, local experimental 1 */
#define SIB_CABLE_MTU	4200		/* the largest IB packet, and room */
#define SIB_RATE	IB_RATE_10_GBPS
#define SIB_PKEYS	32		/* one block of the P_KeyTable attribute */
#define SIB_TXQ_MAX	4096		/* packets; more are lost, as on a full wire */
#define SIB_MAX_CABLES	4		/* in a machine, a port each */
#define SIB_MAX_RECV_SGE 4
#define SIB_MAX_SEND_SGE 32

/*
 * Mutexes, outermost first: rtnl (the cables), sib_params_lock of params.c (what
 * may be written).  Spinlocks: sib_hca.lock, sib_qp.lock, sib_cq.lock, and those
 * of the queues of packets, under which nothing is taken.  Nothing takes those of
 * two HCAs: they meet on the wire only.  The spinlocks are taken with interrupts
 * off everywhere: ib_mad posts sends with interrupts off, packets come in softirq,
 * the rest is process context.  No event is dispatched and nothing is allocated
 * for the core under any of them; no mutex is taken under a spinlock.
 */
struct sib_port {
	struct sib_hca		*hca;		/* fixed */
	u32			num;		/* from 1, fixed */
	int			index;		/* of the cable in netdev=, fixed */
	char			name[16];	/* softib0, or softib0:2 of several; fixed */
	char			cable[IFNAMSIZ]; /* what it was called when the HCA was made */
	u64			own_guid;	/* unless portguid= has another, fixed */
	struct net_device __rcu	*ndev;		/* the cable; NULL: it is gone */
	unsigned int		headroom;	/* for its link layer header */
	struct packet_type	pt;
	struct sk_buff_head	txq;		/* packets waiting for the tasklet */
	struct tasklet_struct	tx;

	/* Under sib_hca.lock. */
	struct ib_port_info	pi;		/* what the SMA answers */
	u64			guid;
	u16			pkeys[SIB_PKEYS];
};

struct sib_hca {
	struct ib_device	ibdev;
	char			name[12];	/* softib0: of the first cables, fixed */
	int			index;		/* of the HCA, fixed */
	u64			guid;		/* of the node, fixed */
	bool			sa;		/* built-in SM and SA, fixed */
	enum ib_mtu		max_mtu;	/* of the ports, fixed */
	enum ib_mtu		group_mtu;	/* what our SA says of groups, fixed */
	int			nports;		/* fixed */
	struct sib_port		ports[SIB_MAX_CABLES];

	spinlock_t		lock;		/* all that follows, and the ports' state */
	struct list_head	qps;
	u32			next_qpn;
};

#define sib_for_each_port(port, hca) \
	for ((port) = (hca)->ports; (port) < (hca)->ports + (hca)->nports; (port)++)

struct sib_ah {
	struct ib_ah		ibah;
	struct rdma_ah_attr	attr;
};

struct sib_pd {
	struct ib_pd		ibpd;
};

struct sib_cq {
	struct ib_cq		ibcq;
	struct tasklet_struct	notify;
	spinlock_t		lock;		/* all that follows */
	struct ib_wc		*wc;		/* size entries, a power of two */
	u32			head, tail, size;
	bool			armed;
};

struct sib_rwqe {
	u64			wr_id;
	int			nsge;
	struct ib_sge		sge[SIB_MAX_RECV_SGE];
};

struct sib_mcast {
	struct list_head	list;
	union ib_gid		mgid;
};

struct sib_rc;

struct sib_qp {
	struct ib_qp		ibqp;
	struct sib_rc		*rc;		/* of a reliable connection; fixed */
	struct list_head	list;		/* sib_hca.lock */
	struct list_head	mcast;		/* sib_hca.lock */
	u32			qpn;		/* fixed */
	bool			sig_all;	/* fixed */
	struct ib_qp_cap	cap;		/* fixed */

	spinlock_t		lock;		/* all that follows */
	struct sib_port		*port;
	enum ib_qp_state	state;
	u32			qkey, psn;
	u16			pkey_index;
	struct sib_rwqe		*rq;		/* size entries, a power of two */
	u32			head, tail, size;
};

static inline struct sib_hca *to_hca(struct ib_device *ibdev)
{
	return container_of(ibdev, struct sib_hca, ibdev);
}

/* num is from 1, and valid. */
static inline struct sib_port *to_port(struct ib_device *ibdev, u32 num)
{
	return &to_hca(ibdev)->ports[num - 1];
}

static inline struct sib_qp *to_qp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct sib_qp, ibqp);
}

static inline struct sib_cq *to_cq(struct ib_cq *ibcq)
{
	return container_of(ibcq, struct sib_cq, ibcq);
}

static inline struct sib_ah *to_ah(struct ib_ah *ibah)
{
	return container_of(ibah, struct sib_ah, ibah);
}

static inline bool sib_is_mlid(u16 lid)
{
	return lid >= be16_to_cpu(IB_MULTICAST_LID_BASE) &&
	       lid != be16_to_cpu(IB_LID_PERMISSIVE);
}

/*
 * Under sa=1 nobody hands out LIDs: every node knows every other's by its GUID.
 * 14 bits stay below the multicast LIDs, and 0 is not a LID.
 */
static inline u16 sib_guid_lid(u64 guid)
{
	return (guid & 0x3fff) ?: 1;
}

/*
 * IBA 10.9: the low 15 bits are the key and may not be 0, bit 15 says full
 * member, and two limited members do not hear each other.
 */
static inline bool sib_pkey_match(u16 a, u16 b)
{
	return (a & 0x7fff) && !((a ^ b) & 0x7fff) && ((a | b) & 0x8000);
}

/* params.c */
extern char *sib_netdev[SIB_MAX_CABLES];
extern int sib_nnetdev;
extern unsigned int sib_nports;
extern bool sib_debug;
/* who is an HCA or a port. */
#define sib_dbg(who, fmt, ...) \
	do { if (sib_debug) pr_info("%s: " fmt, (who)->name, ##__VA_ARGS__); } while (0)
int sib_check_params(void);
int sib_param_set(const char *name, const char *value);
void sib_read_fixed(struct sib_hca *hca);
u64 sib_own_guid(int index, const u8 *mac);
void sib_read_wanted(const struct sib_port *port, u16 *pkeys, u64 *guid);
bool sib_is_gone(int hca);
bool sib_refuses_connected(void);
u32 sib_take_events(void);
void sib_set_running(bool on);

/* order.c */
void sib_order_init(void);
void sib_order_exit(void);

/* main.c */
struct sib_hca *sib_hca_alloc(int index, struct net_device *const *ndevs, int n);
int sib_hca_register(struct sib_hca *hca);
void sib_hca_unregister(struct sib_hca *hca);
void sib_hca_free(struct sib_hca *hca);

/* cable.c */
int sib_cable_init(char **netdev, int n);
void sib_cable_exit(void);
void sib_cable_sync(void);

/* port.c */
enum sib_link { SIB_LINK_UP, SIB_LINK_NO_CARRIER, SIB_LINK_DISABLED };
void sib_port_init(struct sib_port *port, enum sib_link link);
void sib_port_link(struct sib_port *port, enum sib_link link);
u32 sib_port_set(struct sib_port *port, const struct ib_port_info *want, u16 *status);
void sib_port_follow(struct sib_port *port, u32 events);
int sib_pkey_find(const struct sib_port *port, u16 pkey);
void sib_dispatch(struct sib_port *port, u32 events);
int sib_query_device(struct ib_device *ibdev, struct ib_device_attr *a, struct ib_udata *udata);
int sib_query_port(struct ib_device *ibdev, u32 num, struct ib_port_attr *a);
int sib_modify_port(struct ib_device *ibdev, u32 num, int mask, struct ib_port_modify *pm);
int sib_port_immutable(struct ib_device *ibdev, u32 num, struct ib_port_immutable *im);
enum rdma_link_layer sib_link_layer(struct ib_device *ibdev, u32 num);
int sib_query_gid(struct ib_device *ibdev, u32 num, int i, union ib_gid *gid);
int sib_query_pkey(struct ib_device *ibdev, u32 num, u16 i, u16 *pkey);

static inline u16 sib_lid(const struct sib_port *port)
{
	return be16_to_cpu(port->pi.lid);
}

static inline u8 sib_state(const struct ib_port_info *pi)
{
	return pi->linkspeed_portstate & 0xf;
}

/* sma.c */
int sib_process_mad(struct ib_device *ibdev, int flags, u32 num, const struct ib_wc *wc,
		    const struct ib_grh *grh, const struct ib_mad *in, struct ib_mad *out,
		    size_t *out_size, u16 *out_pkey);

/* sa.c */
struct ib_sa_mad;
bool sib_sa_request(const void *mad, u32 len);
void sib_sa_answer(struct sib_port *port, struct ib_sa_mad *m);

/* packet.c */
int sib_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr, const struct ib_send_wr **bad);
int sib_wire_rx(struct sk_buff *skb, struct net_device *ndev, struct packet_type *pt,
		struct net_device *orig);
void sib_tx_tasklet(struct tasklet_struct *t);

/* verbs.c */
extern const struct ib_device_ops sib_ops;
void sib_complete(struct ib_cq *ibcq, const struct ib_wc *wc);
bool sib_pop_rwqe(struct sib_qp *qp, struct sib_rwqe *w);
void sib_flush_rq(struct sib_qp *qp);

/* mr.c */
void sib_mr_attrs(struct ib_device_attr *a);
struct ib_mr *sib_alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 max_pages);
int sib_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata);
int sib_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int n, unsigned int *offset);
void sib_mr_reg(struct ib_mr *ibmr, u32 key, int access);
bool sib_mr_invalidate(struct ib_pd *pd, u32 key);
bool sib_mr_copy(struct ib_pd *pd, u32 key, u64 va, u8 *buf, u32 len, int access);

/* rc.c */
bool sib_rc_enabled(void);

/* rcverbs.c */
int sib_rc_create(struct sib_qp *qp);
void sib_rc_destroy(struct sib_qp *qp);
void sib_rc_modify(struct sib_hca *hca, struct sib_qp *qp, const struct ib_qp_attr *a, int mask);
int sib_rc_post_send(struct sib_hca *hca, struct sib_qp *qp, const struct ib_send_wr *wr,
		     const struct ib_send_wr **bad);

/* rcrx.c */
bool sib_rc_rx(struct sib_port *port, const u8 *p, u32 len);

#endif
