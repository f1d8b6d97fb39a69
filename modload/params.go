package modload

import (
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Param is one module parameter.
type Param struct {
	Module string // with underscores
	Arg    cmdline.Arg
}

// Params are module parameters in the order they were written.
type Params []Param

// A Blacklisted is a module the administrator does not want.
type Blacklisted struct {
	Module string // with underscores
	Key    string // the argument that said so, as written, or file and line of a modprobe.d
	// Never forbids the module altogether; otherwise only an alias does not
	// lead to it, while its name and modules that depend on it still do.
	Never bool
}

// where names what forbids: "module_blacklist=", "/etc/modprobe.d/net.conf:3".
func (b Blacklisted) where() string {
	if b.Key[0] == '/' {
		return b.Key
	}
	return b.Key + "="
}

// Blacklist is in the order of the command line.
type Blacklist []Blacklisted

// ParseParams takes module.param=value arguments and blacklists from the
// command line.
//
// A parameter is kept for every key with a dot, whatever the module: which
// modules will be loaded is not known yet. modprobe.blacklist= has the
// meaning of modprobe.d(5), module_blacklist= that of the kernel, which also refuses by
// itself (kernel-parameters.txt), rd.driver.blacklist= means never too. All
// three take lists with commas and may repeat.
func ParseParams(args cmdline.Args) (Params, Blacklist) {
	var (
		params Params
		black  Blacklist
	)
	for _, a := range args {
		switch {
		case cmdline.SameKey(a.Key, "modprobe.blacklist"):
			black = black.add(a, false)
		case cmdline.SameKey(a.Key, "module_blacklist"), cmdline.SameKey(a.Key, "rd.driver.blacklist"):
			black = black.add(a, true)
		default:
			module, param, ok := strings.Cut(a.Key, ".")
			if !ok || module == "" || param == "" {
				continue
			}
			arg := cmdline.Arg{Key: param, Value: a.Value, HasValue: a.HasValue}
			params = append(params, Param{Module: normal(module), Arg: arg})
		}
	}
	return params, black
}

func (b Blacklist) add(a cmdline.Arg, never bool) Blacklist {
	for name := range strings.SplitSeq(a.Value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			b = append(b, Blacklisted{Module: normal(name), Key: a.Key, Never: never})
		}
	}
	return b
}

// For renders the parameters of a module as finit_module(2) takes them: words
// with spaces between, a value with white space in double quotes. It is empty
// when there are none.
func (p Params) For(module string) string {
	var b strings.Builder
	for i := range p {
		if !cmdline.SameKey(p[i].Module, module) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p[i].Arg.String())
	}
	return b.String()
}

// Find returns the entry that forbids a module, if there is one. byAlias reports
// whether an alias led to it.
func (b Blacklist) Find(module string, byAlias bool) (Blacklisted, bool) {
	for _, e := range b {
		if (e.Never || byAlias) && cmdline.SameKey(e.Module, module) {
			return e, true
		}
	}
	return Blacklisted{}, false
}
