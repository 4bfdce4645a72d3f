package controlplane

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd/api"
)

// ServiceAccountToken asks for a token of an existing ServiceAccount (TokenRequest, as kubelet does for a pod) and returns it
// with its expiry. Without audiences it is for the API server. The API server may shorten ttl; it allows 10 minutes at least.
func (cp *ControlPlane) ServiceAccountToken(ctx context.Context, namespace, name string, audiences []string, ttl time.Duration) (string, time.Time, error) {
	client, err := kubernetes.NewForConfig(cp.config)
	if err != nil {
		return "", time.Time{}, err
	}
	seconds := int64(ttl.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return answer.Status.Token, answer.Status.ExpirationTimestamp.Time, nil
}

// WriteServiceAccountToken writes a token to a file, which appears whole or not at all, and returns its expiry. Writing it
// again before that is what kubelet does for a projected token.
func (cp *ControlPlane) WriteServiceAccountToken(ctx context.Context, namespace, name, file string, audiences []string, ttl time.Duration) (time.Time, error) {
	token, expiry, err := cp.ServiceAccountToken(ctx, namespace, name, audiences, ttl)
	if err != nil {
		return time.Time{}, err
	}
	unfinished := file + ".unfinished"
	if err := os.WriteFile(unfinished, []byte(token), 0o600); err != nil {
		return time.Time{}, err
	}
	return expiry, os.Rename(unfinished, file)
}

// TokenFile is where ServiceAccountKubeconfig keeps the token of a kubeconfig.
func TokenFile(kubeconfig string) string { return kubeconfig + ".token" }

// ServiceAccountKubeconfig writes a kubeconfig with which a program is that ServiceAccount and nothing more, as it would be in a
// pod. The token is in TokenFile(file), which clients read again every minute; it ends after ttl unless WriteServiceAccountToken
// renews it. The expiry is returned.
func (cp *ControlPlane) ServiceAccountKubeconfig(ctx context.Context, namespace, name, file string, ttl time.Duration) (time.Time, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return time.Time{}, err
	}
	expiry, err := cp.WriteServiceAccountToken(ctx, namespace, name, TokenFile(file), nil, ttl)
	if err != nil {
		return time.Time{}, err
	}
	user := api.AuthInfo{TokenFile: TokenFile(file)}
	return expiry, writeKubeconfig(file, cp.apiServerCluster(), user, false)
}

// ResignServiceAccountToken signs the token anew, with the API server's own key, after its claims were changed: for tokens that no
// TokenRequest gives, such as one that has expired.
func (cp *ControlPlane) ResignServiceAccountToken(raw string, change func(claims map[string]any)) (string, error) {
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(raw, claims)
	if err != nil {
		return "", err
	}
	change(claims)
	text, err := os.ReadFile(cp.credentials.serviceAccountPrivate)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("the key of ServiceAccount tokens is no PEM")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	return token.SignedString(key)
}
