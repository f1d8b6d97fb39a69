package integration

import _ "embed"

// serverRig are the shell functions that make the network of a rig's server.
//
//go:embed server/rig
var serverRig string
