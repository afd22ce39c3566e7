package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pcaplab/replay/meter/board"
)

// answering is a bench that is some board.
type answering struct {
	bench
	board board.Board
	err   error
}

func (b answering) answer(_ context.Context, q question) (json.RawMessage, error) {
	if q.Kind != questionBoard || b.err != nil {
		return nil, errors.Join(b.err, nil)
	}
	return json.Marshal(b.board)
}

// onBoards runs the command as remote does.
func onBoards(t *testing.T, want int, boards []place, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := &app{Program: program(), stdout: &out, stderr: &errs, stdin: strings.NewReader(""), boards: boards}
	if code := a.run(context.Background(), args); code != want {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestBoardHere(t *testing.T) {
	stdout, stderr := run(t, ExitDone, "board")
	for _, want := range []string{"Board ", "System ", "Processor ", "Memory ", "Load "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if stderr != "" {
		t.Errorf("stderr %q", stderr)
	}
	stdout, _ = run(t, ExitDone, "board", "--json")
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("not one line: %s", stdout)
	}
	var b board.Board
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.Environment.OS == "" || b.Findings == nil {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestBoardStrict(t *testing.T) {
	finding := func(l board.Level) board.Board {
		return board.Board{Findings: []board.Finding{{ID: "x", Level: l, Seen: "seen", Why: "why", Mend: []string{"mend it"}}}}
	}
	for _, tt := range []struct {
		name  string
		level board.Level
		args  []string
		want  int
	}{
		{"spoils", board.Spoils, []string{"board", "--strict"}, ExitMissed},
		{"spoils, as JSON", board.Spoils, []string{"board", "--strict", "--json"}, ExitMissed},
		{"spoils, nobody is strict", board.Spoils, []string{"board"}, ExitDone},
		{"blurs", board.Blurs, []string{"board", "--strict"}, ExitDone},
		{"notes", board.Note, []string{"board", "--strict"}, ExitDone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr := onBoards(t, tt.want, []place{{bench: answering{board: finding(tt.level)}}}, tt.args...)
			if !strings.Contains(stdout, "mend it") {
				t.Errorf("no mend in %q", stdout)
			}
			if (tt.want == ExitMissed) != strings.Contains(stderr, "1 finding spoils") || strings.Contains(stderr, "fail-if") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

func TestBoardOfSeveral(t *testing.T) {
	boards := []place{
		{name: "pi@one", bench: answering{board: board.Board{Product: "First"}}},
		{name: "pi@two", bench: answering{err: errors.New("no route to host")}},
		{name: "pi@three", bench: answering{board: board.Board{Product: "Third"}}},
	}
	stdout, stderr := onBoards(t, ExitFailed, boards, "board")
	for _, want := range []string{"pi@one:\n", "First", "pi@three:\n", "Third"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in %q", want, stdout)
		}
	}
	if !strings.Contains(stderr, "pi@two") || !strings.Contains(stderr, "no route to host") {
		t.Errorf("stderr %q", stderr)
	}
	stdout, _ = onBoards(t, ExitFailed, boards, "board", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var out struct{ Host, Product string }
	if len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &out) != nil || out.Host != "pi@three" || out.Product != "Third" {
		t.Errorf("%q: %+v", lines, out)
	}
}

func TestBoardList(t *testing.T) {
	stdout, _ := run(t, ExitDone, "board", "list")
	for _, want := range []string{"Raspberry Pi Zero W", "Compute Module 5", "BCM2711", "as 4B [I]", "[K]", "sbc-bench results/1niO.txt", "None of these"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	stdout, _ = run(t, ExitDone, "board", "list", "--json")
	models := 0
	for line := range strings.Lines(stdout) {
		var m board.Model
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Name == "" {
			t.Fatalf("%v: %s", err, line)
		}
		models++
	}
	if models != len(board.Models()) {
		t.Errorf("%d models", models)
	}
	run(t, ExitUsage, "board", "lisp")
	run(t, ExitUsage, "board", "list", "extra")
}
