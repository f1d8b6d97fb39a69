package uevent

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestReceiveEndsWithContext(t *testing.T) {
	c, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Receive: %v, want the deadline", err)
	}
}

func TestWaitChecksBeforeTheFirstEvent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Wait(ctx, func() (bool, error) { return true, nil }); err != nil {
		t.Error(err)
	}
	if err := Wait(ctx, func() (bool, error) { return false, context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("the check's own error is lost: %v", err)
	}
}
