package build_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/nodisk/nodisk/build"
)

// The secrets of a node are an archive of their own, which the loader puts after the image that
// all nodes share. Inspect lists what is in an archive, or in several joined to one file.
func ExampleWriteSecrets() {
	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	chap, out := filepath.Join(dir, "node7.chap"), filepath.Join(dir, "node7.img")
	if err := os.WriteFile(chap, []byte("a word of sixteen"), 0o600); err != nil {
		log.Print(err)
		return
	}
	_, _, err = build.WriteSecrets(context.Background(), build.Spec{
		Secrets:   []build.Secret{{Source: chap, Destination: "etc/nodisk/chap"}},
		SecretOut: out,
	})
	if err != nil {
		log.Print(err)
		return
	}
	image, err := os.Open(out)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = image.Close() }()
	contents, err := build.Inspect(image)
	if err != nil {
		log.Print(err)
		return
	}
	for _, f := range contents.Files {
		fmt.Println(f.ModeString(), f.Name)
	}
	// Output:
	// drwx------ etc/nodisk
	// -rw------- etc/nodisk/chap
}

// The hardware of a node, as "lspci -n" lists it.
func ExampleParseInventory() {
	v, err := build.ParseInventory("node7", strings.NewReader("00:03.0 0200: 1af4:1000\n"))
	if err != nil {
		log.Print(err)
		return
	}
	for _, d := range v.Devices {
		fmt.Println(d)
	}
	// Output:
	// pci 1af4:1000 virtio device 1
	// virtio 1 network adapter
}
