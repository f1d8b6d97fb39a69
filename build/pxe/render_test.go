package pxe

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden files are rewritten by `go test ./build/pxe -update`.
func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the golden files")
	m.Run()
}

// clusters are the directories of testdata that hold a nodes.yaml.
func clusters() []string { return []string{"ethernet", "infiniband"} }

// render makes the tree of a cluster of testdata.
func render(t testing.TB, cluster string) Tree {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", cluster, "nodes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	nodes, err := Parse(f, "nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Render(nodes, Options{Folder: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// parsed makes the tree of a description.
func parsed(t testing.TB, text, directory string) Tree {
	t.Helper()
	nodes, err := Parse(strings.NewReader(text), "nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Render(nodes, Options{Folder: directory})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// printed is a tree as one text; files with the same contents are one part.
func printed(tree Tree) string {
	var b strings.Builder
	names := map[string][]string{}
	for _, f := range tree.Files {
		names[string(f.Data)] = append(names[string(f.Data)], f.Path)
	}
	for _, f := range tree.Files {
		if same := names[string(f.Data)]; same[0] == f.Path {
			fmt.Fprintf(&b, "-- %s --\n%s", strings.Join(same, " "), f.Data)
		}
	}
	fmt.Fprintf(&b, "-- needs --\n%s\n", strings.Join(tree.Needs, "\n"))
	for _, w := range tree.Warnings {
		fmt.Fprintf(&b, "-- warning --\n%s\n", w)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	for _, cluster := range clusters() {
		t.Run(cluster, func(t *testing.T) {
			got, golden := printed(render(t, cluster)), filepath.Join("testdata", cluster, "tree.golden")
			if update() {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("not as in %s (-want +got):\n%s", golden, diff)
			}
		})
	}
}
