package inject

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"pcaplab/replay/netlab"
)

// Open opens a socket on an interface in the network namespace of the calling thread. Errors are those of cfg, all at once; of the
// interface (netlab.ErrUnknown, netlab.ErrDown, ErrDefaultRoute, wrapped); os.ErrPermission, wrapped, with what to do.
func Open(cfg Config) (*Socket, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	facts, err := netlab.Link(cfg.Interface)
	if err != nil {
		return nil, err
	}
	if facts.DefaultRoute && !cfg.Really {
		return nil, fmt.Errorf("%s %w: frames of a capture would go to your network; --really sends them all the same", cfg.Interface, ErrDefaultRoute)
	}
	link, header, err := linkOf(facts)
	if err != nil {
		return nil, err
	}
	s := &Socket{cfg: cfg, link: link, longest: facts.MTU + header, facts: facts}
	try := []string{cfg.Backend}
	if cfg.Backend == Auto {
		try = []string{XDP, Sendmmsg, Sendto}
		if cfg.Qdisc || facts.Type != arphrdEthernet {
			try = try[1:] // AF_XDP passes no queueing discipline, and says no protocol, which raw IP interfaces want
		}
	}
	for i, backend := range try {
		err := s.open(backend)
		if err == nil {
			return s, nil
		}
		if i == len(try)-1 {
			return nil, fmt.Errorf("%s: backend %s: %w", cfg.Interface, backend, err)
		}
		s.notes = append(s.notes, fmt.Sprintf("backend %s: %v", backend, err))
	}
	return nil, errors.New("no backend") // cannot be
}

func (s *Socket) open(backend string) error {
	batch := s.cfg.Batch
	longest := s.longest + 4 // with a tag
	s.backend = backend
	if backend == XDP {
		if batch == 0 {
			batch = xdpBudget
		}
		if s.cfg.Qdisc {
			return errors.New("its frames pass no queueing discipline")
		}
		w, err := newXDPWire(s.facts.Index, min(batch, xdpSlots), longest)
		if err != nil {
			return err
		}
		s.wire, s.closer = w, w.close
		return nil
	}
	if batch == 0 {
		batch = defaultBatch
	}
	fd, err := packetSocket(s.facts.Index, !s.cfg.Qdisc)
	if err != nil {
		return err
	}
	if backend == TxRing {
		w, err := newRingWire(fd, batch, longest)
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		s.wire, s.closer = w, w.close
		return nil
	}
	w := newPacketWire(fd, batch, longest, backend == Sendmmsg)
	s.wire, s.closer = w, w.close
	return nil
}
