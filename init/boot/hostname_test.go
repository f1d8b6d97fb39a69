package boot

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

func TestReverseProblem(t *testing.T) {
	const fix = "; add the record, or write nodisk.hostname=NAME"
	for want, err := range map[string]error{
		"host name: 10.0.0.5 has no PTR record at 10.0.0.1" + fix:                           &net.DNSError{Err: "no such host", IsNotFound: true},
		"host name: no answer from name server 10.0.0.1 about 10.0.0.5 within 5.00 s" + fix: &net.DNSError{Err: "i/o timeout", IsTimeout: true},
		"host name: ask 10.0.0.1 for the name of 10.0.0.5: server misbehaving" + fix:        &net.DNSError{Err: "server misbehaving", IsTemporary: true},
		"host name: the PTR record of 10.0.0.5 at 10.0.0.1 is not the name of a host" + fix: nil,
	} {
		if got := reverseProblem(netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.1"), err); got != want {
			t.Errorf("%v:\n got %s\nwant %s", err, got, want)
		}
	}
	if got := reverseProblem(netip.Addr{}, netip.Addr{}, context.Canceled); got == "" {
		t.Error("no sentence")
	}
}
