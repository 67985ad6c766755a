package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/grafana/sobek"
)

// program is the script with all it imports, read and compiled once for all VUs.
type program struct {
	main    sobek.CyclicModuleRecord
	mutex   sync.Mutex
	modules map[string]sobek.ModuleRecord
	paths   map[sobek.ModuleRecord]string
	vus     map[*sobek.Runtime]*VU
}

func load(path string) (*program, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	p := &program{
		modules: map[string]sobek.ModuleRecord{}, paths: map[sobek.ModuleRecord]string{}, vus: map[*sobek.Runtime]*VU{},
	}
	main, err := p.resolve(nil, absolute)
	if err != nil {
		return nil, err
	}
	p.main = main.(sobek.CyclicModuleRecord)
	return p, p.main.Link()
}

// resolve gives a module of k6 by its name, or a file: its whole name beside the one that imports it, as k6 wants it.
func (p *program) resolve(from any, specifier string) (sobek.ModuleRecord, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	path, isOfK6 := specifier, specifier == "k6" || strings.HasPrefix(specifier, "k6/")
	if importer, is := from.(sobek.ModuleRecord); is && !isOfK6 && !filepath.IsAbs(specifier) {
		if !strings.HasPrefix(specifier, "./") && !strings.HasPrefix(specifier, "../") {
			return nil, fmt.Errorf("%q is neither a module of k6 nor a file: files begin with ./ or ../", specifier)
		}
		path = filepath.Join(filepath.Dir(p.paths[importer]), specifier)
	}
	if module, is := p.modules[path]; is {
		return module, nil
	}
	module, err := p.read(path, isOfK6)
	if err != nil {
		return nil, err
	}
	p.modules[path], p.paths[module] = module, path
	return module, nil
}

func (p *program) read(path string, isOfK6 bool) (sobek.ModuleRecord, error) {
	if isOfK6 {
		made, is := builtins[path]
		if !is {
			return nil, fmt.Errorf("unknown modules [%s]", path)
		}
		return &builtin{path, made, p}, nil
	}
	octets, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return sobek.ParseModule(path, string(octets), p.resolve)
}

// settle makes a VU known to the modules that are made for each VU by itself.
func (p *program) settle(vu *VU) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.vus[vu.runtime] = vu
}

func (p *program) vuOf(runtime *sobek.Runtime) *VU {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.vus[runtime]
}

// module is one of k6's: the names it exports, and how it is made for a VU.
type module struct {
	exports []string
	// Whether all of it is exported as `default` too.
	hasDefault bool
	make       func(*VU) map[string]any
}

// builtins are those there are.
var builtins = map[string]module{
	"k6":           {[]string{"check", "fail", "group", "sleep"}, true, (*VU).k6},
	"k6/crypto":    {cryptoExports, true, (*VU).k6Crypto},
	"k6/data":      {[]string{"SharedArray"}, true, (*VU).k6Data},
	"k6/execution": {nil, true, (*VU).k6Execution},
	"k6/metrics":   {[]string{"Counter", "Gauge", "Rate", "Trend"}, true, (*VU).k6Metrics},
	"k6/secrets":   {nil, true, (*VU).k6Secrets},
	"k6/x/pop3":    {[]string{"connect", "now", "pbkdf2", "resolve"}, false, (*VU).xk6Pop3},
	"k6/x/tcp":     {[]string{"Socket"}, false, (*VU).xk6TCP},
}

// builtin is a module of k6 as the engine wants it.
type builtin struct {
	name    string
	module  module
	program *program
}

// instance is one for a VU.
type instance struct {
	runtime *sobek.Runtime
	members map[string]sobek.Value
}

func (b *builtin) Link() error { return nil }

func (b *builtin) GetExportedNames(callback func([]string), _ ...sobek.ModuleRecord) bool {
	callback(b.names())
	return true
}

func (b *builtin) names() []string {
	if b.module.hasDefault {
		return append([]string{"default"}, b.module.exports...)
	}
	return b.module.exports
}

func (b *builtin) ResolveExport(name string, _ ...sobek.ResolveSetElement) (*sobek.ResolvedBinding, bool) {
	for _, each := range b.names() {
		if each == name {
			return &sobek.ResolvedBinding{Module: b, BindingName: name}, false
		}
	}
	return nil, false
}

func (b *builtin) Evaluate(runtime *sobek.Runtime) *sobek.Promise {
	promise, resolve, _ := runtime.NewPromise()
	_ = resolve(b.instantiated(b.program.vuOf(runtime)))
	return promise
}

func (b *builtin) instantiated(vu *VU) *instance {
	if made := vu.instances[b.name]; made != nil {
		return made
	}
	made := &instance{vu.runtime, map[string]sobek.Value{}}
	whole := vu.runtime.NewObject()
	for name, member := range b.module.make(vu) {
		value := vu.runtime.ToValue(member)
		made.members[name] = value
		vu.must(whole.Set(name, value))
	}
	if b.module.hasDefault {
		if _, is := made.members["default"]; !is {
			made.members["default"] = whole
		}
	}
	vu.instances[b.name] = made
	return made
}

func (i *instance) GetBindingValue(name string) sobek.Value { return i.members[name] }
