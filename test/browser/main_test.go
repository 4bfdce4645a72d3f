// Package browser walks the seven steps of the authorization code flow in real Chromium, against everything that `make
// run` starts. Screenshots are kept under .local/screenshots.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/latchkey-io/latchkey/test/environment"
)

// patience is how long a walk may take on a busy machine.
const patience = time.Minute

// step is an action that yields nothing.
type step = chromedp.Action[chromedp.Void]

var live *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, func(e *environment.Environment) error {
		live = e
		return os.MkdirAll(screenshots(), 0o755)
	}))
}

func screenshots() string { return filepath.Join(live.Root, ".local", "screenshots") }

// tab is a tab of a browser without history.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(t *testing.T) tab {
	t.Helper()
	browser, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(
		chromedp.NoSandbox, // tests may run as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1100, 860),
	))
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil { // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(browser, patience)
	t.Cleanup(cancel)
	return tab{t, ctx}
}

// do runs steps; where they do not come to an end, it says on which page.
func (b tab) do(steps ...step) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.whereabouts())
	}
}

// ask runs an action and returns what it yields.
func ask[T any](b tab, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.whereabouts())
	}
	return v
}

func (b tab) whereabouts() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "the page can't be read: " + err.Error()
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return fmt.Sprintf("at %s (%v):\n%s", at, err, text)
}

// screenshot keeps the page as a picture.
func screenshot(name string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		picture, err := chromedp.FullScreenshot(100)(ctx, t)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(screenshots(), name+".png"), picture, 0o644)
	})
}

// onPhone makes the page as narrow as a phone, in its dark scheme.
func onPhone() step {
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	return chromedp.Steps(
		chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, dark)
			return err
		}),
	)
}

// visible waits for an element, click clicks it, and write types into it.
func visible(selector string) step     { return chromedp.WaitVisible(chromedp.CSS(selector)) }
func click(selector string) step       { return chromedp.Click(chromedp.CSS(selector)) }
func write(selector, text string) step { return chromedp.SendKeys(chromedp.CSS(selector), text) }

// text is what an element says.
func text(selector string) chromedp.Action[string] { return chromedp.Text(chromedp.CSS(selector)) }
