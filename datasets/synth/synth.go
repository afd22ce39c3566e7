package synth

import (
	"context"
	"fmt"
	"strings"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
)

// Epoch is the capture time from which every profile starts: 2024-01-01 00:00:00 UTC, in ns since 1970.
const Epoch int64 = 1704067200e9

// Profile is a kind of traffic under a name.
type Profile struct {
	Name string // as in --synth: lower case, words joined by '-'
	Doc  string // one line for listings
	make func(seed uint64) generator
}

// generator sets *f to its next frame.
type generator interface {
	next(f *parse.Frame)
}

// Profiles returns every profile but the classes of CIC-IoT-2023 and "cic" (see New), the default mix first.
func Profiles() []Profile {
	profiles := []Profile{
		{"iot-1", "a smart home: TLS, HTTP, MQTT, DNS, QUIC and 20 more kinds of conversation, mean size near 400 B", newMix},
		{"syn-60", "a SYN flood: 60-octet frames from random addresses and ports to one server", newSYN},
	}
	for _, size := range []int{64, 128, 256, 512, 1024, 1280, 1518} {
		profiles = append(profiles, Profile{
			fmt.Sprintf("udp-%d", size),
			fmt.Sprintf("one UDP flow of RFC 2544 frames of %d octets with FCS (%d as captured)", size, size-fcsLen),
			func(seed uint64) generator { return newUDP(seed, size-fcsLen) },
		})
	}
	return profiles
}

// Source gives the frames of a profile without end. It belongs to one goroutine.
type Source struct {
	gen    generator
	labels labels
}

// labels is what a generator knows of the frame that it made last.
type labels interface {
	class() string
	attacks() bool
}

// Class returns the class of CIC-IoT-2023, by its folder, of the frame given last: "" in profiles without classes, and in "cic"
// before the first frame.
func (s *Source) Class() string {
	if s.labels == nil {
		return ""
	}
	return s.labels.class()
}

// Attack reports whether the frame given last is of an attack: sent by an attacker, or by its victim as an answer.
func (s *Source) Attack() bool { return s.labels != nil && s.labels.attacks() }

// New starts the named profile: one of Profiles; "iot", which is the default mix; a class of CIC-IoT-2023 as CIC takes it; or "cic", all
// classes in runs of 100 frames, as often as they have packets in the dataset. Equal names and seeds give equal frames.
func New(name string, seed uint64) (*Source, error) {
	switch name {
	case "iot":
		name = "iot-1"
	case "cic":
		g := newCICAll(seed)
		return &Source{gen: g, labels: g}, nil
	}
	if s, err := CIC(name, seed); err == nil {
		return s, nil
	}
	known := []string{"cic", "the folder of a class, as DDoS-SYN_Flood"}
	for _, p := range Profiles() {
		if p.Name == name {
			return &Source{gen: p.make(seed)}, nil
		}
		known = append(known, p.Name)
	}
	return nil, fmt.Errorf("no synthetic traffic %q: choose one of %s", name, strings.Join(known, ", "))
}

// Next sets *f to the next frame. f.Data is borrowed: it is valid until the next call and must not be written. The
// error is always nil; a limit is the caller's. Next allocates nothing.
func (s *Source) Next(f *parse.Frame) error {
	s.gen.next(f)
	return nil
}

// perFrame and perArena bound what an arena adds to the octets of the frames.
const (
	perFrame = 24
	perArena = 4096
)

// Build puts the first frames of a profile into an arena. It returns an error that wraps arena.ErrLimit, before any
// memory is taken, where frames and index need more than memoryLimit octets. An interrupted Build keeps nothing.
func Build(ctx context.Context, name string, seed uint64, frames int, memoryLimit int64) (*arena.Frames, error) {
	if frames < 0 {
		return nil, fmt.Errorf("%s: cannot make %d frames", name, frames)
	}
	// The first pass only measures: an arena reserves what it is told, and on 32 bits address space is scarce.
	need := int64(perArena)
	err := each(ctx, name, seed, frames, func(i int, f *parse.Frame) error {
		need += int64(len(f.Data)) + perFrame
		if need > memoryLimit {
			return fmt.Errorf("frame %d of %d: %w (%d octets): ask for fewer frames or raise the limit",
				i+1, frames, arena.ErrLimit, memoryLimit)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b, err := arena.NewBuilder(need)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer b.Close()
	if err := each(ctx, name, seed, frames, func(_ int, f *parse.Frame) error { return b.Append(f) }); err != nil {
		return nil, err
	}
	fr, err := b.Finish()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return fr, nil
}

func each(ctx context.Context, name string, seed uint64, frames int, do func(int, *parse.Frame) error) error {
	s, err := New(name, seed)
	if err != nil {
		return err
	}
	var f parse.Frame
	for i := range frames {
		if i%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.Next(&f); err != nil {
			return fmt.Errorf("%s: frame %d: %w", name, i+1, err)
		}
		if err := do(i, &f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
