package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/grafana/sobek"
)

// furnish makes the globals: those every k6 has had since 2.0, and no other.
func (vu *VU) furnish() {
	timers := &timers{vu: vu, running: map[int64]*timer{}}
	for name, value := range map[string]any{
		"__ENV":         map[string]string(vu.test.plan.Env),
		"__VU":          vu.id,
		"__ITER":        0,
		"open":          vu.open,
		"setTimeout":    timers.setter(false),
		"setInterval":   timers.setter(true),
		"clearTimeout":  timers.clear,
		"clearInterval": timers.clear,
		"console": map[string]any{
			"log": vu.say, "info": vu.say, "warn": vu.say, "error": vu.say, "debug": vu.say,
		},
		"crypto": map[string]any{
			"getRandomValues": vu.getRandomValues,
			"subtle":          map[string]any{"importKey": vu.importKey, "deriveBits": vu.deriveBits},
		},
	} {
		vu.must(vu.runtime.Set(name, value))
	}
}

// open reads a file beside the script, in the init context alone.
func (vu *VU) open(call sobek.FunctionCall) sobek.Value {
	if !vu.isInit() {
		vu.throw("the \"open\" function is only available in the init stage")
	}
	path := call.Argument(0).String()
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(vu.test.program.paths[vu.test.program.main]), path)
	}
	octets, err := os.ReadFile(path)
	vu.must(err)
	if call.Argument(1).String() == "b" {
		return vu.runtime.ToValue(vu.runtime.NewArrayBuffer(octets))
	}
	return vu.runtime.ToValue(string(octets))
}

func (vu *VU) say(call sobek.FunctionCall) sobek.Value {
	words := make([]string, 0, len(call.Arguments))
	for _, each := range call.Arguments {
		words = append(words, vu.printed(each))
	}
	vu.test.say(strings.Join(words, " "))
	return sobek.Undefined()
}

// printed: objects are JSON, errors are their own words.
func (vu *VU) printed(value sobek.Value) string {
	object, is := value.(*sobek.Object)
	if !is || object.ClassName() == "Error" {
		return value.String()
	}
	octets, err := json.Marshal(object)
	if err != nil {
		return value.String()
	}
	return string(octets)
}

func (vu *VU) getRandomValues(call sobek.FunctionCall) sobek.Value {
	// It is the memory of the array itself.
	octets, is := call.Argument(0).Export().([]byte)
	if !is {
		panic(vu.runtime.NewTypeError("getRandomValues takes a Uint8Array here"))
	}
	_, err := rand.Read(octets)
	vu.must(err)
	return call.Argument(0)
}

// importKey and deriveBits are as much of Web Crypto as PBKDF2 needs.
func (vu *VU) importKey(call sobek.FunctionCall) sobek.Value {
	promise, resolve, reject := vu.runtime.NewPromise()
	if call.Argument(0).String() != "raw" || call.Argument(2).String() != "PBKDF2" {
		vu.must(reject(vu.runtime.NewTypeError("only raw keys for PBKDF2 here")))
	} else {
		vu.must(resolve(&derivable{append([]byte{}, vu.octets(call.Argument(1))...)}))
	}
	return vu.runtime.ToValue(promise)
}

// derivable is a key nobody looks into.
type derivable struct{ octets []byte }

var webHashes = map[string]func() hash.Hash{
	"SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
}

func (vu *VU) deriveBits(call sobek.FunctionCall) sobek.Value {
	terms := call.Argument(0).ToObject(vu.runtime)
	key, is := call.Argument(1).Export().(*derivable)
	algorithm := webHashes[terms.Get("hash").String()]
	if !is || algorithm == nil || terms.Get("name").String() != "PBKDF2" {
		panic(vu.runtime.NewTypeError("only keys for PBKDF2 here"))
	}
	salt := append([]byte{}, vu.octets(terms.Get("salt"))...)
	iterations, bits := int(terms.Get("iterations").ToInteger()), int(call.Argument(2).ToInteger())
	return vu.promise(func() (any, error) {
		return pbkdf2.Key(algorithm, string(key.octets), salt, iterations, bits/8)
	}, func(octets any) sobek.Value { return vu.runtime.ToValue(vu.runtime.NewArrayBuffer(octets.([]byte))) })
}

// promise runs work in a goroutine that touches nothing of the engine, and settles with what made makes of it.
func (vu *VU) promise(work func() (any, error), made func(any) sobek.Value) sobek.Value {
	promise, resolve, reject := vu.runtime.NewPromise()
	enqueue := vu.loop.register()
	go func() {
		came, err := work()
		enqueue(func() error {
			if err != nil {
				return reject(vu.runtime.NewGoError(err))
			}
			return resolve(made(came))
		})
	}()
	return vu.runtime.ToValue(promise)
}

// timers are those of one VU. One that neither rang nor was cleared keeps an iteration from ending.
type timers struct {
	vu      *VU
	last    int64
	running map[int64]*timer
}

type timer struct {
	due        time.Time
	delay      time.Duration
	isRepeated bool
	ring       sobek.Callable
	arguments  []sobek.Value
	// stop lets the loop go on without it.
	stop func()
}

func (t *timers) setter(isRepeated bool) func(sobek.FunctionCall) sobek.Value {
	return func(call sobek.FunctionCall) sobek.Value {
		ring, is := sobek.AssertFunction(call.Argument(0))
		if !is {
			panic(t.vu.runtime.NewTypeError("a timer takes a function"))
		}
		ms := call.Argument(1).ToFloat()
		if math.IsNaN(ms) || ms < 0 {
			ms = 0
		}
		set := &timer{delay: time.Duration(ms * float64(time.Millisecond)), isRepeated: isRepeated, ring: ring}
		if len(call.Arguments) > 2 {
			set.arguments = call.Arguments[2:]
		}
		t.last++
		t.start(t.last, set)
		return t.vu.runtime.ToValue(t.last)
	}
}

func (t *timers) start(id int64, set *timer) {
	enqueue := t.vu.loop.register()
	var once sync.Once
	release := func(task func() error) { once.Do(func() { enqueue(task) }) }
	none := func() error { return nil }
	set.due = time.Now().Add(set.delay)
	alarm := time.AfterFunc(set.delay, func() { release(func() error { return t.ringUntil(id) }) })
	forget := func() bool { return false }
	if !t.vu.isInit() {
		forget = context.AfterFunc(t.vu.iteration.ctx, func() { release(none) })
	}
	set.stop = func() {
		alarm.Stop()
		forget()
		release(none)
	}
	t.running[id] = set
}

// ringUntil rings a timer, and before it those that were due earlier: each has an alarm of its own, and they may come
// in any order.
func (t *timers) ringUntil(last int64) error {
	for t.running[last] != nil {
		id, set := t.earliest()
		delete(t.running, id)
		set.stop()
		if set.isRepeated {
			t.start(id, set)
		}
		if _, err := set.ring(sobek.Undefined(), set.arguments...); err != nil || id == last {
			return err
		}
	}
	return nil // one of those before it has cleared it
}

func (t *timers) earliest() (id int64, first *timer) {
	for each, set := range t.running {
		if first == nil || set.due.Before(first.due) || set.due.Equal(first.due) && each < id {
			id, first = each, set
		}
	}
	return id, first
}

func (t *timers) clear(id int64) {
	if set, is := t.running[id]; is {
		delete(t.running, id)
		set.stop()
	}
}
