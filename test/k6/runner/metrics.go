package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// metrics takes the samples of all VUs: each goes out as a point, as k6's JSON output has it, and counts for the
// summary.
type metrics struct {
	mutex  sync.Mutex
	points *bufio.Writer
	failed error
	sinks  map[string]*sink
	parts  map[string][]part
	began  time.Time
}

// sink is what all samples of a metric come to.
type sink struct {
	Type     string `json:"type"`
	Contains string `json:"contains"`
	values   []float64
	isTold   bool
}

// part is a metric of only those samples that have certain tags: `name{tag:value}`.
type part struct {
	tags map[string]string
	sink *sink
}

func newMetrics(points io.Writer) *metrics {
	m := &metrics{
		points: bufio.NewWriterSize(points, 1<<16), sinks: map[string]*sink{}, parts: map[string][]part{}, began: time.Now(),
	}
	for name, kind := range map[string]string{"iterations": "counter", "iteration_duration": "trend", "checks": "rate"} {
		m.sinks[name] = &sink{Type: kind, Contains: contents(kind == "trend")}
	}
	return m
}

func contents(isTime bool) string {
	if isTime {
		return "time"
	}
	return "default"
}

var metricNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (m *metrics) declare(name, kind string, isTime bool) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !metricNames.MatchString(name) {
		return fmt.Errorf("invalid metric name: '%s'", name)
	}
	if known := m.sinks[name]; known != nil {
		if known.Type != kind || known.Contains != contents(isTime) {
			return fmt.Errorf("metric '%s' already exists but with type %s, instead of %s", name, known.Type, kind)
		}
		return nil
	}
	m.sinks[name] = &sink{Type: kind, Contains: contents(isTime)}
	return nil
}

// split has samples counted by their tags too, where a threshold asks for it by its key; thresholds are not judged.
func (m *metrics) split(key string) {
	name, rest, found := strings.Cut(key, "{")
	whole := m.sinks[name]
	if !found || whole == nil {
		return
	}
	tags := map[string]string{}
	for each := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		tag, value, _ := strings.Cut(each, ":")
		tags[strings.TrimSpace(tag)] = strings.TrimSpace(value)
	}
	of := &sink{Type: whole.Type, Contains: whole.Contains}
	m.sinks[key] = of
	m.parts[name] = append(m.parts[name], part{tags, of})
}

// add takes a sample, from any goroutine.
func (m *metrics) add(name string, value float64, tags map[string]string) {
	at := time.Now()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	into := m.sinks[name]
	into.take(value)
	for _, each := range m.parts[name] {
		if each.matches(tags) {
			each.sink.take(value)
		}
	}
	if !into.isTold {
		into.isTold = true
		m.write(map[string]any{"type": "Metric", "metric": name, "data": map[string]any{
			"name": name, "type": into.Type, "contains": into.Contains, "thresholds": []string{}, "submetrics": nil,
		}})
	}
	m.write(map[string]any{"type": "Point", "metric": name, "data": map[string]any{
		"time": at.Format(time.RFC3339Nano), "value": value, "tags": tags,
	}})
}

func (m *metrics) write(line map[string]any) {
	octets, err := json.Marshal(line)
	if err == nil {
		_, err = m.points.Write(append(octets, '\n'))
	}
	if m.failed == nil {
		m.failed = err
	}
}

func (m *metrics) flush() error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.failed != nil {
		return m.failed
	}
	return m.points.Flush()
}

// summary is what handleSummary is given: what was measured, without thresholds, of which nobody judges here.
func (m *metrics) summary(t *test) map[string]any {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	seconds := time.Since(m.began).Seconds()
	all := map[string]any{}
	for name, each := range m.sinks {
		if len(each.values) > 0 || strings.Contains(name, "{") {
			all[name] = map[string]any{"type": each.Type, "contains": each.Contains, "values": each.ended(seconds)}
		}
	}
	return map[string]any{
		"metrics":    all,
		"options":    t.options.whole,
		"setup_data": t.setup,
		"root_group": map[string]any{"name": "", "path": "", "groups": []any{}, "checks": []any{}},
		"state":      map[string]any{"isStdOutTTY": false, "isStdErrTTY": false, "testRunDurationMs": seconds * 1000},
	}
}

func (p part) matches(tags map[string]string) bool {
	for name, value := range p.tags {
		if tags[name] != value {
			return false
		}
	}
	return true
}

func (s *sink) take(value float64) {
	if s.Type == "rate" {
		value = number(value != 0)
	}
	s.values = append(s.values, value)
}

// ended are the values as k6 names them for each type.
func (s *sink) ended(seconds float64) map[string]float64 {
	sum := 0.0
	for _, each := range s.values {
		sum += each
	}
	count := float64(len(s.values))
	switch s.Type {
	case "counter":
		return map[string]float64{"count": sum, "rate": sum / seconds}
	case "rate":
		return map[string]float64{"passes": sum, "fails": count - sum, "rate": sum / math.Max(count, 1)}
	case "gauge":
		if count == 0 {
			return map[string]float64{"value": 0, "min": 0, "max": 0}
		}
		return map[string]float64{
			"value": s.values[len(s.values)-1], "min": slices.Min(s.values), "max": slices.Max(s.values),
		}
	}
	sorted := slices.Sorted(slices.Values(s.values))
	return map[string]float64{
		"avg": sum / math.Max(count, 1), "min": percentile(sorted, 0), "med": percentile(sorted, 0.5),
		"max": percentile(sorted, 1), "p(90)": percentile(sorted, 0.9), "p(95)": percentile(sorted, 0.95),
	}
}

// percentile lies between two values, in proportion, where it meets none.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := share * float64(len(sorted)-1)
	low, high := sorted[int(math.Floor(at))], sorted[int(math.Ceil(at))]
	return low + (high-low)*(at-math.Floor(at))
}
