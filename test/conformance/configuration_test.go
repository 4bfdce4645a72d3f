// Package conformance holds the configuration of OpenID's conformance suite to the manifests that it needs.
package conformance

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// suite is where the suite's modules are called back, by the alias of their configuration.
const suite = "https://localhost.emobix.co.uk:8443/test/a/"

type configuration struct {
	Alias   string                       `json:"alias"`
	Client  credentials                  `json:"client"`
	Second  credentials                  `json:"client2"`
	Post    credentials                  `json:"client_secret_post"`
	Browser []struct{ Tasks []struct{} } `json:"browser"`
}

type credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func (c configuration) clients() []credentials {
	return slices.DeleteFunc([]credentials{c.Client, c.Second, c.Post}, func(c credentials) bool { return c.ID == "" })
}

func load(t *testing.T, file string) configuration {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c configuration
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// manifests are the clients by client_id, and the client secrets by the name of their Secret.
func manifests(t *testing.T) (map[string]*v1alpha1.OAuthClient, map[string]string) {
	t.Helper()
	text, err := os.ReadFile("manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	clients, secrets := map[string]*v1alpha1.OAuthClient{}, map[string]string{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var client v1alpha1.OAuthClient
		if err := yaml.Unmarshal([]byte(document), &client); err == nil && client.Kind == "OAuthClient" {
			clients[client.Namespace+"."+client.Name] = &client
		}
		var secret corev1.Secret
		if err := yaml.Unmarshal([]byte(document), &secret); err == nil && secret.Kind == "Secret" {
			secrets[secret.Name] = secret.StringData["client-secret"]
		}
	}
	return clients, secrets
}

func TestConfigurationNamesClientsOfTheManifests(t *testing.T) {
	clients, secrets := manifests(t)
	for _, file := range []string{"core.json", "back-channel-logout.json"} {
		config := load(t, file)
		if len(config.clients()) == 0 || len(config.Browser) == 0 {
			t.Errorf("%s names no client, or scripts no browser", file)
		}
		for _, c := range config.clients() {
			client := clients[c.ID]
			if client == nil {
				t.Errorf("%s: there is no client %s", file, c.ID)
				continue
			}
			if secret := secrets[client.Spec.Authentication.ClientSecret.SecretName]; secret == "" || secret != c.Secret {
				t.Errorf("%s: another secret of %s", file, c.ID)
			}
			if uris := client.Spec.RedirectURIs; len(uris) != 1 || string(uris[0]) != suite+config.Alias+"/callback" {
				t.Errorf("%s: %s is called back at %v", file, c.ID, uris)
			}
		}
	}
}

// Modules of the other plans fail when a logout token arrives that they don't expect.
func TestOnlyTheClientOfItsOwnPlanHearsOfSignOuts(t *testing.T) {
	clients, _ := manifests(t)
	own := load(t, "back-channel-logout.json")
	for id, client := range clients {
		hears := client.Spec.Logout != nil && client.Spec.Logout.BackChannelURI != ""
		if hears != (id == own.Client.ID) {
			t.Errorf("%s hears of sign-outs: %v", id, hears)
		}
	}
	if got := clients[own.Client.ID].Spec.Logout.BackChannelURI; got != suite+own.Alias+"/backchannel_logout" {
		t.Errorf("at %s", got)
	}
}
