package pinned

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAProcessIsKeptOnOneCore(t *testing.T) {
	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait() // it was killed
	})
	if err := Children(MeasuredCore, "sleep"); err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(child.Process.Pid, &set); err != nil || set.Count() != 1 || !set.IsSet(MeasuredCore) {
		t.Errorf("%v, %v", set.Count(), err)
	}
	if err := Pin(os.Getpid()+1<<22, MeasuredCore); err == nil {
		t.Error("a process that is not there was pinned")
	}
}
