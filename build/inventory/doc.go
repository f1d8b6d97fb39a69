// Package inventory reads lists of a node's hardware, and says which modules drive it.
//
// A list comes from nodisk inventory, from modalias files of sysfs, or from lspci ([Parse]), or from the machine itself
// ([Host]). [Aliases] matches devices against the indexes of a module tree, and a [Choice] reduces the drivers of
// profiles to those that lists ask for.
package inventory
