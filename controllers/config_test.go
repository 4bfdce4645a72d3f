package controllers_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/controllers"
	"github.com/latchkey-io/latchkey/server/storage"
)

func TestConfigIsValidated(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*controllers.Config)
		want string
	}{
		"good":             {func(*controllers.Config) {}, ""},
		"no API server":    {func(c *controllers.Config) { c.REST = nil }, "API server"},
		"no namespace":     {func(c *controllers.Config) { c.Namespace = "" }, "namespace"},
		"bad Secret":       {func(c *controllers.Config) { c.ServingSecret = "Serving" }, "serving secret"},
		"authority Secret": {func(c *controllers.Config) { c.ServingSecret = "latchkey-serving-ca" }, "authority"},
		"webhook Secret":   {func(c *controllers.Config) { c.ServingSecret = "latchkey-webhook" }, "webhook"},
		"configuration":    {func(c *controllers.Config) { c.ServingSecret = "latchkey-authentication-configuration" }, "AuthenticationConfiguration"},
		"client CA Secret": {func(c *controllers.Config) { c.ServingSecret = "latchkey-webhook-client-ca" }, "webhook"},
		"no review port":   {func(c *controllers.Config) { c.ReviewAddress = "10.0.0.1" }, "review address"},
		"no review host":   {func(c *controllers.Config) { c.ReviewAddress = ":9443" }, "review address"},
		"review at an IP":  {func(c *controllers.Config) { c.ReviewAddress = "[fd00::1]:9443" }, ""},
		"bad name":         {func(c *controllers.Config) { c.ServingNames = []string{"https://x"} }, "serving name"},
		"address":          {func(c *controllers.Config) { c.ServingNames = []string{"::1", "10.0.0.1", "*.example.com"} }, ""},
		"no health":        {func(c *controllers.Config) { c.HealthBindAddress = "" }, "health"},
		"no clock":         {func(c *controllers.Config) { c.Now = nil }, "clock"},
		"no storage":       {func(c *controllers.Config) { c.CheckStorage = nil }, "storage"},
	} {
		c := controllers.Config{REST: &rest.Config{}, Namespace: operatorNamespace, HealthBindAddress: "0", ServingSecret: servingSecret, ReviewAddress: reviewAddress, Now: time.Now,
			CheckStorage: storage.Check, PurgeStorage: storage.Purge}
		tc.edit(&c)
		err := c.Validate()
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
