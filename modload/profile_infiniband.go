package modload

import "slices"

// infiniband are the profiles of InfiniBand adapters and of Mellanox adapters in
// either of their lives.
//
// What a boot needs is the driver of the adapter, which its device asks for,
// and ib_ipoib, which nothing asks for. So that is all that a node with an image
// for InfiniBand loads by name: on one without an adapter it costs ib_core, ib_cm
// and ib_ipoib, but no driver. Drivers that their adapter does not
// name itself follow by [Adapters]. ib_uverbs, ib_umad, rdma_cm and rdma_ucm
// serve programs of the root (verbs, subnet manager, MPI), and the root's udev loads
// them. They are in the image, for roots without modules of their own: when the
// kernel's command line names the profile, all of its Order is loaded.
func infiniband() []Profile {
	return []Profile{
		{
			// The order of the FlexBoot guide, which administrators have in their
			// scripts. ib_core has all of ib_addr, ib_mad and ib_sa today.
			Name: "ib", Doc: "IP over InfiniBand, adapters up to ConnectX-3 and True Scale; for later " +
				"ones mlx5 besides",
			Load: []Request{{Name: "ib_ipoib", Stage: StageDrivers}},
			// QLogic's and Intel's True Scale, of which the guide knows nothing. Linux 7 no longer has such
			// a driver, nor has any kernel of Debian's for arm64.
			Maybe: []string{"ib_qib"},
			Order: []string{
				"ib_addr", "ib_core", "ib_mad", "ib_sa", "ib_cm", "ib_uverbs", "ib_ucm", "ib_umad", "iw_cm", "rdma_cm",
				"rdma_ucm",
				"mlx4_core", "mlx4_ib", "ib_mthca", "ipoib_helper", "ib_ipoib",
			},
		},
		{
			Name: "mlx4", Doc: "Mellanox ConnectX to ConnectX-3 with InfiniBand and Ethernet (VPI)",
			Include: []string{"mlx4_core", "mlx4_en", "mlx4_ib"},
			Order:   []string{"mlx4_core", "mlx4_en", "mlx4_ib", "ib_ipoib"},
		},
		{
			Name: "mlx5", Doc: "NVIDIA ConnectX-4 and later with InfiniBand and Ethernet",
			Include: []string{"mlx5_core", "mlx5_ib"},
			Order:   []string{"mlx5_core", "mlx5_ib", "ib_ipoib"},
		},
		{
			// The driver is for amd64 alone (drivers/infiniband/hw/hfi1/Kconfig): without OneOf an image
			// of another kernel would be made, with ib_ipoib and nothing below it.
			// opa_vnic carries Ethernet, once a manager of the fabric makes such an interface.
			Name: "opa", Doc: "Omni-Path adapters (hfi1, on amd64 only) and IP over them",
			OneOf: []string{"hfi1"},
			Maybe: []string{"opa_vnic"},
			Load:  []Request{{Name: "ib_ipoib", Stage: StageDrivers}},
			Order: []string{"hfi1", "ib_ipoib"},
		},
		{
			Name: "en", Doc: "Mellanox ConnectX to ConnectX-3 with Ethernet only",
			Include: []string{"mlx4_core", "mlx4_en"},
			Order:   []string{"mlx4_core", "mlx4_en"},
		},
	}
}

// An Adapter is the driver that the device of an InfiniBand adapter asks for, and what it
// needs besides for an interface of the network.
type Adapter struct {
	Driver string
	// IPoIB are the modules of an interface such as ib0, in the order in which they follow the driver.
	IPoIB []string
	// Ethernet is the module of one such as eth0: the driver itself, or one that follows it. Empty:
	// the adapter has no Ethernet.
	Ethernet string
	// Profiles bring driver and IPoIB into an image, as --profile takes them.
	Profiles string
}

// Adapters are those whose driver nothing but this table leads to an interface:
// neither depmod nor a modalias in sysfs does.
//
// mlx4_core asks for mlx4_en and mlx4_ib by request_module_nowait, when there is no
// modprobe yet (mlx4_request_modules in drivers/net/ethernet/mellanox/mlx4/main.c;
// an auxiliary bus since Linux 6.6). Devices of the auxiliary bus, such as
// mlx5_core.rdma, have a modalias in their event only, not in sysfs
// (drivers/base/auxiliary.c). And nothing at all asks for ib_ipoib.
//
// The enhanced IPoIB of mlx5 and of hfi1 is not an exception: ib_ipoib makes the interface, and asks
// the RDMA device, of mlx5_ib, for its inside (rdma_alloc_netdev; mlx5_rdma_netdev_alloc
// in mlx5_core). So ipoib_enhanced=0, a parameter of ib_ipoib in MLNX_OFED that Linux does not
// have, changes nothing in what is loaded.
func Adapters() []Adapter {
	return []Adapter{
		{Driver: "mlx4_core", IPoIB: []string{"mlx4_ib", ipoib}, Ethernet: "mlx4_en", Profiles: "ib"},
		{Driver: "mlx5_core", IPoIB: []string{"mlx5_ib", ipoib}, Ethernet: "mlx5_core", Profiles: "mlx5"},
		{Driver: "ib_mthca", IPoIB: []string{ipoib}, Profiles: "ib"},
		{Driver: "ib_qib", IPoIB: []string{ipoib}, Profiles: "ib"},
		{Driver: "hfi1", IPoIB: []string{ipoib}, Profiles: "opa"},
	}
}

const ipoib = "ib_ipoib"

// AdapterOf finds the adapter of a driver by the driver's name.
func AdapterOf(driver string) (Adapter, bool) {
	list := Adapters()
	i := slices.IndexFunc(list, func(a Adapter) bool { return a.Driver == normal(driver) })
	if i < 0 {
		return Adapter{}, false
	}
	return list[i], true
}

// ServesIPoIB reports whether a module is there for the IPoIB interface of some adapter.
func ServesIPoIB(module string) bool {
	return slices.ContainsFunc(Adapters(), func(a Adapter) bool { return slices.Contains(a.IPoIB, normal(module)) })
}

// A Companion is a module and those that should follow it, though neither
// depmod nor a modalias in sysfs says so.
type Companion struct {
	Module string
	Then   []string
}

// Companions are the [Adapters] as softdeps, to be written into an image as far as it holds
// them.
func Companions() []Companion {
	var list []Companion
	for _, a := range Adapters() {
		first := Companion{Module: a.Driver}
		if a.Ethernet != "" && a.Ethernet != a.Driver {
			first.Then = append(first.Then, a.Ethernet)
		}
		first.Then = append(first.Then, a.IPoIB[0])
		list = append(list, first)
		for i, next := range a.IPoIB[1:] {
			list = append(list, Companion{Module: a.IPoIB[i], Then: []string{next}})
		}
	}
	return list
}

// Retired reports whether a name is of a module that newer kernels no longer have,
// and that nobody has to miss: merged into ib_core (ib_addr, ib_mad, ib_sa),
// dropped (ib_ucm), or never in Linux but in vendors' packages (ipoib_helper).
func Retired(name string) bool {
	switch normal(name) {
	case "ib_addr", "ib_mad", "ib_sa", "ib_ucm", "ipoib_helper":
		return true
	}
	return false
}

// Absent splits names of modules into those that the index can answer and those
// it cannot.
func (x *Index) Absent(names []string) (have, absent []string) {
	for _, name := range names {
		if _, _, ok := x.find(name); ok {
			have = append(have, name)
		} else {
			absent = append(absent, name)
		}
	}
	return have, absent
}
