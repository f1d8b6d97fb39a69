// Package rootinit finds the init of a root that is mounted but not yet "/": it follows links
// inside that root as the kernel will after the switch, and says why a program that is there
// cannot be started.
package rootinit
