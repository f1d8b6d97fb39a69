package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestParseBreaks(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                    nil,
		"rd.break":                            {"switch"},
		"rd.break=":                           {"switch"},
		"rd.break=mount rd.break":             {"mount", "switch"},
		"rd.break=attach rd.break=network":    {"network", "attach"},
		"rd.break=attach rd.break=attach":     {"attach"},
		"rd.break=pre-mount rd.break=cmdline": {"mounts", "mount"},
		"rd.break=pre-pivot rd.break=cleanup": {"switch"},
	} {
		got, errs := parseBreaks(cmdline.Parse(line))
		if diff := cmp.Diff(want, got); diff != "" || errs != nil {
			t.Errorf("%q: errors %v (-want +got):\n%s", line, errs, diff)
		}
	}
	got, errs := parseBreaks(cmdline.Parse("rd.break=atach rd.break=dance rd.break=storage"))
	const want = `rd.break=atach: is not a stage; did you mean attach? There are mounts, drivers, network, storage, attach, mount, switch
rd.break=dance: is not a stage; write mounts, drivers, network, storage, attach, mount, switch`
	if diff := cmp.Diff(want, errors.Join(errs...).Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"storage"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
