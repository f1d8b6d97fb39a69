package bringup

import (
	"context"
	"log/slog"

	"github.com/nodisk/nodisk/netsetup"
)

// Up brings up a network that nobody keeps.
func Up(ctx context.Context, c netsetup.Config, log *slog.Logger) (netsetup.State, error) {
	n, err := New(c, log)
	if err != nil {
		return netsetup.State{}, err
	}
	defer n.Close()
	return n.Up(ctx)
}
