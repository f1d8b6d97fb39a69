package cmdline

import "testing"

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		known []string
		limit int
		want  string
	}{
		{"dedline", []string{"log", "deadline", "headline"}, 3, "deadline"},
		{"dedline", []string{"headline", "deadline"}, 3, "deadline"},
		{"ab", []string{"ba", "cd"}, 3, "ba"},
		{"ab", []string{"ba"}, 2, ""},
		{"ab", []string{"ab", "abc"}, 2, "abc"},
		{"", []string{"abc"}, 3, ""},
		{"", []string{"abc"}, 4, "abc"},
		{"kitten", nil, 9, ""},
	} {
		if got := Nearest(tt.name, tt.known, tt.limit); got != tt.want {
			t.Errorf("Nearest(%q, %q, %d) = %q, want %q", tt.name, tt.known, tt.limit, got, tt.want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"a", "a", 0}, {"ab", "ba", 2}} {
		if got := distance(tt.a, tt.b, make([]int, len(tt.a)+1)); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
