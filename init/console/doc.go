// Package console is what nodisk says on a node: a handler of log/slog that writes to the
// kernel's log, a record a line, with its priority, at a pace that a serial line bears.
//
// What a server, a firmware or the command line says is data: it passes [Printable], so that no
// text makes a line that looks like one of nodisk's, or controls a terminal.
package console
