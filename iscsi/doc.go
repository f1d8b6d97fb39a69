// Package iscsi attaches an iSCSI disk: it logs in to a target in userspace,
// hands the connected socket to the kernel's iscsi_tcp, scans for logical units
// and waits for their disks.
//
//	t, err := iscsi.ParseRootPath("iscsi:10.77.0.1:::1:iqn.2026-01.org.example:root")
//	c, err := iscsi.Login(ctx, t, iscsi.Options{InitiatorName: name}, log)
//	s, err := c.HandOver(ctx, iscsi.Units{LUNs: []iscsi.LUN{t.LUN}}, log) // s.Disks[0].Name is "sda"
//
// The two halves are apart because [Login] needs no kernel module: it can run
// while the modules that [Connection.HandOver] needs are still being loaded.
// [LoginAny] tries several portals side by side. A [Session] is watched until
// this process ends: [Session.Lost] tells when its connection is gone, after
// which it is of no use. What an earlier process left in the kernel is listed by
// [KeptSessions].
//
// # How it is built
//
// One login state machine (login.go, negotiate.go) speaks PDUs (pdu.go,
// text.go) over a pduConn. The transport of the first login is a TCP socket
// (tcp.go) that never reads past the login response, so that whatever the
// target sends next is the kernel's. A re-login must go through the kernel
// (ISCSI_UEVENT_SEND_PDU) because only the kernel knows the session's CmdSN;
// that transport will be a second pduConn on top of netlink_linux.go.
//
// The kernel's side (abi_linux.go, netlink_linux.go, handover_linux.go) is the
// netlink family NETLINK_ISCSI of include/scsi/iscsi_if.h. It exists in the
// first network namespace only and wants CAP_SYS_ADMIN. scan_linux.go asks the
// SCSI layer for logical units, units.go chooses among them, and uevents are
// followed until the disks are there.
//
// # What is not here yet
//
// CHAP has its place between stageSecurity and stageOperational in login.go;
// until then credentials are refused with [ErrCHAP] instead of being ignored.
// Discovery is a login with SessionType=Discovery and a text exchange after
// it.
package iscsi
