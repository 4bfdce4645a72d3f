package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

const (
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	deviceResource = "oauthdeviceauthorizations"
)

// photoFrame is OAuthClient photo-frame of the samples: a device, and a public client.
func photoFrame(t *testing.T) *app {
	t.Helper()
	a := &app{t: t, issuer: live.LocalIssuer, id: sampleNamespace + ".photo-frame"}
	ready(t, resource("oauthclients", sampleNamespace), "photo-frame")
	return a
}

// codes are the answer to a device.
type codes struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
}

// begin is what a device does first.
func (a *app) begin(scope string) codes {
	a.t.Helper()
	form := url.Values{"client_id": {a.id}, "scope": {scope}}
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.issuer+"/device_authorization", strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, text, err := send(r)
	var answer codes
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("HTTP %d %s, %v", status, text, err)
	}
	return answer
}

// polls is what a device does until it has its tokens.
func (a *app) polls(c codes) tokens {
	a.t.Helper()
	answer, err := a.token(a.t.Context(), url.Values{"grant_type": {deviceGrant}, "device_code": {c.DeviceCode}})
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// click submits a form, and follows where that leads.
func (p *person) click(page *browser.Page, button string, fields map[string]string) *browser.Page {
	p.t.Helper()
	form, err := page.Form(button)
	if err != nil {
		p.t.Fatalf("%v: %s", err, page.Text())
	}
	page, err = p.browser.Submit(p.t.Context(), form, button, fields)
	for err == nil && page.Next != nil {
		page, err = p.browser.Get(p.t.Context(), page.Next.String())
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return page
}

// connect enters the code of a device, and presses a button.
func (p *person) connect(c codes, button string) {
	p.t.Helper()
	page, err := p.browser.Get(p.t.Context(), c.VerificationURI)
	if err != nil {
		p.t.Fatal(err)
	}
	page = p.click(page, "continue", map[string]string{"user_code": c.UserCode})
	if page.ID("sign-in") != nil {
		page = p.click(page, "sign-in", map[string]string{"username": p.name, "password": p.password})
	}
	if page = p.click(page, button, nil); page.ID("result") == nil {
		p.t.Fatalf("no end: %s", page.Text())
	}
}

// A device, its user, the tokens and their replay are three writes, and a fourth to revoke, in the server's view and in kube-apiserver's.
func TestDeviceFlowIsThreeWrites(t *testing.T) {
	a := photoFrame(t)
	quiet(t)
	before, ownBefore := writes(t), storeWrites(t)
	c := a.begin("openid photos.read offline_access")
	if answer := a.polls(c); answer.Error != "authorization_pending" {
		t.Errorf("before the user decided: %+v", answer)
	}
	if answer := a.polls(c); answer.Error != "slow_down" {
		t.Errorf("at once again: %+v", answer)
	}
	alice(t).connect(c, "allow")
	answer := a.polls(c)
	if answer.status != http.StatusOK || answer.AccessToken == "" || answer.IDToken == "" {
		t.Fatalf("%+v", answer)
	}
	newReviewer(t, sampleNamespace, "photos", "https://photos.demo.svc").accepts(answer.AccessToken)
	want := map[string]float64{"POST " + deviceResource: 1, "PATCH " + deviceResource + " status": 1, "POST oauthgrants": 1}
	if counted := difference(before, writes(t)); !maps.Equal(counted, want) {
		t.Errorf("kube-apiserver counted: %v", counted)
	}
	if d := difference(ownBefore, storeWrites(t)); !maps.Equal(d, map[string]float64{"create": 2, "patch": 1}) {
		t.Errorf("the server counted: %v", d)
	}
	for range 3 {
		if again := a.polls(c); again.Error != "invalid_grant" {
			t.Errorf("replay: %+v", again)
		}
	}
	want["PATCH oauthgrants status"] = 1
	if counted := difference(before, writes(t)); !maps.Equal(counted, want) {
		t.Errorf("kube-apiserver counted, the revocation included: %v", counted)
	}
}

// What an administrator sees, and does with kubectl.
func TestDeviceAuthorizationsWithKubectl(t *testing.T) {
	a := photoFrame(t)
	c := a.begin("photos.read")
	alice(t).connect(c, "deny")
	out := kubectl(t, "", "get", deviceResource, "-n", operatorNamespace)
	for _, words := range []string{"CLIENT", "STATE", "EXPIRES", a.id, "Denied", "alice"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %s in\n%s", words, out)
		}
	}
	if code := strings.ReplaceAll(c.UserCode, "-", ""); strings.Contains(out, c.UserCode) || strings.Contains(out, code) || strings.Contains(out, strings.ToLower(code)) {
		t.Errorf("the user code can be read:\n%s", out)
	}
	if answer := a.polls(c); answer.Error != "access_denied" {
		t.Errorf("%+v", answer)
	}
	waiting := a.begin("photos.read")
	kubectl(t, "", "delete", deviceResource, "--all", "-n", operatorNamespace)
	eventually(t, "a deleted request is denied", enforced, func(context.Context) (bool, error) { return a.polls(waiting).Error == "access_denied", nil })
}
