package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/datasets"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/shard"
)

// featuresShard are the flags of features that matter with --shard only.
type featuresShard struct {
	shardFlag
	manifest string
	whole    bool
}

// shard makes one shard of the extraction.
func (f *featuresFlags) makeShard(c *cobra.Command, a *app, cfg extract.Config, sources []extract.Source, p shard.Part) error {
	ctx := c.Context()
	switch {
	case f.output == stdin:
		return usagef("--shard makes a folder in the folder of all shards: -o DIR")
	case f.Resume:
		return usagef("--resume goes on with a file; a shard that was not finished is made again by the same command")
	case strings.EqualFold(filepath.Ext(f.output), ".parquet") || strings.EqualFold(filepath.Ext(f.output), ".csv"):
		return usagef("-o %s: with --shard it is a folder for the shards; merge makes the file (--format parquet says which)", f.output)
	}
	files, copies, err := f.manifests(ctx, a, sources)
	if err != nil {
		return err
	}
	plan, err := extract.PlanShards(cfg, sources, files, p.Count, f.whole, f.again(a))
	if err != nil {
		if errors.As(err, new(*extract.ConfigError)) {
			return usageError{err}
		}
		return err
	}
	if !f.whole && p.Count > 1 {
		said := map[string]int{}
		for i := range sources {
			if why := plan.Uncut[i]; why != "" {
				if said[why]++; said[why] == 1 {
					a.note("%s is not cut inside: %s", shown(sources[i].Path), why)
				}
			}
		}
		for _, why := range slices.Sorted(maps.Keys(said)) {
			if n := said[why]; n > 1 {
				a.note("%d more captures are not cut inside: %s", n-1, why)
			}
		}
	}
	var summary *extract.Summary
	var damage error
	var total int64
	for _, r := range plan.Job.Inputs {
		total += r.Octets
	}
	total = int64(float64(total) * share(&plan.Job, p.Index))
	bar := a.octetsBar("reading")
	err = a.writeShard(f.output, &plan.Job, p, false, func(tmp string) (err error) {
		for _, i := range plan.Captures(p.Index) {
			if path, ok := copies[i]; ok {
				if err := a.compareSum(ctx, path, sources[i].Path, files[i]); err != nil {
					return err
				}
			}
		}
		summary, err = plan.Fill(ctx, p.Index, tmp, func(done int64) { bar.set(min(done, total), total) })
		if fault := new(extract.FaultError); errors.As(err, &fault) {
			damage, err = err, nil // the shard is whole; merge says so as a single run does
		}
		return err
	})
	bar.done()
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(a.stdout).Encode(struct {
			shard.Part
			ID      string           `json:"id"`
			Dir     string           `json:"dir"`
			Existed bool             `json:"existed"` // it was there before: nothing was read
			Summary *extract.Summary `json:"summary,omitempty"`
		}{p, plan.Job.ShardID(p.Index), filepath.Join(f.output, plan.Job.ShardID(p.Index)), summary == nil, summary})
	}
	if summary != nil {
		f.tell(a, summary)
	}
	if damage != nil {
		if !cfg.Salvage {
			damage = datasets.Explain(damage)
		}
		a.note("%v\nthe shard has what came before; merge will write all there is, say this again and end with exit code 1", damage)
	}
	return nil
}

// share is a shard's part of the weight of all.
func share(j *shard.Job, i int) float64 {
	var total uint64
	for _, r := range j.Ranges {
		total += r.Weight
	}
	if total == 0 {
		return 1
	}
	return float64(j.Ranges[i-1].Weight) / float64(total)
}

// manifests returns what manifests have of the captures. What is in none is scanned. copies are the captures that are not as old as
// their manifest says, whose path it has: before they are read their SHA-256 must be compared.
func (f *featuresFlags) manifests(ctx context.Context, a *app, sources []extract.Source) (files []*manifest.File, copies map[int]string, err error) {
	for _, s := range sources {
		if s.Open != nil || s.Path == stdin {
			return nil, nil, usagef("--shard: %s is no file: shards are of files, whose SHA-256 is known", s.Path)
		}
	}
	found := &manifestFinder{app: a, loaded: make(map[string]*manifest.Manifest)}
	files, copies = make([]*manifest.File, len(sources)), make(map[int]string)
	var todo []string
	var at []int
	var octets int64
	for i, s := range sources {
		path := f.manifest
		if path != "" {
			files[i], err = found.named(path, s.Path)
		} else {
			files[i], path, err = found.beside(s.Path)
		}
		if err != nil {
			return nil, nil, err
		}
		if files[i] == nil {
			if info, err := os.Stat(s.Path); err == nil {
				octets += info.Size()
			}
			todo, at = append(todo, s.Path), append(at, i)
			continue
		}
		copied, err := same(path, s.Path, files[i])
		if err != nil {
			return nil, nil, err
		}
		if copied {
			copies[i] = path
		}
	}
	if len(todo) == 0 {
		return files, copies, nil
	}
	a.note("no manifest has %s (%s): read for counts and SHA-256, as every shard does again; '%s dataset scan' makes one",
		plural(len(todo), "capture", "captures"), datasets.FormatCount(uint64(octets))+" B", a.Name)
	bar := a.octetsBar("scanning")
	scanned, err := manifest.ScanFiles(ctx, todo, manifest.Config{Hash: true, Salvage: f.Salvage, Progress: bar.set})
	bar.done()
	if err != nil {
		return nil, nil, err
	}
	for k := range scanned {
		if e := scanned[k].Error; e != nil && (e.Kind == manifest.FaultRead || e.Kind == manifest.FaultChanged) {
			return nil, nil, errors.New(e.Text)
		}
		files[at[k]] = &scanned[k]
	}
	return files, copies, nil
}

// manifestFinder finds captures in manifests.
type manifestFinder struct {
	*app
	loaded map[string]*manifest.Manifest // by path; nil for none
}

// named returns what the manifest at a path, or in a folder, has of a capture.
func (m *manifestFinder) named(path, capture string) (*manifest.File, error) {
	list := m.loaded[path]
	if list == nil {
		var err error
		list, _, _, err = manifest.Load(path)
		if _, stat := os.Stat(path); stat != nil {
			err = fmt.Errorf("%w: make it with dataset scan", stat)
		}
		if err != nil {
			return nil, err
		}
		m.loaded[path] = list
	}
	dir := path
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		dir = filepath.Dir(path)
	}
	file, err := m.in(list, dir, capture)
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, fmt.Errorf("%s: the manifest %s has no such capture. Its paths count from the folder that it lies in: if it was made elsewhere, put it "+
			"beside the captures; if the capture is new, scan again", capture, path)
	}
	return file, nil
}

// levels is how many folders above a capture's a manifest is looked for: the dataset's captures lie two below its own.
const levels = 4

// beside returns what a manifest in the capture's folder, or in one above it, has of it, and its path; nil if there is none. A file of that
// name that is no manifest was not asked for and is passed by.
func (m *manifestFinder) beside(capture string) (file *manifest.File, path string, err error) {
	full, err := filepath.Abs(capture)
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Dir(full)
	for range levels {
		path = filepath.Join(dir, manifest.FileName)
		list, known := m.loaded[path]
		if !known {
			switch info, err := os.Stat(path); {
			case errors.Is(err, fs.ErrNotExist):
			case err == nil && !info.Mode().IsRegular():
				m.note("%s is no file: passed by", shown(path))
			default:
				if list, _, _, err = manifest.Load(path); err != nil {
					list = nil
					m.note("no manifest, passed by: %s", shown(err.Error()))
				} else {
					m.note("manifest: %s", shown(path))
				}
			}
			m.loaded[path] = list
		}
		if list != nil {
			if file, err := m.in(list, dir, capture); err != nil || file != nil && file.SHA256 != "" {
				return file, path, err
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return nil, "", nil
}

// in returns what a manifest of a folder has of a capture.
func (m *manifestFinder) in(list *manifest.Manifest, dir, capture string) (*manifest.File, error) {
	base, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	full, err := filepath.Abs(capture)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(base, full)
	if err != nil {
		return nil, nil
	}
	return list.Find(filepath.ToSlash(rel)), nil
}

// same compares size and time of change of a capture with its manifest. copied says that only the time differs, as of a copy.
func same(path, capture string, file *manifest.File) (copied bool, err error) {
	info, err := os.Stat(capture)
	if err != nil {
		return false, err
	}
	if info.Size() != file.Octets {
		return false, fmt.Errorf("%s: %d octets, the manifest %s says %d: scan it again", capture, info.Size(), path, file.Octets)
	}
	if file.Error != nil && (file.Error.Kind == manifest.FaultRead || file.Error.Kind == manifest.FaultChanged) {
		return false, fmt.Errorf("%s: the manifest %s could not be made of it (%s): scan it again", capture, path, file.Error.Text)
	}
	if file.SHA256 == "" {
		return false, fmt.Errorf("%s: the manifest %s has no SHA-256 of it, which says what a shard is of: scan it without --no-hash", capture, path)
	}
	return !manifest.Storable(info.ModTime()).Equal(file.Modified), nil
}

// compareSum compares the SHA-256 of a capture with its manifest.
func (a *app) compareSum(ctx context.Context, path, capture string, file *manifest.File) error {
	a.note("%s is not as old as its manifest says, perhaps a copy: comparing its SHA-256 (cp -p and rsync -a keep the time)", shown(capture))
	sum, err := captureSum(ctx, capture)
	if err == nil && sum != file.SHA256 {
		err = fmt.Errorf("%s: its SHA-256 is %.16s, the manifest %s says %.16s: scan it again", capture, sum, path, file.SHA256)
	}
	return err
}

// captureSum returns the SHA-256 of a file.
func captureSum(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	for ctx.Err() == nil {
		if _, err := io.CopyN(sum, file, 1<<20); err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		} else if err != nil {
			return "", err
		}
	}
	return "", ctx.Err()
}

// mergeFeatures joins shards of features.
func (a *app) mergeFeatures(ctx context.Context, _ *shard.Job, shards []*shard.Shard, out string) error {
	limitMemory(0)
	bar := a.octetsBar("joining")
	cfg := extract.MergeConfig{Progress: bar.set}
	var summary *extract.Summary
	var err error
	if out == stdin {
		summary, err = extract.MergeShardsTo(ctx, a.stdout, cfg, shards)
	} else {
		summary, err = extract.MergeShards(ctx, out, cfg, shards)
	}
	bar.done()
	if errors.As(err, new(*extract.ConfigError)) {
		return usageError{err}
	}
	if fault := new(extract.FaultError); errors.As(err, &fault) && !summary.Salvage {
		err = fmt.Errorf("%w (shards made again with --salvage keep the frames that can be trusted)", err)
	}
	return toldDamage(err, out)
}
