package pagetest

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

//go:embed look.js
var look string

// View is how a page is looked at.
type View struct {
	Name          string
	Width, Height int // CSS pixels
	Dark          bool
	Print         bool // the styles of print, on a screen
	NoScript      bool // JavaScript is off
}

// Views are those that every page should stand.
var Views = []View{
	{Name: "light-1280", Width: 1280, Height: 900},
	{Name: "dark-1280", Width: 1280, Height: 900, Dark: true},
	{Name: "light-390", Width: 390, Height: 844},
	{Name: "dark-390", Width: 390, Height: 844, Dark: true},
	{Name: "print", Width: 688, Height: 1000, Print: true},
	{Name: "noscript-1280", Width: 1280, Height: 900, NoScript: true},
	{Name: "noscript-390", Width: 390, Height: 844, NoScript: true},
}

// Page is one page in the browser.
type Page struct {
	b       *Browser
	view    View
	session string
	mu      sync.Mutex
	faults  []string
	loaded  chan struct{}
	begun   atomic.Int64  // downloads
	saved   chan download // those that ended
	folder  string
}

type download struct {
	GUID, State string // "completed" or "canceled"
}

// Open loads the file and waits until it is loaded and painted. One page at a time is open; the next Open ends it.
func (b *Browser) Open(t testing.TB, file string, view View) *Page {
	t.Helper()
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	p := &Page{b: b, view: view, loaded: make(chan struct{}), saved: make(chan download, 100), folder: filepath.Join(b.dir, "saved")}
	var target struct{ TargetID string }
	p.get(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	t.Cleanup(func() { _, _ = b.ask("", "Target.closeTarget", map[string]any{"targetId": target.TargetID}) })
	var attached struct{ SessionID string }
	p.get(t, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	b.mu.Lock()
	b.on = func(e event) { p.event(e, address) }
	b.mu.Unlock()
	p.get(t, "Page.bringToFront", nil, nil)
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		p.get(t, domain+".enable", nil, nil)
	}
	p.get(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": view.Width, "height": view.Height, "deviceScaleFactor": 1,
		"mobile": view.Width < 600}, nil)
	p.Media(t, view.Print, view.Dark)
	p.get(t, "Emulation.setScriptExecutionDisabled", map[string]any{"value": view.NoScript}, nil)
	if _, err := b.ask("", "Browser.setDownloadBehavior", map[string]any{"behavior": "allowAndName", "downloadPath": p.folder, "eventsEnabled": true}); err != nil {
		t.Fatal(err)
	}
	p.get(t, "Page.navigate", map[string]any{"url": address}, nil)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.loaded:
	case <-timer.C:
		t.Fatalf("%s is not loaded within %v", file, patience)
	}
	if view.NoScript {
		return p
	}
	// Two frames later sizes are observed and canvases painted.
	p.Eval(t, `document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))))`, nil)
	return p
}

func (p *Page) event(e event, address string) {
	var v struct {
		Request struct{ URL string }
		Entry   struct{ Level, Text string }
		Type    string
		Args    []struct{ Value, Description any }
		State   string
		GUID    string

		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(e.Params, &v) != nil {
		return
	}
	if e.Method == "Browser.downloadWillBegin" {
		p.begun.Add(1)
		return
	}
	if e.Method == "Browser.downloadProgress" && v.State != "inProgress" {
		p.saved <- download{v.GUID, v.State}
		return
	}
	if e.Session != p.session {
		return
	}
	switch e.Method {
	case "Page.loadEventFired":
		p.mu.Lock()
		select {
		case <-p.loaded:
		default:
			close(p.loaded)
		}
		p.mu.Unlock()
	case "Network.requestWillBeSent":
		if u := v.Request.URL; u != address && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
			p.fault("a request for " + u)
		}
	case "Runtime.exceptionThrown":
		p.fault("an exception: " + v.ExceptionDetails.Text + " " + v.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if v.Type == "error" || v.Type == "warning" || v.Type == "assert" {
			p.fault(fmt.Sprintf("the console: %s %v", v.Type, v.Args))
		}
	case "Log.entryAdded":
		if v.Entry.Level == "error" || v.Entry.Level == "warning" {
			p.fault("the log: " + v.Entry.Text)
		}
	}
}

func (p *Page) fault(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, s)
}

func (p *Page) get(t testing.TB, method string, params, into any) {
	t.Helper()
	raw, err := p.b.ask(p.session, method, params)
	if err == nil && into != nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Eval evaluates an expression in the page and decodes its value, of a promise what it resolves to, into what into points at;
// nil drops it.
func (p *Page) Eval(t testing.TB, expression string, into any) {
	t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.get(t, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": !p.view.NoScript, "returnByValue": true}, &r)
	if e := r.ExceptionDetails; e != nil {
		t.Fatalf("%s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if into != nil {
		if err := json.Unmarshal(r.Result.Value, into); err != nil {
			t.Fatalf("%s: %v in %s", expression, err, r.Result.Value)
		}
	}
}

// Until waits until the expression is true.
func (p *Page) Until(t testing.TB, expression string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		var is bool
		p.Eval(t, "Boolean("+expression+")", &is)
		if is {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not true within %v: %s", patience, expression)
		}
		p.Eval(t, "new Promise(done => setTimeout(done, 20))", nil)
	}
}

// Faults are what is wrong with the page: errors and warnings it caused, requests for anything but itself, and what is cut,
// overlaps or sticks out.
func (p *Page) Faults(t testing.TB) []string {
	t.Helper()
	var seen []string
	p.Eval(t, look, &seen)
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(seen, p.faults...)
}

// Media makes the page one that is printed, and one whose reader prefers dark colours.
func (p *Page) Media(t testing.TB, print, dark bool) {
	t.Helper()
	media, scheme := "screen", "light"
	if print {
		media = "print"
	}
	if dark {
		scheme = "dark"
	}
	p.get(t, "Emulation.setEmulatedMedia", map[string]any{"media": media,
		"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Place is the frame of the first element that the selector finds, which is scrolled into the middle of the view and stands
// still there for two frames.
func (p *Page) Place(t testing.TB, selector string) (left, top, width, height float64) {
	t.Helper()
	var r []float64
	p.Eval(t, `(async () => {
		const e = document.querySelector(`+strconv.Quote(selector)+`);
		const place = () => {
			e.scrollIntoView({block: 'center', behavior: 'instant'});
			const r = e.getBoundingClientRect();
			return [r.left, r.top, r.width, r.height];
		};
		for (let was = place(), tries = 0; ; tries++) {
			await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
			const is = place();
			if (tries === 50 || is.every((v, i) => v === was[i])) return is;
			was = is;
		}
	})()`, &r)
	if r[2] == 0 || r[3] == 0 {
		t.Fatalf("%s is not to be seen", selector)
	}
	return r[0], r[1], r[2], r[3]
}

// Click clicks into the middle of the first element that the selector finds. A page may still move, or show something in front
// of it, when it is pressed: it is clicked again until it was hit.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	e := "document.querySelector(" + strconv.Quote(selector) + ")"
	p.Eval(t, "window.clicked = false, "+e+".addEventListener('click', () => { window.clicked = true }, {capture: true, once: true}), null", nil)
	for end := time.Now().Add(patience); ; {
		x, y, w, h := p.Place(t, selector)
		x, y = x+w/2, y+h/2
		p.Mouse(t, "mouseMoved", x, y, 0)
		p.Mouse(t, "mousePressed", x, y, 1)
		p.Mouse(t, "mouseReleased", x, y, 1)
		var hit bool
		p.Eval(t, "window.clicked", &hit)
		if hit {
			return
		}
		var there string
		p.Eval(t, fmt.Sprintf("document.elementFromPoint(%g, %g)?.outerHTML.slice(0, 200) ?? 'nothing'", x, y), &there)
		if time.Now().After(end) {
			t.Fatalf("%s was not hit within %v; there is %s", selector, patience, there)
		}
		t.Logf("%s was not hit; there is %s", selector, there)
		p.Eval(t, "new Promise(done => setTimeout(done, 100))", nil)
	}
}

// Drag presses at one place of an element, moves and releases at another. Places are shares of its width and height.
func (p *Page) Drag(t testing.TB, selector string, fromX, fromY, toX, toY float64) {
	t.Helper()
	x, y, w, h := p.Place(t, selector)
	p.Mouse(t, "mouseMoved", x+w*fromX, y+h*fromY, 0)
	p.Mouse(t, "mousePressed", x+w*fromX, y+h*fromY, 1)
	p.Mouse(t, "mouseMoved", x+w*(fromX+toX)/2, y+h*(fromY+toY)/2, 1)
	p.Mouse(t, "mouseMoved", x+w*toX, y+h*toY, 1)
	p.Mouse(t, "mouseReleased", x+w*toX, y+h*toY, 1)
}

// Mouse sends a mouse event: "mousePressed", "mouseMoved" or "mouseReleased", at a place of the view.
func (p *Page) Mouse(t testing.TB, kind string, x, y float64, clicks int) {
	t.Helper()
	button, buttons := "left", 1
	if clicks == 0 {
		button, buttons = "none", 0
	}
	p.get(t, "Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": clicks}, nil)
}

// Key presses a key, as "ArrowRight", and releases it.
func (p *Page) Key(t testing.TB, key string) {
	t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		p.get(t, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key}, nil)
	}
}

// Saved clicks on what the selector finds and is the file that the page then saves. A browser on a busy machine may drop a
// download without a word: after half a minute the click is repeated once, and the log says so.
func (p *Page) Saved(t testing.TB, selector string) []byte {
	t.Helper()
	for len(p.saved) > 0 { // of a click that was repeated
		<-p.saved
	}
	p.Click(t, selector)
	again := time.NewTimer(30 * time.Second)
	defer again.Stop()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case d := <-p.saved:
			if d.State != "completed" {
				t.Fatalf("the download of %s was %s", selector, d.State)
			}
			data, err := os.ReadFile(filepath.Join(p.folder, d.GUID))
			if err != nil {
				t.Fatal(err)
			}
			return data
		case <-again.C:
			t.Logf("%s saves nothing yet; downloads begun: %d; clicked again", selector, p.begun.Load())
			p.Click(t, selector)
		case <-timer.C:
			t.Fatalf("%s saves nothing within %v; downloads begun: %d", selector, patience, p.begun.Load())
		}
	}
}

// Screenshot is a picture of the whole page. Where PCAPLAB_SCREENSHOTS names a folder it is also written there, under name.
func (p *Page) Screenshot(t testing.TB, name string) image.Image {
	t.Helper()
	var metrics struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	p.get(t, "Page.getLayoutMetrics", nil, &metrics)
	size := metrics.CSSContentSize
	var shot struct{ Data string }
	p.get(t, "Page.captureScreenshot", map[string]any{"format": "png", "optimizeForSpeed": true, "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": size.Width, "height": min(size.Height, 16000), "scale": 1}}, &shot)
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("PCAPLAB_SCREENSHOTS"); dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// Luminance is the mean lightness of a picture, from 0 to 1, and how many different colours were among the points looked at.
func Luminance(picture image.Image) (mean float64, colours int) {
	b := picture.Bounds()
	seen := map[[3]uint32]bool{}
	n := 0
	for y := b.Min.Y; y < b.Max.Y; y += 3 {
		for x := b.Min.X; x < b.Max.X; x += 3 {
			r, g, bl, _ := picture.At(x, y).RGBA()
			seen[[3]uint32{r >> 8, g >> 8, bl >> 8}] = true
			mean += (float64(0.2126*float64(r)) + float64(0.7152*float64(g)) + float64(0.0722*float64(bl))) / 0xffff
			n++
		}
	}
	return mean / float64(max(n, 1)), len(seen)
}

// Check opens the file in each of [Views] and reports what is wrong: faults, pictures of another width than the view, blank ones,
// dark ones that are light, light ones that are dark.
func (b *Browser) Check(t *testing.T, file, name string) {
	for _, view := range Views {
		t.Run(view.Name, func(t *testing.T) {
			p := b.Open(t, file, view)
			for _, s := range p.Faults(t) {
				t.Error(s)
			}
			shot := p.Screenshot(t, name+"-"+view.Name)
			if w := shot.Bounds().Dx(); w != view.Width {
				t.Errorf("the page is %d wide, the view %d", w, view.Width)
			}
			mean, colours := Luminance(shot)
			if colours < 20 {
				t.Errorf("%d colours: the page is blank", colours)
			}
			if view.Dark && mean > 0.35 || !view.Dark && mean < 0.7 {
				t.Errorf("mean lightness %.2f, dark %v", mean, view.Dark)
			}
		})
	}
}
