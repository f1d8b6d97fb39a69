package iscsi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Opcodes of RFC 7143 section 11.2.1.2.
const (
	opLoginRequest  = 0x03
	opLoginResponse = 0x23
	opReject        = 0x3f

	opMask       = 0x3f
	immediateBit = 0x40
)

const (
	bhsSize = 48 // basic header segment

	// maxData bounds a received data segment. During login a target may send
	// 8192 bytes (the default MaxRecvDataSegmentLength); some send more.
	maxData = 64 << 10
)

// A pdu is a basic header segment and its data segment. Additional header
// segments never occur in a login and are skipped.
type pdu struct {
	bhs  [bhsSize]byte
	data []byte
}

func (p *pdu) opcode() byte { return p.bhs[0] & opMask }

// append writes header, data and padding (RFC 7143 section 11.2).
func (p *pdu) append(b []byte) []byte {
	n := len(p.data)
	h := p.bhs
	h[4] = 0 // TotalAHSLength
	h[5], h[6], h[7] = byte(n>>16), byte(n>>8), byte(n)
	b = append(b, h[:]...)
	b = append(b, p.data...)
	return append(b, make([]byte, -n&3)...)
}

// readPDU reads exactly one PDU: nothing of what follows it is read from r.
func readPDU(r io.Reader) (*pdu, error) {
	p := &pdu{}
	if _, err := io.ReadFull(r, p.bhs[:]); err != nil {
		return nil, err
	}
	n := int(p.bhs[5])<<16 | int(p.bhs[6])<<8 | int(p.bhs[7])
	if n > maxData {
		return nil, fmt.Errorf("header %x announces %d bytes of data, more than %d: not an iSCSI login",
			p.bhs[:8], n, maxData)
	}
	ahs := 4 * int(p.bhs[4])
	rest := make([]byte, ahs+n+-n&3)
	if _, err := io.ReadFull(r, rest); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	p.data = rest[ahs : ahs+n]
	return p, nil
}

// A stage of the login (RFC 7143 section 11.12.3, CSG and NSG).
type stage uint8

const (
	stageSecurity    stage = 0
	stageOperational stage = 1
	stageFull        stage = 3
)

func (s stage) String() string {
	switch s {
	case stageSecurity:
		return "security"
	case stageOperational:
		return "operational"
	case stageFull:
		return "full feature"
	default:
		return fmt.Sprintf("stage %d", uint8(s))
	}
}

// A loginRequest is RFC 7143 section 11.12.
type loginRequest struct {
	transit, more bool // T and C bit
	current, next stage
	isid          ISID
	tsih          uint16
	itt           uint32
	cid           uint16
	cmdSN         uint32
	expStatSN     uint32
	text          []byte
}

func (r loginRequest) pdu() *pdu {
	p := &pdu{data: r.text}
	h := p.bhs[:]
	h[0] = immediateBit | opLoginRequest
	h[1] = byte(r.current) << 2
	if r.transit {
		h[1] |= 0x80 | byte(r.next)
	}
	if r.more {
		h[1] |= 0x40
	}
	// Version-max and Version-min stay 0: the only version there is.
	copy(h[8:14], r.isid[:])
	binary.BigEndian.PutUint16(h[14:], r.tsih)
	binary.BigEndian.PutUint32(h[16:], r.itt)
	binary.BigEndian.PutUint16(h[20:], r.cid)
	binary.BigEndian.PutUint32(h[24:], r.cmdSN)
	binary.BigEndian.PutUint32(h[28:], r.expStatSN)
	return p
}

// A loginResponse is RFC 7143 section 11.13.
type loginResponse struct {
	transit, more         bool
	current, next         stage
	isid                  ISID
	tsih                  uint16
	itt                   uint32
	statSN                uint32
	expCmdSN, maxCmdSN    uint32
	statusClass, statusOf byte
	text                  []byte
}

func parseLoginResponse(p *pdu) (loginResponse, error) {
	h := p.bhs[:]
	switch p.opcode() {
	case opLoginResponse:
	case opReject:
		return loginResponse{}, fmt.Errorf("login PDU rejected by the target, reason %#02x (RFC 7143 section 11.17.1)",
			h[2])
	default:
		return loginResponse{}, fmt.Errorf("answer to the login begins with %q: that port does not speak iSCSI", h[:8])
	}
	r := loginResponse{
		transit: h[1]&0x80 != 0,
		more:    h[1]&0x40 != 0,
		current: stage(h[1] >> 2 & 3),
		next:    stage(h[1] & 3),
		isid:    ISID(h[8:14]),
		tsih:    binary.BigEndian.Uint16(h[14:]),
		itt:     binary.BigEndian.Uint32(h[16:]),
		statSN:  binary.BigEndian.Uint32(h[24:]),

		expCmdSN:    binary.BigEndian.Uint32(h[28:]),
		maxCmdSN:    binary.BigEndian.Uint32(h[32:]),
		statusClass: h[36],
		statusOf:    h[37],
		text:        p.data,
	}
	if r.transit && r.more {
		return loginResponse{}, errors.New("login response has both the T and the C bit set")
	}
	return r, nil
}
