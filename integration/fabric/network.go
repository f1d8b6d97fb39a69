package fabric

import _ "embed"

// networkScript are the shell functions that make the network of a fabric's server.
//
//go:embed network
var networkScript string
