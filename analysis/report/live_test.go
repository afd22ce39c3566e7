package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/replay/inject"
	"pcaplab/replay/live"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// ranLive is a run of two engines: the sender limits one, the other its parser.
func ranLive() (live.Header, []live.Record) {
	h := live.Header{Schema: live.Schema, Version: "test", Captures: []trial.Capture{{Name: "some.pcap"}},
		Plan: live.Plan{Engines: []string{"fast", "slow"}, Repeats: 1, Trial: time.Second, Rates: []float64{1000}, Goal: search.NDR()}}
	var records []live.Record
	for _, e := range []struct {
		name            string
		ceiling, memory float64
		lost            uint64
	}{{"fast", 900e3, 8e6, 0}, {"slow", 90e3, 100e3, 250}} {
		lower, upper, memory := e.ceiling, e.ceiling*1.02, e.memory
		at := func(load float64, sent, lost uint64) *live.Trial {
			return &live.Trial{Load: load, Duration: time.Second, Sender: inject.Result{Frames: sent, Sent: sent, Elapsed: time.Second, Backends: []string{"xdp"}},
				Counts: live.Counts{Sent: sent, Parsed: sent - lost, SocketDrops: lost, Unexplained: 0}}
		}
		for _, r := range []live.Record{
			{Kind: live.KindAlone, Trial: at(0, 1_000_000, 0)},
			{Kind: live.KindTop, Trial: at(0, 1_000_000, 1000*e.lost)},
			{Kind: live.KindRate, Trial: at(1000, 1000, e.lost)},
			{Kind: live.KindBounds, Bounds: &search.Bounds{Lower: &lower, Upper: &upper}},
			{Kind: live.KindMemory, Memory: &trial.Record{Schema: trial.Schema, Kind: trial.KindBounds, Bounds: &search.Bounds{Lower: &memory}}},
		} {
			r.Schema, r.Engine, r.Repeat = live.Schema, e.name, 1
			records = append(records, r)
		}
	}
	return h, records
}

func TestWriteLive(t *testing.T) {
	var out bytes.Buffer
	if err := WriteLive(&out, analysis.AnalyzeLive(ranLive())); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"some.pcap over a veth pair: 1 x 1s trials, ring of 2.00 MiB, sent by xdp",
		"fast sender-limited, at least 900 kpps 1.00 Mpps 8.00 Mpps n/a >= 0.11 sender",
		"slow 90.0 kpps 1.00 Mpps 100 kpps n/a 0.90 parser",
		"slow top speed 1.00 Mpps 25.0 % 25.0 % 0 % 0 % 0 of 1000000 n/a",
		"slow 1.00 kpps 1.00 kpps 25.0 % 25.0 % 0 % 0 % 0 of 1000 n/a",
		"sender-limited: ",
		"or, sender-limited, by the sender",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// A load that the sender could not keep is marked: what was lost is of what was sent.
func TestLoadThatTheSenderCouldNotKeep(t *testing.T) {
	for _, tt := range []struct {
		shortfall uint64
		want      string
	}{
		{9000, "fast 1.00 kpps sender-limited, 1.00 kpps 0 % 0 %"},
		{5, "fast 1.00 kpps 1.00 kpps 0 % 0 %"},
	} {
		h, records := ranLive()
		for i := range records {
			if r := &records[i]; r.Engine == "fast" && r.Kind == live.KindRate {
				r.Trial.Shortfall = tt.shortfall
			}
		}
		l := analysis.AnalyzeLive(h, records)
		var out, table bytes.Buffer
		if err := errors.Join(WriteLive(&out, l), WriteLiveCSV(&table, l)); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		if !strings.Contains(text, tt.want) || strings.Contains(text, "could not keep the offered rate") != l.Engines[0].Loads[1].SenderLimited {
			t.Errorf("no %q in\n%s", tt.want, &out)
		}
		rows, err := csv.NewReader(&table).ReadAll()
		if err != nil || rows[0][len(rows[0])-1] != "shortfall" || rows[2][len(rows[0])-1] != strconv.FormatUint(tt.shortfall, 10) {
			t.Errorf("%v, %v", rows, err)
		}
	}
}

// That no rate met the goal is not the same as that none was searched.
func TestNoRateMetTheGoal(t *testing.T) {
	h, records := ranLive()
	for i := range records {
		if r := &records[i]; r.Engine == "slow" && r.Kind == live.KindBounds {
			r.Bounds.Lower = nil
		}
	}
	again := records
	for _, r := range records {
		if r.Engine == "fast" && r.Kind == live.KindBounds {
			r.Repeat, r.Bounds = 2, &search.Bounds{Upper: r.Bounds.Upper}
			again = append(again, r)
		}
	}
	var out bytes.Buffer
	if err := WriteLive(&out, analysis.AnalyzeLive(h, again)); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"slow below 91.8 kpps 1.00 Mpps 100 kpps n/a n/a n/a", "at least 900 kpps (1 of 2: below 918 kpps)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestWriteLiveCSV(t *testing.T) {
	var out bytes.Buffer
	if err := WriteLiveCSV(&out, analysis.AnalyzeLive(ranLive())); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	row, fast := map[string]string{}, map[string]string{}
	for i, key := range rows[0] {
		row[key], fast[key] = rows[4][i], rows[1][i]
	}
	for key, want := range map[string]string{"engine": "fast", "sender_limited": "true", "limited_by": "sender", "ratio": "0.1125", "ratio_is_at_least": "true", "below_pps": "n/a"} {
		if fast[key] != want {
			t.Errorf("%s: %q, want %q", key, fast[key], want)
		}
	}
	for key, want := range map[string]string{"engine": "slow", "load_pps": "1000", "sent": "1000", "parsed": "750", "socket_drops": "250", "unexplained": "0",
		"loss_ratio": "0.25", "live_pps": "90000", "sender_limited": "false", "memory_pps": "100000", "limited_by": "parser", "ratio": "0.9", "ratio_is_at_least": "false", "copy_ns": "n/a"} {
		if row[key] != want {
			t.Errorf("%s: %q, want %q", key, row[key], want)
		}
	}
}

func TestLiveFolder(t *testing.T) {
	h, records := ranLive()
	path := filepath.Join(t.TempDir(), "out")
	f, err := CreateLive(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := f.Append(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(analysis.AnalyzeLive(h, records)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	header, again, err := ReadLive(path)
	if err != nil || len(again) != len(records) || header.Version != "test" {
		t.Fatalf("%d records of %d, %v", len(again), len(records), err)
	}
	var was, is bytes.Buffer
	if err := WriteLive(&was, analysis.AnalyzeLive(h, records)); err != nil {
		t.Fatal(err)
	}
	if err := WriteLive(&is, analysis.AnalyzeLive(header, again)); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(path, TableFile))
	if err != nil || !bytes.Equal(was.Bytes(), is.Bytes()) || !bytes.Equal(was.Bytes(), stored) {
		t.Errorf("the table from the records differs: %v\n%s\n%s", err, &was, &is)
	}
	if _, err := CreateLive(path, h); err == nil {
		t.Error("a second run in the same folder")
	}
	file, err := os.OpenFile(filepath.Join(path, RecordsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"schema":1,"kind":"top"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if _, _, err := ReadLive(path); err == nil || !strings.Contains(err.Error(), "records.jsonl:11") {
		t.Errorf("a record without a trial: %v", err)
	}
	if _, _, err := ReadLive(t.TempDir()); err == nil {
		t.Error("an empty folder")
	}
}
