package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/shard"
)

// merger joins all shards of a job into what a single run would have made, octet for octet.
type merger struct {
	makes  string // what it writes, for people
	unit   string // of the weights of its shards
	stream bool   // it writes a file, so standard output will do
	// merge joins the shards of a job, in order, each once. It writes output whole or not at all; that is "-" for standard output only
	// where stream is set. What it reads it compares with the shards' records.
	merge func(ctx context.Context, job *shard.Job, shards []*shard.Shard, output string) error
}

// mergers are by kind of job.
func (a *app) mergers() map[string]merger {
	return map[string]merger{
		extract.ShardKind: {"a file of vectors", "packets", true, a.mergeFeatures},
		scanKind:          {"a manifest", "octets", true, a.mergeScan},
		synthKind:         {"a folder", "packets", false, a.mergeSynth},
		studyKind:         {"a results folder", "ms", false, a.mergeStudy},
		classesKind:       {"a results folder", "ms", false, a.mergeClasses},
	}
}

func (a *app) mergeCommand() *cobra.Command {
	var output, job, failIf string
	var asJSON bool
	kinds := slices.Sorted(maps.Keys(a.mergers()))
	c := &cobra.Command{
		Use:   "merge [flags] DIR...",
		Short: "Join the shards of a job: the same octets as a single run would have written",
		Long: `Joins what commands with --shard i/n have made. Each DIR is a folder of shards, one shard, or a folder of such folders, as they come
back from several machines; their order does not matter, and a shard that is there twice with the same content is harmless. The output
is what one run without --shard would have written, octet for octet. It appears whole or not at all, so merging twice is harmless too.

Nothing is joined where shards are missing, are there twice with other content, are of another job (other captures, settings or number
of shards: it says which), or are not what their own records say. The message names each with the command that makes it again, and the
numbers of all that are missing as Slurm takes them: sbatch --array=3,7-9. Where a folder holds shards of several jobs, --job names one.
'` + a.Name + ` shards status' tells the same without joining.

Captures of a tree are not copied where the file system has links: a shard's capture and the tree's are then one file under two names, so
change neither while you need the other.

What it can join: ` + strings.Join(kinds, ", ") + `.`,
		Example: `  ` + a.Name + ` features --window cic --label folder --manifest manifest.json --shard 1/2 -o shards PCAP/*/*.pcap   # here
  ` + a.Name + ` features --window cic --label folder --manifest manifest.json --shard 2/2 -o shards PCAP/*/*.pcap   # there
  ` + a.Name + ` merge shards -o cic.csv
  ` + a.Name + ` merge from-pc1 from-pc2 -o - | gzip > cic.csv.gz`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("want the folders of the shards (see '%s -h')", c.CommandPath())
			}
			if output == "" {
				return usagef("say where the result goes: -o OUT")
			}
			var err error
			if a.mergeCondition, err = studyCondition(failIf); err != nil {
				return err
			}
			return shownLines(a.merge(c.Context(), args, output, job, asJSON))
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file or folder to write, as the single run has it; - for standard output where that is a file")
	c.Flags().StringVar(&job, "job", "", "of several jobs in the folders, the one whose id begins like this")
	c.Flags().BoolVar(&a.mixedMachines, "mixed-machines", false, "of measurements: join also what machines that differ have measured; the result says so")
	failIfVar(c.Flags(), &failIf, "of measurements: exit 3 if true, as 'ndr<400k', and the result is written all the same")
	c.Flags().BoolVar(&asJSON, "json", false, "print what was joined as JSON (on standard error with -o -)")
	return c
}

// merged is what merge says as JSON.
type merged struct {
	Job     string   `json:"job"`
	Kind    string   `json:"kind"`
	Shards  int      `json:"shards"`
	Surplus []string `json:"surplus,omitempty"` // folders of shards that are there twice with the same content
	Octets  int64    `json:"octets"`            // of payloads
	Output  string   `json:"output"`
}

func (a *app) merge(ctx context.Context, dirs []string, output, job string, asJSON bool) error {
	set, err := readShards(dirs, job)
	if err != nil {
		return err
	}
	a.notePassed(set)
	if err := set.Complete(); err != nil {
		return a.incomplete(err, dirs, job)
	}
	main := set.Main()
	joining := *a
	if asJSON && output != stdin {
		joining.stdout = io.Discard // tables
	}
	m, ok := joining.mergers()[main.Kind]
	if !ok {
		return fmt.Errorf("%s: shards of kind %q: this program joins %s; it was another version that made them", set.Shards[0].Dir, main.Kind,
			strings.Join(slices.Sorted(maps.Keys(a.mergers())), ", "))
	}
	if a.mergeCondition != nil && main.Kind != studyKind && main.Kind != classesKind {
		return usagef("--fail-if: shards of kind %q have no measurements", main.Kind)
	}
	if output == stdin && !m.stream {
		return usagef("-o -: shards of kind %q make %s: name it", main.Kind, m.makes)
	}
	if output != stdin {
		if err := besideShards(output, set.Shards); err != nil {
			return err
		}
	}
	shards, err := a.wholeOf(ctx, set, main)
	if err != nil {
		return err
	}
	said := merged{Job: main.ID(), Kind: main.Kind, Shards: len(shards), Output: output}
	for _, s := range set.Shards {
		if shards[s.Index-1] != s {
			said.Surplus = append(said.Surplus, s.Dir)
		}
	}
	for _, s := range shards {
		for _, f := range s.Files {
			said.Octets += f.Octets
		}
	}
	if len(said.Surplus) > 0 {
		a.note("there twice, with the same content: %s", shown(firstOf(said.Surplus)))
	}
	if output == stdin { // what was written cannot be taken back
		faults, err := a.verifyShards(ctx, shards)
		for _, s := range shards {
			err = errors.Join(err, faults[s])
		}
		if err != nil {
			return err
		}
	}
	err = m.merge(ctx, main, shards, output)
	if err != nil && !written(err) {
		return err
	}
	if asJSON {
		w := a.stdout
		if output == stdin {
			w = a.stderr
		}
		return errors.Join(err, json.NewEncoder(w).Encode(said))
	}
	a.note("%s of %s joined: %s", plural(len(shards), "shard", "shards"), main.Kind, shown(output))
	return err
}

// writtenError is of a merge whose output is written all the same.
type writtenError struct{ error }

func (e writtenError) Unwrap() error { return e.error }

// written reports whether the output is written in spite of an error: captures were damaged, or a condition is true.
func written(err error) bool {
	return errors.As(err, new(*extract.FaultError)) || errors.As(err, new(writtenError)) || errors.Is(err, errMissed)
}

// wholeOf returns the shards of a complete job in order: of several folders of one shard, which have the same record, the first whose payload is
// what the record says. Payloads of shards that are there once are not read.
func (a *app) wholeOf(ctx context.Context, set *shard.Set, j *shard.Job) ([]*shard.Shard, error) {
	list := set.Of(j)[1:]
	id := j.ID()
	copies := make(map[int][]*shard.Shard)
	for _, s := range set.Shards {
		if s.JobID == id {
			copies[s.Index] = append(copies[s.Index], s)
		}
	}
	for i := range list {
		for k, s := range copies[i+1] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(copies[i+1]) == 1 {
				break
			}
			err := s.Verify()
			if err == nil {
				list[i] = s
				break
			}
			if k+1 == len(copies[i+1]) {
				return nil, err // none of them is whole
			}
			a.note("%v\nthere is a copy of it: %s", shownLines(err), shown(copies[i+1][k+1].Dir))
		}
	}
	return list, nil
}

// besideShards refuses an output in the folder of a shard, where it could take the place of a payload.
func besideShards(output string, shards []*shard.Shard) error {
	for _, s := range shards {
		if in, err := isBelow(s.Dir, output); err != nil {
			return err
		} else if in {
			return usagef("-o %s is in the folder of shard %v, %s: choose a place beside the shards", output, s.Part(), s.Dir)
		}
	}
	return nil
}

// shownLines is shownError for an error of several lines.
func shownLines(err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = shown(lines[i])
	}
	return linesError{err, strings.Join(lines, "\n")}
}

type linesError struct {
	error
	text string
}

func (e linesError) Error() string { return e.text }
func (e linesError) Unwrap() error { return e.error }

// verifyShards reads all payloads and returns the fault of each shard that is damaged. The error is that of ctx.
func (a *app) verifyShards(ctx context.Context, shards []*shard.Shard) (faults map[*shard.Shard]error, err error) {
	var total, done int64
	for _, s := range shards {
		for _, f := range s.Files {
			total += f.Octets
		}
	}
	bar := a.octetsBar("verifying")
	defer bar.done()
	faults = make(map[*shard.Shard]error)
	for _, s := range shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.Verify(); err != nil {
			faults[s] = err
		}
		for _, f := range s.Files {
			done += f.Octets
		}
		bar.set(done, total)
	}
	return faults, nil
}

// noJobError says that folders have no shard of a job, and what they have.
type noJobError struct {
	usageError
	set *shard.Set // faults and notes
}

func (e noJobError) Unwrap() error { return e.usageError }

// readShards finds the shards in folders; with job, those of the one job whose id begins so, without faults of others', or a noJobError.
func readShards(dirs []string, job string) (*shard.Set, error) {
	set, err := shard.Read(dirs...)
	if err != nil || job == "" {
		return set, err
	}
	ids, others := make(map[string]bool), make(map[string][]string)
	some := &shard.Set{Notes: set.Notes}
	for _, s := range set.Shards {
		if strings.HasPrefix(s.JobID, job) {
			ids[s.JobID] = true
			some.Shards = append(some.Shards, s)
		} else {
			others[s.JobID] = s.Record.Shards
		}
	}
	for _, fault := range set.Faults {
		text, foreign := fault.Error(), false // by the folder's name
		for _, list := range others {
			foreign = foreign || slices.ContainsFunc(list, func(id string) bool { return strings.Contains(text, id) })
		}
		if !foreign {
			some.Faults = append(some.Faults, fault)
		}
	}
	switch len(ids) {
	case 0:
		return nil, noJobError{usageError{fmt.Errorf("--job %s: no shard of such a job in %s", job, strings.Join(dirs, ", "))}, some}
	case 1:
		return some, nil
	}
	return nil, usagef("--job %s: %d jobs begin so: %s", job, len(ids), strings.Join(slices.Sorted(maps.Keys(ids)), ", "))
}

// incomplete adds to why a set is not a whole job what to do about all of it at once.
func (a *app) incomplete(err error, dirs []string, job string) error {
	var why *shard.IncompleteError
	if !errors.As(err, &why) || why.Job == nil {
		return err
	}
	if len(why.Missing) > 0 {
		words := []string{"--commands"} // which prints nothing where there are several jobs
		if job != "" || len(why.Foreign) > 0 {
			words = append(words, "--job", why.Job.ID()[:12])
		}
		err = fmt.Errorf("%w\nmissing of %d: %s; their commands: %s shards status %s", err, why.Job.Count(), indices(why.Missing), a.Name,
			quotedWords(append(words, dirs...)))
	}
	if len(why.Foreign) > 0 {
		err = fmt.Errorf("%w\nseveral jobs: --job %.12s joins the one of %s", err, why.Job.ID(), why.Job.Kind)
	}
	return err
}

func quotedWords(words []string) string {
	var list []string
	for _, w := range words {
		list = append(list, quoted(w))
	}
	return strings.Join(list, " ")
}

// indices writes sorted numbers as sbatch --array takes them: 3,7-9.
func indices(list []int) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if fmt.Fprint(&b, list[i]); j > i {
			fmt.Fprint(&b, "-", list[j])
		}
		i = j + 1
	}
	return b.String()
}
