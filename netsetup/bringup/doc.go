// Package bringup brings up the network of a booting node as package netsetup has decided: it
// follows the interfaces as they appear, waits for carrier, has protocols of package lease ask
// for addresses, applies steps of package link, and reports the outcome.
//
// # Up
//
// [New] makes a [Network], [Network.Up] brings it up. Drivers load at the same time, so Up may be
// started before there is any interface: it subscribes to rtnetlink, asks for what is there, and
// lives on messages from then on. Every candidate is set up as it appears; one without carrier,
// or with a driver that takes seconds to open, delays no other. When an interface has carrier,
// the first DISCOVER leaves at once. With ip=dhcp (or nothing) all candidates ask in parallel,
// and the first answer that has what the boot needs (netsetup.Needs) wins: a root path, or a
// route to the root's servers. The leases of the others are given back, and what was set up for
// them is set down, except for those that may still reach a server better.
//
// Up waits as long as its context allows, unless rd.net.timeout.carrier= or rd.net.timeout.dhcp=
// say otherwise: a switch port may start forwarding after 30 s, a DHCP server may come back after
// minutes. What it waits for is logged every 10 s, and is the text of the error when the context
// ends. After Up, [Network.Keep] goes on: it makes again what disappears, and renews leases until
// the switch.
//
// # InfiniBand
//
// Between a driver and carrier there are gates that the kernel does not report: a link, a subnet
// manager that has configured the port, the partition in its table, the broadcast group. sysfs is
// read when there is somebody to tell what is waited for, in parallel to everything else
// (portread.go), and the time of rd.net.timeout.carrier= starts again at each gate.
//
// # How it is built
//
// One goroutine, the runner (runner.go), owns all state. It has a job for each argument that
// wants an address and an attachment for each interface; both are driven by the kernel's messages
// (runner_link.go), by packets (receive.go, runner_lease.go) and by the clock (runner_clock.go).
// What may block, opening sockets and applying steps, happens in goroutines of its own
// (setup.go), which report back. The kernel is behind a Go interface, so that the tests have one
// with rules and faults of their own.
package bringup
