package iscsi

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A pduConn carries the login. The first one is a TCP socket; a re-login goes
// through the kernel.
type pduConn interface {
	Send(ctx context.Context, p *pdu) error
	Recv(ctx context.Context) (*pdu, error)
}

const (
	// maxText is what a target must accept in one login PDU, and what the
	// kernel takes by ISCSI_UEVENT_SEND_PDU.
	maxText = 8192
	// maxRounds and maxAnswer bound a login with a target that never comes to
	// an end. An ordinary one takes one round, mutual CHAP four.
	maxRounds = 16
	maxAnswer = 64 << 10
)

// loginParams is what one login is about.
type loginParams struct {
	target, initiator string
	portal            string // for errors
	isid              ISID
	cmdSN             uint32
	header, data      Digest
}

// login runs the login phase (RFC 7143 section 6.3) of an ordinary session to
// its end: what it returns is what the kernel has to be told.
func login(ctx context.Context, conn pduConn, p loginParams) (negotiated, error) {
	l := &loginPhase{conn: conn, params: p, stage: stageOperational}
	names := []textKey{
		{"InitiatorName", p.initiator},
		{"TargetName", p.target},
		{"SessionType", "Normal"},
	}
	// CHAP goes here: begin with stageSecurity, send the names with AuthMethod,
	// exchange CHAP_A, CHAP_N and CHAP_R, then transit to stageOperational.
	return l.operational(ctx, names)
}

// A loginPhase is the state of one login.
type loginPhase struct {
	conn      pduConn
	params    loginParams
	stage     stage
	tsih      uint16
	expStatSN uint32
	rounds    int
}

// operational negotiates until the target enters the full feature phase.
func (l *loginPhase) operational(ctx context.Context, first []textKey) (negotiated, error) {
	n := newNegotiation(l.params.header, l.params.data)
	keys := slices.Concat(first, n.offers())
	for {
		answer, err := l.exchange(ctx, stageFull, keys)
		if err != nil {
			return negotiated{}, err
		}
		if keys, err = n.take(answer.keys); err != nil {
			return negotiated{}, err
		}
		if answer.done {
			break
		}
	}
	result := n.finish()
	result.tsih, result.expStatSN, result.rounds = l.tsih, l.expStatSN, l.rounds
	return result, nil
}

// An answer is one logical login response, put together from its PDUs.
type answer struct {
	keys []textKey
	done bool // the target agrees to leave the stage
}

// exchange sends keys with the wish to go on to the next stage, and collects
// the answer over as many PDUs as the target spreads it (C bit).
func (l *loginPhase) exchange(ctx context.Context, next stage, keys []textKey) (answer, error) {
	text := appendText(nil, keys)
	if len(text) > maxText {
		return answer{}, fmt.Errorf("login text of %d bytes, a target takes %d", len(text), maxText)
	}
	request := l.request(text)
	request.transit, request.next = true, next
	var all []byte
	for {
		r, err := l.roundTrip(ctx, request)
		if err != nil {
			return answer{}, err
		}
		if all = append(all, r.text...); len(all) > maxAnswer {
			return answer{}, fmt.Errorf("target sent more than %d bytes of login text", maxAnswer)
		}
		if r.more {
			request = l.request(nil)
			continue
		}
		got, err := parseText(all)
		if err != nil {
			return answer{}, fmt.Errorf("read login response: %w", err)
		}
		if r.transit && r.next != next {
			return answer{}, fmt.Errorf("target goes on to the %v stage, %v was asked for", r.next, next)
		}
		return answer{keys: got, done: r.transit}, nil
	}
}

func (l *loginPhase) request(text []byte) loginRequest {
	return loginRequest{
		current: l.stage,
		isid:    l.params.isid, tsih: 0, // a new session
		cmdSN: l.params.cmdSN, expStatSN: l.expStatSN,
		text: text,
	}
}

// roundTrip sends one PDU and checks the one that comes back.
func (l *loginPhase) roundTrip(ctx context.Context, request loginRequest) (loginResponse, error) {
	if l.rounds++; l.rounds > maxRounds {
		return loginResponse{}, fmt.Errorf("login did not come to an end in %d rounds", maxRounds)
	}
	if err := l.conn.Send(ctx, request.pdu()); err != nil {
		return loginResponse{}, fmt.Errorf("send login: %w", err)
	}
	p, err := l.conn.Recv(ctx)
	if err != nil {
		return loginResponse{}, fmt.Errorf("receive login response: %w", err)
	}
	r, err := parseLoginResponse(p)
	if err != nil {
		return loginResponse{}, err
	}
	if r.statusClass != 0 {
		return loginResponse{}, l.refusal(r)
	}
	switch {
	case r.itt != request.itt:
		return loginResponse{}, fmt.Errorf("login response is for task %#x, not %#x", r.itt, request.itt)
	case r.current != l.stage:
		return loginResponse{}, fmt.Errorf("target is in the %v stage, not the %v stage", r.current, l.stage)
	case r.transit && !request.transit:
		return loginResponse{}, errors.New("target leaves the login stage unasked")
	}
	// Some targets say TSIH 0 at the end: the kernel does not need it.
	l.tsih = r.tsih
	l.expStatSN = r.statSN + 1
	return r, nil
}

func (l *loginPhase) refusal(r loginResponse) error {
	e := &StatusError{
		Class: r.statusClass, Detail: r.statusOf,
		Target: l.params.target, Initiator: l.params.initiator, Portal: l.params.portal,
	}
	// Keys that cannot be read do not hide the status.
	keys, err := parseText(r.text)
	if err != nil {
		return e
	}
	for _, k := range keys {
		if k.key == "TargetAddress" {
			e.Address = k.value
		}
	}
	return e
}
