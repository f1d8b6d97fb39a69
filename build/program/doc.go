// Package program provides the programs of an image. /init comes as a binary that nodisk carries ([EmbeddedInit]), or
// from u-root's mkuimage, which compiles it ([CompileInit]); the rescue shell is compiled in the same way
// ([CompileRescue]).
package program
