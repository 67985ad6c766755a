package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grafana/sobek"
)

// Plan is what is to be run, and where what comes of it goes.
type Plan struct {
	Script     string
	VUs        int
	Iterations int
	Limit      time.Duration
	Exec       string
	Env        pairs
	// Secrets: nil where there is no source of them.
	Secrets pairs
	// Results: whether the report tells of each iteration.
	Results bool
	Points  io.Writer
	Console io.Writer
	Stdout  io.Writer
}

// Report is what a run came to.
type Report struct {
	VUs int `json:"vus"`
	// Iterations were begun and ended: well, by a failure of the script, or from outside.
	Iterations  int `json:"iterations"`
	Failed      int `json:"failed"`
	Interrupted int `json:"interrupted"`
	// Errors of iterations, the first few.
	Errors []string `json:"errors"`
	// Verdict is what the script said of the whole test by exec.test; null where it said nothing.
	Verdict *string `json:"verdict"`
	// From the beginning of the first iteration to the end of the last.
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"perSecond"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// Seconds of all VUs' init contexts.
	InitSeconds float64 `json:"initSeconds"`
	PeakMB      float64 `json:"peakMB"`
	// What was left when all iterations were over.
	Goroutines int `json:"goroutinesLeft"`
	Sockets    int `json:"socketsLeft"`
	// What the script exports as options, and what its setup gave.
	Options json.RawMessage `json:"options,omitempty"`
	Setup   json.RawMessage `json:"setup,omitempty"`
	// Results are there where they were asked for, in the order in which they ended.
	Results []Result `json:"results,omitempty"`
}

// Result is what one iteration came to.
type Result struct {
	VU        int `json:"vu"`
	Iteration int `json:"iteration"`
	// What the function returned, or its promise was fulfilled with.
	Returned json.RawMessage `json:"returned,omitempty"`
	// Why it failed.
	Thrown string  `json:"thrown,omitempty"`
	TookMs float64 `json:"tookMs"`
}

const mostErrors = 10

// Carry runs the script as k6 does: setup, the iterations of all VUs, teardown, handleSummary.
//
// An error means that the script could not be run; iterations that failed are in the report.
func (p *Plan) Carry(ctx context.Context) (Report, error) {
	before := presently()
	t, err := newTest(p)
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	vus := make([]*VU, p.VUs)
	for at := range vus {
		if vus[at], err = t.newVU(at + 1); err != nil {
			return Report{}, err
		}
		if at == 0 && !vus[0].has(p.Exec) {
			return Report{}, fmt.Errorf("%s exports no function %s", p.Script, p.Exec)
		}
	}
	t.report.InitSeconds = time.Since(began).Seconds()
	ctx, t.abort = context.WithCancel(ctx)
	defer t.abort()
	if t.setup, err = t.once(ctx, "setup"); err != nil {
		return Report{}, err
	}
	t.report.Options, t.report.Setup = t.options.whole, t.setup
	t.iterate(ctx, vus)
	report := t.report
	report.Goroutines, report.Sockets = before.left()
	// Whatever ended the iterations, these come after them.
	if _, err := t.once(context.Background(), "teardown", t.setup); err != nil {
		return report, err
	}
	if err := t.summarise(); err != nil {
		return report, err
	}
	return report, t.metrics.flush()
}

// test is a plan being carried out: what all of its VUs share.
type test struct {
	plan    *Plan
	program *program
	metrics *metrics
	options Options
	setup   json.RawMessage
	began   time.Time
	abort   func()
	begun   atomic.Int64
	mutex   sync.Mutex
	report  Report
	shared  map[string][]string
	console sync.Mutex
}

// Options are those of the script that mean something here.
type Options struct {
	Thresholds            map[string]json.RawMessage `json:"thresholds"`
	Tags                  map[string]string          `json:"tags"`
	Hosts                 map[string]string          `json:"hosts"`
	InsecureSkipTLSVerify bool                       `json:"insecureSkipTLSVerify"`
	whole                 json.RawMessage
}

func newTest(p *Plan) (*test, error) {
	t := &test{
		plan: p, metrics: newMetrics(p.Points), began: time.Now(), shared: map[string][]string{},
		report: Report{VUs: p.VUs, Errors: []string{}},
	}
	var err error
	if t.program, err = load(p.Script); err != nil {
		return nil, err
	}
	first, err := t.newVU(0)
	if err != nil {
		return nil, err
	}
	if given := first.namespace.Get("options"); given != nil && !sobek.IsUndefined(given) {
		octets, err := given.ToObject(first.runtime).MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("options: %w", err)
		}
		t.options.whole = octets
		if err := json.Unmarshal(octets, &t.options); err != nil {
			return nil, fmt.Errorf("options: %w", err)
		}
	}
	for name := range t.options.Thresholds {
		t.metrics.split(name)
	}
	return t, nil
}

// iterate has the VUs share the iterations.
func (t *test) iterate(ctx context.Context, vus []*VU) {
	var all sync.WaitGroup
	began, cpu := time.Now(), cpuSeconds()
	for _, vu := range vus {
		all.Go(func() {
			for ctx.Err() == nil {
				count := t.begun.Add(1)
				if count > int64(t.plan.Iterations) {
					return
				}
				t.take(vu.iterate(ctx, int(count-1)))
			}
		})
	}
	all.Wait()
	t.report.Seconds = time.Since(began).Seconds()
	t.report.CPUSeconds = cpuSeconds() - cpu
	t.report.PeakMB = peakMB()
	t.report.PerSecond = float64(t.report.Iterations) / t.report.Seconds
}

func (t *test) take(result Result, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.report.Iterations++
	if t.plan.Results {
		t.report.Results = append(t.report.Results, result)
	}
	if err == nil {
		return
	}
	if errors.Is(err, errInterrupted) {
		t.report.Interrupted++
	} else {
		t.report.Failed++
	}
	if len(t.report.Errors) < mostErrors {
		t.report.Errors = append(t.report.Errors, err.Error())
	}
	t.say(err.Error())
}

// once calls a function of the script that is there once for all VUs, in a VU of its own as k6 does.
//
// It gives nothing where the script has no such function.
func (t *test) once(ctx context.Context, name string, given ...json.RawMessage) (json.RawMessage, error) {
	vu, err := t.newVU(0)
	if err != nil || !vu.has(name) {
		return nil, err
	}
	result, err := vu.call(ctx, &iteration{inTest: -1}, name, given...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return vu.serialised(result)
}

func (t *test) summarise() error {
	octets, err := json.Marshal(t.metrics.summary(t))
	if err != nil {
		return err
	}
	summary, err := t.once(context.Background(), "handleSummary", octets)
	if err != nil || summary == nil {
		return err
	}
	var files map[string]string
	if err := json.Unmarshal(summary, &files); err != nil {
		return fmt.Errorf("handleSummary gives texts by the names of files: %w", err)
	}
	for name, content := range files {
		switch name {
		case "stdout":
			_, err = io.WriteString(t.plan.Stdout, content)
		case "stderr":
			_, err = io.WriteString(t.plan.Console, content)
		default:
			err = os.WriteFile(name, []byte(content), 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// say writes a line on the console.
func (t *test) say(line string) {
	t.console.Lock()
	defer t.console.Unlock()
	fmt.Fprintln(t.plan.Console, line)
}
