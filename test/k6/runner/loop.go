package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/grafana/sobek"
)

// loop is the event loop of one VU, as k6 has it: whatever runs in the engine runs here, one after the other. It is
// through when nothing is queued and nobody is left who said that he would queue something.
type loop struct {
	mutex   sync.Mutex
	queue   []func() error
	awaited int
	stirred chan struct{}
	// Promises that were rejected with nobody listening, in their order. Only the loop itself knows them.
	unheard []*sobek.Promise
	// How long is waited for callbacks once the iteration was ended from outside.
	patience time.Duration
}

func newLoop(runtime *sobek.Runtime) *loop {
	l := &loop{stirred: make(chan struct{}, 1), patience: 10 * time.Second}
	runtime.SetPromiseRejectionTracker(l.track)
	return l
}

// errStuck: somebody said that he would queue something and does not, though the iteration is over.
var errStuck = errors.New("a callback was registered and never came, though the iteration was ended")

// register is for the loop itself: it waits until what is returned is called, once, from anywhere.
func (l *loop) register() (enqueue func(func() error)) {
	l.mutex.Lock()
	l.awaited++
	l.mutex.Unlock()
	isCalled := false
	return func(task func() error) {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		if isCalled {
			panic("a callback came twice")
		}
		isCalled = true
		l.awaited--
		l.queue = append(l.queue, task)
		l.stir()
	}
}

// run runs first, and then what is queued, until the loop is through or something fails. What is queued after a failure
// is waited for and dropped.
func (l *loop) run(ctx context.Context, first func() error) error {
	err := l.step(first)
	for err == nil {
		tasks, isOpen := l.take()
		if len(tasks) == 0 {
			if !isOpen {
				return nil
			}
			if !l.wait(ctx) {
				err = errStuck
			}
			continue
		}
		for _, task := range tasks {
			if err = l.step(task); err != nil {
				break
			}
		}
	}
	return err
}

// drain waits for whoever is still at work, and drops what he queues. The context is to be over.
func (l *loop) drain(ctx context.Context) error {
	for {
		if _, isOpen := l.take(); !isOpen {
			return nil
		}
		if !l.wait(ctx) {
			return errStuck
		}
	}
}

func (l *loop) step(task func() error) error {
	if err := task(); err != nil {
		return err
	}
	if len(l.unheard) > 0 {
		promise := l.unheard[0]
		l.unheard = nil
		return errors.New("Uncaught (in promise) " + described(promise.Result()))
	}
	return nil
}

func (l *loop) take() (tasks []func() error, isOpen bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	tasks, l.queue = l.queue, nil
	return tasks, l.awaited > 0
}

// wait is false where nothing came in time.
func (l *loop) wait(ctx context.Context) bool {
	select {
	case <-l.stirred:
		return true
	case <-ctx.Done():
	}
	select {
	case <-l.stirred:
		return true
	case <-time.After(l.patience):
		return false
	}
}

func (l *loop) stir() {
	select {
	case l.stirred <- struct{}{}:
	default:
	}
}

func (l *loop) track(promise *sobek.Promise, operation sobek.PromiseRejectionOperation) {
	if operation == sobek.PromiseRejectionReject {
		l.unheard = append(l.unheard, promise)
		return
	}
	for at, each := range l.unheard {
		if each == promise {
			l.unheard = append(l.unheard[:at:at], l.unheard[at+1:]...)
			return
		}
	}
}

// described is what is told of something thrown.
func described(value sobek.Value) string {
	if value == nil {
		return "undefined"
	}
	if object, is := value.(*sobek.Object); is {
		if err, is := object.Export().(error); is {
			return failureOf(err).Error()
		}
		if stack := object.Get("stack"); stack != nil && !sobek.IsUndefined(stack) {
			return stack.String()
		}
	}
	return value.String()
}
