package pcaplab

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed lists, for each package, which packages of this module it may import, tests aside. ARCHITECTURE.md says why.
var allowed = map[string][]string{
	"parse":                  nil,
	"parse/gopkt":            {"parse"},
	"parse/gopkt/fork":       {"parse"},
	"parse/checksum":         nil,
	"parse/flow":             {"parse"},
	"parse/feature":          {"parse"},
	"parse/feature/vectorio": {"parse/feature"},
	"parse/model":            {"parse", "parse/feature", "parse/model/onnx", "parse/model/tree", "parse/model/xgboost", "parse/model/linear", "parse/model/hoeffding"},
	"parse/model/tree":       nil,
	"parse/model/onnx":       {"parse/model/tree"},
	"parse/model/xgboost":    {"parse/model/tree"},
	"parse/model/linear":     {"parse/model/onnx"},
	"parse/model/hoeffding":  nil,
	"parse/model/worker":     {"parse/model"},
	"datasets/labelled":      {"parse", "parse/feature", "parse/feature/vectorio", "datasets", "datasets/extract", "datasets/pcapio", "datasets/truth"},
	"datasets/arena":         {"parse"},
	"datasets/pcapio":        {"parse"},
	"datasets":               {"parse", "datasets/pcapio", "datasets/arena"},
	"datasets/cic":           nil,
	"datasets/truth":         nil,
	"datasets/fetch":         {"datasets/flock"},
	"datasets/flock":         nil,
	"datasets/shard":         {"datasets/flock"},
	"datasets/manifest":      {"parse", "datasets", "datasets/cic", "datasets/pcapio"},
	"datasets/mix":           {"parse", "datasets", "datasets/pcapio", "datasets/truth"},
	"datasets/extract":       {"datasets/flock", "datasets/manifest", "datasets/shard", "parse", "parse/feature", "parse/feature/vectorio", "datasets", "datasets/pcapio"},
	"datasets/synth":         {"parse", "parse/checksum", "datasets/arena", "datasets/cic"},
	"replay":                 {"parse"},
	"replay/rewrite":         {"parse", "parse/checksum"},
	"replay/split":           {"parse"},
	"replay/meter":           nil,
	"replay/external":        {"parse", "replay", "replay/meter", "datasets/pcapio"},
	"replay/netlab":          nil,
	"replay/receive":         {"parse"},
	"replay/inject":          {"parse", "parse/checksum", "replay", "replay/netlab"},
	"replay/live": {"parse", "datasets/arena", "replay", "replay/inject", "replay/meter", "replay/netlab", "replay/receive", "replay/trial",
		"replay/trial/search"},
	"replay/scenario": {"parse", "datasets", "datasets/arena", "datasets/synth", "replay", "replay/external", "replay/meter",
		"replay/trial"},
	"replay/meter/board":  {"replay/meter"},
	"replay/meter/kernel": nil,
	"replay/trial/search": nil,
	"replay/trial": {"parse", "datasets/arena", "replay", "replay/rewrite", "replay/meter",
		"replay/trial/search"},
	"analysis":                      {"parse", "replay", "replay/live", "replay/meter", "replay/scenario", "replay/trial", "replay/trial/search"},
	"analysis/score":                nil,
	"analysis/selection":            nil,
	"analysis/validation":           {"parse/feature", "parse/model", "datasets/labelled", "analysis/score"},
	"replay/quality":                {"parse", "parse/feature", "parse/model", "datasets/arena", "replay", "replay/meter", "analysis/score"},
	"analysis/published":            {"analysis"},
	"analysis/comparison":           {"analysis", "replay/trial"},
	"analysis/report":               {"analysis", "datasets/flock", "replay", "replay/live", "replay/meter", "replay/quality", "replay/scenario", "replay/trial", "replay/trial/search", "analysis/score", "analysis/validation", "analysis/comparison", "analysis/prediction"},
	"analysis/report/page":          {"analysis/report"},
	"analysis/report/digest":        {"analysis", "analysis/report", "analysis/report/page", "analysis/score", "replay/live", "replay/meter", "replay/meter/board", "replay/scenario", "replay/trial"},
	"analysis/report/page/pagetest": nil,
	"analysis/prediction":           {"replay/meter", "replay/meter/board", "replay/trial", "analysis", "analysis/calibration", "analysis/published"},
	"analysis/calibration":          {"parse", "replay/meter", "replay/meter/kernel", "replay/trial", "analysis"},
	"cmd/cli": {"parse", "parse/feature", "parse/feature/vectorio", "datasets", "datasets/cic", "datasets/extract", "datasets/truth", "datasets/fetch", "datasets/manifest", "datasets/mix", "datasets/arena", "datasets/pcapio", "datasets/flock", "datasets/shard", "datasets/synth", "replay", "replay/rewrite", "replay/split",
		"replay/meter", "replay/quality", "replay/meter/board", "replay/trial", "replay/trial/search", "analysis", "analysis/report", "analysis/report/digest", "analysis/report/page", "cmd/remote", "analysis/calibration", "analysis/prediction", "replay/meter/kernel", "replay/external", "replay/scenario", "analysis/published", "replay/live", "replay/inject", "replay/netlab", "replay/receive", "parse/flow", "analysis/validation", "analysis/comparison", "parse/model", "parse/model/worker", "datasets/labelled", "analysis/score", "analysis/selection", "parse/model/linear", "parse/model/hoeffding"},
	"cmd/remote":         nil,
	"cmd/remote/sshtest": nil,
	"cmd/pcaplab":        {"cmd/cli", "parse", "parse/feature", "parse/model", "parse/flow", "parse/gopkt", "parse/gopkt/fork"},
	"cmd/pcaplab/jobs":   nil,
	"cmd/ownparser":      {"cmd/cli", "parse"},
	"cmd/icount":         {"parse", "parse/gopkt", "parse/gopkt/fork", "datasets/synth"},
	"cmd/injectbench":    {"parse", "parse/checksum", "datasets/pcapio"},
}

func TestImportsRunOneWay(t *testing.T) {
	// Reading the sources here makes the test's cached result depend on them; what go list reads does not.
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		name, ours := strings.CutPrefix(fields[0], "pcaplab/")
		if !ours {
			continue // the module's root holds this test only
		}
		imports, known := allowed[name]
		if !known {
			t.Errorf("%s is not in the table: say what it may import", name)
			continue
		}
		seen++
		for _, path := range fields[1:] {
			if short, ours := strings.CutPrefix(path, "pcaplab/"); ours && !slices.Contains(imports, short) {
				t.Errorf("%s imports %s", name, short)
			}
			if (path == "github.com/google/gopacket" || strings.HasPrefix(path, "github.com/google/gopacket/") ||
				strings.HasPrefix(path, "github.com/gopacket/gopacket")) && !strings.HasPrefix(name, "parse/gopkt") {
				t.Errorf("%s imports %s: parse/gopkt is the only door to gopacket", name, path)
			}
			if strings.HasPrefix(path, "github.com/schollz/progressbar") && name != "cmd/cli" {
				t.Errorf("%s imports %s: only cmd/cli shows progress", name, path)
			}
		}
		if name == "parse" {
			for _, path := range fields[1:] {
				if strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
					t.Errorf("parse imports %s: it imports the standard library only", path)
				}
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d packages of %d in the table exist", seen, len(allowed))
	}
}
