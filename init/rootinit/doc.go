// Package rootinit finds the init of a root that is mounted but not yet "/": it follows
// links inside of that root as the kernel will after the switch, and says in words why a
// program that is there cannot be started.
package rootinit
