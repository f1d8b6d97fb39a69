// Package storm boots nodes while things break, each with one fault.
//
// A [Case] is data made of a seed: what breaks, at which moment of the boot, for how long,
// and what nodisk.onfail= and nodisk.deadline= say. [Run] boots it. Every node has servers of
// its own, the server of its root with an address of its own. Moments are counted from lines
// of the console, because races sit where one stage ends and the next begins. What hits the
// worker itself is done by an agent in the node (the directory agent), which /init does not
// know of. The judge is a pure function of the case and the console: root or policy in time,
// by guest time, with a line that says why.
package storm
