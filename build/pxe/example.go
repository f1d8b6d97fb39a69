package pxe

import _ "embed"

// Example is a description to begin with, with comments.
//
//go:embed example.yaml
var Example string
