package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// Whatever a run leaves behind fails the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// came is what a run gave.
type came struct {
	Report
	err     error
	console string
	stdout  string
	points  []point
}

type point struct {
	Metric string `json:"metric"`
	Type   string `json:"type"`
	Data   struct {
		Time  string            `json:"time"`
		Value float64           `json:"value"`
		Tags  map[string]string `json:"tags"`
		Kind  string            `json:"type"`
	} `json:"data"`
}

// run runs the file `script.js` of several.
func runFiles(t *testing.T, files map[string]string, change func(*Plan)) came {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	var points, console, stdout bytes.Buffer
	plan := &Plan{
		Script: filepath.Join(folder, "script.js"), VUs: 1, Iterations: 1, Limit: 20 * time.Second, Exec: "default",
		Env: pairs{}, Points: &points, Console: &console, Stdout: &stdout,
	}
	if change != nil {
		change(plan)
	}
	report, err := plan.Carry(t.Context())
	c := came{Report: report, err: err, console: console.String(), stdout: stdout.String()}
	decoder := json.NewDecoder(&points)
	for decoder.More() {
		var each point
		require.NoError(t, decoder.Decode(&each))
		if each.Type == "Point" {
			c.points = append(c.points, each)
		}
	}
	return c
}

func runScript(t *testing.T, script string, change func(*Plan)) came {
	t.Helper()
	return runFiles(t, map[string]string{"script.js": script}, change)
}

// inIteration runs the body of the default function, asynchronous, and gives what it says on the console.
func inIteration(t *testing.T, body string) []string {
	t.Helper()
	c := runScript(t, "export default async function () {"+body+"}", nil)
	require.NoError(t, c.err)
	require.Empty(t, c.Errors)
	return strings.Split(strings.TrimSuffix(c.console, "\n"), "\n")
}

func (c came) values(metric string) (values []float64) {
	for _, each := range c.points {
		if each.Metric == metric {
			values = append(values, each.Data.Value)
		}
	}
	return values
}

func TestAnIterationEndsWhenNothingIsAwaited(t *testing.T) {
	require.Equal(t, []string{"begun", "then", "timer", "late"}, inIteration(t, `
		console.log('begun');
		setTimeout(() => { console.log('timer'); setTimeout(() => console.log('late'), 20); }, 20);
		Promise.resolve().then(() => console.log('then'));`))
}

func TestTimersRingInTheirOrder(t *testing.T) {
	require.Equal(t, []string{"0", "1", "2", "3", "given"}, inIteration(t, `
		const set = [0, 1, 2, 3].map((each) => setTimeout(() => console.log(each), 5));
		const never = setTimeout(() => console.log('never'), 5);
		clearTimeout(never);
		setTimeout(console.log, 6, 'given');`))
}

func TestAnIntervalGoesOnUntilItIsCleared(t *testing.T) {
	require.Equal(t, []string{"1", "2", "3"}, inIteration(t, `
		let count = 0;
		const every = setInterval(() => { console.log(++count); if (count === 3) clearInterval(every); }, 1);`))
}

func TestATimerThatIsNotClearedHoldsUpTheIteration(t *testing.T) {
	began := time.Now()
	c := runScript(t, `export default () => { setTimeout(() => undefined, 200); }`, nil)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond)
	require.Equal(t, 1, c.Iterations)
}

func TestAnIterationIsEndedFromOutsideWhateverItIsAt(t *testing.T) {
	for title, body := range map[string]string{
		"a timer":          `setTimeout(() => undefined, 1e6);`,
		"a loop":           `for (;;);`,
		"a sleep":          `sleep(1000);`,
		"a socket":         `new Socket();`,
		"an open listener": `await connect({ host: '127.0.0.1', port: +__ENV.PORT }).then((c) => c.read());`,
		"a loop of ticks":  `for (;;) await null;`,
	} {
		t.Run(title, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			c := runScript(t, `
				import { sleep } from 'k6';
				import { Socket } from 'k6/x/tcp';
				import { connect } from 'k6/x/pop3';
				export default async function () {
					if (__ITER === 1) return console.log('the next one is as good as new');
					`+body+`
				}`, func(p *Plan) { p.Limit = 300 * time.Millisecond; p.Iterations = 2; p.Env["PORT"] = port })
			require.NoError(t, c.err)
			require.Equal(t, []string{"VU 1, iteration 0: " + errInterrupted.Error()}, c.Errors)
			require.Equal(t, 1, c.Interrupted)
			require.Equal(t, 0, c.Failed)
			require.Contains(t, c.console, "as good as new")
			require.Zero(t, max(0, c.Goroutines))
			require.Zero(t, max(0, c.Sockets))
		})
	}
}

func TestACallbackThatNeverComesIsNoticed(t *testing.T) {
	l := &loop{stirred: make(chan struct{}, 1), patience: 50 * time.Millisecond}
	ctx, end := context.WithCancel(t.Context())
	end()
	_ = l.register()
	require.ErrorIs(t, l.run(ctx, func() error { return nil }), errStuck)
	require.ErrorIs(t, l.drain(ctx), errStuck)
}

func TestACallbackComesOnce(t *testing.T) {
	l := &loop{stirred: make(chan struct{}, 1)}
	enqueue := l.register()
	enqueue(func() error { return nil })
	require.PanicsWithValue(t, "a callback came twice", func() { enqueue(nil) })
}

func TestWhatGoesWrongInAnIterationIsToldAndTheNextGoesOn(t *testing.T) {
	for title, row := range map[string]struct{ body, words string }{
		"thrown":                  {`throw new Error('thrown by hand');`, "thrown by hand"},
		"rejected":                {`await Promise.reject(new TypeError('rejected by hand'));`, "TypeError: rejected by hand"},
		"rejected, nobody hears":  {`Promise.reject('unheard');`, "Uncaught (in promise) unheard"},
		"thrown in a timer":       {`setTimeout(() => { throw new Error('in a timer'); }, 1);`, "in a timer"},
		"thrown in a handler":     {`const s = new Socket(); s.on('close', () => { throw new Error('in a handler'); }); s.destroy();`, "in a handler"},
		"nobody will settle it":   {`await new Promise(() => undefined);`, "it waits for something that nobody will settle"},
		"fail()":                  {`fail('by the script');`, "by the script"},
		"a metric, too late":      {`new Rate('late');`, "metrics must be declared in the init context"},
		"no number":               {`known.add('3');`, `"3" is an invalid value for metric "known"`},
		"NaN":                     {`known.add(NaN);`, `is an invalid value for metric "known"`},
		"a tag that is an object": {`known.add(1, { tag: {} });`, `the tag "tag" is an object`},
		"open()":                  {`open('script.js');`, `the "open" function is only available in the init stage`},
		"an asynchronous check":   {`check(1, { is: async () => true });`, "using async functions in check() isn't supported"},
	} {
		t.Run(title, func(t *testing.T) {
			c := runScript(t, `
				import { check, fail } from 'k6';
				import { Rate } from 'k6/metrics';
				import { Socket } from 'k6/x/tcp';
				const known = new Rate('known');
				export default async function () {
					if (__ITER === 1) return known.add(true);
					`+row.body+`
				}`, func(p *Plan) { p.Iterations = 2 })
			require.NoError(t, c.err)
			require.Equal(t, 2, c.Iterations)
			require.Equal(t, 1, c.Failed, c.console)
			require.Contains(t, c.Errors[0], row.words)
			require.Contains(t, c.Errors[0], "VU 1, iteration 0: ")
			require.Contains(t, c.console, row.words)
			require.Equal(t, []float64{1}, c.values("known"))
		})
	}
}

func TestARejectionThatIsHeardLaterInTheSameTaskIsNone(t *testing.T) {
	require.Equal(t, []string{"heard"}, inIteration(t, `
		const rejected = Promise.reject('heard');
		rejected.catch((why) => console.log(why));`))
}

func TestAScriptThatCannotBeRun(t *testing.T) {
	for title, row := range map[string]struct{ script, words string }{
		"no syntax":              {`export default () => {`, "SyntaxError"},
		"async generators":       {`export default async function* () {}`, "Async generators are not supported"},
		"thrown":                 {`throw new Error('in the init context');`, "in the init context"},
		"rejected":               {`await Promise.reject(new Error('at the top'));`, "at the top"},
		"no function":            {`export const options = {};`, "exports no function default"},
		"no module of k6":        {`import 'k6/x/dns';`, "unknown modules [k6/x/dns]"},
		"a module of Node":       {`import 'node:fs';`, `"node:fs" is neither a module of k6 nor a file`},
		"a file without its end": {`import './library';`, "no such file"},
		"a name there is not":    {`import { nothing } from './library.js';`, "nothing"},
		"a session in init":      {`import { connect } from 'k6/x/pop3'; connect({ host: 'a', port: 1 });`, "connect() is not for the init context"},
		"a socket in init":       {`import { Socket } from 'k6/x/tcp'; new Socket();`, "in the init context"},
		"the VU in init":         {`import exec from 'k6/execution'; exec.vu.idInTest;`, "getting VU information in the init context"},
		"a bad metric":           {`import { Rate } from 'k6/metrics'; new Rate('a-b');`, "invalid metric name: 'a-b'"},
		"a metric of two kinds":  {`import { Rate, Trend } from 'k6/metrics'; new Rate('a'); new Trend('a');`, "already exists"},
		"a sample in init":       {`import { Rate } from 'k6/metrics'; new Rate('a').add(1);`, "in the init context"},
		"setup":                  {`export const setup = () => { throw new Error('of setup'); }; export default () => {};`, "setup: Error: of setup"},
		"teardown":               {`export const teardown = () => { throw new Error('of teardown'); }; export default () => {};`, "teardown: Error: of teardown"},
		"handleSummary":          {`export const handleSummary = () => { throw new Error('of it'); }; export default () => {};`, "handleSummary: Error: of it"},
		"what it gives":          {`export const handleSummary = () => ({ stdout: 1 }); export default () => {};`, "handleSummary gives texts"},
	} {
		t.Run(title, func(t *testing.T) {
			c := runFiles(t, map[string]string{"script.js": row.script, "library.js": "export const one = 1;"}, nil)
			require.ErrorContains(t, c.err, row.words)
		})
	}
}

func TestModulesAreFoundBesideTheOneThatImportsThem(t *testing.T) {
	c := runFiles(t, map[string]string{
		"script.js":        `import { both } from './folder/first.js'; export default () => console.log(both);`,
		"folder/first.js":  `import { second } from '../second.js'; export const both = 'first ' + second;`,
		"second.js":        `export const second = 'second ' + open('second.txt');`,
		"second.txt":       "read",
		"folder/second.js": `throw new Error('the wrong one');`,
	}, nil)
	require.NoError(t, c.err)
	require.Equal(t, "first second read\n", c.console)
}

func TestAVUHasAnEngineOfItsOwnAndIterationsAreShared(t *testing.T) {
	c := runScript(t, `
		import exec from 'k6/execution';
		let count = 0;
		export default async function () {
			await new Promise((resolve) => setTimeout(resolve, 20));
			console.log([exec.vu.idInTest === __VU, count++ === __ITER, exec.vu.iterationInScenario === __ITER, exec.scenario.iterationInTest]);
		}`, func(p *Plan) { p.VUs = 8; p.Iterations = 40 })
	require.NoError(t, c.err)
	require.Equal(t, 40, c.Iterations)
	lines := strings.Split(strings.TrimSuffix(c.console, "\n"), "\n")
	seen := map[string]bool{}
	for _, line := range lines {
		require.True(t, strings.HasPrefix(line, "[true,true,true,"), line)
		seen[line] = true
	}
	require.Len(t, seen, 40)
	require.Len(t, c.values("iterations"), 40)
}

func TestGlobalsAreK6sAndNoOthers(t *testing.T) {
	for _, name := range strings.Fields(`Buffer process performance URL URLSearchParams TextEncoder TextDecoder fetch atob btoa
		queueMicrotask structuredClone setImmediate AbortController Event WebAssembly Intl WeakRef FinalizationRegistry
		SharedArrayBuffer Atomics require module global`) {
		require.Equal(t, []string{"undefined"}, inIteration(t, "console.log(typeof "+name+")"), name)
	}
	for _, name := range strings.Fields(`setTimeout setInterval clearTimeout clearInterval open crypto.getRandomValues
		crypto.subtle.deriveBits console.log`) {
		require.Equal(t, []string{"function"}, inIteration(t, "console.log(typeof "+name+")"), name)
	}
}

func TestPointsAreAsK6WritesThem(t *testing.T) {
	c := runScript(t, `
		import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
		import exec from 'k6/execution';
		import { check, group } from 'k6';
		export const options = { tags: { site: 'one' }, thresholds: { 'errors{reason:a}': ['count>=0'] } };
		const [errors, days, good, took] = [new Counter('errors'), new Gauge('days'), new Rate('good'), new Trend('took', true)];
		export const setup = () => ({ from: 'setup' });
		export default function ({ from }) {
			exec.vu.metrics.tags.part = from;
			errors.add(1, { reason: 'a' });
			errors.add(2, { reason: 'b', phase: 3 });
			days.add(7);
			days.add(5);
			good.add(true);
			good.add(0);
			[1, 2, 3, 10].forEach((each) => took.add(each));
			group('inner', () => check(2, { 'is two': (it) => it === 2, 'is three': (it) => it === 3 }));
		}
		export const handleSummary = (data) => ({ stdout: JSON.stringify(data) });`, nil)
	require.NoError(t, c.err)
	require.Equal(t, []float64{1, 2}, c.values("errors"))
	require.Equal(t, map[string]string{
		"scenario": "default", "group": "", "site": "one", "part": "setup", "reason": "b", "phase": "3",
	}, c.points[1].Data.Tags)
	_, err := time.Parse(time.RFC3339Nano, c.points[0].Data.Time)
	require.NoError(t, err)
	for _, each := range c.points {
		if each.Metric == "checks" {
			require.Equal(t, "::inner", each.Data.Tags["group"])
			require.Equal(t, each.Data.Tags["check"] == "is two", each.Data.Value == 1)
		}
	}
	var data struct {
		Metrics map[string]struct {
			Type, Contains string
			Values         map[string]float64
		}
		Setup   map[string]string `json:"setup_data"`
		Options map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(c.stdout), &data))
	require.Equal(t, 3.0, data.Metrics["errors"].Values["count"])
	require.Equal(t, 1.0, data.Metrics["errors{reason:a}"].Values["count"])
	require.Equal(t, map[string]float64{"value": 5, "min": 5, "max": 7}, data.Metrics["days"].Values)
	require.Equal(t, map[string]float64{"passes": 1, "fails": 1, "rate": 0.5}, data.Metrics["good"].Values)
	require.Equal(t, "time", data.Metrics["took"].Contains)
	for name, value := range map[string]float64{"avg": 4, "min": 1, "med": 2.5, "max": 10, "p(90)": 7.9, "p(95)": 8.95} {
		require.InDelta(t, value, data.Metrics["took"].Values[name], 1e-9, name)
	}
	require.Equal(t, map[string]string{"from": "setup"}, data.Setup)
	require.Contains(t, data.Options, "thresholds")
}

func TestASharedArrayIsMadeOnceAndCannotBeChanged(t *testing.T) {
	c := runScript(t, `
		import { SharedArray } from 'k6/data';
		const rows = new SharedArray('rows', () => { console.log('made'); return [{ user: 'alice' }, { user: 'bob' }]; });
		export default function () {
			rows[1].user = 'changed';
			let refusal = '';
			try { rows[0] = 1; } catch (error) { refusal = error.message; }
			console.log([rows.length, rows[1].user, refusal]);
		}`, func(p *Plan) { p.VUs = 3; p.Iterations = 1 })
	require.NoError(t, c.err)
	require.Equal(t, "made\n[2,\"bob\",\"SharedArray is immutable\"]\n", c.console)
}

func TestSecretsAndTheEnvironment(t *testing.T) {
	script := `
		import secrets from 'k6/secrets';
		export default async function () {
			const told = async (name) => { try { return await secrets.get(name); } catch (error) { return [error instanceof Error, error.message]; } };
			console.log([await told('pw'), await told('other'), __ENV.NAME, __ENV.toString === undefined]);
		}`
	with := runScript(t, script, func(p *Plan) { p.Secrets = pairs{"pw": "sesame"}; p.Env["NAME"] = "value" })
	require.Equal(t, "[\"sesame\",[true,\"no value\"],\"value\",false]\n", with.console)
	without := runScript(t, script, nil)
	require.Contains(t, without.console, "no secret sources are configured")
}

func TestHashesAreThoseOfTheRFCs(t *testing.T) {
	c := runScript(t, `
		import crypto, { hmac } from 'k6/crypto';
		const octets = (text) => new Uint8Array(Array.from(text, (char) => char.charCodeAt(0)));
		const hex = (buffer) => Array.from(new Uint8Array(buffer), (octet) => (256 + octet).toString(16).slice(1)).join('');
		export default async function () {
			console.log(crypto.md5('<1896.697170952@dbc.mtview.ca.us>tanstaaf', 'hex')); // RFC 1939 §7
			console.log(hex(hmac('md5', octets('Jefe').buffer, octets('what do ya want for nothing?').buffer, 'binary'))); // RFC 2202 §2
			const { subtle } = globalThis.crypto;
			const key = await subtle.importKey('raw', octets('password'), 'PBKDF2', false, ['deriveBits']);
			const terms = { name: 'PBKDF2', hash: 'SHA-1', salt: octets('salt'), iterations: 4096 };
			console.log(hex(await subtle.deriveBits(terms, key, 160))); // RFC 6070
			console.log(globalThis.crypto.getRandomValues(new Uint8Array(32)).some((octet) => octet > 0));
		}`, nil)
	require.NoError(t, c.err)
	require.Equal(t, `c4c9334bac560ecc979e58001b3e22fb
750c783e6ab0b503eaa86e310a5db738
4b007901b765489abead49d926f721d065a429c1
true
`, c.console)
}

func TestAReportTellsOfEachIterationWhereItIsAsked(t *testing.T) {
	c := runScript(t, `
		export const options = { vus: 1 };
		export const setup = () => 'ready';
		export default async (ready) => { if (__ITER === 1) throw new Error('by hand'); return { ready }; };`,
		func(p *Plan) { p.Iterations = 2; p.Results = true })
	require.JSONEq(t, `{"vus": 1}`, string(c.Options))
	require.JSONEq(t, `"ready"`, string(c.Setup))
	require.JSONEq(t, `{"ready": "ready"}`, string(c.Results[0].Returned))
	require.Contains(t, c.Results[1].Thrown, "by hand")
	require.Empty(t, runScript(t, `export default () => 1;`, nil).Results)
}

func TestAnAbortEndsAllIterations(t *testing.T) {
	c := runScript(t, `
		import exec from 'k6/execution';
		export default async function () {
			if (__VU === 1 && __ITER === 2) exec.test.abort('enough');
			await new Promise((resolve) => setTimeout(resolve, 10));
		}`, func(p *Plan) { p.VUs = 2; p.Iterations = 1000 })
	require.NoError(t, c.err)
	require.Equal(t, "aborted: enough", *c.Verdict)
	require.Less(t, c.Iterations, 20)
}

func TestTheScriptsVerdictIsToldAndTheRunGoesOn(t *testing.T) {
	c := runScript(t, `
		import exec from 'k6/execution';
		export default () => exec.test.fail('no ' + __ITER);`, func(p *Plan) { p.Iterations = 2 })
	require.Equal(t, "no 0", *c.Verdict)
	require.Equal(t, 2, c.Iterations)
	require.Zero(t, c.Failed)
}
