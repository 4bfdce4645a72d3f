package main

import (
	"os"
	"runtime"
	"strings"
	"syscall"
)

// followGoRun makes a program started by `go run` end when `go run` is killed, which does not pass SIGTERM on.
func followGoRun() {
	if self, err := os.Executable(); err != nil || !strings.Contains(self, "/go-build") {
		return
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the request belongs to one thread, which must live as long as the process
		// Failing means only that `go run` does what it always does.
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
		close(done)
		select {}
	}()
	<-done
}
