package extract

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pcaplab/datasets/manifest"
	"pcaplab/datasets/shard"
	"pcaplab/parse/feature"
)

// ShardKind is the kind of jobs that PlanShards makes and MergeShards joins.
const ShardKind = "features"

// shardSchema is the version of their payload, and of how captures are cut.
const shardSchema = 1

// Payload of a shard. With CSV, vectors are lines as they stand in the output; with Parquet, whose row groups depend on all vectors before,
// they are plainLen octets each.
const (
	vectorsFile  = "vectors"
	resultFile   = "result.json"
	plainVectors = "vectors" // a format
	plainLen     = 8 * (feature.NumColumns + 2)
)

// Shards is an extraction that is cut into shards.
type Shards struct {
	Job shard.Job
	// Uncut are the captures that are cut nowhere inside, by index into the sources, with the reason. It holds none of a single piece.
	Uncut map[int]string

	cfg     Config
	sources []Source
	files   []*manifest.File
	units   []unit
	spans   []shard.Span
}

// unit is what is not cut: what begins at an entry of a capture's index, or all of a capture where entry is below 0.
type unit struct{ source, entry int }

// shardParameters are all that decides the output but the captures' octets. What only the record in a Parquet file has, how captures and
// settings are spelt, is no parameter of CSV.
type shardParameters struct {
	Config
	Attackers     string   `json:"attackers,omitempty"` // digest
	WholeCaptures bool     `json:"whole_captures"`
	Sources       []Source `json:"sources"`
}

// PlanShards cuts an extraction into n shards of about as many packets each, at windows: where tcpdump -C 10 would begin another piece
// with a Config.As that cuts pieces, else at the first window behind such a place. files are what a manifest has of the sources, with
// their SHA-256; nothing is read. Captures are cut inside only where a shard can begin without reading all that comes before, and not with
// wholeCaptures: Shards.Uncut says why not. A source with Tell is refused: no shard can begin inside what tells. again is for shard.Job.Again.
func PlanShards(cfg Config, sources []Source, files []*manifest.File, n int, wholeCaptures bool, again string) (*Shards, error) {
	if err := cfg.check(sources); err != nil {
		return nil, err
	}
	if n < 1 || n > shard.MaxCount {
		return nil, &ConfigError{fmt.Errorf("%d shards: choose 1 to %d", n, shard.MaxCount)}
	}
	s := &Shards{cfg: cfg, sources: sources, files: files, Uncut: make(map[int]string)}
	p := shardParameters{Config: cfg, WholeCaptures: wholeCaptures, Sources: sources}
	if cfg.Format == CSV {
		p.Settings, p.Sources = "", slices.Clone(sources)
		for i := range p.Sources {
			p.Sources[i].Path = ""
		}
	}
	if cfg.Attackers != nil {
		p.Attackers = cfg.Attackers.Digest()
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	s.Job = shard.Job{Kind: ShardKind, Schema: shardSchema, Parameters: text, Again: again}
	var weights []uint64
	var none []error // they end a single run before it writes
	for i := range sources {
		f := files[i]
		switch {
		case sources[i].Open != nil || sources[i].Path == "-":
			return nil, &ConfigError{fmt.Errorf("%s: shards are of files, whose SHA-256 is known", sources[i].Path)}
		case sources[i].Tell != nil:
			return nil, &ConfigError{fmt.Errorf("%s: a shard cannot begin inside what tells its windows' labels: extract it in one run", sources[i].Path)}
		case f != nil && f.Error != nil && f.Error.Record == 0 && f.Packets == 0:
			none = append(none, fmt.Errorf("%s: no capture: %s", sources[i].Path, strings.TrimPrefix(f.Error.Text, sources[i].Path+": ")))
			continue
		case f == nil || f.SHA256 == "":
			return nil, &ConfigError{fmt.Errorf("%s: shards need its SHA-256, which the manifest has not: scan it with hashes", sources[i].Path)}
		}
		s.Job.Inputs = append(s.Job.Inputs, shard.Input{Name: sources[i].Path, Octets: f.Octets, SHA256: f.SHA256})
		why := uncut(&cfg, &sources[i], f)
		if wholeCaptures {
			why = "as asked for"
		}
		if why != "" || len(f.Index) < 2 {
			if why != "" && len(f.Index) > 1 {
				s.Uncut[i] = why
			}
			s.units, weights = append(s.units, unit{i, -1}), append(weights, f.Packets)
			continue
		}
		for e := range f.Index {
			end := f.Packets
			if e+1 < len(f.Index) {
				end = f.Index[e+1].Packets
			}
			s.units, weights = append(s.units, unit{i, e}), append(weights, end-f.Index[e].Packets)
		}
	}
	if err := errors.Join(none...); err != nil {
		return nil, err
	}
	s.spans = shard.Cut(weights, n)
	for _, span := range s.spans {
		r := shard.Range{From: s.place(span.From), To: s.place(span.To)}
		for _, w := range weights[span.From:span.To] {
			r.Weight += w
		}
		s.Job.Ranges = append(s.Job.Ranges, r)
	}
	return s, nil
}

// place says where a unit begins.
func (s *Shards) place(u int) string {
	if u == len(s.units) {
		return "end"
	}
	at, packets := s.units[u], uint64(0)
	if at.entry > 0 {
		packets = s.files[at.source].Index[at.entry].Packets
	}
	return fmt.Sprintf("capture %d, packet %d", at.source+1, packets+1)
}

// Captures returns which captures shard i, from 1, reads something of, as indices into the sources.
func (s *Shards) Captures(i int) []int { _, index := s.of(i); return index }

// of returns the sources of shard i, from 1, and the indices among all sources.
func (s *Shards) of(i int) (list []Source, index []int) {
	span := s.spans[i-1]
	for u := span.From; u < span.To; {
		at := s.units[u]
		end := u + 1
		for end < span.To && s.units[end].source == at.source {
			end++
		}
		source := s.sources[at.source]
		if f := s.files[at.source]; at.entry >= 0 && !(at.entry == 0 && end-u == len(f.Index)) {
			source.part = newPart(&s.cfg, &source, f, at.entry, at.entry+end-u)
		}
		list, index = append(list, source), append(index, at.source)
		u = end
	}
	return list, index
}

// shardResult is what stands in resultFile.
type shardResult struct {
	Parts []partResult `json:"parts"`
}

// partResult is what a shard has made of a capture.
type partResult struct {
	Source  int           `json:"source"`
	Whole   bool          `json:"whole"`   // all of it
	Octets  int64         `json:"octets"`  // in vectorsFile
	Summary SourceSummary `json:"summary"` // without the source
	// Named says that the capture's name and a colon are to stand before the error. It is left out, as each machine may spell it its own way.
	Named bool `json:"named,omitempty"`
}

// partOf returns what a part of a capture gave.
func partOf(index int, whole bool, octets int64, sum SourceSummary) partResult {
	r := partResult{Source: index, Whole: whole, Octets: octets, Summary: sum}
	if rest, ok := strings.CutPrefix(sum.Error, sum.Path+":"); ok {
		r.Summary.Error, r.Named = rest, true
	}
	r.Summary.Source = Source{}
	return r
}

// agrees compares what the whole of a capture gave with the manifest: always how many frames it has, and its SHA-256 where it was computed.
func (s *SourceSummary) agrees(cfg *Config, f *manifest.File) error {
	undamaged := f.Error == nil && f.Lost == 0 && f.Faults.Behind == 0
	switch {
	case undamaged && s.Error != "":
		return fmt.Errorf("%s: the manifest has it as whole, so it has changed, or cannot be read: scan it again", s.Error)
	case s.Frames != f.Packets && (undamaged || f.Salvage == cfg.Salvage):
		return fmt.Errorf("%s: %d frames, the manifest says %d: scan it again", s.Path, s.Frames, f.Packets)
	case s.SHA256 != "" && s.SHA256 != f.SHA256: // there is none of what is no capture
		return fmt.Errorf("%s: its SHA-256 is %.16s, the manifest says %.16s: scan it again", s.Path, s.SHA256, f.SHA256)
	}
	return nil
}

// Fill makes the payload of shard i, from 1, in a folder: for shard.Write. Of the configuration, Progress counts. The error is a
// *FaultError where captures were damaged, as the manifest may have said, and all else was written: such a shard is whole.
func (s *Shards) Fill(ctx context.Context, i int, dir string, progress func(done int64)) (*Summary, error) {
	list, index := s.of(i)
	summary := &Summary{Config: s.cfg, Columns: feature.NumColumns}
	name := filepath.Join(dir, vectorsFile)
	out, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	result := shardResult{Parts: []partResult{}}
	var damaged error
	if len(list) > 0 {
		cfg := s.cfg
		cfg.Progress = progress
		if cfg.Format == Parquet {
			cfg.Format = plainVectors
		}
		j := newJob(cfg, list, &shardOutput{bufio.NewWriterSize(out, 1<<20), dir})
		defer j.dropSpills()
		j.bare, j.once = true, true
		made, err := j.run(ctx, position{})
		if fault := new(FaultError); err != nil && !errors.As(err, &fault) {
			return nil, err
		}
		damaged = err
		if err := j.out.(*shardOutput).Flush(); err != nil {
			return nil, err
		}
		for k, source := range made.Sources {
			whole := list[k].part == nil
			if whole {
				if err := source.agrees(&s.cfg, s.files[index[k]]); err != nil {
					return nil, err
				}
			}
			result.Parts = append(result.Parts, partOf(index[k], whole, j.order.parts[k].octets, source))
		}
		summary.Sources, summary.Vectors = made.Sources, made.Vectors
	}
	text, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, resultFile), text, 0o666), out.Close()); err != nil {
		return nil, err
	}
	return summary, damaged
}

// shardOutput is the vectors file of a shard.
type shardOutput struct {
	*bufio.Writer
	dir string
}

func (s *shardOutput) spill() (*os.File, error) { return spillIn(s.dir, ".spill-*") }
func (s *shardOutput) keep(checkpoint) error    { return nil }

// appendPlain appends a vector as its float64 values, RateNano and AttackRows, little-endian, plainLen octets.
func appendPlain(b []byte, v *feature.Vector) []byte {
	for _, x := range v.Values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(v.RateNano))
	return binary.LittleEndian.AppendUint64(b, uint64(v.AttackRows))
}

func readPlain(b []byte, v *feature.Vector) {
	for i := range v.Values {
		v.Values[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	v.RateNano = int64(binary.LittleEndian.Uint64(b[plainLen-16:]))
	v.AttackRows = int(int64(binary.LittleEndian.Uint64(b[plainLen-8:])))
}

// MergeConfig says how shards are joined.
type MergeConfig struct {
	Workers  int                     // as Config.Workers
	Progress func(done, total int64) // is told, now and then, how many octets of payload were read, of how many
}

// MergeShards joins all shards of a job, in order, to the file at path, which appears whole or not at all: octet for octet what File
// writes of the same captures with the same configuration. Shards must be what shard.Set.Of returns of a complete set, without its
// element 0. Payloads are compared with their records while they are read; memory does not grow with them. The error is a *FaultError where
// captures were damaged, as it is of File, and all else was written.
func MergeShards(ctx context.Context, path string, cfg MergeConfig, shards []*shard.Shard) (*Summary, error) {
	j, err := newMerge(cfg, shards)
	if err != nil {
		return nil, err
	}
	defer j.close()
	if err := checkName(path, j.job.cfg.Format); err != nil {
		return nil, err
	}
	parquet := strings.EqualFold(filepath.Ext(path), ".parquet")
	if format := j.job.cfg.Format; parquet != (format == Parquet) && (parquet || strings.EqualFold(filepath.Ext(path), ".csv")) {
		return nil, &ConfigError{fmt.Errorf("%s: the shards were made as %s: name it .%s, or make them with --format", path, format, format)}
	}
	f, err := targetOf(path, j.job.captures())
	if err != nil {
		return nil, err
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	j.job.out = &mergeOutput{f}
	if err := f.Truncate(0); err != nil {
		f.remove()
		return nil, err
	}
	summary, err := j.run(ctx)
	if fault := new(FaultError); err != nil && !errors.As(err, &fault) {
		f.remove()
		return nil, err
	}
	if failed := f.publish(); failed != nil {
		f.remove()
		return nil, failed
	}
	return summary, err
}

// MergeShardsTo is MergeShards to w, which has a part of the output where it fails.
func MergeShardsTo(ctx context.Context, w io.Writer, cfg MergeConfig, shards []*shard.Shard) (*Summary, error) {
	j, err := newMerge(cfg, shards)
	if err != nil {
		return nil, err
	}
	defer j.close()
	j.job.out = &stream{w: w}
	return j.run(ctx)
}

// mergeOutput is a file that is not resumed.
type mergeOutput struct{ *file }

func (m *mergeOutput) keep(checkpoint) error { return nil }

func (j *job) captures() []Source {
	list := make([]Source, len(j.sources))
	for i, s := range j.sources {
		list[i] = s.Source
	}
	return list
}

// merge is a run that takes its vectors from shards.
type merge struct {
	job      *job
	payloads *payloads
}

// replay is what shards have made of a capture.
type replay struct {
	from *payloads
	runs []vectorRun
}

// vectorRun is what one shard has made of it.
type vectorRun struct {
	shard   *shard.Shard
	octets  int64
	vectors uint64
	endless uint64
}

func newMerge(cfg MergeConfig, shards []*shard.Shard) (*merge, error) {
	if len(shards) == 0 {
		return nil, &ConfigError{errors.New("no shards")}
	}
	first := &shards[0].Job
	var p shardParameters
	if first.Kind != ShardKind || first.Schema != shardSchema {
		return nil, &ConfigError{fmt.Errorf("shards of kind %q, schema %d: this program joins %q, %d", first.Kind, first.Schema, ShardKind, shardSchema)}
	}
	if err := json.Unmarshal(first.Parameters, &p); err != nil {
		return nil, &ConfigError{fmt.Errorf("parameters of %s: %w", shards[0].Dir, err)}
	}
	if len(p.Sources) != len(first.Inputs) {
		return nil, &ConfigError{fmt.Errorf("%s: %d captures, but %d inputs", shards[0].Dir, len(p.Sources), len(first.Inputs))}
	}
	if len(shards) != first.Count() {
		return nil, &ConfigError{fmt.Errorf("%d shards of %d", len(shards), first.Count())}
	}
	run := p.Config
	if p.Attackers != "" {
		run.Attackers = new(feature.Attackers) // rows are marked already
	}
	run.Workers = cfg.Workers
	if err := run.check(p.Sources); err != nil {
		return nil, err
	}
	for i := range p.Sources {
		p.Sources[i].Path = first.Inputs[i].Name
	}
	m := &merge{payloads: &payloads{shards: shards}}
	var total int64
	replays := make([]*replay, len(p.Sources))
	summaries := make([]*SourceSummary, len(p.Sources))
	at := 0
	for i, s := range shards {
		if s == nil || s.Index != i+1 || s.JobID != shards[0].JobID {
			return nil, &ConfigError{fmt.Errorf("shard %d of %d is missing, or of another job", i+1, len(shards))}
		}
		text, err := s.Read(resultFile)
		if err != nil {
			return nil, err
		}
		var r shardResult
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, &shard.CorruptError{Shard: s, File: resultFile, Why: err.Error()}
		}
		sum := int64(0)
		for _, part := range r.Parts {
			if part.Source < at || part.Source >= len(p.Sources) || part.Octets < 0 || sum+part.Octets < sum {
				return nil, &shard.CorruptError{Shard: s, File: resultFile, Why: "its parts are not in order"}
			}
			at = part.Source
			sum += part.Octets
			if replays[at] == nil {
				replays[at] = &replay{from: m.payloads}
				summaries[at] = &SourceSummary{Source: p.Sources[at], NoRow: make(map[string]uint64)}
			}
			replays[at].runs = append(replays[at].runs, vectorRun{s, part.Octets, part.Summary.Vectors, part.Summary.NoDuration})
			summaries[at].join(&part, first.Inputs[at].Octets)
			if run.Hash && !part.Whole {
				summaries[at].SHA256 = first.Inputs[at].SHA256
			}
		}
		size := int64(-1)
		for _, f := range s.Files {
			if f.Name == vectorsFile {
				size = f.Octets
			}
		}
		if size != sum {
			return nil, &shard.CorruptError{Shard: s, File: vectorsFile, Why: fmt.Sprintf("has %d octets, its parts have %d", size, sum)}
		}
		total += sum
	}
	for i, r := range replays {
		if r == nil {
			return nil, &ConfigError{fmt.Errorf("%s is in no shard", p.Sources[i].Path)}
		}
		p.Sources[i].replay = r
	}
	if cfg.Progress != nil {
		run.Progress = func(done int64) { cfg.Progress(done, total) }
	}
	m.job = newJob(run, p.Sources, nil)
	m.job.once, m.job.most = true, 1
	for i, s := range m.job.sources {
		s.summary = *summaries[i]
	}
	return m, nil
}

// join adds what a shard counted in a part of the capture. Octets is its size.
func (s *SourceSummary) join(p *partResult, octets int64) {
	c := &p.Summary
	s.Frames += c.Frames
	s.Rows += c.Rows
	for name, n := range c.NoRow {
		s.NoRow[name] += n
	}
	s.Pieces = max(s.Pieces, c.Pieces)
	s.Lost = append(s.Lost, c.Lost...)
	if s.FirstFault == 0 {
		s.FirstFault = c.FirstFault
	}
	s.NotEthernet += c.NotEthernet
	s.Losses = append(s.Losses, c.Losses...)
	if s.Error == "" {
		if s.Error = c.Error; p.Named {
			s.Error = s.Path + ":" + c.Error
		}
	}
	if s.StoredOctets = octets; p.Whole {
		s.StoredOctets, s.SHA256, s.Behind = c.StoredOctets, c.SHA256, c.Behind
	}
}

// run joins all.
func (m *merge) run(ctx context.Context) (*Summary, error) {
	defer m.job.dropSpills()
	return m.job.run(ctx, position{})
}

func (m *merge) close() { m.payloads.close() }

// payloads reads the vectors of shards in order, and compares each with its record at its end.
type payloads struct {
	shards []*shard.Shard // still to come, the one that is open too
	file   *os.File
	sum    hash.Hash
}

// Read fills p from the vectors of a shard, which is the one that is open or a later one.
func (r *payloads) read(s *shard.Shard, p []byte) error {
	for r.file == nil || r.shards[0] != s {
		if err := r.next(); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(r.file, p); err != nil {
		return fmt.Errorf("%s: %w", r.file.Name(), err)
	}
	r.sum.Write(p)
	return nil
}

// next ends the shard that is open, which was read to its end, and opens the one after it.
func (r *payloads) next() (err error) {
	if r.file != nil {
		if err := r.end(); err != nil {
			return err
		}
	}
	if len(r.shards) == 0 {
		return io.ErrUnexpectedEOF
	}
	r.sum = sha256.New()
	r.file, err = r.shards[0].Open(vectorsFile)
	return err
}

func (r *payloads) end() error {
	s := r.shards[0]
	r.shards = r.shards[1:]
	r.close()
	got := hex.EncodeToString(r.sum.Sum(nil))
	for _, f := range s.Files {
		if f.Name == vectorsFile && f.SHA256 != got {
			return &shard.CorruptError{Shard: s, File: vectorsFile, Why: fmt.Sprintf("its SHA-256 is %.16s, its record says %.16s", got, f.SHA256)}
		}
	}
	return nil
}

// finish compares the shards that are left.
func (r *payloads) finish() error {
	for r.file != nil || len(r.shards) > 0 {
		if r.file == nil {
			if err := r.next(); err != nil {
				return err
			}
		}
		if err := r.end(); err != nil {
			return err
		}
	}
	return nil
}

func (r *payloads) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

const replayOctets = 256 << 10

// replayed makes batches of what shards have made, with the ends that the batches of a single run have.
func (p *producer) replayed() error {
	p.dec = feature.NewDecoder(feature.DecoderConfig{})
	if err := p.take(); err != nil {
		return err
	}
	rows := uint64(p.Span.Rows)
	if rows == 0 {
		rows = feature.DefaultRows
	}
	full := float64(min(batchVectors*rows, batchRows))
	plain := p.job.cfg.Format == Parquet
	var buf []byte
	inBatch := 0.0 // rows
	for k := range p.Source.replay.runs {
		run := &p.Source.replay.runs[k]
		if plain && (uint64(run.octets)%plainLen != 0 || uint64(run.octets)/plainLen != run.vectors) {
			return &shard.CorruptError{Shard: run.shard, File: vectorsFile, Why: fmt.Sprintf("%d octets of a capture for %d vectors", run.octets, run.vectors)}
		}
		for left := run.octets; left > 0; {
			n := int(min(left, replayOctets/plainLen*plainLen))
			left -= int64(n)
			if !plain {
				at := len(p.batch.text)
				p.batch.text = append(p.batch.text, make([]byte, n)...)
				if err := p.Source.replay.from.read(run.shard, p.batch.text[at:]); err != nil {
					return err
				}
				p.job.done.Add(int64(n))
				if left == 0 {
					p.batch.vecs += run.vectors
				}
				if len(p.batch.text) >= replayOctets/2 {
					if err := p.send(); err != nil {
						return err
					}
				}
				continue
			}
			buf = append(buf[:0], make([]byte, n)...)
			if err := p.Source.replay.from.read(run.shard, buf); err != nil {
				return err
			}
			p.job.done.Add(int64(n))
			for b := buf; len(b) > 0; b = b[plainLen:] {
				p.batch.vectors = append(p.batch.vectors, feature.Vector{})
				v := &p.batch.vectors[len(p.batch.vectors)-1]
				readPlain(b, v)
				inBatch += v.Values[feature.Number]
				whole := v.Values[feature.Number] == float64(rows)
				if p.long() && len(p.batch.vectors) >= batchVectors || !p.long() && whole && inBatch >= full {
					inBatch = 0
					if err := p.send(); err != nil {
						return err
					}
				}
			}
		}
		p.batch.endless += run.endless
	}
	if p.index == len(p.job.sources)-1 {
		if err := p.Source.replay.from.finish(); err != nil {
			return err
		}
	}
	p.batch.last = true
	p.post()
	return nil
}
