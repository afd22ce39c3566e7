package cli

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"pcaplab/parse"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
)

// verifyPeer is --verify without a value.
const verifyPeer = "peer"

// verification receives what is sent, on a thread of its own.
type verification struct {
	*inject.Verifier
	sent    atomic.Bool // all of it
	ended   chan struct{}
	dropped uint64
	err     error
}

// verifyPatience is how long nothing may come before the rest counts as missing.
const verifyPatience = 500 * time.Millisecond

// verification starts receiving at the other end of a socket's interface, or where the user says.
func (f *replayFlags) verification(a *app, s *inject.Socket) (*verification, error) {
	name, space, named := strings.Cut(f.verify, "@")
	var enter *netlab.Namespace
	var err error
	switch {
	case named:
		enter, err = netlab.Named(space)
	case name == verifyPeer:
		name, enter, err = netlab.Peer(s.Facts())
	}
	if err != nil {
		return nil, fmt.Errorf("--verify: %w", err)
	}
	v := &verification{Verifier: inject.NewVerifier(), ended: make(chan struct{})}
	ready := make(chan error)
	go v.receive(name, enter, ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("--verify: %w", err)
	}
	return v, nil
}

func (v *verification) receive(name string, enter *netlab.Namespace, ready chan<- error) {
	runtime.LockOSThread() // and never unlocked where it entered another namespace: the thread ends with this goroutine
	defer close(v.ended)
	var r *receive.Receiver
	err := enter.Enter()
	if err == nil {
		r, err = receive.Open(receive.Config{Interface: name, Blocks: 512, Wait: 20 * time.Millisecond, Promiscuous: true})
	}
	ready <- err
	if err != nil {
		return
	}
	defer func() { v.err = errors.Join(v.err, r.Close()) }()
	var f parse.Frame
	quiet := time.Time{}
	for {
		err := r.Next(&f)
		switch {
		case err == nil:
			quiet = time.Time{}
			v.Received(f.Data)
			if !v.sent.Load() || v.Behind() > 0 {
				continue
			}
		case !errors.Is(err, receive.ErrTimeout):
			v.err = err
			return
		}
		if !v.sent.Load() {
			continue
		}
		if quiet.IsZero() {
			quiet = time.Now()
		}
		if v.Behind() == 0 && time.Since(quiet) > 40*time.Millisecond || time.Since(quiet) > verifyPatience {
			stats, err := r.Stats()
			v.dropped, v.err = stats.Dropped, err
			return
		}
	}
}

// end waits until all that was sent has come, or nothing comes any more.
func (v *verification) end() (inject.VerifyReport, error) {
	v.sent.Store(true)
	<-v.ended
	return v.Report(v.dropped), v.err
}
