package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grafana/sobek"
)

// VU is a virtual user: an engine of its own with the script in it, and an event loop.
type VU struct {
	test      *test
	id        int
	runtime   *sobek.Runtime
	loop      *loop
	namespace *sobek.Object
	instances map[string]*instance
	// tags are exec.vu.metrics.tags.
	tags *sobek.Object
	// iteration is the one under way; nil in the init context.
	iteration *iteration
	count     int
}

// iteration is one call of a function of the script, until its event loop is through.
type iteration struct {
	ctx context.Context
	// Its number among all of the test, from 0; -1 for setup and the like.
	inTest int
}

// errInterrupted: the iteration took longer than it may, or the whole run was ended.
var errInterrupted = errors.New("the iteration was ended from outside")

// newVU makes the engine and evaluates the script, in the init context.
func (t *test) newVU(id int) (*VU, error) {
	vu := &VU{test: t, id: id, runtime: sobek.New(), instances: map[string]*instance{}}
	vu.runtime.SetFieldNameMapper(sobek.TagFieldNameMapper("js", true))
	vu.loop = newLoop(vu.runtime)
	vu.tags = vu.runtime.NewObject()
	vu.furnish()
	t.program.settle(vu)
	if err := t.program.main.Link(); err != nil {
		return nil, err
	}
	var evaluated *sobek.Promise
	err := vu.loop.run(context.Background(), func() error {
		evaluated = vu.runtime.CyclicModuleRecordEvaluate(t.program.main, t.program.resolve)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if evaluated.State() != sobek.PromiseStateFulfilled {
		return nil, fmt.Errorf("%s: %s", t.plan.Script, described(evaluated.Result()))
	}
	vu.namespace = vu.runtime.NamespaceObjectFor(t.program.main)
	return vu, nil
}

// has tells whether the script exports such a function.
func (vu *VU) has(name string) bool {
	_, is := sobek.AssertFunction(vu.namespace.Get(name))
	return is
}

// iterate calls the script's function and measures it as k6 does.
func (vu *VU) iterate(ctx context.Context, inTest int) (Result, error) {
	began := time.Now()
	vu.must(vu.runtime.Set("__ITER", vu.count))
	value, err := vu.call(ctx, &iteration{inTest: inTest}, vu.test.plan.Exec, vu.test.setup)
	result := Result{VU: vu.id, Iteration: vu.count, TookMs: milliseconds(time.Since(began))}
	if err == nil && vu.test.plan.Results {
		result.Returned, err = vu.serialised(value)
	}
	vu.count++
	if err != nil {
		result.Thrown = err.Error()
		err = fmt.Errorf("VU %d, iteration %d: %w", vu.id, result.Iteration, err)
	}
	tags := vu.tagsNow(nil)
	vu.test.metrics.add("iterations", 1, tags)
	vu.test.metrics.add("iteration_duration", result.TookMs, tags)
	return result, err
}

// call calls a function of the script with values in JSON, and waits until nothing is awaited any more.
//
// What it gives is the value, also where the function gave a promise of it.
func (vu *VU) call(ctx context.Context, i *iteration, name string, given ...json.RawMessage) (sobek.Value, error) {
	bounded, end := context.WithTimeout(ctx, vu.test.plan.Limit)
	defer end()
	i.ctx = bounded
	vu.iteration = i
	defer func() { vu.iteration = nil }()
	calm := vu.interruptAfter(bounded)
	function, _ := sobek.AssertFunction(vu.namespace.Get(name))
	var result sobek.Value
	err := vu.loop.run(bounded, func() (err error) {
		arguments := make([]sobek.Value, 0, len(given))
		for _, each := range given {
			arguments = append(arguments, vu.parsed(each))
		}
		result, err = function(sobek.Undefined(), arguments...)
		return err
	})
	isEnded := bounded.Err() != nil
	end()
	calm()
	// What the script forgot is told that the iteration is over, and what it then queues is nobody's any more.
	if stuck := vu.loop.drain(bounded); stuck != nil {
		return nil, stuck
	}
	vu.loop.unheard = nil
	switch {
	case isEnded && !errors.Is(err, errStuck):
		return nil, errInterrupted
	case err != nil:
		return nil, failureOf(err)
	}
	return settled(result)
}

// interruptAfter stops the engine, whatever it is at, when the context is over; the function it gives makes it usable
// again.
func (vu *VU) interruptAfter(ctx context.Context) (calm func()) {
	through := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(through)
		vu.runtime.Interrupt(errInterrupted)
	})
	return func() {
		if !cancel() {
			<-through
		}
		vu.runtime.ClearInterrupt()
	}
}

func settled(result sobek.Value) (sobek.Value, error) {
	promise, is := result.Export().(*sobek.Promise)
	if !is {
		return result, nil
	}
	if promise.State() == sobek.PromiseStatePending {
		return nil, errors.New("it waits for something that nobody will settle")
	}
	return promise.Result(), nil
}

// failureOf: an exception is told with where it came from.
func failureOf(err error) error {
	var exception *sobek.Exception
	if errors.As(err, &exception) {
		return errors.New(exception.String())
	}
	return err
}

// tagsNow are those of a sample that is taken now: the options', the VU's and its own.
func (vu *VU) tagsNow(own map[string]string) map[string]string {
	tags := map[string]string{"scenario": "default", "group": ""}
	for name, value := range vu.test.options.Tags {
		tags[name] = value
	}
	for _, name := range vu.tags.Keys() {
		tags[name] = vu.tags.Get(name).String()
	}
	for name, value := range own {
		tags[name] = value
	}
	return tags
}

func (vu *VU) serialised(value sobek.Value) (json.RawMessage, error) {
	if value == nil || sobek.IsUndefined(value) || sobek.IsNull(value) {
		return nil, nil
	}
	return value.ToObject(vu.runtime).MarshalJSON()
}

func (vu *VU) parsed(given json.RawMessage) sobek.Value {
	if given == nil {
		return sobek.Undefined()
	}
	parse, _ := sobek.AssertFunction(vu.runtime.Get("JSON").ToObject(vu.runtime).Get("parse"))
	value, err := parse(sobek.Undefined(), vu.runtime.ToValue(string(given)))
	vu.must(err)
	return value
}

// throw is for functions that the script calls.
func (vu *VU) throw(format string, values ...any) {
	panic(vu.runtime.NewGoError(fmt.Errorf(format, values...)))
}

func (vu *VU) must(err error) {
	if err != nil {
		panic(vu.runtime.NewGoError(err))
	}
}

func (vu *VU) isInit() bool { return vu.iteration == nil }

func milliseconds(span time.Duration) float64 { return float64(span) / float64(time.Millisecond) }
