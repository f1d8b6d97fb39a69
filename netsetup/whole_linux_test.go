package netsetup

import (
	"context"
	"log/slog"
)

// Up brings up a network that nobody keeps.
func Up(ctx context.Context, c Config, log *slog.Logger) (State, error) {
	n, err := New(c, log)
	if err != nil {
		return State{}, err
	}
	defer n.Close()
	return n.Up(ctx)
}
