package shard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxCount is the largest number of shards of a job. Each shard's record lists them all, so that what records have in all grows with the
// square: 2,000 records have 0.7 GB, 10,000 would have 17.
const MaxCount = 2000

// Part says which shard of how many: 1 <= Index <= Count <= MaxCount.
type Part struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// String returns the part as ParsePart reads it.
func (p Part) String() string { return fmt.Sprintf("%d/%d", p.Index, p.Count) }

// ParsePart reads a part such as 3/16.
func ParsePart(s string) (Part, error) {
	index, count, ok := strings.Cut(s, "/")
	if !ok {
		return Part{}, fmt.Errorf("shard %q: want i/n, such as 3/16", s)
	}
	n, err := parseCount(count, s)
	if err != nil {
		return Part{}, err
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 1 || i > n {
		return Part{}, fmt.Errorf("shard %q: want i/n with i from 1 to %d", s, n)
	}
	return Part{i, n}, nil
}

func parseCount(count, whole string) (int, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > MaxCount {
		return 0, fmt.Errorf("shard %q: want a number of shards from 1 to %d behind the slash", whole, MaxCount)
	}
	return n, nil
}

// ErrNoTask says that the environment names no task of an array.
var ErrNoTask = errors.New("no task number in the environment")

// PartOf reads the value of a flag --shard. "" is no part: on is false, whatever the environment has, so that a plain command in a Slurm
// array does not silently do a part. "i/n" is that part. "/n" takes the index from the environment: SLURM_ARRAY_TASK_ID, of arrays that
// are numbered from 1, or JOB_COMPLETION_INDEX, which Kubernetes numbers from 0; so it means the same shard when only some tasks of an
// array are submitted again. "env" takes index and count from Slurm (SLURM_ARRAY_TASK_MIN, _MAX, _STEP and _COUNT), and is an error where
// the array is not a whole one that begins with 0 or 1. getenv is os.Getenv.
func PartOf(flag string, getenv func(string) string) (p Part, on bool, err error) {
	switch {
	case flag == "":
		return Part{}, false, nil
	case flag == "env":
		p, err = wholeArray(getenv)
		return p, err == nil, err
	case !strings.HasPrefix(flag, "/"):
		p, err = ParsePart(flag)
		return p, err == nil, err
	}
	if p.Count, err = parseCount(flag[1:], flag); err != nil {
		return Part{}, false, err
	}
	slurm, kubernetes := getenv("SLURM_ARRAY_TASK_ID"), getenv("JOB_COMPLETION_INDEX")
	name := "SLURM_ARRAY_TASK_ID"
	switch {
	case slurm != "" && kubernetes != "":
		return Part{}, false, fmt.Errorf("shard %q: both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set: name the index, as in 1%s", flag, flag)
	case slurm != "" && getenv("SLURM_ARRAY_TASK_MIN") == "0":
		return Part{}, false, fmt.Errorf("shard %q: the array is numbered from 0: submit it with --array=1-%d, or use --shard env", flag, p.Count)
	case slurm != "":
		p.Index, err = number(name, slurm)
	case kubernetes != "":
		name = "JOB_COMPLETION_INDEX"
		p.Index, err = number(name, kubernetes)
		p.Index++
	default:
		return Part{}, false, fmt.Errorf("shard %q: %w: want SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, or the index before the slash", flag, ErrNoTask)
	}
	if err == nil && (p.Index < 1 || p.Index > p.Count) {
		err = fmt.Errorf("shard %q: %s makes it shard %d of %d", flag, name, p.Index, p.Count)
		if slurm != "" {
			err = fmt.Errorf("%w: number the array 1-%d, or use --shard env, which is for whole arrays that begin with 0 or 1", err, p.Count)
		}
	}
	if err != nil {
		return Part{}, false, err
	}
	return p, true, nil
}

// wholeArray returns the part that a task of a whole Slurm array is.
func wholeArray(getenv func(string) string) (Part, error) {
	if getenv("SLURM_ARRAY_TASK_ID") == "" {
		if getenv("JOB_COMPLETION_INDEX") != "" {
			return Part{}, errors.New("shard \"env\": Kubernetes says the index but not the number of shards: give it, as in /16")
		}
		return Part{}, fmt.Errorf("shard \"env\": %w: want SLURM_ARRAY_TASK_ID with SLURM_ARRAY_TASK_COUNT", ErrNoTask)
	}
	var n [5]int
	for i, name := range []string{"ID", "COUNT", "MIN", "MAX", "STEP"} {
		name = "SLURM_ARRAY_TASK_" + name
		text := getenv(name)
		if text == "" && name == "SLURM_ARRAY_TASK_STEP" {
			text = "1"
		}
		var err error
		if n[i], err = number(name, text); err != nil {
			return Part{}, err
		}
	}
	id, count, least, most, step := n[0], n[1], n[2], n[3], n[4]
	if count < 1 || count > MaxCount {
		return Part{}, fmt.Errorf("SLURM_ARRAY_TASK_COUNT %d: want 1 to %d", count, MaxCount)
	}
	if least > 1 || step < 1 || most < least || (most-least)/step+1 != count || (id-least)%step != 0 || id < least || id > most {
		return Part{}, fmt.Errorf("shard \"env\": task %d of the array %d-%d:%d with %d tasks: the array is not whole, so its size is not the "+
			"number of shards: give that, as in /16", id, least, most, step, count)
	}
	return Part{(id-least)/step + 1, count}, nil
}

func number(name, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<30 {
		return 0, fmt.Errorf("%s is %q: want a whole number", name, text)
	}
	return n, nil
}
