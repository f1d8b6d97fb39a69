// Package tool finds and runs the programs of this machine that the lab is made of: servers,
// QEMU, ip(8).
//
// A [Tool] is a program or a file of a Debian package, so that an error can say what to
// install ([NotFound], [Missing]). One that is to end soon is run by [Tool.Run]; a server is
// a [Process] from [Start] on: what it writes is collected in a transcript, by which others
// see when it is ready, and it ends with its context.
package tool
