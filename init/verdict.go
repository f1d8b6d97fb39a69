package boot

import (
	"fmt"
	"strings"
)

// Action is what PID 1 does with a worker's Verdict.
type Action int

// The actions a worker may ask for.
const (
	ActionSwitch   Action = iota + 1 // switch_root to Root and exec Argv
	ActionStay                       // exec Argv in the initramfs: root=/dev/ram
	ActionAgain                      // start a new worker
	ActionReboot                     // reboot the machine
	ActionPoweroff                   // power it off
	ActionHalt                       // stop it, power on
	ActionShell                      // a shell on the console, then a new worker
	ActionChain                      // exec Root in the initramfs as Argv: nodisk.chain=
)

// String returns the action's word in a verdict.
func (a Action) String() string {
	switch a {
	case ActionSwitch:
		return "switch"
	case ActionStay:
		return "stay"
	case ActionAgain:
		return "again"
	case ActionReboot:
		return "reboot"
	case ActionPoweroff:
		return "poweroff"
	case ActionHalt:
		return "halt"
	case ActionShell:
		return "shell"
	case ActionChain:
		return "chain"
	default:
		return fmt.Sprintf("Action(%d)", int(a))
	}
}

// A Verdict is the worker's last word, sent through a pipe to PID 1.
type Verdict struct {
	Action Action
	Root   string   // ActionSwitch: where the new root is mounted; ActionChain: the program
	Argv   []string // ActionSwitch, ActionStay, ActionChain: the init and its arguments; ActionShell: why
}

// Encode writes the verdict as NUL-ended strings: action, root, arguments.
func (v Verdict) Encode() []byte {
	words := append([]string{v.Action.String(), v.Root}, v.Argv...)
	return []byte(strings.Join(words, "\x00") + "\x00")
}

// ParseVerdict reads what Encode wrote. A worker that died in the middle of
// it gave no verdict: that is an error.
func ParseVerdict(b []byte) (Verdict, error) {
	text, ok := strings.CutSuffix(string(b), "\x00")
	words := strings.Split(text, "\x00")
	if !ok || len(words) < 2 {
		return Verdict{}, fmt.Errorf("read verdict: %d bytes, cut short", len(b))
	}
	v := Verdict{Root: words[1]}
	if len(words) > 2 {
		v.Argv = words[2:]
	}
	for a := ActionSwitch; a <= ActionChain; a++ {
		if a.String() == words[0] {
			v.Action = a
		}
	}
	switch v.Action {
	case ActionAgain, ActionReboot, ActionPoweroff, ActionHalt, ActionShell:
		return v, nil
	case ActionSwitch, ActionStay, ActionChain:
		if len(v.Argv) == 0 || !strings.HasPrefix(v.Argv[0], "/") {
			return Verdict{}, fmt.Errorf("read verdict: %s without an init", v.Action)
		}
		if v.Action != ActionStay && !strings.HasPrefix(v.Root, "/") {
			return Verdict{}, fmt.Errorf("read verdict: %s without a root", v.Action)
		}
		return v, nil
	default:
		return Verdict{}, fmt.Errorf("read verdict: no action %q", words[0])
	}
}

func onFailAction(o OnFail) Action {
	switch o {
	case OnFailReboot:
		return ActionReboot
	case OnFailPoweroff:
		return ActionPoweroff
	case OnFailHalt:
		return ActionHalt
	case OnFailShell:
		return ActionShell
	case OnFailRetry:
		return ActionAgain
	default:
		return ActionAgain
	}
}
