// Package plan decides what a boot is to do. [New] is a pure function from the command line and
// the image's config file to a [Plan]: the root, the network, the modules, the sessions, and the
// [Policy] for when the administrator's patience ends. Nothing here looks at the machine; golden
// files in testdata/plan compare the results.
//
// What depends on what the network says is decided by further pure functions once that
// is known: [Plan.RootBy], [Plan.TargetsBy], [Plan.Needs]. [Plan.Loads] is the order in
// which modules are asked for; /init and "nodisk plan" both walk it.
//
// The keys of the command line are one table (keys_table.go), from which docs/cmdline.md is
// written as well: what a key means, where it comes from, and what becomes of one that nodisk
// does not know.
//
// A [Verdict] is what the worker finally tells PID 1 to do.
package plan
