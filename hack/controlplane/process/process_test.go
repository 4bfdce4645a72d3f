package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// parentVariable turns the test binary into a parent that starts a child, prints its process id and waits to be killed.
const parentVariable = "PROCESS_TEST_PARENT_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(parentVariable); log != "" {
		if err := beParent(log); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func beParent(log string) error {
	p, err := process.Start(process.Options{Name: "child", Path: "/bin/sleep", Args: []string{"600"}, LogFile: log})
	if err != nil {
		return err
	}
	fmt.Println(p.PID())
	<-p.Done()
	return errors.New("the child ended first")
}

func start(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Options{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, LogFile: filepath.Join(t.TempDir(), "script.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestAChildDiesWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("%s has no parent-death signal", runtime.GOOS)
		return
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+filepath.Join(t.TempDir(), "child.log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(child) {
		t.Fatal("the child does not run")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("the parent was not killed")
	}
	eventually(t, "the child is gone", func() bool { return !alive(child) })
}

func TestStopKillsWhatIgnoresItAndWhatItStarted(t *testing.T) {
	p := start(t, `trap "" TERM; sleep 600 & echo started $!; while true; do wait; done`)
	eventually(t, "the script runs", func() bool { return strings.Contains(p.Tail(), "started") })
	grandchild, err := strconv.Atoi(strings.Fields(p.Tail())[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the grandchild is gone", func() bool { return !alive(grandchild) })
	if err := p.Failure(); err != nil {
		t.Errorf("a wanted end is reported: %v", err)
	}
}

func TestAnUnexpectedEndIsReportedWithTheLog(t *testing.T) {
	p := start(t, `echo "the reason"; exit 3`)
	<-p.Done()
	err := p.Failure()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("got %v", err)
	}
}

// alive is false for a process that has ended and only waits for its parent to take notice.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
