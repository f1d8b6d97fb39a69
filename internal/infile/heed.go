package infile

import (
	"context"
	"io"
)

// Heed returns a reader that ends with ctx between two reads, its cause the error. It is for what takes long though no
// single read does: big files, and what is unpacked.
func Heed(ctx context.Context, r io.Reader) io.Reader { return heeding{ctx, r} }

// heedPiece is how much is read at a time at most: a decoder fills whatever it is given before it returns.
const heedPiece = 1 << 20

type heeding struct {
	ctx context.Context //nolint:containedctx // the reader lives no longer than a call
	r   io.Reader
}

func (h heeding) Read(p []byte) (int, error) {
	if h.ctx.Err() != nil {
		return 0, context.Cause(h.ctx)
	}
	return h.r.Read(p[:min(len(p), heedPiece)])
}
