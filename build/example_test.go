package build_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/initramfs"
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
	contents, err := initramfs.Inspect(image)
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
