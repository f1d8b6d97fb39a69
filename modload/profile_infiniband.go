package modload

// infiniband are the profiles of InfiniBand adapters and of Mellanox adapters in
// either of their lives.
//
// What a boot needs is the driver of the adapter, which its device asks for,
// and ib_ipoib, which nothing asks for. So that is all that a node with an image
// for InfiniBand loads by name: on one without an adapter it costs ib_core, ib_cm
// and ib_ipoib, but no driver. Drivers that their adapter does not
// name itself follow by [Companions]. ib_uverbs, ib_umad, rdma_cm and rdma_ucm
// serve programs of the root (verbs, subnet manager, MPI), and the root's udev loads
// them. They are in the image, for roots without modules of their own: when the
// kernel's command line names the profile, all of its Order is loaded.
func infiniband() []Profile {
	return []Profile{
		{
			// The order of the FlexBoot guide, which administrators have in their
			// scripts. ib_core has all of ib_addr, ib_mad and ib_sa today.
			Name: "ib", Doc: "IP over InfiniBand, adapters up to ConnectX-3; for later ones mlx5 besides",
			Load: []Request{{Name: "ib_ipoib", Stage: StageDrivers}},
			Order: []string{
				"ib_addr", "ib_core", "ib_mad", "ib_sa", "ib_cm", "ib_uverbs", "ib_ucm", "ib_umad", "iw_cm", "rdma_cm", "rdma_ucm",
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
			Name: "en", Doc: "Mellanox ConnectX to ConnectX-3 with Ethernet only",
			Include: []string{"mlx4_core", "mlx4_en"},
			Order:   []string{"mlx4_core", "mlx4_en"},
		},
	}
}

// A Companion is a module and those that should follow it, though neither
// depmod nor a modalias in sysfs says so.
type Companion struct {
	Module string
	Then   []string
}

// Companions are to be written into an image as softdeps, as far as it holds
// them.
//
// mlx4_core asks for mlx4_en and mlx4_ib by request_module_nowait, when there is no
// modprobe yet (mlx4_request_modules in drivers/net/ethernet/mellanox/mlx4/main.c;
// an auxiliary bus since Linux 6.6). Devices of the auxiliary bus, such as
// mlx5_core.rdma, have a modalias in their event only, not in sysfs
// (drivers/base/auxiliary.c). And nothing at all asks for ib_ipoib.
func Companions() []Companion {
	return []Companion{
		{"mlx4_core", []string{"mlx4_en", "mlx4_ib"}},
		{"mlx5_core", []string{"mlx5_ib"}},
		{"mlx4_ib", []string{"ib_ipoib"}},
		{"mlx5_ib", []string{"ib_ipoib"}},
		{"ib_mthca", []string{"ib_ipoib"}},
	}
}

// Retired tells whether a name is of a module that newer kernels have no more,
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
