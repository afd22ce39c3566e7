package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"pcaplab/analysis/report"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/fetch"
	"pcaplab/datasets/shard"
	"pcaplab/datasets/truth"
)

// Shards of a synthetic tree: captures in their order, cut by packets. A class that is cut is made from its first frame in each shard that has some
// of it, and only the shard's own captures are written. A shard holds CLASS/CAPTURE with its truth, and a synthPart for each class.
const (
	synthKind        = "synth"
	synthShardSchema = 1
	synthPartsFile   = "parts.json"
)

// synthParameters are all that decides what the shards of a tree hold.
type synthParameters struct {
	Program string             `json:"program"`
	Version string             `json:"version"`
	Seed    uint64             `json:"seed"`
	Split   int64              `json:"split_octets"`
	Classes []synthClassToMake `json:"classes"`
}

type synthClassToMake struct {
	Class    string `json:"class"`
	Packets  int64  `json:"packets"`  // or, if 0:
	Octets   int64  `json:"octets"`   // of all its captures, at most
	Captures int64  `json:"captures"` // 0: by their size
}

// synthPart is what a shard has of a class.
type synthPart struct {
	First int64 `json:"first"` // capture, from 0
	synthClass
}

// mostSynthUnits is into how many runs of captures a class may be cut.
const mostSynthUnits = 1024

// synthUnit is a run of captures of a class, which is never cut.
type synthUnit struct {
	plan       int   // of the class
	first, end int64 // as in synthMaker
}

// units cuts the captures of a class. Where --split decides how many there are, that is not known before they are made: the last unit takes all
// that follow.
func (p *synthPlan) units(plan int, split int64) (units []synthUnit, weight uint64) {
	files := p.files
	if files == 0 {
		files = max(1, p.stored()/max(split, 1))
	}
	n := min(files, mostSynthUnits)
	for i := range n {
		u := synthUnit{plan, i * files / n, (i + 1) * files / n}
		if i == n-1 {
			u.end = 0
		}
		units = append(units, u)
	}
	packets := p.packets
	if packets == 0 {
		packets = p.stored() / (pcapRecord + p.class.Octets/p.class.Packets)
	}
	return units, uint64(max(1, packets/n))
}

// job returns the job of making a tree in n shards, and what each makes.
func (f *synthTreeFlags) job(a *app, plans []synthPlan, n int) (*shard.Job, [][]synthMaker, error) {
	p := synthParameters{Program: a.Name, Version: version(), Seed: f.seed, Split: int64(f.split)}
	var units []synthUnit
	var weights []uint64
	for i := range plans {
		plan := &plans[i]
		p.Classes = append(p.Classes, synthClassToMake{plan.class.Folder, plan.packets, plan.size, plan.files})
		of, weight := plan.units(i, p.Split)
		for range of {
			weights = append(weights, weight)
		}
		units = append(units, of...)
	}
	parameters, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	at := func(i int) string {
		if i == len(units) {
			return "the end"
		}
		class := &plans[units[i].plan].class
		return path.Join(class.Folder, class.CaptureName(int(units[i].first)))
	}
	job := &shard.Job{Kind: synthKind, Schema: synthShardSchema, Parameters: parameters, Again: f.shard.again(a)}
	makers := make([][]synthMaker, n)
	for i, span := range shard.Cut(weights, n) {
		r := shard.Range{From: at(span.From), To: at(span.To)}
		for j := span.From; j < span.To; j++ {
			r.Weight += weights[j]
			u := units[j]
			if k := len(makers[i]) - 1; k >= 0 && j > span.From && units[j-1].plan == u.plan {
				makers[i][k].end = u.end
				continue
			}
			makers[i] = append(makers[i], synthMaker{plan: plans[u.plan], first: u.first, end: u.end})
		}
		job.Ranges = append(job.Ranges, r)
	}
	return job, makers, nil
}

// runShard is run for --shard.
func (f *synthTreeFlags) runShard(ctx context.Context, a *app, plans []synthPlan, part shard.Part) error {
	switch {
	case f.output == stdin:
		return usagef("--shard with -o -: shards go into a folder")
	case f.force:
		return usagef("--force with --shard: a shard that is whole is not made again; remove its folder first")
	case f.json:
		return usagef("--json with --shard: 'merge' prints what was made")
	}
	job, makers, err := f.job(a, plans, part.Count)
	if err != nil {
		return err
	}
	own := makers[part.Index-1]
	return a.writeShard(f.output, job, part, false, func(tmp string) error {
		var need int64
		for i := range own {
			m := &own[i]
			stored := m.plan.stored()
			if files := m.plan.files; files > 0 && m.plan.packets > 0 {
				stored = stored / files * (cmp.Or(m.end, files) - m.first)
			}
			need += stored
		}
		if free, err := fetch.Free(tmp); err == nil && free >= 0 && need > free {
			return fmt.Errorf("about %s to write, %s free: name a folder elsewhere, or make more shards, each on a disk of its own",
				report.FormatOctets(float64(need)), report.FormatOctets(float64(free)))
		}
		if err := f.fill(ctx, a, tmp, own); err != nil {
			return err
		}
		parts := make([]synthPart, len(own))
		for i := range own {
			parts[i] = synthPart{own[i].first, own[i].made}
		}
		return report.WriteFile(filepath.Join(tmp, synthPartsFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(parts) })
	})
}

// mergeSynth puts a tree that was made in shards together, in a folder that has none, or has this one. Captures are not copied but linked where the
// shards lie on the same file system.
func (a *app) mergeSynth(ctx context.Context, _ *shard.Job, shards []*shard.Shard, output string) error {
	var p synthParameters
	if err := json.Unmarshal(shards[0].Job.Parameters, &p); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(shards[0].Dir, shard.RecordName), err)
	}
	tree := &synthTree{Schema: synthTreeSchema, Program: p.Program, Version: p.Version, Seed: p.Seed, Split: p.Split}
	from := make(map[string]*shard.Shard) // by path in the tree, with slashes
	parts := make(map[string][]synthPart)
	for _, s := range shards {
		text, err := s.Read(synthPartsFile)
		if err != nil {
			return err
		}
		var list []synthPart
		if err := json.Unmarshal(text, &list); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(s.Dir, synthPartsFile), err)
		}
		for _, part := range list {
			parts[part.Class] = append(parts[part.Class], part)
			for _, file := range part.Files {
				from[file.File], from[file.File+truth.Suffix] = s, s
			}
		}
	}
	for _, c := range p.Classes {
		class, err := joinedClass(c.Class, parts[c.Class])
		if err != nil {
			return err
		}
		tree.add(class)
	}
	f := synthTreeFlags{output: output}
	if err := os.MkdirAll(output, 0o777); err != nil {
		return err
	}
	defer os.Remove(output) // if nothing came to be in it
	if was, err := readSynthTree(output); err == nil && was != nil {
		if !was.same(tree) {
			return fmt.Errorf("%s holds %d other classes, %v: name another folder", output, len(was.Classes), was)
		}
		f.force = true // the same again, perhaps of a merge that was interrupted
	}
	old, err := f.vacant(ctx)
	if err != nil {
		return err
	}
	work, done, err := reserveIn(output, synthHidden)
	if err != nil {
		return err
	}
	err = a.gather(ctx, work, tree, from)
	if err == nil {
		err = f.place(work, tree, old)
	}
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	return tree.write(a.stdout)
}

// same reports whether two trees are of the same octets.
func (t *synthTree) same(other *synthTree) bool {
	x, err := json.Marshal(t)
	y, err2 := json.Marshal(other)
	return err == nil && err2 == nil && string(x) == string(y)
}

// joinedClass puts the parts of a class together. Captures must follow one another by their names.
func joinedClass(class string, parts []synthPart) (synthClass, error) {
	known, ok := cic.Find(class)
	if !ok || known.Folder != class {
		return synthClass{}, fmt.Errorf("the shards are of a class %q, which there is not", class)
	}
	slices.SortStableFunc(parts, func(a, b synthPart) int { return cmp.Compare(a.First, b.First) })
	c := synthClass{Class: class, Category: known.Category}
	for _, p := range parts {
		for _, file := range p.Files {
			if want := path.Join("PCAP", class, known.CaptureName(len(c.Files))); file.File != want {
				return synthClass{}, fmt.Errorf("of class %s the shards have %q where %s is wanted", class, file.File, want)
			}
			c.Files = append(c.Files, file)
		}
		c.Packets += p.Packets
		c.Attack += p.Attack
		c.Octets += p.Octets
	}
	if len(c.Files) == 0 {
		return synthClass{}, fmt.Errorf("the shards have no capture of class %s", class)
	}
	return c, nil
}

// gather brings the files of a tree from shards into a folder for each class in work, compared with the tree's sums.
func (a *app) gather(ctx context.Context, work string, tree *synthTree, from map[string]*shard.Shard) error {
	var total, done int64
	for _, c := range tree.Classes {
		for _, file := range c.Files {
			total += file.Size
		}
	}
	bar := a.octetsBar("joining")
	defer bar.done()
	for _, c := range tree.Classes {
		if err := os.Mkdir(filepath.Join(work, c.Class), 0o777); err != nil {
			return err
		}
		for _, file := range c.Files {
			for name, want := range map[string]string{file.File: file.SHA256, file.File + truth.Suffix: file.TruthSHA256} {
				if err := bring(ctx, from[name], path.Join(c.Class, path.Base(name)), want, filepath.Join(work, c.Class, path.Base(name))); err != nil {
					return err
				}
			}
			done += file.Size
			bar.set(done, total)
		}
	}
	return nil
}

// bring makes a payload file of a shard also the file at a path, by a link or, where the file system has none, a copy.
func bring(ctx context.Context, s *shard.Shard, name, want, to string) error {
	if !slices.ContainsFunc(s.Files, func(f shard.File) bool { return f.Name == name && f.SHA256 == want }) {
		return &shard.CorruptError{Shard: s, File: name, Why: "its record says another sum than " + synthPartsFile}
	}
	in, err := s.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Link(filepath.Join(s.Dir, filepath.FromSlash(name)), to); err == nil {
		is, err := os.Stat(to)
		if err != nil {
			return err
		}
		if was, err := in.Stat(); err != nil || !os.SameFile(was, is) {
			return errors.Join(err, fmt.Errorf("%s was exchanged while it was read", in.Name()))
		}
	} else if err := copyTo(ctx, in, to); err != nil {
		return err
	}
	got, err := sumFile(ctx, to)
	if err != nil {
		return err
	}
	if got != want {
		return &shard.CorruptError{Shard: s, File: name, Why: fmt.Sprintf("its SHA-256 is %.16s, its record says %.16s", got, want)}
	}
	return nil
}

func copyTo(ctx context.Context, in io.Reader, to string) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(out, in, 16<<20)
		}
	}
	if err == io.EOF {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
