package plan

import (
	"slices"

	"github.com/nodisk/nodisk/modload"
)

// A LoadWay is how the modules of a Load are loaded. The zero value is invalid.
type LoadWay int

// The ways.
const (
	// LoadInOrder: by name, one after the other, as the administrator has ordered them. One that the
	// kernel holds is passed over.
	LoadInOrder LoadWay = iota + 1
	// LoadLast is LoadInOrder once the probes of drivers have ended, as far as something waits for them.
	LoadLast
	// LoadNetwork: what the machine's network devices ask for. They go before all other devices: links
	// train while the rest loads.
	LoadNetwork
	// LoadDrivers: by name, before all else that is loaded by name, and without waiting for a
	// probe.
	LoadDrivers
	// LoadDevices: what all devices ask for, in parallel to the stages from the first LoadLast
	// on.
	LoadDevices
	// LoadNeeded: by name, what the stage cannot go on without.
	LoadNeeded
)

// A Load is one step of the loading of modules.
type Load struct {
	Stage    string // whose work it is; its loads are done in their order
	Phase    string // what it is for, after "modules": "by rd.driver.pre="
	Way      LoadWay
	Requests []modload.Request // empty for LoadNetwork and LoadDevices, or if there is nothing to load
}

// Loads is the order in which a boot loads modules from an image with this index: the worker's
// stages walk it on the node, `nodisk plan` at the desk. Stages that run in parallel have theirs
// in the order of the stages. What DHCP's root path asks for is not known yet. The notes say what
// was left out because this kernel does without it.
func (p Plan) Loads(x *modload.Index) (loads []Load, notes []string) {
	m := p.Modules.clone()
	notes = m.without(x)
	if p.Chain.Path != "" {
		m.withoutVendors(x)
	}
	add := func(stage, phase string, way LoadWay, requests ...modload.Request) {
		loads = append(loads, Load{Stage: stage, Phase: phase, Way: way, Requests: requests})
	}
	for _, r := range named(m.First) {
		add(StageDrivers, "by nodisk.modules=", LoadInOrder, r)
	}
	add(StageDrivers, "by rd.driver.pre=", LoadInOrder, named(m.Pre)...)
	add(StageDrivers, "for network devices", LoadNetwork)
	add(StageDrivers, "of the image's profiles", LoadDrivers, m.Drivers...)
	add(StageDrivers, "by rd.driver.post=", LoadLast, named(m.Post)...)
	add(StageNetwork, "for links and sockets", LoadNeeded, m.Links...)
	add(StageDrivers, "for other devices", LoadDevices)
	if p.Attaches() {
		loads = append(loads, AttachLoad())
	}
	add(StageStorage, forRoot, LoadNeeded, p.ahead()...)
	return loads, notes
}

const forRoot = "for the root"

// AttachLoad is the kernel's side of iSCSI.
func AttachLoad() Load {
	return Load{Stage: StageAttach, Phase: forRoot, Way: LoadNeeded, Requests: Requests("iscsi", modload.StageStorage)}
}

// LoadsOf are those of one stage.
func LoadsOf(loads []Load, stage string) []Load {
	return slices.DeleteFunc(slices.Clone(loads), func(l Load) bool { return l.Stage != stage })
}

// LoadsBy reports whether anything is loaded in one of these ways, by name.
func LoadsBy(loads []Load, ways ...LoadWay) bool {
	return slices.ContainsFunc(loads, func(l Load) bool { return len(l.Requests) > 0 && slices.Contains(ways, l.Way) })
}

// named are requests for modules that must be there.
func named(names []string) []modload.Request {
	requests := make([]modload.Request, len(names))
	for i, name := range names {
		requests[i].Name = name
	}
	return requests
}
