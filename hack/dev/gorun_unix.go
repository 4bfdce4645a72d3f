//go:build unix && !linux

package main

// followGoRun has no means to learn of a parent's death here.
func followGoRun() {}
