package link

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onPCI is a card of Ethernet below the devices, the nearest first: an address
// is that of a function of PCI, other names are of the bus before the slash.
func onPCI(above ...string) card {
	c := card{Path: "/sys/devices/pci0000:00/x", Type: HwEthernet, MAC: macA, VF: -1, Alias: -1, OwnAlias: -1}
	c.Above = devices(above...)
	return c
}

// devices are written as subsystem/name, and of PCI as the address with what it
// has behind it: "0000:03:00.0 multi", "0000:00:1c.0 bridge sun=3", "... index=1".
func devices(above ...string) []busDevice {
	var all []busDevice
	for _, text := range above {
		words := strings.Fields(text)
		b := busDevice{Subsystem: "pci", Name: words[0]}
		b.PCI.Index = -1
		if bus, name, ok := strings.Cut(words[0], "/"); ok {
			b.Subsystem, b.Name = bus, name
			if bus == "usb" && strings.Contains(name, ":") {
				b.DevType = "usb_interface"
			}
		}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			n := 0
			for _, d := range value {
				n = 10*n + int(d-'0')
			}
			switch key {
			case "multi":
				b.PCI.Multifunction = true
			case "ari":
				b.PCI.ARI = true
			case "bridge":
				b.PCI.Bridge = true
			case "sun":
				b.PCI.Sun = n
			case "index":
				b.PCI.Index = n
			}
		}
		all = append(all, b)
	}
	return all
}

// The examples of systemd.net-naming-scheme(7), and what each scheme changed.
func TestUdevNames(t *testing.T) {
	const mac = "enx525400123456"
	with := func(c card, f func(c *card)) card { f(&c); return c }
	slots := func(c card, s ...pciSlot) card { c.Slots = s; return c }
	bridged := slots(onPCI("0000:05:00.0", "0000:00:1c.3 bridge"), pciSlot{3, "0000:00:1c"})
	ports := slots(onPCI("0000:05:00.1 multi", "0000:00:1c.3 bridge"), pciSlot{3, "0000:00:1c"})
	infiniBand := onPCI("0000:15:00.1 multi", "0000:00:03.0 bridge")
	infiniBand.Type = HwInfiniBand
	usb := onPCI("usb/2-1.4:1.6", "usb/2-1.4", "usb/2-1", "usb/usb2", "0000:00:1d.0")
	virtual := with(onPCI("0000:03:02.1"), func(c *card) {
		c.Physical, c.VF = devices("0000:03:00.0 multi", "0000:00:01.0 bridge"), 5
	})
	platform := with(onPCI("platform/HISI00C2:00"), func(c *card) { c.Path = "/sys/devices/platform/HISI00C2:00/net/eth0" })
	tree := with(onPCI("platform/fd580000.ethernet"), func(c *card) { c.Path, c.Alias = "/sys/devices/platform/scb/fd580000.ethernet/net/eth0", 0 })
	for name, tt := range map[string]struct {
		card   card
		scheme string
		want   UdevNames
		policy string
	}{
		"path":                      {onPCI("0000:00:1f.6"), "", UdevNames{Path: "enp0s31f6", MAC: mac}, "enp0s31f6"},
		"single function":           {onPCI("0000:00:03.0"), "", UdevNames{Path: "enp0s3", MAC: mac}, "enp0s3"},
		"functions":                 {onPCI("0000:02:00.0 multi"), "", UdevNames{Path: "enp2s0f0", MAC: mac}, "enp2s0f0"},
		"domain":                    {onPCI("0001:41:00.1 multi"), "", UdevNames{Path: "enP1p65s0f1", MAC: mac}, "enP1p65s0f1"},
		"port name":                 {with(onPCI("0000:41:00.1 multi"), func(c *card) { c.PortName = "p1" }), "", UdevNames{Path: "enp65s0f1np1", MAC: mac}, "enp65s0f1np1"},
		"port number":               {with(onPCI("0000:41:00.0"), func(c *card) { c.DevPort = 1 }), "", UdevNames{Path: "enp65s0d1", MAC: mac}, "enp65s0d1"},
		"ARI":                       {onPCI("0000:03:01.2 multi ari"), "", UdevNames{Path: "enp3s1f10", MAC: mac}, "enp3s1f10"},
		"ARI before v239":           {onPCI("0000:03:01.2 multi ari"), "v238", UdevNames{Path: "enp3s1f2", MAC: mac}, "enp3s1f2"},
		"board":                     {onPCI("0000:00:19.0 index=1"), "", UdevNames{Onboard: "eno1", Path: "enp0s25", MAC: mac}, "eno1"},
		"board with port":           {with(onPCI("0000:18:00.0 index=1"), func(c *card) { c.PortName = "p0" }), "", UdevNames{Onboard: "eno1np0", Path: "enp24s0np0", MAC: mac}, "eno1np0"},
		"board 0":                   {onPCI("0000:00:19.0 index=0"), "", UdevNames{Onboard: "eno0", Path: "enp0s25", MAC: mac}, "eno0"},
		"board 0 before v240":       {onPCI("0000:00:19.0 index=0"), "v239", UdevNames{Path: "enp0s25", MAC: mac}, "enp0s25"},
		"VMware's number":           {onPCI("0000:0b:00.0 index=16777215"), "", UdevNames{Path: "enp11s0", MAC: mac}, "enp11s0"},
		"16 bits":                   {onPCI("0000:0b:00.0 index=65535"), "v249", UdevNames{Onboard: "eno65535", Path: "enp11s0", MAC: mac}, "eno65535"},
		"14 bits before v249":       {onPCI("0000:0b:00.0 index=65535"), "v247", UdevNames{Path: "enp11s0", MAC: mac}, "enp11s0"},
		"virtio":                    {slots(onPCI("virtio/virtio0", "0000:00:03.0"), pciSlot{3, "0000:00:03"}), "", UdevNames{Slot: "ens3", Path: "enp0s3", MAC: mac}, "ens3"},
		"another slot":              {slots(onPCI("0000:00:03.0"), pciSlot{4, "0000:00:04"}), "", UdevNames{Path: "enp0s3", MAC: mac}, "enp0s3"},
		"slot with a bridge v239":   {bridged, "v239", UdevNames{Slot: "ens3", Path: "enp5s0", MAC: mac}, "ens3"},
		"slot with a bridge":        {bridged, "", UdevNames{Path: "enp5s0", MAC: mac}, "enp5s0"},
		"its functions v247":        {ports, "v247", UdevNames{Path: "enp5s0f1", MAC: mac}, "enp5s0f1"},
		"its functions v252":        {ports, "v252", UdevNames{Slot: "ens3f1", Path: "enp5s0f1", MAC: mac}, "ens3f1"},
		"its functions v255":        {ports, "v255", UdevNames{Path: "enp5s0f1", MAC: mac}, "enp5s0f1"},
		"its functions RHEL 9.4":    {ports, "rhel-9.4", UdevNames{Slot: "ens3f1", Path: "enp5s0f1", MAC: mac}, "ens3f1"},
		"its functions RHEL 9.6":    {ports, "rhel-9.6", UdevNames{Path: "enp5s0f1", MAC: mac}, "enp5s0f1"},
		"sun":                       {onPCI("0000:05:00.0 sun=9", "0000:00:1c.3 bridge sun=3"), "v257", UdevNames{Slot: "ens9", Path: "enp5s0", MAC: mac}, "ens9"},
		"sun before v257":           {onPCI("0000:05:00.0 sun=9", "0000:00:1c.3 bridge sun=3"), "v255", UdevNames{Path: "enp5s0", MAC: mac}, "enp5s0"},
		"sun of the bridge":         {onPCI("0000:05:00.1 multi", "0000:00:1c.3 bridge sun=3"), "v257", UdevNames{Slot: "ens3f1", Path: "enp5s0f1", MAC: mac}, "ens3f1"},
		"sun of its bridge alone":   {onPCI("0000:05:00.0", "0000:00:1c.3 bridge sun=3"), "v257", UdevNames{Path: "enp5s0", MAC: mac}, "enp5s0"},
		"virtual function":          {virtual, "", UdevNames{Path: "enp3s0f0v5", MAC: mac}, "enp3s0f0v5"},
		"representor":               {with(onPCI("0000:03:00.0"), func(c *card) { c.PortName = "pf0vf3" }), "", UdevNames{Path: "enp3s0r3", MAC: mac}, "enp3s0r3"},
		"representor v253":          {with(onPCI("0000:03:00.0"), func(c *card) { c.PortName = "pf0vf3" }), "v253", UdevNames{Path: "enp3s0npf0vf3", MAC: mac}, "enp3s0npf0vf3"},
		"InfiniBand":                {infiniBand, "", UdevNames{Path: "ibp21s0f1"}, "ibp21s0f1"},
		"InfiniBand's port":         {with(infiniBand, func(c *card) { c.DevID = 1 }), "", UdevNames{Path: "ibp21s0f1d1"}, "ibp21s0f1d1"},
		"InfiniBand before v240":    {infiniBand, "v239", UdevNames{}, ""},
		"USB":                       {usb, "", UdevNames{Path: "enp0s29u1u4i6", MAC: mac}, "enp0s29u1u4i6"},
		"USB, first of all":         {onPCI("usb/1-1:1.0", "usb/1-1", "usb/usb1", "0000:00:04.0"), "", UdevNames{Path: "enp0s4u1", MAC: mac}, "enp0s4u1"},
		"USB, another config":       {onPCI("usb/1-1:2.0", "usb/1-1", "usb/usb1", "0000:00:04.0"), "", UdevNames{Path: "enp0s4u1c2", MAC: mac}, "enp0s4u1c2"},
		"USB of a chip":             {onPCI("usb/1-1:1.0", "usb/1-1", "usb/usb1", "platform/x"), "", UdevNames{Path: "enu1", MAC: mac}, "enu1"},
		"USB of a chip before v253": {onPCI("usb/1-1:1.0", "usb/1-1", "usb/usb1", "platform/x"), "v252", UdevNames{MAC: mac}, ""},
		"modem":                     {with(usb, func(c *card) { c.DevType = "wwan" }), "", UdevNames{Path: "wwp0s29u1u4i6", MAC: "wwx525400123456"}, "wwp0s29u1u4i6"},
		"platform of arm64":         {platform, "", UdevNames{Path: "enahisic2i0", MAC: mac}, "enahisic2i0"},
		"device tree":               {tree, "", UdevNames{Onboard: "end0", MAC: mac}, "end0"},
		"device tree before v252":   {tree, "v251", UdevNames{MAC: mac}, ""},
		"Xen":                       {with(onPCI("xen/vif-0"), func(c *card) { c.Path = "/sys/devices/vif-0/net/eth0" }), "", UdevNames{Slot: "enX0", MAC: mac}, "enX0"},
		"of no bus":                 {onPCI(), "", UdevNames{MAC: mac}, ""},
		"Hyper-V":                   {onPCI("vmbus/00155d"), "", UdevNames{MAC: mac}, ""},
		"random address":            {with(onPCI("0000:00:03.0"), func(c *card) { c.MAC = "" }), "", UdevNames{Path: "enp0s3"}, "enp0s3"},
		"made of another":           {with(onPCI("0000:00:03.0"), func(c *card) { c.Stacked = true }), "", UdevNames{}, ""},
		"too long": {
			slots(with(onPCI("0002:41:00.1 multi index=16383"), func(c *card) { c.PortName = "pf0sf12345" }), pciSlot{1, "0002:41:00"}),
			"",
			UdevNames{Onboard: "eno16383npf0sf12345", Slot: "enP2s1f1npf0sf12345", Path: "enP2p65s0f1npf0sf12345", MAC: mac},
			"",
		},
	} {
		s, ok := ParseScheme(tt.scheme)
		if !ok {
			t.Errorf("%s: scheme %s is not known", name, tt.scheme)
		}
		got := tt.card.names(s)
		tt.want.USB = strings.HasPrefix(name, "USB") || name == "modem"
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if p := got.By(DefaultNamePolicy()); p != tt.policy {
			t.Errorf("%s: udev names it %q, want %q", name, p, tt.policy)
		}
		for _, n := range got.All() {
			if !IsUdevName(n) {
				t.Errorf("%s: %s is not seen to be a name of udev", name, n)
			}
		}
	}
}

func TestIsUdevName(t *testing.T) {
	for _, name := range []string{"eth0", "ib0", "ib0.8001", "ibmc", "ib10", "lan0", "enp", "ens", "enx5254", "enP", "enp0", "internal", "slot1", "bond0", "usb0", "en", "", "endpoint"} {
		if IsUdevName(name) {
			t.Errorf("%q is no name of udev", name)
		}
	}
}

func TestParseScheme(t *testing.T) {
	for name, want := range map[string]Scheme{
		"": schemeV257, "latest": schemeV257, "v238": 0, "v241": schemeV240, "v245": schemeV240, "v252": schemeV252, "v258": schemeV257,
		"rhel-8.3": schemeV239, "rhel-8.10": schemeRHEL87, "rhel-9.0": schemeRHEL90, "rhel-9.7": schemeRHEL95, "rhel-10.0": schemeV257, "rhel-10.0-beta": schemeV257,
	} {
		if got, ok := ParseScheme(name); got != want || !ok {
			t.Errorf("%s: %b, %v; want %b", name, got, ok, want)
		}
	}
	for _, name := range []string{"v", "v237", "252", "rhel", "rhel-7.9", "rhel-x", "debian-12", "v99999999999999999999"} {
		if got, ok := ParseScheme(name); ok || got != latestScheme {
			t.Errorf("%s is known", name)
		}
	}
}

// Where an adapter with a name by path is, as lspci has it.
func TestUdevSlot(t *testing.T) {
	for name, want := range map[string]string{
		"ibp65s0": "0000:41:00", "ibp65s0d1": "0000:41:00", "enp0s3": "0000:00:03", "enp193s16f7np1": "0000:c1:10", "enP2p1s0": "0002:01:00",
		"enp0s20u1": "0000:00:14", "ibP65536p1s31": "10000:01:1f",
		"ens3": "", "ibs22f1": "", "eno1": "", "enP1s3": "", "enx525400123456": "", "eth0": "", "ib0": "", "enp99999999999999999999s1": "", "enp1": "", "": "",
	} {
		if got, ok := UdevSlot(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, want)
		}
	}
}
