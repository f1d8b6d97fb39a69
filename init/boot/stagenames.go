package boot

// The stages of all plans.
const (
	stageMounts  = "mounts"
	stageDrivers = "drivers"
	stageNetwork = "network"
	stageStorage = "storage"
	stageAttach  = "attach"
	stageMount   = "mount"
	stageSwitch  = "switch"
)

// stageNames are all of them, in the order of the graph: the values of rd.break=.
func stageNames() []string {
	return []string{stageMounts, stageDrivers, stageNetwork, stageStorage, stageAttach, stageMount, stageSwitch}
}
