package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Job is what all shards of a job share. What decides the content of a shard must stand in it, and nothing else that could differ between
// the machines that make them.
type Job struct {
	Kind       string          `json:"kind"`       // such as "features"
	Schema     int             `json:"schema"`     // version of the kind's payload and way of cutting, from 1
	Parameters json.RawMessage `json:"parameters"` // JSON: all that changes the output, each once; differences are told by its names
	Inputs     []Input         `json:"inputs,omitempty"`
	Ranges     []Range         `json:"ranges"` // one for each shard, in order
	// Again is the command that makes a shard, for people: it is part of no id. i/n stands where it has %s: the last one behind --shard if
	// there is such a one, else the last. "" for unknown.
	Again string `json:"again,omitempty"`
}

// Input is a file that a job reads. Its SHA-256 is part of the ids, its name is not.
type Input struct {
	Name   string `json:"name"`
	Octets int64  `json:"octets"`
	SHA256 string `json:"sha256"` // 64 digits of lower-case hex
}

// Range says, in the kind's own words, what a shard has of the job: where it begins, and the first that is not its own.
type Range struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Weight uint64 `json:"weight,omitempty"` // its cost in the kind's unit, such as packets
}

// Count returns how many shards the job has.
func (j *Job) Count() int { return len(j.Ranges) }

// Command returns the command that makes shard i, from 1, or "" where the job does not say.
func (j *Job) Command(i int) string {
	at := strings.LastIndex(j.Again, " --shard %s") + len(" --shard ")
	if at < len(" --shard ") {
		at = strings.LastIndex(j.Again, "%s")
	}
	if at < 0 {
		return ""
	}
	return j.Again[:at] + Part{i, j.Count()}.String() + j.Again[at+2:]
}

// ID returns the id of the job: 64 digits of hex.
func (j *Job) ID() string { return idOf(j.base(), 0, j.Ranges) }

// ShardID returns the id of shard i, from 1: the SHA-256 over kind, schema, parameters, the SHA-256 of each input, index, count and range.
func (j *Job) ShardID(i int) string { return idOf(j.base(), i, j.Ranges[i-1:i]) }

// IDs returns the ids of all shards, in order.
func (j *Job) IDs() []string {
	base, ids := j.base(), make([]string, j.Count())
	for i := range ids {
		ids[i] = idOf(base, i+1, j.Ranges[i:i+1])
	}
	return ids
}

// base is the SHA-256 over what all shards share.
func (j *Job) base() string {
	type input struct {
		Octets int64
		SHA256 string
	}
	what := struct {
		Kind       string
		Schema     int
		Parameters json.RawMessage
		Inputs     []input
		Count      int
	}{Kind: j.Kind, Schema: j.Schema, Parameters: j.Parameters, Count: j.Count()}
	for _, in := range j.Inputs {
		what.Inputs = append(what.Inputs, input{in.Octets, in.SHA256})
	}
	return sumOf(what)
}

func idOf(base string, index int, ranges []Range) string {
	return sumOf(struct {
		Base   string
		Index  int
		Ranges []Range
	}{base, index, ranges})
}

// sumOf returns the SHA-256 of what v is in JSON.
func sumOf(v any) string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(v); err != nil { // only parameters that are no JSON, which check refuses
		return strings.Repeat("0", 64)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// check refuses what is no job.
func (j *Job) check() error {
	switch {
	case j.Kind == "" || len(j.Kind) > 64 || strings.Trim(j.Kind, "abcdefghijklmnopqrstuvwxyz-") != "":
		return fmt.Errorf("kind %q: want lower-case letters", j.Kind)
	case j.Schema < 1:
		return fmt.Errorf("schema %d", j.Schema)
	case !json.Valid(j.Parameters):
		return errors.New("parameters are no JSON")
	case len(j.Ranges) < 1 || len(j.Ranges) > MaxCount:
		return fmt.Errorf("%d shards: want 1 to %d", len(j.Ranges), MaxCount)
	}
	for i, in := range j.Inputs {
		if in.Octets < 0 || !isSum(in.SHA256) {
			return fmt.Errorf("input %d, %q: %d octets with SHA-256 %q", i+1, in.Name, in.Octets, in.SHA256)
		}
	}
	return nil
}

func isSum(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// File is a payload file of a shard.
type File struct {
	Name   string `json:"name"` // from the shard's folder, with slashes
	Octets int64  `json:"octets"`
	SHA256 string `json:"sha256"`
}

// RecordName is the file in a shard's folder that says what the shard is. It is written last.
const RecordName = "shard.json"

// RecordVersion is that of the records that Write makes and Read takes.
const RecordVersion = 1

// Record is what a shard says of itself, and of its job.
type Record struct {
	Version int    `json:"shard_version"`
	ID      string `json:"id"`
	JobID   string `json:"job_id"`
	Index   int    `json:"index"` // from 1
	Count   int    `json:"count"`
	// Shards are the ids of all shards of the job, in order: any one shard tells what is missing.
	Shards []string `json:"shards"`
	Files  []File   `json:"files"` // sorted by name
	Job    Job      `json:"job"`
}

// Part returns index and count.
func (r *Record) Part() Part { return Part{r.Index, r.Count} }

// encode returns the record as JSON: the same octets for the same record.
func (r *Record) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	err := e.Encode(r)
	return b.Bytes(), err
}

// rawRecord is a record whose large parts are not decoded.
type rawRecord struct {
	Record
	Shards json.RawMessage `json:"shards"`
	Job    json.RawMessage `json:"job"`
}

// ParseRecord reads a record. What contradicts itself is refused: ids that are not the hash of what stands there, names that leave the
// folder, sizes that cannot be.
func ParseRecord(text []byte) (*Record, error) { return new(recordReader).parse(text) }

// check refuses a record of a job, whose id is jobID, that contradicts itself.
func (r *Record) check(jobID string) error {
	if r.Version != RecordVersion {
		return fmt.Errorf("shard version %d: this program reads version %d", r.Version, RecordVersion)
	}
	if r.Count != r.Job.Count() || r.Index < 1 || r.Index > r.Count || len(r.Shards) != r.Count {
		return fmt.Errorf("shard %d of %d, with %d ranges and %d ids", r.Index, r.Count, r.Job.Count(), len(r.Shards))
	}
	if r.JobID != jobID {
		return fmt.Errorf("its job is %.16s, what stands in it has %.16s: it was changed", r.JobID, jobID)
	}
	if id := r.Shards[r.Index-1]; r.ID != id {
		return fmt.Errorf("its id is %.16s, what stands in it has %.16s: it was changed", r.ID, id)
	}
	for i, f := range r.Files {
		if !fs.ValidPath(f.Name) || f.Name == "." || strings.ContainsAny(f.Name, "\\:\x00") || path.Base(f.Name) == RecordName {
			return fmt.Errorf("file %d is called %.80q: want a name in the shard's folder", i+1, f.Name)
		}
		if i > 0 && r.Files[i-1].Name >= f.Name {
			return fmt.Errorf("file %d, %q: not in order, or there twice", i+1, f.Name)
		}
		if f.Octets < 0 || !isSum(f.SHA256) {
			return fmt.Errorf("file %q: %d octets with SHA-256 %.80q", f.Name, f.Octets, f.SHA256)
		}
	}
	return nil
}
