package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pcaplab/datasets/shard"
)

// shardFlag is --shard: which part of a job a command makes.
type shardFlag struct{ text string }

// add adds the flag; what says what a shard is a part of.
func (f *shardFlag) add(fs *pflag.FlagSet, what string) {
	fs.StringVar(&f.text, "shard", "", "make shard i/n of "+what+" into the folder of -o; /n takes i from a Slurm array or an indexed Job, env both from Slurm")
}

// part returns the part, and whether one was asked for.
func (f *shardFlag) part() (p shard.Part, on bool, err error) {
	if p, on, err = shard.PartOf(f.text, os.Getenv); err != nil {
		err = usageError{err}
	}
	return p, on, err
}

// again returns the command of the process with %s for the part, for shard.Job.Again: what a person runs to make another shard.
func (f *shardFlag) again(a *app) string {
	words := []string{a.Name}
	end := len(a.args) // of the flags
	if i := slices.Index(a.args, "--"); i >= 0 {
		end = i
	}
	skip := false
	for _, arg := range a.args[:end] {
		switch {
		case skip:
			skip = false
		case arg == "--shard":
			skip = true
		case strings.HasPrefix(arg, "--shard="):
		default:
			words = append(words, quoted(arg))
		}
	}
	words = append(words, "--shard", "%s")
	for _, arg := range a.args[end:] {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// quoted is a word for a shell.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./,:@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shardWritten says what became of a shard. It takes the results of shard.Write, and returns what is left of the error: that another process
// made the same shard with other content is one where measured is false.
func (a *app) shardWritten(p shard.Part, path string, existed bool, err error, measured bool) error {
	switch {
	case errors.Is(err, shard.ErrOther) && measured:
		a.note("shard %v: another process made it first; its measurement stays: %s", p, path)
		return nil
	case err != nil:
		return err
	case existed:
		a.note("shard %v is there already, whole: %s", p, path)
	default:
		a.note("shard %v of the job: %s", p, path)
	}
	return nil
}

// notePassed says what a look for shards has passed by.
func (a *app) notePassed(set *shard.Set) {
	for _, n := range set.Notes {
		a.note("%s", shown(n))
	}
}

// notShard refuses to go on in the folder of a shard, whose record has the sums of what is in it, in the hidden folder in which one is measured, and
// in a class's folder of either.
func (a *app) notShard(path string) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(whole); err == nil {
		whole = real
	}
	for _, dir := range []string{whole, filepath.Dir(whole)} {
		in, name := filepath.Split(dir)
		in = filepath.Clean(in)
		if _, err := os.Lstat(filepath.Join(dir, shard.RecordName)); err == nil {
			what := "a shard, whose record (" + shard.RecordName + ") cannot be taken"
			if set, err := shard.Read(dir); err == nil && len(set.Shards) == 1 {
				s := set.Shards[0]
				if what = fmt.Sprintf("shard %v, whole", s.Part()); s.Verify() != nil {
					what = fmt.Sprintf("shard %v, damaged", s.Part())
				}
			}
			return usagef("--resume %s: this is %s, and going on would change it: merge the folder, '%s merge %s -o OUT' ('%[3]s shards status --verify %[4]s' "+
				"says what is missing)", path, what, a.Name, quoted(in))
		}
		id, rest, ok := strings.Cut(strings.TrimPrefix(name, "."), ".")
		if !ok || name[0] != '.' || len(id) != 64 || !strings.HasSuffix(rest, workSuffix) {
			continue
		}
		how := "the command that was interrupted, with its --shard and -o"
		if set, err := shard.Read(in); err == nil {
			for _, s := range set.Shards {
				if i := slices.Index(s.Shards, id); i >= 0 && s.Job.Command(i+1) != "" {
					how = s.Job.Command(i + 1)
					break
				}
			}
		}
		return usagef("--resume %s: a shard is measured in it: to go on with that, repeat its command: %s", path, how)
	}
	return nil
}
