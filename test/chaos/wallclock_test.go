package chaos

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// setClock puts the clock of a running process ahead of the machine's, or behind it. Linux has no wall clock for one process, but programs
// ask for the time in a piece of code that the kernel lends each of them (vdso(7)): there it is put off. Clocks that nobody can set,
// by which timers go, are left as they are, as on a machine whose clock is set.
func setClock(ctx context.Context, pid int, ahead time.Duration) (err error) {
	code, err := readsTheClock(ahead)
	if err != nil {
		return err
	}
	if err := pause(ctx, pid); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)) }()
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	at, err := clockFunction(pid, memory, len(code))
	if err != nil {
		return err
	}
	_, err = memory.WriteAt(code, at)
	return err
}

// readsTheClock is what takes the place of clock_gettime(2) as the kernel lends it: the system call, and an addition where it was asked
// for the wall clock.
func readsTheClock(ahead time.Duration) ([]byte, error) {
	seconds := int64(ahead / time.Second)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" || seconds < math.MinInt32 || seconds > math.MaxInt32 {
		return nil, fmt.Errorf("nobody knows how to set the clock of a process by %v on %s/%s", ahead, runtime.GOOS, runtime.GOARCH)
	}
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi; CLOCK_REALTIME is 0
		0x75, 7, // jne to the ret
		0x48, 0x81, 0x06, // add qword ptr [rsi], what follows
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(seconds)))
	return append(code, 0xc3), nil // ret
}

// clockFunction is where a process has the function that reads clocks. It must have room for so many bytes.
func clockFunction(pid int, memory io.ReaderAt, room int) (int64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var first, end int64
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &first, &end); err != nil {
			return 0, err
		}
		image := make([]byte, end-first)
		if _, err := memory.ReadAt(image, first); err != nil {
			return 0, err
		}
		library, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			return 0, err
		}
		symbols, err := library.DynamicSymbols()
		if err != nil {
			return 0, err
		}
		for _, s := range symbols {
			if s.Name == "__vdso_clock_gettime" && s.Size >= uint64(room) {
				return first + int64(s.Value), nil
			}
		}
	}
	return 0, errors.New("the kernel lends the process no clock_gettime that could be written over")
}

// pause stops a process, and returns when it stands still.
func pause(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, time.Millisecond, patience, true, func(context.Context) (bool, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false, err
		}
		_, state, _ := strings.Cut(string(text), ") ")
		return strings.HasPrefix(state, "T"), nil
	})
}
