package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/shard"
)

// Shards of a scan: captures in their order, cut by stored octets, which is what reading them costs. A shard holds the manifest of its captures;
// the first has also what is known to be none.
const (
	scanKind        = "scan"
	scanShardSchema = 1
)

// scanParameters are all that decides what the shards of a scan hold. Files are known by path, size and time of change: to hash them would be
// the scan.
type scanParameters struct {
	Version   string           `json:"version"`
	Manifest  int              `json:"manifest_version"`
	Root      string           `json:"root"`
	Synthetic bool             `json:"synthetic"`
	Hash      bool             `json:"hash"`
	Salvage   bool             `json:"salvage"`
	Files     []scanFile       `json:"files"`
	Others    []manifest.Other `json:"others"`
}

type scanFile struct {
	Path     string    `json:"path"`
	Octets   int64     `json:"octets"`
	Modified time.Time `json:"modified"`
}

// maxScanParameters is how many octets the list of files may have, which each shard repeats.
const maxScanParameters = 32 << 20

// scanJob returns the job of scanning a folder in n shards, and which files each has.
func scanJob(survey *manifest.Manifest, f *scanFlags, n int) (*shard.Job, []shard.Span, error) {
	p := scanParameters{
		Version: version(), Manifest: manifest.Version, Root: survey.Root, Synthetic: survey.Synthetic, Hash: !f.noHash, Salvage: f.salvage,
		Files: make([]scanFile, len(survey.Files)), Others: append([]manifest.Other{}, survey.Others...),
	}
	weights := make([]uint64, len(survey.Files))
	for i, file := range survey.Files {
		p.Files[i] = scanFile{file.Path, file.Octets, file.Modified}
		weights[i] = uint64(file.Octets)
	}
	parameters, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	if len(parameters) > maxScanParameters {
		return nil, nil, fmt.Errorf("%d files are too many for shards, each of which lists them all: scan folders below by themselves", len(p.Files)+len(p.Others))
	}
	spans := shard.Cut(weights, n)
	job := &shard.Job{Kind: scanKind, Schema: scanShardSchema, Parameters: parameters}
	for _, s := range spans {
		r := shard.Range{From: pathAt(p.Files, s.From), To: pathAt(p.Files, s.To)}
		for _, w := range weights[s.From:s.To] {
			r.Weight += w
		}
		job.Ranges = append(job.Ranges, r)
	}
	return job, spans, nil
}

func pathAt(files []scanFile, i int) string {
	if i == len(files) {
		return "the end"
	}
	return files[i].Path
}

// runShard is run for --shard.
func (f *scanFlags) runShard(ctx context.Context, a *app, dir string, part shard.Part) error {
	switch {
	case f.output == "" || f.output == stdin:
		return usagef("--shard: where to? -o DIR, a folder for the shards")
	case f.again:
		return usagef("--again with --shard: a shard that is whole is not made again; remove its folder first")
	case f.json:
		return usagef("--json with --shard: the manifest is printed by 'merge -o -'")
	}
	if err := outside(dir, f.output); err != nil {
		return err
	}
	survey, err := manifest.Survey(dir, "")
	if err != nil {
		return err
	}
	job, spans, err := scanJob(survey, f, part.Count)
	if err != nil {
		return err
	}
	job.Again = f.shard.again(a)
	span := spans[part.Index-1]
	return a.writeShard(f.output, job, part, false, func(tmp string) error {
		bar := a.octetsBar("scanning")
		m, err := manifest.ScanPart(ctx, dir, survey.Files[span.From:span.To], manifest.Config{
			Hash: !f.noHash, Salvage: f.salvage, Workers: f.jobs, Progress: bar.set,
		})
		bar.done()
		if err != nil {
			return err
		}
		if part.Index == 1 {
			m.Others = append(m.Others, survey.Others...)
		}
		for _, file := range m.Files {
			if file.Error != nil {
				a.note("%s", shown(file.Error.Text))
			}
		}
		return report.WriteFile(filepath.Join(tmp, manifest.FileName), m.Write)
	})
}

// outside refuses an output folder inside a folder that is read: what is written would be listed with it.
func outside(dir, output string) error {
	inside, err := isBelow(dir, output)
	if err == nil && inside {
		err = usagef("-o %s lies in %s, which is scanned: shards would be listed among its files; name a folder elsewhere", output, dir)
	}
	return err
}

// isBelow reports whether a path, which need not be there, is a folder or lies in it, links followed.
func isBelow(dir, path string) (bool, error) {
	real := func(path string) (string, error) {
		full, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		for rest := ""; ; {
			if at, err := filepath.EvalSymlinks(full); err == nil {
				return filepath.Join(at, rest), nil
			}
			if full == filepath.Dir(full) {
				return filepath.Join(full, rest), nil
			}
			rest, full = filepath.Join(filepath.Base(full), rest), filepath.Dir(full)
		}
	}
	d, err := real(dir)
	if err != nil {
		return false, err
	}
	p, err := real(path)
	if err != nil {
		return false, err
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && filepath.IsLocal(rel), nil
}

// mergeScan writes the manifest of a scan in shards to output, - for standard output, and tells what it found as the scan would have.
func (a *app) mergeScan(_ context.Context, _ *shard.Job, shards []*shard.Shard, output string) error {
	parts := make([]*manifest.Manifest, len(shards))
	for i, s := range shards {
		text, err := s.Read(manifest.FileName)
		if err != nil {
			return err
		}
		if parts[i], err = manifest.Read(bytes.NewReader(text), filepath.Join(s.Dir, manifest.FileName)); err != nil {
			return err
		}
	}
	m, err := manifest.Merge(parts)
	if err != nil {
		return err
	}
	summary := m.Report()
	if output == stdin {
		err = m.Write(a.stdout)
	} else if err = report.WriteFile(output, m.Write); err == nil {
		err = writeScan(a.stdout, &summary)
	}
	if err != nil {
		return err
	}
	a.tellScan(m, &summary)
	if err = shownError(scanFaults(m.Root, &summary)); err != nil {
		a.note("the manifest is whole: %s; the faults are those of the captures", shown(output))
		err = writtenError{err}
	}
	return err
}

// scanFaults is the error of a scan that found faults.
func scanFaults(dir string, r *manifest.Report) error {
	n := r.Faults()
	if n == 0 {
		return nil
	}
	first := r.Findings[slices.IndexFunc(r.Findings, func(f manifest.Finding) bool { return f.Fault })]
	return fmt.Errorf("%s: %s; the first: %s: %s: %s", dir, plural(n, "fault", "faults"), first.Path, first.Kind, first.Text)
}
