//go:build unix && !linux

package process

import "syscall"

// childAttributes has no parent-death signal to set here: only Linux knows one. A parent that is killed with SIGKILL
// leaves its children behind on these systems.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
