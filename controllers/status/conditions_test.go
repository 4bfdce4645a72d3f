package status_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

var (
	now      = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	positive = []status.Positive{
		{Type: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAccepted},
		{Type: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonResolvedRefs},
	}
	refused    = compile.Problem{Condition: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonNamespaceNotAllowed, Message: "label it", Terminal: true}
	unresolved = compile.Problem{Condition: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonRefNotFound, Message: "create it"}
	denied     = compile.Problem{Condition: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonRefNotPermitted, Message: "ask for it", Terminal: true}
)

// text writes conditions as Type=Status/Reason, in order.
func text(conditions []metav1.Condition) string {
	var out []string
	for _, c := range conditions {
		out = append(out, c.Type+"="+string(c.Status)+"/"+c.Reason)
	}
	return strings.Join(out, " ")
}

func TestConditionsTellTheTruth(t *testing.T) {
	for name, tc := range map[string]struct {
		problems []compile.Problem
		want     string
	}{
		"all is well":             {nil, "Ready=True/Ready Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"},
		"waiting is not stalled":  {[]compile.Problem{unresolved}, "Ready=False/RefNotFound Accepted=True/Accepted ResolvedRefs=False/RefNotFound"},
		"terminal is stalled":     {[]compile.Problem{denied}, "Ready=False/RefNotPermitted Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted Stalled=True/RefNotPermitted"},
		"the first one gives why": {[]compile.Problem{unresolved, denied}, "Ready=False/RefNotFound Accepted=True/Accepted ResolvedRefs=False/RefNotFound Stalled=True/RefNotPermitted"},
		"refused: the rest was not looked at": {[]compile.Problem{refused},
			"Ready=False/NamespaceNotAllowed Accepted=False/NamespaceNotAllowed ResolvedRefs=Unknown/NamespaceNotAllowed Stalled=True/NamespaceNotAllowed"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text(status.Conditions(nil, 3, now, positive, tc.problems)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestDisabledIsReady(t *testing.T) {
	off := append([]status.Positive{status.Disabled("switched off")}, positive...)
	got := status.Conditions(nil, 3, now, off, nil)
	if c := meta.FindStatusCondition(got, v1alpha1.ConditionReady); text(got) != "Ready=True/Disabled Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs" || c.Message != "switched off" {
		t.Errorf("%s %q", text(got), c.Message)
	}
	got = status.Conditions(nil, 3, now, off, []compile.Problem{unresolved})
	if text(got) != "Ready=False/RefNotFound Accepted=True/Accepted ResolvedRefs=False/RefNotFound" {
		t.Errorf("with a problem: %s", text(got))
	}
}

func TestReadyDoesNotWaitForNotes(t *testing.T) {
	noted := []status.Positive{positive[0], {Type: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonResolvedRefs, Notes: []compile.Problem{denied}}}
	got := status.Conditions(nil, 3, now, noted, nil)
	if c := meta.FindStatusCondition(got, v1alpha1.ConditionResolvedRefs); text(got) != "Ready=True/Ready Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted" || c.Message != "ask for it" {
		t.Errorf("%s %q", text(got), c.Message)
	}
	got = status.Conditions(nil, 3, now, noted, []compile.Problem{refused})
	if text(got) != "Ready=False/NamespaceNotAllowed Accepted=False/NamespaceNotAllowed ResolvedRefs=False/RefNotPermitted Stalled=True/NamespaceNotAllowed" {
		t.Errorf("refused: %s", text(got))
	}
}

func TestEveryProblemIsTold(t *testing.T) {
	got := meta.FindStatusCondition(status.Conditions(nil, 1, now, positive, []compile.Problem{unresolved, denied, denied}), v1alpha1.ConditionReady)
	if got.Message != "create it; ask for it" {
		t.Errorf("message: %q", got.Message)
	}
}

func TestTransitionTimeChangesWithTheStatusOnly(t *testing.T) {
	earlier := metav1.NewTime(now.Add(-time.Hour))
	current := status.Conditions(nil, 1, earlier.Time, positive, []compile.Problem{unresolved})
	current = append(current, metav1.Condition{Type: "Planted", Status: metav1.ConditionTrue})

	same := status.Conditions(current, 2, now, positive, []compile.Problem{denied})
	if c := meta.FindStatusCondition(same, v1alpha1.ConditionReady); !c.LastTransitionTime.Time.Equal(earlier.Truncate(time.Second)) || c.ObservedGeneration != 2 {
		t.Errorf("still False, for another reason: %+v", c)
	}
	if meta.FindStatusCondition(same, "Planted") != nil {
		t.Error("a condition that is not ours stays")
	}
	changed := status.Conditions(current, 2, now, positive, nil)
	if c := meta.FindStatusCondition(changed, v1alpha1.ConditionReady); !c.LastTransitionTime.Time.Equal(now.Truncate(time.Second)) {
		t.Errorf("became True: %+v", c)
	}
}

func TestMessagesFitTheirField(t *testing.T) {
	long := compile.Problem{Condition: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonInvalid, Message: strings.Repeat("é", 40000)}
	got := status.Conditions(nil, 1, now, nil, []compile.Problem{long})[0].Message
	if len(got) > 32768 || !strings.HasPrefix(got, "éé") {
		t.Errorf("%d bytes", len(got))
	}
}
