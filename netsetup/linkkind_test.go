package netsetup

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// Words that are about a kind of network which cannot have what they ask for.
func TestKindErrors(t *testing.T) {
	const guid = "00-02-c9-03-00-00-10-39"
	checkErrors(t, map[string][]string{
		"nodisk.ib.port=1,2":     {"is more than one port; write one of them, or only the adapter"},
		"nodisk.ib.port=ib0":     {"ib0 is an interface; write ip=ib0:dhcp, or the adapter"},
		"nodisk.ib.port=ibs3":    {"ibs3 is an interface; write ip=ibs3:dhcp"},
		"nodisk.ib.port=ibp65s0": {"ibp65s0 is an interface; write ip=ibp65s0:dhcp"},
		"nodisk.ib.port=eth0":    {"eth0 is an interface"},
		"nodisk.ib.port=ib0:1":   {"ib0 is an interface"},

		"bond=bond0:ib0,eth1:mode=active-backup":           {"bond=bond0: has ports of two kinds: eth1 is Ethernet, ib0 is InfiniBand; leave those of one kind out"},
		"bond=bond0:enp1s0," + guid + ":mode=1":            {"enp1s0 is Ethernet, " + guid + " is InfiniBand"},
		"bond=bond0:ib0,vlan5:mode=1 vlan=vlan5:storage":   {"vlan5 is Ethernet, ib0 is InfiniBand"},
		"bond=bond0:eth0,ib0.8001:mode=1 ib.pkey=ib0.8001": {"eth0 is Ethernet, ib0.8001 is InfiniBand"},
		"bond=bond0:eth0,fast:mode=1 ifname=fast:" + guid:  {"eth0 is Ethernet, fast is InfiniBand"},
		"bond=bond0:eth*,ib*:mode=active-backup ip=dhcp":   {"eth* is Ethernet, ib* is InfiniBand"},

		"ib.pkey=bond0.8001 bond=bond0:ib0,ib1:mode=1":   {"ib.pkey=bond0.8001: a bond has no partitions; write ib.pkey=ib0.8001 ib.pkey=ib1.8001 bond=bond0:ib0.8001,ib1.8001"},
		"ib.pkey=bond0.8001 bond=bond0:eth0,eth1:mode=1": {"ib.pkey=bond0.8001: Ethernet has no partitions; write vlan=bond0.5:bond0"},
		"ib.pkey=eth0.8001":                              {"Ethernet has no partitions; write vlan="},
		"ib.pkey=enp1s0.8001":                            {"Ethernet has no partitions; write vlan="},
		"ib.pkey=br0.8001 bridge=br0:eth0":               {"Ethernet has no partitions"},

		"ip=ib0:dhcp:1500:52:54:00:12:34:56":                             {"ib0 is InfiniBand, which takes no other hardware address; leave it out"},
		"ip=ib0.8001:dhcp::52:54:00:12:34:56 ib.pkey=ib0.8001":           {"ib0.8001 is InfiniBand, which takes no other hardware address"},
		"ip=" + guid + ":dhcp:1500:52:54:00:12:34:56":                    {guid + " is InfiniBand, which takes no other hardware address"},
		"ip=bond0:dhcp:1500:52:54:00:12:34:56 bond=bond0:ib0,ib1:mode=1": {"bond0 is InfiniBand, which takes no other hardware address"},

		"bond=b:eth0:mode=active_backup": {"write mode=active-backup"},
		"bond=b:eth0:mode=802.3AD":       {"write mode=802.3ad"},
		"bond=b:eth0:mode=lacp":          {"write mode=balance-rr"},
	})
}

// A partition is on a port, and there is one of each there: the kernel makes none on
// another (ipoib_new_child_link). What is advised is no error itself.
func TestPartitionErrors(t *testing.T) {
	for line, want := range map[string]string{
		"ib.pkey=ib0.8001 ib.pkey=ib0.8001.8002 ip=ib0.8001.8002:dhcp":       "ib.pkey=ib0.8001.8002: a partition has no partitions; write ib.pkey=ib0.8002",
		"ib.pkey=ib0.8001.2 ib.pkey=ib0.8001":                                "ib.pkey=ib0.8001.2: a partition has no partitions; write ib.pkey=ib0.8002",
		"ib.pkey=ib0.8001 ib.pkey=ib0.8001.2 ib.pkey=ib0.8001.2.3":           "ib.pkey=ib0.8001.2.3: a partition has no partitions; write ib.pkey=ib0.8003",
		"ib.pkey=ib0.8001 ib.pkey=ib0.0001":                                  "ib.pkey=ib0.0001: has the same parent and P_Key as ib0.8001; leave one of them out",
		"ib.pkey=ib0.1 ib.pkey=ib0.0x8001":                                   "ib.pkey=ib0.0x8001: has the same parent and P_Key as ib0.1; leave one of them out",
		"ib.pkey=ib0.8001 bond=bond0:ib0.8001:mode=1 ib.pkey=bond0.8002":     "ib.pkey=bond0.8002: a bond has no partitions; write ib.pkey=ib0.8002 bond=bond0:ib0.8002:mode=active-backup",
		"bond=bond0:ib*:mode=1 ib.pkey=bond0.8001":                           "write ib.pkey=ib0.8001 ib.pkey=ib1.8001 bond=bond0:ib0.8001,ib1.8001:mode=active-backup",
		"bond=bond0:ib*,ib1:mode=1 ib.pkey=bond0.8001":                       "write ib.pkey=ib0.8001 ib.pkey=ib1.8001 ib.pkey=ib2.8001 bond=bond0:ib0.8001,ib1.8001,ib2.8001:mode=active-backup",
		"bond=bond0:ibp193s0f1d1:mode=1 ib.pkey=bond0.8001":                  "write ib.pkey=ib0.8001 bond=bond0:ib0.8001:mode=active-backup",
		"bond=bond0:00-02-c9-03-00-00-10-39,ib1:mode=1 ib.pkey=bond0.0x8001": "write ib.pkey=ib0.8001 ib.pkey=ib1.8001 bond=bond0:ib0.8001,ib1.8001:mode=active-backup",
		"ib.pkey=ib0.8001 vlan=vlan5:ib0.8001":                               "vlan=vlan5: InfiniBand has no VLANs; write ib.pkey=ib0.8001",
		"vlan=vlan5:00-02-c9-03-00-00-10-39":                                 "vlan=vlan5: InfiniBand has no VLANs; write ib.pkey=ib0.8001",
		"vlan=vlan5:ibp193s0f1d1":                                            "vlan=vlan5: InfiniBand has no VLANs; write ib.pkey=ib0.8001",
	} {
		_, err := ParseConfig(cmdline.Parse(line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
			continue
		}
		for text := range strings.SplitSeq(err.Error(), "\n") {
			if _, advice, ok := strings.Cut(text, "; write "); ok {
				parseLine(t, strings.TrimSuffix(advice, " for a partition"))
			}
		}
	}
	parseLine(t, "ib.pkey=ib0.8001 ib.pkey=ib0.8002 ib.pkey=ib1.8001") // another partition, and another port
}

// What can be of either kind is no error.
func TestKindsUnknown(t *testing.T) {
	for _, line := range []string{
		"bond=bond0:ib0,52-54-00-12-34-56:mode=1", // six bytes may be those of a GUID
		"bond=bond0:ib0,storage:mode=1",
		"bond=bond0:ib0,ibmc:mode=1",
		"bond=bond0:eth0,driver=mlx5*:mode=1",
		"bond=bond0:ib0,eth1:mode=1 ifname=eth1:00:02:c9:03:00:00:10:39",
		"ib.pkey=storage.8001",
		"ib.pkey=eth0.8001 ifname=eth0:00:02:c9:03:00:00:10:39",
		"ip=eth0:dhcp:1500:52:54:00:12:34:56",
		"nodisk.ib.port=mlx5_0:1", "nodisk.ib.port=hfi1_0", "nodisk.ib.port=ibmc", "nodisk.ib.port=2",
	} {
		parseLine(t, line)
	}
}

// Eight bytes that begin with the hardware type are hardly a GUID.
func TestBootIFSevenBytes(t *testing.T) {
	for line, want := range map[string]bool{
		"BOOTIF=20-00-02-c9-03-00-00-10":    true,
		"BOOTIF=20-00-02-c9-03-00-00-10-39": false,
		"BOOTIF=00-02-c9-03-00-00-10-39":    false,
		"BOOTIF=01-52-54-00-12-34-56":       false,
	} {
		told := func(s string) bool { return strings.Contains(s, "this is the hardware type 20 and 7 bytes") }
		if got := slices.ContainsFunc(parseLine(t, line+" ip=dhcp").Warnings(), told); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
