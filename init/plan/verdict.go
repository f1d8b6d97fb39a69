package plan

import (
	"fmt"
	"strings"
	"time"
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

// String returns the action's name in a verdict.
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

// A Verdict is the worker's decision on what PID 1 does next.
type Verdict struct {
	Action Action
	Wait   time.Duration // that PID 1 waits before that; whole milliseconds
	Root   string        // ActionSwitch: where the new root is mounted; ActionChain: the program
	Argv   []string      // ActionSwitch, ActionStay, ActionChain: the init and its arguments; ActionShell: why
}

// Check finds what cannot be carried out.
func (v Verdict) Check() error {
	switch v.Action {
	case ActionAgain, ActionReboot, ActionPoweroff, ActionHalt, ActionShell:
		return nil
	case ActionSwitch, ActionStay, ActionChain:
		if len(v.Argv) == 0 || !strings.HasPrefix(v.Argv[0], "/") {
			return fmt.Errorf("%s without an init", v.Action)
		}
		if v.Action != ActionStay && !strings.HasPrefix(v.Root, "/") {
			return fmt.Errorf("%s without a root", v.Action)
		}
		return nil
	default:
		return fmt.Errorf("no such action: %v", v.Action)
	}
}

// ParseAction is the inverse of Action.String.
func ParseAction(word string) (Action, error) {
	for a := ActionSwitch; a <= ActionChain; a++ {
		if a.String() == word {
			return a, nil
		}
	}
	return 0, fmt.Errorf("no action %q", word)
}

// OnFailAction is what PID 1 does for nodisk.onfail= when the boot is given up.
func OnFailAction(o OnFail) Action {
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
