// Runner runs a script written for k6 in sobek, k6's own JavaScript engine, over the transport of xk6-pop3. It is for
// tests and is not k6: README.md says what it shows and what it cannot show.
//
//	runner [--vus N] [--iterations M] [--limit SECONDS] [--exec NAME] [-e NAME=VALUE]... [--secret NAME=VALUE]...
//	       [--out points.json] [--report report.json] [--results] script.js
//
// What the script says on its console goes to standard error, and so does what went wrong in an iteration; what
// handleSummary gives goes where it says. It ends with 1 where the script could not be run, and with 0 else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func run() error {
	plan := Plan{Env: environment(), Console: os.Stderr, Stdout: os.Stdout}
	flag.IntVar(&plan.VUs, "vus", 1, "how many virtual users there are")
	flag.IntVar(&plan.Iterations, "iterations", 1, "how often they call the function, together")
	limit := flag.Float64("limit", 60, "seconds after which an iteration is ended from outside")
	flag.StringVar(&plan.Exec, "exec", "default", "the function they call, by its exported name")
	flag.Var(plan.Env, "e", "a variable of __ENV, NAME=VALUE")
	flag.Var(pairsIn{&plan.Secrets}, "secret", "a secret of k6/secrets, NAME=VALUE; without any there is no source of them")
	out := flag.String("out", "", "a file for every sample, as k6's JSON output has it")
	reported := flag.String("report", "", "a file for what the run came to")
	flag.BoolVar(&plan.Results, "results", false, "with what each iteration came to")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("one script")
	}
	if plan.VUs < 1 || plan.Iterations < 0 || *limit <= 0 {
		return errors.New("--vus, --iterations and --limit take numbers of something")
	}
	plan.Script = flag.Arg(0)
	plan.Limit = time.Duration(*limit * float64(time.Second))
	points, closePoints, err := written(*out)
	if err != nil {
		return err
	}
	plan.Points = points
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := plan.Carry(ctx)
	if err := errors.Join(err, closePoints()); err != nil {
		return err
	}
	if *reported == "" {
		return nil
	}
	octets, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return os.WriteFile(*reported, append(octets, '\n'), 0o600)
}

func written(path string) (io.Writer, func() error, error) {
	if path == "" {
		return io.Discard, func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}

// pairs is a flag that may be repeated.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(given string) error {
	name, value, found := strings.Cut(given, "=")
	if !found {
		return errors.New("takes NAME=VALUE")
	}
	p[name] = value
	return nil
}

// pairsIn makes them when the first one is given.
type pairsIn struct{ pairs *pairs }

func (p pairsIn) String() string { return "" }

func (p pairsIn) Set(given string) error {
	if *p.pairs == nil {
		*p.pairs = pairs{}
	}
	return p.pairs.Set(given)
}

// environment is that of the process: `k6 run` hands it to the script too.
func environment() pairs {
	all := pairs{}
	for _, each := range os.Environ() {
		_ = all.Set(each)
	}
	return all
}
