// Package cache keeps what takes long to make, such as packed modules and the indexes of module trees, for the images
// of one run and, in a directory, for later runs.
package cache
