package browser

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const photoFrame = "demo.photo-frame"

// post sends a form as a device does, and reads the JSON that it answers.
func post(t *testing.T, path string, form url.Values) (status int, body map[string]any) {
	t.Helper()
	form.Set("client_id", photoFrame)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, live.LocalIssuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

// begin is what the picture frame does first.
func begin(t *testing.T) map[string]any {
	t.Helper()
	status, codes := post(t, "/device_authorization", url.Values{"scope": {"openid profile photos.read offline_access"}})
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, codes)
	}
	return codes
}

// redeem is what it does until it has its tokens.
func redeem(t *testing.T, codes map[string]any) (int, map[string]any) {
	t.Helper()
	return post(t, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {codes["device_code"].(string)}})
}

// A picture frame shows a code, its owner enters it by hand, sees who asks for what, and allows it.
func TestConnectingADevice(t *testing.T) {
	codes := begin(t)
	userCode := codes["user_code"].(string)
	b := newTab(t)
	b.do(
		chromedp.Navigate(codes["verification_uri"].(string)),
		visible("#continue"),
		screenshot("device-1-code"),
		write("#user-code", "bcdf-ghjk"),
		click("#continue"),
		visible("#sign-in"),
		screenshot("device-2-sign-in"),
		write("#username", "alice"),
		write("#password", "wonderland"),
		click("#sign-in"),
		visible(`[role="alert"]`),
		screenshot("device-3-wrong-code"),
	)
	if problem := ask(b, text("#problem")); !strings.Contains(problem, "not valid") {
		t.Errorf("the page says %q", problem)
	}
	b.do(
		chromedp.SetValue(chromedp.CSS("#user-code"), strings.ToLower(strings.ReplaceAll(userCode, "-", " "))),
		click("#continue"),
		visible("#allow"),
		screenshot("device-4-consent"),
	)
	page := ask(b, text("main"))
	for _, words := range []string{"Photo Frame", "Did you start this on a device in front of you?", userCode, "namespace demo", "See your photos", "Alice"} {
		if !strings.Contains(page, words) {
			t.Errorf("the page does not say %q:\n%s", words, page)
		}
	}
	b.do(click("#allow"), visible("#result"), screenshot("device-5-done"))
	if result := ask(b, text("#result")); result != "You can go back to your device" {
		t.Errorf("the page says %q", result)
	}
	status, tokens := redeem(t, codes)
	if status != http.StatusOK || tokens["access_token"] == nil || tokens["id_token"] == nil || tokens["refresh_token"] == nil {
		t.Errorf("%d %v", status, tokens)
	}
}

// On a phone, by the link that a device shows as a picture: the code is filled in, and nothing happens until the user goes on.
func TestDenyingADeviceOnAPhone(t *testing.T) {
	codes := begin(t)
	b := newTab(t)
	b.do(
		onPhone(),
		chromedp.Navigate(codes["verification_uri_complete"].(string)),
		visible("#continue"),
		screenshot("phone-device-1-code"),
		click("#continue"),
		visible("#sign-in"),
		write("#username", "alice"),
		write("#password", "wonderland"),
		click("#sign-in"),
		visible("#deny"),
		screenshot("phone-device-2-consent"),
		click("#deny"),
		visible("#result"),
		screenshot("phone-device-3-done"),
	)
	if status, body := redeem(t, codes); status != http.StatusBadRequest || body["error"] != "access_denied" {
		t.Errorf("%d %v", status, body)
	}
}
