// Package status turns compile problems into conditions and writes the status of the objects that Latchkey reconciles.
package status

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// maxMessage is what a condition's message may have, in bytes (metav1.Condition).
const maxMessage = 32768

// Positive is a condition that is True when all is well, and what it says then. Ready needs to be among them only where it is to say
// more than that.
type Positive struct {
	Type, Reason, Message string
	// Notes are problems that make this condition False and nothing else: Ready does not wait for them.
	Notes []compile.Problem
}

// Conditions are what the problems make of an object: each of the positive conditions, Ready, and Stalled when a problem is
// terminal. They replace current, whose transition times are kept where the status stays. Times are whole seconds, as the
// API server stores them.
func Conditions(current []metav1.Condition, generation int64, now time.Time, positive []Positive, problems []compile.Problem) []metav1.Condition {
	var out []metav1.Condition
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		c := metav1.Condition{Type: kind, Status: value, Reason: reason, Message: bounded(message), ObservedGeneration: generation,
			LastTransitionTime: metav1.NewTime(now.UTC().Truncate(time.Second))}
		if old := meta.FindStatusCondition(current, kind); old != nil && old.Status == value && !old.LastTransitionTime.IsZero() {
			c.LastTransitionTime = old.LastTransitionTime
		}
		out = append(out, c)
	}
	ready(set, positive, problems)
	for _, p := range positive {
		if p.Type == v1alpha1.ConditionReady {
			continue
		}
		value, reason, message := judge(p, problems)
		set(p.Type, value, reason, message)
	}
	if i := slices.IndexFunc(problems, func(p compile.Problem) bool { return p.Terminal }); i >= 0 {
		set(v1alpha1.ConditionStalled, metav1.ConditionTrue, problems[i].Reason, problems[i].Message)
	}
	return out
}

func ready(set func(string, metav1.ConditionStatus, string, string), positive []Positive, problems []compile.Problem) {
	if len(problems) > 0 {
		set(v1alpha1.ConditionReady, metav1.ConditionFalse, problems[0].Reason, messages(problems))
		return
	}
	well := Positive{Reason: v1alpha1.ReasonReady}
	if i := slices.IndexFunc(positive, func(p Positive) bool { return p.Type == v1alpha1.ConditionReady }); i >= 0 {
		well = positive[i]
	}
	set(v1alpha1.ConditionReady, metav1.ConditionTrue, well.Reason, well.Message)
}

// Disabled is what Ready says of an object that its own spec switches off. It is as it was declared, so that a tool which waits for
// it, as kstatus has it, need not wait for ever.
func Disabled(message string) Positive {
	return Positive{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonDisabled, Message: message}
}

// judge decides one positive condition. What was not looked at, because the object is not even accepted, is Unknown.
func judge(p Positive, problems []compile.Problem) (value metav1.ConditionStatus, reason, message string) {
	if own := append(of(p.Type, problems), p.Notes...); len(own) > 0 {
		return metav1.ConditionFalse, own[0].Reason, messages(own)
	}
	if refused := of(v1alpha1.ConditionAccepted, problems); len(refused) > 0 {
		return metav1.ConditionUnknown, refused[0].Reason, "not looked at while Accepted is False"
	}
	return metav1.ConditionTrue, p.Reason, p.Message
}

func of(condition string, problems []compile.Problem) []compile.Problem {
	var out []compile.Problem
	for _, p := range problems {
		if p.Condition == condition {
			out = append(out, p)
		}
	}
	return out
}

func messages(problems []compile.Problem) string {
	var out []string
	for _, p := range problems {
		if !slices.Contains(out, p.Message) {
			out = append(out, p.Message)
		}
	}
	return strings.Join(out, "; ")
}

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "")
}
