package link

// A VLAN is one vlan=name:parent[:id].
type VLAN struct {
	Name   string
	Parent PortMatch // of several that it describes, the first that appears
	ID     int       // 1 to 4094
}
