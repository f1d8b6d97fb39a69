// Package transcript collects what a node or a server writes, line by line, and lets others
// wait for a line: the lab knows by it what has happened, and when.
//
// A [Transcript] is an io.Writer for the bytes of a serial line. Its lines have neither
// control characters nor the kernel's time stamps, which are kept beside the text.
package transcript
