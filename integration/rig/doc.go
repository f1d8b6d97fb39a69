// Package rig is a network of the lab's for what Ethernet can do: bonds, VLANs, bridges,
// spanning trees, cables that are pulled.
//
// The cables of a [Rig] go from a node's NIC straight to one of a server VM (QEMU's datagram
// sockets), because a bridge between keeps LACP and spanning tree frames for itself. The
// server wires its ends as a test says ([Boot]), in a network namespace for each node, so that
// many nodes boot at a time; a script pulls cables, puts NICs in and starts servers when the
// node's console says the right line.
package rig
