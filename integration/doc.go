// Package integration holds the tests that boot nodes: nodisk's images on virtual machines,
// from real servers.
//
// What they boot in is below: the lab itself in package lab, InfiniBand in fabric, bonds and
// pulled cables in rig, faults in storm, the server VM of fabric and rig in server.
//
// # Tests
//
// All tests that boot nodes run side by side (t.Parallel), in one lab (sharedLab), and
// wait for a place on the machine before they take its time: for a node, for a server
// VM while it starts, for an image that is made (takePlace in places_test.go). There is
// room for a busy node on each processor, which emulates it, and for one more that
// waits for a deadline; a place of a node that waits is half of a busy one's. What must
// have the machine for itself takes all of it. Places go by turns, so a big one is not
// passed over; nodes that are busy for minutes ask for their places after it (takeLong).
// TestStorm is alone with a lab of its own, because its servers come and go under the
// lab's port numbers; it goes first, as all tests without t.Parallel.
package integration
