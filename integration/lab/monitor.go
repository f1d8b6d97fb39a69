package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// monitorAnswer bounds one order to QEMU.
const monitorAnswer = 20 * time.Second

// A Monitor gives orders to a running QEMU (QMP, docs/interop/qmp-spec.txt in
// its sources).
type Monitor struct {
	listener net.Listener
	path     string

	mu   sync.Mutex // one order at a time
	conn net.Conn
	dec  *json.Decoder
}

// ListenMonitor makes the socket that a machine connects to.
func ListenMonitor(ctx context.Context, path string) (*Monitor, error) {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for QEMU's monitor: %w", err)
	}
	return &Monitor{listener: l, path: path}, nil
}

// Accept waits for the machine and ends the negotiation, so that orders are
// taken.
func (m *Monitor) Accept(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, monitorAnswer)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = m.listener.Close() })
	defer stop()
	conn, err := m.listener.Accept()
	if err != nil {
		return errors.Join(fmt.Errorf("wait for QEMU's monitor: %w", err), context.Cause(ctx))
	}
	m.conn, m.dec = conn, json.NewDecoder(conn)
	return m.order("qmp_capabilities", nil)
}

// order executes one command. Events and the greeting are passed over.
func (m *Monitor) order(command string, arguments any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(err error) error { return fmt.Errorf("give QEMU the order %s: %w", command, err) }
	if err := m.conn.SetDeadline(time.Now().Add(monitorAnswer)); err != nil {
		return fail(err)
	}
	order := map[string]any{"execute": command}
	if arguments != nil {
		order["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(order); err != nil {
		return fail(err)
	}
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := m.dec.Decode(&answer); err != nil {
			return fail(err)
		}
		switch {
		case answer.Error != nil:
			return fail(errors.New(answer.Error.Desc))
		case answer.Return != nil:
			return nil
		}
	}
}

// Plug connects or disconnects the cable of the machine's NIC of that number.
func (m *Monitor) Plug(number int, up bool) error {
	return m.order("set_link", map[string]any{"name": fmt.Sprintf("n%d", number), "up": up})
}

// Insert puts in the NIC of that number, which was absent.
func (m *Monitor) Insert(number int, model, mac string) error {
	id := fmt.Sprintf("n%d", number)
	device := map[string]any{"driver": model, "netdev": id, "id": "late" + id, "mac": mac, "romfile": ""}
	if model == NICVirtio {
		device["speed"], device["duplex"] = 1000, "full"
	}
	return m.order("device_add", device)
}

// Run lets a machine go that was started with -S.
func (m *Monitor) Run() error { return m.order("cont", nil) }

// Close ends the connection and removes the socket.
func (m *Monitor) Close() error {
	if m == nil {
		return nil
	}
	// Closing the listener removes the socket; it may be closed already.
	if err := m.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	if err := os.Remove(m.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if m.conn != nil {
		return m.conn.Close()
	}
	return nil
}
