package plan

// The stages of all plans.
const (
	StageMounts  = "mounts"
	StageDrivers = "drivers"
	StageNetwork = "network"
	StageStorage = "storage"
	StageAttach  = "attach"
	StageMount   = "mount"
	StageSwitch  = "switch"
)

// StageNames are all of them, in the order of the graph: the values of rd.break=.
func StageNames() []string {
	return []string{StageMounts, StageDrivers, StageNetwork, StageStorage, StageAttach, StageMount, StageSwitch}
}
