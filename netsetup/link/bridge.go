package link

// A Bridge is one bridge=name:ports. It forwards at once: without spanning tree and without
// forward delay. Its address stays that of the port which made it: a DHCP server knows the node
// by it, and the kernel would choose another one when a port joins.
type Bridge struct {
	Name  string
	Ports []PortMatch
}
