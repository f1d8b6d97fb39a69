package fabric

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/integration/lab"
)

func TestWords(t *testing.T) {
	f := &Fabric{spec: Spec{PKeys: []uint16{0x8001, 0x8002}}}
	const hca = "rd.driver.post=softib softib.netdev={cable} softib.sa=1 "
	for name, c := range map[string]struct {
		boot Boot
		want string
	}{
		"dhcp": {Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI}}, hca + "ip=ib0:dhcp root=dhcp"},
		"static": {
			Boot{BootSpec: lab.BootSpec{Root: lab.RootNFS4, Static: true}},
			hca + "ip={client}:{server}:{gateway}:{mask}:{name}:ib0:none root=nfs4:{server}:{export}",
		},
		"P_Key": {
			Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: "quiet"}, Partition: 2},
			hca + "softib.pkeys=0x8002 ib.pkey=ib0.8002 ip=ib0.8002:dhcp root=dhcp quiet",
		},
		"without its P_Key": {
			Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI}, Partition: 1, Keyless: true},
			hca + "ib.pkey=ib0.8001 ip=ib0.8001:dhcp root=dhcp",
		},
		"adapter": {
			Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI}, HCA: []string{"maxmtu=4096", "gone=0,1"}},
			hca + "softib.maxmtu=4096 softib.gone=0,1 ip=ib0:dhcp root=dhcp",
		},
		"own words": {Boot{BootSpec: lab.BootSpec{Root: lab.RootISCSI, Cmdline: "ip=dhcp"}}, hca + "ip=dhcp"},
	} {
		if diff := cmp.Diff(c.want, strings.TrimSpace(f.words(c.boot))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPorts(t *testing.T) {
	f := &Fabric{n: 3, last: 1}
	if got := []string{f.mac(10), f.guid(10), f.address(0, 10).String(), f.address(1, 10).String()}; !cmp.Equal(got,
		[]string{
			"52:54:00:77:03:0a", "02:50:49:03:00:77:03:0a", "10.77.3.10", "10.78.3.10",
		}) {
		t.Errorf("port 10 of fabric 3 is %v", got)
	}
	for range 253 {
		if _, err := f.port(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.port(); err == nil {
		t.Errorf("there is a port %d, after the last address", n)
	}
	managed := &Fabric{spec: Spec{SubnetManager: true}, last: 1}
	if _, err := managed.port(); err != nil {
		t.Fatal(err)
	}
	if _, err := managed.port(); err == nil {
		t.Error("two nodes on a fabric without a switch")
	}
	if err := managed.leave(); err != nil {
		t.Fatal(err)
	}
	if n, err := managed.port(); n != 3 || err != nil {
		t.Errorf("the next node has port %d, %v, want 3", n, err)
	}
}

func TestTransactions(t *testing.T) {
	log := strings.Split(`server: dnsmasq: dnsmasq-dhcp: 11 available DHCP subnet: 10.77.0.0/255.255.255.0
server: dnsmasq: dnsmasq-dhcp: 22 available DHCP subnet: 10.77.0.0/255.255.255.0
server: dnsmasq: dnsmasq-dhcp: 22 DHCPDISCOVER(ib0) 02:50:49:03:00:77:00:03
server: dnsmasq: dnsmasq-dhcp: 11 DHCPDISCOVER(ib0) 02:50:49:03:00:77:00:02
server: dnsmasq: dnsmasq-dhcp: 22 DHCPOFFER(ib0) 10.77.0.3 02:50:49:03:00:77:00:03
server: dnsmasq: dnsmasq-dhcp: 33 DHCPDISCOVER(ib0) 02:50:49:77:00:03
server: dnsmasq: started`, "\n")
	got := ofTransactions(log, "02:50:49:03:00:77:00:03", "02:50:49:77:00:03")
	if diff := cmp.Diff([]string{log[1], log[2], log[4], log[5]}, got); diff != "" {
		t.Errorf("lines of node 3 (-want +got):\n%s", diff)
	}
	if n := (Result{Server: got}).Discovers(); n != 2 {
		t.Errorf("%d DISCOVERs, want 2", n)
	}
}

// A reservation that an act makes is not made before it, and what contradicts itself is
// told before anything is started.
func TestScript(t *testing.T) {
	late := Boot{Script: []lab.Act{{Pull: []int{0}}, {Reserve: true}}}
	if !late.reservesLate() || (Boot{Script: late.Script[:1]}).reservesLate() {
		t.Error("only the second act tells the DHCP server of the node")
	}
	f := &Fabric{}
	for name, b := range map[string]Boot{
		"a script and a dead port": {Script: late.Script, DeadPort: true},
		"two ports and a dead one": {TwoPorts: true, DeadPort: true},
	} {
		if err := f.check(b); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.check(Boot{Unplugged: true}); err == nil ||
		!strings.Contains(err.Error(), "nobody plugs the cable") {
		t.Errorf("a cable that stays out: %v", err)
	}
	if re := orderedLine("pkeys=0x8001,0xffff"); !re.MatchString("softib: ordered: pkeys=0x8001,0xffff") ||
		re.MatchString("softib: ordered: pkeys=0x8001,0xffff,0x1") {
		t.Errorf("%v is not the line of that order alone", re)
	}
}
