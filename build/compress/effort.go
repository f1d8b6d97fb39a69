package compress

// An Effort is how much work goes into a compression.
type Effort uint8

// The efforts there are.
const (
	Careful Effort = iota + 1 // the smallest image
	Quick                     // a tree that is added, which would take minutes
)
