// Package boot is nodisk's /init: from the first instruction of PID 1 to the
// exec of the root's own init.
//
// Two processes share the work. PID 1 is a supervisor of a few lines
// (supervisor_linux.go): it starts a worker, reaps what dies, and carries out
// the worker's plan.Verdict: switch to the root, reboot, or start again. The worker
// is the same program once more. It loads drivers, brings up the network and
// mounts the root, and may crash without taking the kernel down: to the
// supervisor a crash is one more failed attempt.
//
// What is to be done is decided first, by package plan. How it is done is a graph of stages
// (stages.go) that run in parallel where nothing forces an order:
//
//	mounts -> drivers -+-> storage --+-> attach -> mount -> switch
//	       \-> network +-------------/
//
// A stage that fails is tried again with a growing, jittered pause. What happens when the
// administrator's patience ends is decided by the plan.Policy.
package boot
