package together

import (
	"testing"
	"unsafe"
)

func TestTextsStandTogether(t *testing.T) {
	a, empty, b := "one", "", "another"
	Put(&a, &empty, &b)
	if a != "one" || empty != "" || b != "another" {
		t.Errorf("%q %q %q", a, empty, b)
	}
	if unsafe.Add(unsafe.Pointer(unsafe.StringData(a)), len(a)) != unsafe.Pointer(unsafe.StringData(b)) {
		t.Error("they are apart")
	}
	Put()
}
