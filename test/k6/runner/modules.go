package main

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"time"

	"github.com/grafana/sobek"
)

// k6 is the module of that name.
func (vu *VU) k6() map[string]any {
	return map[string]any{
		"sleep": vu.sleep,
		"check": vu.check,
		"group": vu.group,
		"fail":  func(call sobek.FunctionCall) sobek.Value { panic(call.Argument(0)) },
	}
}

// sleep holds up the VU, and ends with the iteration.
func (vu *VU) sleep(seconds float64) {
	if vu.isInit() {
		vu.throw("sleep() isn't available in the init context")
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-vu.iteration.ctx.Done():
	}
}

// check calls what it is given at once: something asynchronous is refused, as k6 does.
func (vu *VU) check(value sobek.Value, checks *sobek.Object, tags sobek.Value) bool {
	isAll := true
	for _, name := range checks.Keys() {
		outcome := checks.Get(name)
		if test, is := sobek.AssertFunction(outcome); is {
			came, err := test(sobek.Undefined(), value)
			if err != nil {
				panic(err)
			}
			outcome = came
		}
		if _, is := outcome.Export().(*sobek.Promise); is {
			vu.throw("using async functions in check() isn't supported")
		}
		own := vu.tagsIn(tags)
		own["check"] = name
		vu.measure("checks", number(outcome.ToBoolean()), own)
		isAll = isAll && outcome.ToBoolean()
	}
	return isAll
}

func (vu *VU) group(name string, body sobek.Callable) sobek.Value {
	before := vu.tags.Get("group")
	vu.must(vu.tags.Set("group", "::"+name))
	came, err := body(sobek.Undefined())
	if before == nil {
		vu.must(vu.tags.Delete("group"))
	} else {
		vu.must(vu.tags.Set("group", before))
	}
	if err != nil {
		panic(err)
	}
	if _, is := came.Export().(*sobek.Promise); is {
		vu.throw("using async functions in group() isn't supported")
	}
	return came
}

// k6Data has the arrays all VUs share: each element comes as a copy of its own.
func (vu *VU) k6Data() map[string]any {
	return map[string]any{"SharedArray": func(call sobek.ConstructorCall) *sobek.Object {
		if !vu.isInit() {
			vu.throw("new SharedArray must be called in the init context")
		}
		name := call.Argument(0).String()
		t := vu.test
		elements, is := t.shared[name]
		if !is {
			fill, is := sobek.AssertFunction(call.Argument(1))
			if !is {
				vu.throw("a function is expected as the second argument of SharedArray's constructor")
			}
			filled, err := fill(sobek.Undefined())
			if err != nil {
				panic(err)
			}
			var parts []json.RawMessage
			octets, err := filled.ToObject(vu.runtime).MarshalJSON()
			vu.must(errors.Join(err, json.Unmarshal(octets, &parts)))
			for _, each := range parts {
				elements = append(elements, string(each))
			}
			t.shared[name] = elements
		}
		return vu.runtime.NewDynamicArray(&sharedArray{vu, elements})
	}}
}

// sharedArray cannot be changed.
type sharedArray struct {
	vu       *VU
	elements []string
}

func (s *sharedArray) Len() int { return len(s.elements) }

func (s *sharedArray) Get(at int) sobek.Value {
	if at < 0 || at >= len(s.elements) {
		return sobek.Undefined()
	}
	return s.vu.parsed(json.RawMessage(s.elements[at]))
}

func (s *sharedArray) Set(int, sobek.Value) bool {
	panic(s.vu.runtime.NewTypeError("SharedArray is immutable"))
}

func (s *sharedArray) SetLen(int) bool {
	panic(s.vu.runtime.NewTypeError("SharedArray is immutable"))
}

// k6Execution: its parts throw where there is nothing to tell.
func (vu *VU) k6Execution() map[string]any {
	execution := vu.runtime.NewObject()
	part := func(name, refusal string, isThere func() bool, members map[string]any) {
		made := vu.runtime.NewObject()
		for member, value := range members {
			if live, is := value.(func() any); is {
				vu.getter(made, member, func() sobek.Value { return vu.runtime.ToValue(live()) })
			} else {
				vu.must(made.Set(member, value))
			}
		}
		vu.getter(execution, name, func() sobek.Value {
			if !isThere() {
				vu.throw("%s", refusal)
			}
			return made
		})
	}
	isRunning := func() bool { return !vu.isInit() }
	part("vu", "getting VU information in the init context is not supported", isRunning, map[string]any{
		"idInInstance":        vu.id,
		"idInTest":            vu.id,
		"iterationInInstance": func() any { return vu.count },
		"iterationInScenario": func() any { return vu.count },
		"metrics":             map[string]any{"tags": vu.tags},
		"tags":                vu.tags,
	})
	inScenario := func() bool { return isRunning() && vu.iteration.inTest >= 0 }
	part("scenario", "getting scenario information outside of the VU context is not supported", inScenario, map[string]any{
		"name":                "default",
		"executor":            "shared-iterations",
		"iterationInInstance": func() any { return vu.iteration.inTest },
		"iterationInTest":     func() any { return vu.iteration.inTest },
	})
	part("instance", "", func() bool { return true }, map[string]any{
		"vusActive":              vu.test.plan.VUs,
		"vusInitialized":         vu.test.plan.VUs,
		"currentTestRunDuration": func() any { return milliseconds(time.Since(vu.test.began)) },
	})
	part("test", "", func() bool { return true }, map[string]any{
		"fail":    func(why string) { vu.test.judge(why) },
		"abort":   vu.abort,
		"options": func() any { return vu.parsed(vu.test.options.whole) },
	})
	return map[string]any{"default": execution}
}

func (vu *VU) getter(on *sobek.Object, name string, get func() sobek.Value) {
	getter := vu.runtime.ToValue(func(sobek.FunctionCall) sobek.Value { return get() })
	vu.must(on.DefineAccessorProperty(name, getter, nil, sobek.FLAG_FALSE, sobek.FLAG_TRUE))
}

// abort ends the iterations of all VUs.
func (vu *VU) abort(call sobek.FunctionCall) sobek.Value {
	vu.test.judge("aborted: " + call.Argument(0).String())
	if vu.test.abort != nil {
		vu.test.abort()
	}
	vu.runtime.Interrupt(errInterrupted)
	return sobek.Undefined()
}

// judge takes what a script says of the whole test; the first word counts.
func (t *test) judge(why string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.report.Verdict == nil {
		t.report.Verdict = &why
	}
}

// k6Secrets: a run without a source of secrets has none at all.
func (vu *VU) k6Secrets() map[string]any {
	return map[string]any{"get": func(name string) sobek.Value {
		secrets := vu.test.plan.Secrets
		return vu.promise(func() (any, error) {
			if secrets == nil {
				return nil, errors.New("no secret sources are configured")
			}
			value, is := secrets[name]
			if !is {
				return nil, errors.New("no value")
			}
			return value, nil
		}, func(value any) sobek.Value { return vu.runtime.ToValue(value) })
	}}
}

// k6Metrics has the four kinds; what is declared twice has to be the same.
func (vu *VU) k6Metrics() map[string]any {
	constructor := func(kind string) func(sobek.ConstructorCall) *sobek.Object {
		return func(call sobek.ConstructorCall) *sobek.Object {
			if !vu.isInit() {
				vu.throw("metrics must be declared in the init context")
			}
			name := call.Argument(0).String()
			vu.must(vu.test.metrics.declare(name, kind, call.Argument(1).ToBoolean()))
			vu.must(call.This.Set("name", name))
			vu.must(call.This.Set("add", func(call sobek.FunctionCall) sobek.Value {
				if vu.isInit() {
					vu.throw("adding to metrics in the init context isn't supported")
				}
				value, is := valueOf(call.Argument(0))
				if !is {
					vu.throw("%q is an invalid value for metric %q, a number or a boolean value is expected", call.Argument(0), name)
				}
				vu.measure(name, value, vu.tagsIn(call.Argument(1)))
				return sobek.Undefined()
			}))
			return nil
		}
	}
	return map[string]any{
		"Counter": constructor("counter"), "Gauge": constructor("gauge"), "Rate": constructor("rate"), "Trend": constructor("trend"),
	}
}

func (vu *VU) measure(name string, value float64, own map[string]string) {
	vu.test.metrics.add(name, value, vu.tagsNow(own))
}

// tagsIn takes what k6 takes for the value of a tag: no objects.
func (vu *VU) tagsIn(given sobek.Value) map[string]string {
	tags := map[string]string{}
	if given == nil || sobek.IsUndefined(given) || sobek.IsNull(given) {
		return tags
	}
	object := given.ToObject(vu.runtime)
	for _, name := range object.Keys() {
		value := object.Get(name)
		switch kind := value.ExportType(); {
		case kind == nil:
			vu.throw("the tag %q has no value", name)
		case kind.Kind() == reflect.String, kind.Kind() == reflect.Bool, kind.Kind() == reflect.Int64, kind.Kind() == reflect.Float64:
			tags[name] = value.String()
		default:
			vu.throw("the tag %q is an object", name)
		}
	}
	return tags
}

func valueOf(given sobek.Value) (float64, bool) {
	switch value := given.Export().(type) {
	case bool:
		return number(value), true
	case int64:
		return float64(value), true
	case float64:
		return value, !math.IsNaN(value) && !math.IsInf(value, 0)
	}
	return 0, false
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
