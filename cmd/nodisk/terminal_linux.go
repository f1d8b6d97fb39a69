package main

import "syscall"

// nonblock makes reads of a terminal wait in Go's poller.
const nonblock = syscall.O_NONBLOCK
