package iscsi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"structs"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Messages of NETLINK_ISCSI, enum iscsi_uevent_e of include/scsi/iscsi_if.h.
// Those from 100 on come from the kernel.
type eventType uint32

const (
	eventCreateSession  eventType = 11
	eventDestroySession eventType = 12
	eventCreateConn     eventType = 13
	eventDestroyConn    eventType = 14
	eventBindConn       eventType = 15
	eventSetParam       eventType = 16
	eventStartConn      eventType = 17
	eventStopConn       eventType = 18

	eventConnError eventType = 102
	eventIfError   eventType = 103
)

func (t eventType) String() string {
	switch t {
	case eventCreateSession:
		return "create session"
	case eventDestroySession:
		return "destroy session"
	case eventCreateConn:
		return "create connection"
	case eventDestroyConn:
		return "destroy connection"
	case eventBindConn:
		return "bind connection"
	case eventSetParam:
		return "set parameter"
	case eventStartConn:
		return "start connection"
	case eventStopConn:
		return "stop connection"
	case eventConnError:
		return "connection error"
	case eventIfError:
		return "interface error"
	default:
		return "event " + strconv.FormatUint(uint64(t), 10)
	}
}

// iscsiUevent is struct iscsi_uevent: one header for all messages, u for what
// userspace says, r for what the kernel replies. The layout is that of 64-bit
// machines.
type iscsiUevent struct {
	_               structs.HostLayout
	Type            uint32
	Iferror         uint32 // negative errno of eventIfError
	TransportHandle uint64
	U               [24]byte
	R               [16]byte
}

const (
	nlHeaderSize = unix.SizeofNlMsghdr
	ueventSize   = 56
	uOffset      = 16
	rOffset      = 40

	stopTerminate = 1 // STOP_CONN_TERM
)

// The compiler refuses these lines when the layout is another.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(iscsiUevent{})-ueventSize]
	_ = [1]struct{}{}[unsafe.Offsetof(iscsiUevent{}.U)-uOffset]
	_ = [1]struct{}{}[unsafe.Offsetof(iscsiUevent{}.R)-rOffset]
)

// enum iscsi_param of include/scsi/iscsi_if.h.
type param uint32

const (
	paramMaxRecv           param = 0
	paramMaxXmit           param = 1
	paramHeaderDigest      param = 2
	paramDataDigest        param = 3
	paramInitialR2T        param = 4
	paramMaxR2T            param = 5
	paramImmediateData     param = 6
	paramFirstBurst        param = 7
	paramMaxBurst          param = 8
	paramPDUInOrder        param = 9
	paramSequenceInOrder   param = 10
	paramERL               param = 11
	paramIFMarker          param = 12
	paramOFMarker          param = 13
	paramExpStatSN         param = 14
	paramTargetName        param = 15
	paramTPGT              param = 16
	paramPersistentAddress param = 17
	paramPersistentPort    param = 18
	paramRecoveryTimeout   param = 19
	paramFastAbort         param = 26
	paramAbortTimeout      param = 27
	paramLUResetTimeout    param = 28
	paramPingTimeout       param = 30 // how long a NOP-Out waits for its NOP-In
	paramRecvTimeout       param = 31 // how long silence lasts before a NOP-Out
	paramIfaceName         param = 32
	paramInitiatorName     param = 34
	paramTargetResetTmo    param = 35
	paramDiscoverySession  param = 43
)

// A paramValue is one SET_PARAM.
type paramValue struct {
	param param
	value string
}

// sessionParams is everything the kernel is told about a session, in order.
// Names, persistent portal and interface are there for iscsid too, which
// rebuilds its own record of the session from sysfs.
func sessionParams(c *Connection) []paramValue {
	n, o := c.agreed, c.options
	iface := c.Target.Iface
	if iface == "" {
		iface = "default"
	}
	number := func(v uint32) string { return strconv.FormatUint(uint64(v), 10) }
	seconds := func(d time.Duration) string {
		return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
	}
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	return []paramValue{
		{paramTargetName, c.Target.Name},
		{paramPersistentAddress, c.lasting.Addr().String()},
		{paramPersistentPort, number(uint32(c.lasting.Port()))},
		{paramRecoveryTimeout, seconds(o.RecoveryTimeout)},
		{paramFastAbort, "1"},
		{paramAbortTimeout, "15"},
		{paramLUResetTimeout, "30"},
		{paramTargetResetTmo, "30"},
		{paramPingTimeout, seconds(o.PingTimeout)},
		{paramRecvTimeout, seconds(o.PingInterval)},
		{paramIfaceName, iface},
		{paramInitiatorName, o.InitiatorName},
		{paramDiscoverySession, "0"},

		{paramMaxRecv, number(n.maxRecv)},
		{paramMaxXmit, number(n.maxXmit)},
		{paramHeaderDigest, flag(n.headerDigest)},
		{paramDataDigest, flag(n.dataDigest)},
		{paramInitialR2T, flag(n.initialR2T)},
		{paramMaxR2T, number(n.maxR2T)},
		{paramImmediateData, flag(n.immediate)},
		{paramFirstBurst, number(n.firstBurst)},
		{paramMaxBurst, number(n.maxBurst)},
		{paramPDUInOrder, flag(n.pduInOrder)},
		{paramSequenceInOrder, flag(n.seqInOrder)},
		{paramERL, number(n.erl)},
		{paramIFMarker, flag(n.ifMarker)},
		{paramOFMarker, flag(n.ofMarker)},
		{paramExpStatSN, number(n.expStatSN)},
		{paramTPGT, number(uint32(n.tpgt))},
	}
}

// A request is one message to the kernel: what goes into u, and the payload
// after the event.
type request struct {
	typ     eventType
	u       []byte
	payload []byte
}

func u32(values ...uint32) []byte {
	b := make([]byte, 0, 24)
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// createSession: the kernel counts commands from cmdSN on, takes cmdsMax of
// them at once, queueDepth for one logical unit.
func createSession(cmdSN uint32, cmdsMax, queueDepth uint16) request {
	u := u32(cmdSN)
	u = binary.NativeEndian.AppendUint16(u, cmdsMax)
	u = binary.NativeEndian.AppendUint16(u, queueDepth)
	return request{typ: eventCreateSession, u: u}
}

func createConn(sid, cid uint32) request {
	return request{typ: eventCreateConn, u: u32(sid, cid)}
}

// bindConn gives the socket of descriptor fd to the connection, the leading
// (and only) one of its session.
func bindConn(sid, cid uint32, fd uintptr) request {
	u := binary.NativeEndian.AppendUint64(u32(sid, cid), uint64(fd))
	return request{typ: eventBindConn, u: binary.NativeEndian.AppendUint32(u, 1)}
}

// setParam: the length counts the NUL after the value.
func setParam(sid, cid uint32, p paramValue) request {
	return request{
		typ:     eventSetParam,
		u:       u32(sid, cid, uint32(p.param), uint32(len(p.value)+1)),
		payload: append([]byte(p.value), 0),
	}
}

func startConn(sid, cid uint32) request {
	return request{typ: eventStartConn, u: u32(sid, cid)}
}

// stopConn: flag is at offset 32, after the unused conn_handle.
func stopConn(sid, cid, flag uint32) request {
	return request{typ: eventStopConn, u: u32(sid, cid, 0, 0, flag)}
}

func destroyConn(sid, cid uint32) request {
	return request{typ: eventDestroyConn, u: u32(sid, cid)}
}

func destroySession(sid uint32) request {
	return request{typ: eventDestroySession, u: u32(sid)}
}

// append writes nlmsghdr, event and payload. The kernel takes the message type
// from the header.
func (r request) append(b []byte, handle uint64) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, uint32(nlHeaderSize+ueventSize+len(r.payload)))
	b = ne.AppendUint16(b, uint16(r.typ))
	b = append(b, make([]byte, 10)...) // flags, sequence, port: not used
	b = ne.AppendUint32(b, uint32(r.typ))
	b = ne.AppendUint32(b, 0) // iferror
	b = ne.AppendUint64(b, handle)
	b = append(b, r.u...)
	b = append(b, make([]byte, ueventSize-uOffset-len(r.u))...)
	return append(b, r.payload...)
}

// An event is one message of the kernel.
type event struct {
	typ     eventType
	iferror int32
	r       [4]uint32
	payload []byte
}

// parseEvent reads one datagram. Its type is that of the event, because the
// netlink header of a multicast says 0.
func parseEvent(b []byte) (event, error) {
	if len(b) < nlHeaderSize+ueventSize {
		return event{}, fmt.Errorf("iSCSI event of %d bytes, at least %d expected", len(b), nlHeaderSize+ueventSize)
	}
	ne := binary.NativeEndian
	if n := ne.Uint32(b); n < nlHeaderSize+ueventSize || uint64(n) > uint64(len(b)) {
		return event{}, fmt.Errorf("iSCSI event announces %d bytes in a datagram of %d", n, len(b))
	}
	b = b[nlHeaderSize:ne.Uint32(b)]
	e := event{
		typ:     eventType(ne.Uint32(b)),
		iferror: int32(ne.Uint32(b[4:])),
		payload: b[ueventSize:],
	}
	for i := range e.r {
		e.r[i] = ne.Uint32(b[rOffset+4*i:])
	}
	return e, nil
}

// result is the error a reply to a request of that type carries, in one of two
// places.
func (e event) result(asked eventType) error {
	switch e.typ {
	case eventIfError:
		if e.iferror == 0 {
			return errors.New("kernel refuses without a reason")
		}
		return errno(e.iferror)
	case asked:
	default:
		return fmt.Errorf("kernel answers with %v", e.typ)
	}
	if asked == eventCreateSession || asked == eventCreateConn {
		return nil // r holds the numbers
	}
	if code := int32(e.r[0]); code != 0 {
		return errno(code)
	}
	return nil
}

// errno makes an error of a negative error number.
func errno(code int32) error {
	if code < 0 {
		code = -code
	}
	return unix.Errno(code)
}

// A connError is why the kernel gave a connection up, enum iscsi_err.
type connError uint32

func (e connError) Error() string { return "iSCSI connection lost (" + e.reason() + ")" }

// reason is the number and what it means.
func (e connError) reason() string {
	var why string
	switch e {
	case 1011:
		why = "connection failed"
	case 1014:
		why = "header digest wrong"
	case 1015:
		why = "data digest wrong"
	case 1020:
		why = "target closed the connection"
	case 1022:
		why = "no answer to a NOP-Out"
	default:
		why = "see enum iscsi_err in include/scsi/iscsi_if.h"
	}
	return fmt.Sprintf("%d, %s", uint32(e), why)
}
