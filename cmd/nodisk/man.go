package main

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
	"github.com/muesli/roff"

	"github.com/nodisk/nodisk/internal/outfile"
)

// manCmd is "nodisk man".
type manCmd struct {
	Command string `arg:"" optional:"" help:"Command to print the page of; default: nodisk itself."`
	Dir     string `help:"Write the pages of all commands into this directory: nodisk.1, nodisk-build.1 and so on." type:"existingdir" placeholder:"DIR"`
}

// Run prints a page, or writes all.
func (m *manCmd) Run(parser *kong.Kong, c console) error {
	app := parser.Model
	if m.Dir == "" {
		text, err := manPage(app, m.Command)
		if err != nil {
			return fmt.Errorf("man: %w", err)
		}
		_, err = io.WriteString(c.out, text)
		return err
	}
	for _, command := range append([]string{""}, commands(app)...) {
		text, err := manPage(app, command)
		if err != nil {
			return fmt.Errorf("man: %w", err)
		}
		name := strings.TrimSuffix("nodisk-"+command, "-") + ".1"
		if err := outfile.Replace(filepath.Join(m.Dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("man: %w", err)
		}
	}
	return nil
}

// commands lists those that are not hidden.
func commands(app *kong.Application) []string {
	var names []string
	for _, node := range app.Children {
		if !node.Hidden {
			names = append(names, node.Name)
		}
	}
	return names
}

// manPage is the page of a command, or that of nodisk, which lists all.
func manPage(app *kong.Application, command string) (string, error) {
	node, usage := *app.Node, app.Name+" "+strings.TrimSpace(app.Summary())
	if command != "" {
		i := slices.IndexFunc(app.Children, func(n *kong.Node) bool { return n.Name == command })
		if i < 0 {
			return "", &usageError{fmt.Errorf("there is no command %q", command)}
		}
		node = *app.Children[i]
		usage = app.Name + " " + node.Summary()
		node.Name = "nodisk-" + command
	} else {
		// The flags of the commands are in pages of their own.
		node.Children = nil
		for _, child := range app.Children {
			short := *child
			short.Flags, short.Positional = nil, nil
			node.Children = append(node.Children, &short)
		}
	}
	page := mangokong.NewManPage(1, &kong.Application{Node: &node})
	day, err := sourceDate()
	if err != nil {
		return "", err
	}
	return settle(page.Build(roff.NewDocument()), usage, day), nil
}

// settle makes the same page of the same source, whatever the day: it bears that of
// SOURCE_DATE_EPOCH, or none. It also
// says how the command is really used: the library writes pages for programs of any kind.
func settle(page, usage string, day time.Time) string {
	title := regexp.MustCompile(`(?m)^(\.TH \S+ 1) "[0-9-]*"`)
	synopsis := regexp.MustCompile(`(?m)^\.SH SYNOPSIS\n.*$`)
	date := ""
	if !day.IsZero() {
		date = day.UTC().Format(time.DateOnly)
	}
	page = title.ReplaceAllString(page, `$1 "`+date+`"`)
	// An empty line in a help text is a paragraph, which the library makes two of.
	page = regexp.MustCompile(`(?m)^(\.PP\s+)+(\.PP|\.SH|\.TP|\.RS|\.RE)`).ReplaceAllString(page, "$2")
	return synopsis.ReplaceAllLiteralString(page, ".SH SYNOPSIS\n"+strings.ReplaceAll(usage, "-", `\-`))
}
