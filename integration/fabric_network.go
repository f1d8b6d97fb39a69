package integration

import _ "embed"

// serverFabric are the shell functions that make the network of a fabric's server.
//
//go:embed server/fabric
var serverFabric string
