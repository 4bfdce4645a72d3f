package review

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// What is written is what Kubernetes' type would be, and all of it.
func FuzzEncode(f *testing.F) {
	f.Add("authentication.k8s.io/v1", "oauth:alice", "uid", "family", "https://photos.demo.svc", "", true)
	f.Add("authentication.k8s.io/v1beta1", "", "", "", "", "spec.audiences is \"missing\"", false)
	f.Add("\xff", "é", "<a>&\u2028", "\x00", `\`, "x", true)
	f.Fuzz(func(t *testing.T, version, username, uid, group, audience, problem string, yes bool) {
		answer := &authenticationv1.TokenReview{}
		answer.Kind, answer.APIVersion = kind, version
		answer.Status.Error = problem
		if yes {
			answer.Status = authenticationv1.TokenReviewStatus{
				Authenticated: true, Audiences: []string{audience, group},
				User: authenticationv1.UserInfo{
					Username: username, UID: uid, Groups: []string{group, username},
					Extra: map[string]authenticationv1.ExtraValue{oauth.ExtraIssuer: {audience}, oauth.ExtraScope: {group, uid}},
				},
			}
		}
		text, err := encode(answer).JSON()
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var got, decoded authenticationv1.TokenReview
		if err := json.Unmarshal(want, &decoded); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, decoded) || len(text) != len(want) {
			t.Errorf("%s, %v; Kubernetes' type is %s", text, err, want)
		}
	})
}

// A member that Kubernetes adds to its type would be missing in answers.
func TestEncodeKnowsEveryMember(t *testing.T) {
	for _, c := range []struct {
		of   any
		want string
	}{
		{authenticationv1.TokenReview{}, "TypeMeta ObjectMeta Spec Status"},
		{authenticationv1.TokenReviewStatus{}, "Authenticated User Audiences Error"},
		{authenticationv1.UserInfo{}, "Username UID Groups Extra"},
	} {
		var names []string
		for field := range reflect.TypeOf(c.of).Fields() {
			names = append(names, field.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%T has %s; encode knows %s", c.of, got, c.want)
		}
	}
}
