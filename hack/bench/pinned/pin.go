// Package pinned keeps processes on cores: one for what is measured, the other for the load and whatever else there is.
package pinned

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The cores: one for what is measured, and the other for the load and whatever else there is.
const (
	MeasuredCore = 0
	OtherCore    = 1
)

// Pin keeps all threads of a process on one core. Threads that are there later are born there.
func Pin(pid, core int) error {
	var set unix.CPUSet
	set.Set(core)
	var pinned []int
	for {
		tasks, err := threads(pid)
		if err != nil {
			return err
		}
		tasks = slices.DeleteFunc(tasks, func(id int) bool { return slices.Contains(pinned, id) })
		if len(tasks) == 0 {
			return nil
		}
		for _, id := range tasks {
			if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pin process %d to core %d: %w", pid, core, err)
			}
		}
		pinned = append(pinned, tasks...)
	}
}

func threads(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Children pins the children of this process that run one of the programs: etcd and kube-apiserver have no other handle.
func Children(core int, programs ...string) error {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid, rest, _ := strings.Cut(string(text), " (")
		name, rest, _ := strings.Cut(rest, ") ") // state, parent, ...
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) || !slices.Contains(programs, name) {
			continue
		}
		id, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		if err := Pin(id, core); err != nil {
			return err
		}
	}
	return nil
}
