// Package modtree is about lib/modules/RELEASE: it finds a module tree wherever it lies ([Find]), makes its indexes
// where depmod has not run or not since files came ([Dir.Indexed]), and reduces them to the modules of an image
// ([ReduceIndexes]).
package modtree
