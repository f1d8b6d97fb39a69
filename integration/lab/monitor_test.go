package lab

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// QEMU's side of the monitor: a greeting, an event in between, and an error.
func TestMonitor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	path := filepath.Join(t.TempDir(), "monitor")
	m, err := ListenMonitor(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []string, 1)
	go func() {
		var said []string
		defer func() { got <- said }()
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, `{"QMP": {"version": {}, "capabilities": []}}`+"\n")
		dec := json.NewDecoder(conn)
		for _, answer := range []string{
			`{"return": {}}`, `{"event": "RESUME"} {"return": {}}`,
			`{"error": {"class": "DeviceNotFound", "desc": "Device 'n7' not found"}}`,
		} {
			var order json.RawMessage
			if dec.Decode(&order) != nil {
				return
			}
			said = append(said, string(order))
			_, _ = io.WriteString(conn, answer+"\n")
		}
	}()
	if err := m.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(); err != nil {
		t.Error(err)
	}
	if err := m.Plug(7, false); err == nil || !strings.Contains(err.Error(), "set_link: Device 'n7' not found") {
		t.Errorf("a NIC that is not there: %v", err)
	}
	want := []string{
		`{"execute":"qmp_capabilities"}`, `{"execute":"cont"}`,
		`{"arguments":{"name":"n7","up":false},"execute":"set_link"}`,
	}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
