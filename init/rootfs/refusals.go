package rootfs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// refusals are the outcomes of all versions that were tried; it prints one line
// for each, and one for those of a server to which the kernel's answer to their
// options was the same.
type refusals []refusal

type refusal struct {
	version NFSVersion
	server  netip.Addr // where it has several addresses
	err     error
}

// refusedOptions is the error of a version whose options the kernel does not take.
type refusedOptions struct {
	data string // of mount(2)
	more string // what else is to be said
	err  error
}

func (e *refusedOptions) Error() string {
	return fmt.Sprintf("the kernel does not take these options: %s%s: %v", clip(e.data, maxClip), e.more, e.err)
}

func (e *refusedOptions) Unwrap() error { return e.err }

// likes reports whether both say the same, except for the options.
func (e *refusedOptions) likes(o *refusedOptions) bool {
	return e.more == o.more && e.err.Error() == o.err.Error()
}

// with are the options that both versions have: what only one of them has was added by nodisk.
func (e *refusedOptions) with(o *refusedOptions) *refusedOptions {
	others := splitOptions(o.data)
	common := slices.DeleteFunc(splitOptions(e.data), func(word string) bool { return !slices.Contains(others, word) })
	return &refusedOptions{data: strings.Join(common, ","), more: e.more, err: e.err}
}

// A line is what is said about one version, or about several alike.
type line struct {
	versions []string
	server   netip.Addr
	err      error
}

func (r refusals) lines() []line {
	var all []line
next:
	for _, x := range r {
		e, ofOptions := x.err.(*refusedOptions) //nolint:errorlint // as it was made, not what another one wraps
		for i := range all {
			if o, ok := all[i].err.(*refusedOptions); ofOptions && ok && all[i].server == x.server && o.likes(e) { //nolint:errorlint // the same
				all[i].versions = append(all[i].versions, string(x.version))
				all[i].err = o.with(e)
				continue next
			}
		}
		all = append(all, line{[]string{string(x.version)}, x.server, x.err})
	}
	return all
}

func (r refusals) Error() string {
	var b strings.Builder
	lines := r.lines()
	for _, x := range lines {
		if len(lines) > 1 {
			b.WriteString("\n ")
		}
		b.WriteString(" NFS " + strings.Join(x.versions, ", "))
		if x.server.IsValid() {
			fmt.Fprintf(&b, " from %s", x.server)
		}
		fmt.Fprintf(&b, ": %v", x.err)
	}
	return b.String()
}

func (r refusals) Unwrap() []error {
	errs := make([]error, len(r))
	for i, x := range r {
		errs[i] = x.err
	}
	return errs
}
