package plan

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// ShellPath is there in an image made with --rescue, or with a shell added.
const ShellPath = "/bin/sh"

// NoShell is what is said where it is not there.
const NoShell = "the image has no " + ShellPath + ": build it with nodisk build --rescue"

// MissedShell says what of the plan asks for a shell that the image does not have; empty where
// nothing does.
func (p Plan) MissedShell() (breaks, onFail string) {
	const fix = ", but " + NoShell
	if p.Breaks != nil {
		breaks = "rd.break asks for a shell" + fix
	}
	if p.Policy.OnFail == OnFailShell {
		onFail = "nodisk.onfail=shell" + fix
	}
	return breaks, onFail
}

// dracutStage translates the values of dracut's rd.break= (dracut.cmdline(7)). Those that are
// stages here too mean the same.
func dracutStage(word string) string {
	switch word {
	case "cmdline", "pre-udev":
		return StageMounts
	case "pre-trigger":
		return StageDrivers
	case "initqueue":
		return StageNetwork
	case "pre-mount":
		return StageMount
	case "", "pre-pivot", "cleanup":
		return StageSwitch
	default:
		return word
	}
}

// parseBreaks reads rd.break[=STAGE], which may repeat, in the order of the
// graph.
func parseBreaks(args cmdline.Args) (breaks []string, errs []error) {
	names := StageNames()
	asked := map[string]bool{}
	for _, a := range args {
		if !cmdline.SameKey(a.Key, "rd.break") {
			continue
		}
		name := dracutStage(a.Value)
		if !slices.Contains(names, name) {
			fix := "write " + strings.Join(names, ", ")
			if near := cmdline.Nearest(name, names, len(name)/3+1); near != "" {
				fix = "did you mean " + near + "? There are " + strings.Join(names, ", ")
			}
			errs = append(
				errs,
				&cmdline.ValueError{Key: "rd.break", Value: a.Value, Problem: "is not a stage", Fix: fix},
			)
			continue
		}
		asked[name] = true
	}
	for _, name := range names {
		if asked[name] {
			breaks = append(breaks, name)
		}
	}
	return breaks, errs
}
