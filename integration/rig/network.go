package rig

import _ "embed"

// networkScript are the shell functions that make the network of a rig's server.
//
//go:embed network
var networkScript string
