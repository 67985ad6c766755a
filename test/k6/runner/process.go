package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// present is what this process has at a moment.
type present struct{ goroutines, sockets int }

func presently() present { return present{runtime.NumGoroutine(), sockets()} }

// left is what there is more than there was; what is on its way out is given a moment.
func (p present) left() (goroutines, sockets int) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		now := presently()
		goroutines, sockets = now.goroutines-p.goroutines, now.sockets-p.sockets
		if goroutines <= 0 && sockets <= 0 || time.Now().After(deadline) {
			return goroutines, sockets
		}
	}
}

// sockets are counted where there is a /proc.
func sockets() int {
	found, _ := filepath.Glob("/proc/self/fd/*")
	count := 0
	for _, each := range found {
		if target, err := os.Readlink(each); err == nil && strings.HasPrefix(target, "socket:") {
			count++
		}
	}
	return count
}

// cpuSeconds are those of the whole process, in the kernel too.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	seconds := func(of syscall.Timeval) float64 { return float64(of.Sec) + float64(of.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

// peakMB: Linux counts in KiB.
func peakMB() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Maxrss) / 1024
}
