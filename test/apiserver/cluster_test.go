package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

// cluster is a kube-apiserver, of a cluster of its own, with flags that make it know Latchkey.
type cluster struct {
	name string
	args []string
	// files is the directory with its AuthenticationConfiguration.
	files string
	cp    *controlplane.ControlPlane
}

func (c *cluster) start(ctx context.Context) (err error) {
	if c.cp, err = controlplane.Start(ctx, controlplane.Options{NoControllerManager: true, ExtraAPIServerArgs: c.args}); err != nil {
		return fmt.Errorf("kube-apiserver %s: %w", c.name, err)
	}
	return nil
}

// whoami is whose kube-apiserver takes the token to be; nil for nobody's.
func (c *cluster) whoami(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	config := rest.AnonymousClientConfig(c.cp.RESTConfig())
	config.BearerToken = token
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	answer, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	switch {
	case apierrors.IsUnauthorized(err):
		return nil, nil // an answer, too
	case err != nil:
		return nil, fmt.Errorf("kube-apiserver %s: %w", c.name, err)
	}
	return &answer.Status.UserInfo, nil
}

// takes waits until the token is somebody's: a kube-apiserver that has just started, or been given another configuration, may be looking
// for the keys.
func (c *cluster) takes(t *testing.T, what, token string) *authenticationv1.UserInfo {
	t.Helper()
	var user *authenticationv1.UserInfo
	c.eventually(t, "takes "+what, func(ctx context.Context) (_ bool, err error) {
		user, err = c.whoami(ctx, token)
		return user != nil, err
	})
	return user
}

// refuses fails the test unless the token is nobody's.
func (c *cluster) refuses(t *testing.T, what, token string) {
	t.Helper()
	if user, err := c.whoami(t.Context(), token); err != nil || user != nil {
		t.Errorf("kube-apiserver %s: %s is %+v, %v", c.name, what, user, err)
	}
}

func (c *cluster) eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), pollInterval, patience, true, condition); err != nil {
		t.Fatalf("kube-apiserver %s %s: %v", c.name, what, errors.Join(err, context.Cause(t.Context())))
	}
}

// configure puts another text into the file with the AuthenticationConfiguration, as a whole.
func (c *cluster) configure(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(c.files, "config.yaml")
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
