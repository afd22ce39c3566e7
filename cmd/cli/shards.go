package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/shard"
)

// errIncomplete says that shards are still to be made.
var errIncomplete = errors.New("shards are missing")

// errPlanned ends a command that was asked for its shards only.
var errPlanned = errors.New("the shards are planned")

// writeShard makes shard p of a job in the folder dir by fill, as shard.Write has it, and says what became of it; where measured, a
// shard that is there with other content is as good. In `shards plan` it notes the job instead and returns an error that ends the command.
func (a *app) writeShard(dir string, j *shard.Job, p shard.Part, measured bool, fill func(tmp string) error) error {
	if a.plan != nil {
		*a.plan = j
		return errPlanned
	}
	path, existed, err := shard.Write(dir, j, p.Index, fill)
	return a.shardWritten(p, path, existed, err, measured)
}

func (a *app) shardsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "shards",
		Short: "Plan a job in shards, and tell what is done and what is missing",
		Long: `A job too long for one machine is made in shards: the same command with --shard i/n on any machines that see the captures, under Slurm,
Kubernetes, GNU parallel, or by hand; then '` + a.Name + ` merge' joins them. There is no scheduler here: 'plan' says beforehand what each shard
would be, 'status' says what there is and what is missing, so that it can be submitted again.`,
		Example: `  ` + a.Name + ` shards plan 16 features --window cic --manifest manifest.json -o shards PCAP/*/*.pcap
  ` + a.Name + ` shards status shards
  missing=$(` + a.Name + ` shards status --missing shards); [ $? -ne 3 ] || sbatch --array="$missing" array.sbatch`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return usagef("no command %q: want plan or status (see '%s -h')", args[0], c.CommandPath())
		},
	}
	c.AddCommand(a.shardsPlanCommand(), a.shardsStatusCommand())
	return c
}

// plannedShard is a shard of a plan.
type plannedShard struct {
	Index int    `json:"index"`
	ID    string `json:"id"`
	shard.Range
	Share    float64  `json:"share"`              // of the job's weight
	Captures []string `json:"captures,omitempty"` // of features: what the shard reads packets of
	Command  string   `json:"command,omitempty"`
}

func (a *app) shardsPlanCommand() *cobra.Command {
	var asJSON, id bool
	c := &cobra.Command{
		Use:   "plan [flags] N COMMAND [ARG]...",
		Short: "Say what each of N shards of a command would be, without making any",
		Long: `Prints for each of N shards where it begins and ends, its weight, which is its cost in the command's unit (packets, octets, or about how many
milliseconds a study takes), its share of the whole, and its id, under which it will be found. COMMAND is one that has --shard, with all its flags, -o
too. Nothing is made. Where the command needs a manifest and has none, it reads the captures for one, and says so: 'dataset scan' keeps it.

The last line says how much more than its share the heaviest shard has: on as many machines as shards the job takes that much longer. With
--json each shard of features also names the captures that it reads, for machines that have some of them on disks of their own.

--id prints only the id of the job: other settings, other captures or another number of shards make another job. With it 'status --job ID --of N' and
'merge --job ID' take the shards of this command only, in a folder that has those of others.`,
		Example: `  ` + a.Name + ` shards plan 16 features --window cic --manifest manifest.json -o shards PCAP/*/*.pcap
  ` + a.Name + ` shards plan --json 4 dataset scan -o shards PCAP | jq -r '.shards[] | [.index, .weight] | @tsv'
  ` + a.Name + ` shards plan --json 16 features -o shards PCAP/*/*.pcap | jq -r '.shards[] | [.index, .captures[]] | @tsv'
  ` + a.Name + ` shards plan --id 16 features --window cic --manifest manifest.json -o shards PCAP/*/*.pcap`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("want a number of shards, and the command (see '%s -h')", c.CommandPath())
			}
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 1 || n > shard.MaxCount {
				return usagef("%q: want a number of shards from 1 to %d", args[0], shard.MaxCount)
			}
			if id && asJSON {
				return usagef("--id and --json are two ways to print the same: choose one")
			}
			job, err := a.planOf(c.Context(), n, args[1:])
			if err != nil || job == nil {
				return err
			}
			if id {
				_, err := fmt.Fprintln(a.stdout, job.ID())
				return err
			}
			return a.writePlan(job, asJSON)
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	c.Flags().BoolVar(&id, "id", false, "print only the id of the job")
	return c
}

// planOf returns the job of a command in n shards, or nil where the command was asked for its help, which is printed.
func (a *app) planOf(ctx context.Context, n int, args []string) (*shard.Job, error) {
	if slices.ContainsFunc(args, func(s string) bool { return s == "--shard" || strings.HasPrefix(s, "--shard=") }) {
		return nil, usagef("leave --shard out: N says how many shards there are")
	}
	var job *shard.Job
	sub := &app{Program: a.Program, stdin: a.stdin, stdout: io.Discard, stderr: a.stderr, quiet: a.quiet, plan: &job, args: args}
	root := sub.root()
	// Behind the command's own words, which may be sub-commands, and before "--".
	at := len(args)
	if i := slices.Index(args, "--"); i >= 0 {
		at = i
	}
	root.SetArgs(slices.Insert(slices.Clone(args), at, "--shard", shard.Part{Index: 1, Count: n}.String()))
	root.SetIn(sub.stdin)
	root.SetOut(io.Discard)
	root.SetErr(a.stderr)
	help := slices.ContainsFunc(args[:at], func(s string) bool { return s == "-h" || s == "--help" })
	if help {
		root.SetOut(a.stdout)
	}
	err := root.ExecuteContext(ctx)
	switch {
	case errors.Is(err, errPlanned):
		return job, nil
	case errors.As(err, new(usageError)) && !slices.ContainsFunc(args[:at], func(s string) bool { return outputFlag.MatchString(s) }):
		return nil, usagef("%w (want the command as the shards will have it, with -o DIR)", err)
	case err != nil || help:
		return nil, err
	}
	return nil, usagef("%s was not asked for shards, or has none", args[0])
}

// outputFlag matches -o and --output, with and without a value.
var outputFlag = regexp.MustCompile(`^(-[A-Za-z]*o|--output(=|$))`)

// capturesOf returns the inputs that shard i of features reads, nil for other kinds.
func capturesOf(j *shard.Job, i int) (names []string) {
	var from, to, packet int
	r := j.Ranges[i-1]
	if n, _ := fmt.Sscanf(r.From, "capture %d, packet %d", &from, &packet); n < 2 || j.Kind != extract.ShardKind || r.From == r.To {
		return nil
	}
	if n, _ := fmt.Sscanf(r.To, "capture %d, packet %d", &to, &packet); n < 2 {
		to = len(j.Inputs)
	} else if packet == 1 {
		to--
	}
	for k := max(from, 1); k <= min(to, len(j.Inputs)); k++ {
		names = append(names, j.Inputs[k-1].Name)
	}
	return names
}

func (a *app) writePlan(j *shard.Job, asJSON bool) error {
	var total, most uint64
	for _, r := range j.Ranges {
		total, most = total+r.Weight, max(most, r.Weight)
	}
	imbalance := 1.0
	if total > 0 {
		imbalance = float64(most) * float64(j.Count()) / float64(total)
	}
	unit := a.mergers()[j.Kind].unit
	shards, ids := make([]plannedShard, j.Count()), j.IDs()
	for i, r := range j.Ranges {
		shards[i] = plannedShard{Index: i + 1, ID: ids[i], Range: r, Captures: capturesOf(j, i+1), Command: j.Command(i + 1)}
		if total > 0 {
			shards[i].Share = float64(r.Weight) / float64(total)
		}
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			Job       string         `json:"job"`
			Kind      string         `json:"kind"`
			Weight    uint64         `json:"weight"`
			Unit      string         `json:"unit"`      // of weights
			Imbalance float64        `json:"imbalance"` // the heaviest shard's weight to a fair share; 1 is even
			Shards    []plannedShard `json:"shards"`
		}{j.ID(), j.Kind, total, unit, imbalance, shards})
	}
	t := list("shard", "from", "to", "weight ("+unit+")", "share", "id")
	t.Columns[0].Right, t.Columns[3].Right, t.Columns[4].Right = true, true, true
	for _, s := range shards {
		t.Add(report.Text(fmt.Sprint(s.Index)), report.Text(shown(s.From)), report.Text(shown(s.To)), report.Text(datasets.FormatCount(s.Weight)),
			report.Text(fmt.Sprintf("%.2f %%", 100*s.Share)), report.Text(s.ID[:16]))
	}
	if err := t.WriteText(a.stdout); err != nil {
		return err
	}
	a.note("job %.16s of kind %s; the heaviest shard has %.3f times a fair share", j.ID(), j.Kind, imbalance)
	return nil
}

// jobStatus is how far a job is.
type jobStatus struct {
	Job       string     `json:"job"`
	Kind      string     `json:"kind"`
	Shards    int        `json:"shards"`
	Complete  bool       `json:"complete"`          // there is a whole one of each, where that was looked at
	Done      []int      `json:"done"`              // indices, from 1
	Missing   []int      `json:"missing"`           // to be made, or made again
	Array     string     `json:"array"`             // the missing as sbatch --array takes them
	Share     float64    `json:"done_share"`        // of the job's weight
	Damaged   []string   `json:"damaged,omitempty"` // folders; whose index is not missing, there is a whole copy elsewhere
	Doubled   [][]string `json:"doubled,omitempty"` // folders of one shard with differing content
	Surplus   []string   `json:"surplus,omitempty"` // folders of shards that are there again with the same content
	Commands  []string   `json:"commands,omitempty"`
	Different []string   `json:"different,omitempty"` // from the first job, where there are several
}

func (a *app) shardsStatusCommand() *cobra.Command {
	var job string
	var of int
	var verify, missing, commands, asJSON bool
	c := &cobra.Command{
		Use:   "status [flags] DIR...",
		Short: "Tell which shards are done, and which are missing or damaged",
		Long: `Looks through folders of shards: which are there, missing, damaged, there twice with other content, or of another job. Every shard knows the
ids of all shards of its job, so one is enough to tell what is missing. A shard whose files are gone or of another size is damaged; what is in them
is read only with --verify.

--missing prints nothing but the numbers that are to be made, as Slurm takes them (3,7-9), and --commands the command of each, a line each.
A damaged shard is among them, unless a whole copy is there too, which merge takes: it is replaced when it is made again in its folder.
Commands are as the shards' records have them: where those come from others, read them before a shell does. They begin from the folder that
the shards were made from. In a folder without any shard nothing says how many there should be: --of does, also where there are shards of other jobs
and none of --job, which must then be a whole id, as 'plan --id' prints it.

The exit code is 0 if the job can be merged, 3 if shards are to be made and nothing else is wrong, 1 if a person must look: one shard
with two contents, shards of several jobs (--job names one), records that cannot be read. Then --missing and --commands print nothing.`,
		Example: `  ` + a.Name + ` shards status shards
  missing=$(` + a.Name + ` shards status --verify --missing shards); [ $? -ne 3 ] || sbatch --array="$missing" array.sbatch
  ` + a.Name + ` shards status --commands shards | parallel --sshlogin pc1,pc2 --workdir "$PWD"
  ` + a.Name + ` shards status --json shards | jq .missing`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("want the folders of the shards")
			case of < 0 || of > shard.MaxCount:
				return usagef("--of %d: want a number of shards from 1 to %d", of, shard.MaxCount)
			case missing && commands || missing && asJSON || commands && asJSON:
				return usagef("--missing, --commands and --json are three ways to print the same: choose one")
			}
			set, err := readShards(args, job)
			var none noJobError
			if errors.As(err, &none) && of > 0 && wholeID.MatchString(job) {
				set = none.set
			} else if err != nil {
				return shownError(err)
			}
			a.notePassed(set)
			if len(set.Shards) == 0 && len(set.Faults) == 0 && of > 0 {
				return a.tellNone(job, of, missing, commands, asJSON)
			}
			list, others, err := a.status(c.Context(), set, verify)
			if err != nil {
				return err
			}
			if of > 0 && len(list) > 0 && list[0].Shards != of {
				others = append(others, fmt.Errorf("--of %d: the job has %d shards", of, list[0].Shards))
			}
			return shownLines(a.tellStatus(list, others, missing, commands, asJSON))
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "read all payloads and compare them with their sums")
	c.Flags().BoolVar(&missing, "missing", false, "print only the numbers that are to be made: 3,7-9")
	c.Flags().BoolVar(&commands, "commands", false, "print only the commands that make what is missing, a line each")
	c.Flags().BoolVar(&asJSON, "json", false, "print all of it as JSON")
	c.Flags().StringVar(&job, "job", "", "of several jobs in the folders, the one whose id begins like this")
	c.Flags().IntVar(&of, "of", 0, "how many shards there should be, for folders that may have none yet")
	return c
}

// wholeID matches the id of a job.
var wholeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// tellNone says that all shards are missing.
func (a *app) tellNone(job string, of int, missing, commands, asJSON bool) error {
	all := make([]int, of)
	for i := range all {
		all[i] = i + 1
	}
	switch {
	case commands:
		return errors.New("there is no shard yet that says how it is made")
	case asJSON:
		err := json.NewEncoder(a.stdout).Encode([]jobStatus{{Job: job, Shards: of, Done: []int{}, Missing: all, Array: indices(all)}})
		return errors.Join(err, errIncomplete)
	case missing:
		fmt.Fprintln(a.stdout, indices(all))
	default:
		fmt.Fprintf(a.stdout, "no shard yet; missing %d: %s\n", of, indices(all))
	}
	return errIncomplete
}

// status returns the jobs of a set, that of most shards first, and what is wrong beside them.
func (a *app) status(ctx context.Context, set *shard.Set, verify bool) (list []*jobStatus, others []error, err error) {
	var jobs []*shard.Job
	if main := set.Main(); main != nil {
		jobs = append(jobs, main)
	}
	seen := make(map[string]bool)
	for _, j := range jobs {
		seen[j.ID()] = true
	}
	for _, s := range set.Shards {
		if !seen[s.JobID] {
			seen[s.JobID] = true
			jobs = append(jobs, &s.Job)
		}
	}
	damaged := make(map[*shard.Shard]error)
	if verify {
		if damaged, err = a.verifyShards(ctx, set.Shards); err != nil {
			return nil, nil, err
		}
	} else {
		for _, s := range set.Shards {
			if err := s.Present(); err != nil {
				damaged[s] = err
			}
		}
	}
	for _, s := range set.Shards {
		if damaged[s] != nil {
			a.note("%v", shownLines(damaged[s]))
		}
	}
	faults := slices.Clone(set.Faults)
	for k, j := range jobs {
		st := &jobStatus{Job: j.ID(), Kind: j.Kind, Shards: j.Count(), Done: []int{}, Missing: []int{}}
		if k > 0 {
			st.Different = shard.Differences(jobs[0], j)
		}
		found := make([]*shard.Shard, j.Count())
		for _, s := range set.Shards {
			switch {
			case s.JobID != st.Job:
			case damaged[s] != nil:
				st.Damaged = append(st.Damaged, s.Dir)
			case found[s.Index-1] == nil:
				found[s.Index-1] = s
			case slices.Equal(found[s.Index-1].Files, s.Files):
				st.Surplus = append(st.Surplus, s.Dir)
			default:
				st.Doubled = append(st.Doubled, []string{found[s.Index-1].Dir, s.Dir})
			}
		}
		var done, total uint64
		ids := j.IDs()
		for i, s := range found {
			total += j.Ranges[i].Weight
			if s != nil {
				done += j.Ranges[i].Weight
				st.Done = append(st.Done, i+1)
				continue
			}
			st.Missing = append(st.Missing, i+1)
			if c := j.Command(i + 1); c != "" {
				st.Commands = append(st.Commands, c)
			}
			// A folder of that name whose record cannot be read is replaced when the shard is made again.
			faults = slices.DeleteFunc(faults, func(err error) bool {
				if !strings.Contains(err.Error(), ids[i]) {
					return false
				}
				st.Damaged = append(st.Damaged, err.Error())
				return true
			})
		}
		if total > 0 {
			st.Share = float64(done) / float64(total)
		}
		st.Array = indices(st.Missing)
		st.Complete = len(st.Missing)+len(st.Doubled) == 0
		list = append(list, st)
	}
	return list, faults, nil
}

// tellStatus prints how far jobs are.
func (a *app) tellStatus(list []*jobStatus, others []error, missing, commands, asJSON bool) error {
	switch {
	case len(list) == 0 && len(others) > 0: // none that can be read
		return errors.Join(others...)
	case len(list) == 0:
		return errors.New("no shards: a shard is a folder with a file " + shard.RecordName)
	}
	first := list[0]
	if len(list) > 1 {
		others = append(others, fmt.Errorf("shards of %d jobs: --job %.12s is the one with most", len(list), first.Job))
	}
	for _, d := range first.Doubled {
		others = append(others, fmt.Errorf("%s are the same shard with other content: remove one", strings.Join(d, " and ")))
	}
	if commands {
		for _, c := range first.Commands {
			if strings.ContainsAny(c, "\n\r") { // it would be two
				others = append(others, fmt.Errorf("not a line, make it by hand: %s", shown(c)))
			}
		}
		if len(first.Commands) < len(first.Missing) {
			others = append(others, errors.New("the shards do not say by which command they were made"))
		}
	}
	switch {
	case len(others) > 0 && (missing || commands): // what is printed is run
	case asJSON:
		if err := json.NewEncoder(a.stdout).Encode(list); err != nil {
			return err
		}
	case missing && first.Array != "":
		fmt.Fprintln(a.stdout, first.Array)
	case commands:
		for _, c := range first.Commands {
			fmt.Fprintln(a.stdout, c)
		}
	case !missing:
		for _, st := range list {
			if err := st.writeText(a.stdout); err != nil {
				return err
			}
		}
	}
	if len(others) > 0 {
		return errors.Join(others...)
	}
	if !first.Complete {
		return errIncomplete
	}
	return nil
}

func (st *jobStatus) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "job %.16s: %s, %s\n", st.Job, st.Kind, plural(st.Shards, "shard", "shards"))
	line := func(what string, n int, list string) {
		if n > 0 {
			fmt.Fprintf(&b, "  %-9s%d: %s\n", what, n, list)
		}
	}
	line("done", len(st.Done), fmt.Sprintf("%s (%.1f %% of the work)", indices(st.Done), 100*st.Share))
	line("missing", len(st.Missing), st.Array)
	line("damaged", len(st.Damaged), shown(firstOf(st.Damaged)))
	for _, d := range st.Doubled {
		line("doubled", len(d), shown(firstOf(d)))
	}
	line("surplus", len(st.Surplus), shown(firstOf(st.Surplus)))
	for _, d := range st.Different {
		fmt.Fprintf(&b, "  another job: %s\n", shown(d))
	}
	for i, c := range st.Commands {
		if i == 3 {
			fmt.Fprintf(&b, "  and %d more: --commands\n", len(st.Commands)-i)
			break
		}
		fmt.Fprintf(&b, "  make: %s\n", shown(c))
	}
	if st.Complete {
		b.WriteString("  complete\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
