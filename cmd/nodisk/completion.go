package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/site"
	"github.com/nodisk/nodisk/modload"
)

// completionCmd is "nodisk completion".
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"${enum}."`
}

// Help is the end of nodisk completion --help.
func (completionCmd) Help() string {
	return "bash: nodisk completion bash >/etc/bash_completion.d/nodisk; " +
		"zsh: nodisk completion zsh >>~/.zshrc; fish: nodisk completion fish >/etc/fish/completions/nodisk.fish"
}

// The shells ask the command itself: it is started with the line so far in COMP_LINE
// (bash(1), complete -C).
const (
	bashCompletion = "complete -o default -C nodisk nodisk\n"
	zshCompletion  = `autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
complete -o default -C nodisk nodisk
`
	fishCompletion = `function __complete_nodisk
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    nodisk
end
complete -c nodisk -a "(__complete_nodisk)"
`
)

// Run prints the script.
func (s completionCmd) Run(c console) error {
	_, err := io.WriteString(c.out, map[string]string{
		"bash": bashCompletion, "zsh": zshCompletion,
		"fish": fishCompletion,
	}[s.Shell])
	return err
}

// completing reports whether a shell asks for words.
func completing() bool { return os.Getenv("COMP_LINE") != "" }

// completeLine answers a shell.
func completeLine(parser *kong.Kong, w io.Writer) error {
	command, err := kongplete.Command(parser)
	if err != nil {
		return fmt.Errorf("complete: %w", err)
	}
	for _, sub := range command.Sub {
		for flag, predict := range predictors() {
			if _, ok := sub.GlobalFlags[flag]; ok {
				sub.GlobalFlags[flag] = predict
			}
		}
	}
	for _, name := range []string{"help", "man"} { // arguments of these are commands
		if sub, ok := command.Sub[name]; ok {
			sub.Args = complete.PredictSet(commands(parser.Model)...)
			command.Sub[name] = sub
		}
	}
	// Shells ask for the commands too, where a positional argument names one.
	answer := complete.New(parser.Model.Name, command)
	answer.Out = w
	answer.Complete()
	return nil
}

// predictors are the flags whose values are known.
func predictors() complete.Flags {
	return complete.Flags{
		"--profile": complete.PredictFunc(func(a complete.Args) []string {
			// A,B: the last of a list is completed.
			before := a.Last[:strings.LastIndexByte(a.Last, ',')+1]
			var names []string
			for _, p := range modload.Profiles() {
				names = append(names, before+p.Name)
			}
			return names
		}),
		"--compress": complete.PredictFunc(func(complete.Args) []string {
			var names []string
			for _, c := range compress.Compressions() {
				names = append(names, c.String())
			}
			return names
		}),
		"--kver": complete.PredictFunc(func(complete.Args) []string {
			all, err := installed.List("/")
			if err != nil { // a shell has no place for it
				return nil
			}
			names := []string{allKernels}
			for _, k := range all {
				names = append(names, k.Release)
			}
			return names
		}),
		"--image": complete.PredictFunc(func(complete.Args) []string {
			s, err := site.Read(os.DirFS(defaultSite), defaultSite, nil)
			if err != nil { // its keys are not looked at, only the names are wanted
				return complete.PredictFiles("*").Predict(complete.Args{})
			}
			var names []string
			for _, image := range s.Images {
				names = append(names, image.Name)
			}
			return names
		}),
	}
}
