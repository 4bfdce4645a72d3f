package controlplane

import (
	"crypto/x509/pkix"
	"path/filepath"
)

// credentials are the files that the components of one control plane trust each other by.
type credentials struct {
	ca                                    string
	servingCert, servingKey               string
	adminCert, adminKey                   string
	managerCert, managerKey               string
	serviceAccountPrivate, serviceAccount string
}

// ReviewFiles are the files for a webhook token authenticator: two authorities with one certificate each, so that the
// API server knows the webhook and the webhook knows the API server. All are PEM.
type ReviewFiles struct {
	// ServerCA is what kube-apiserver verifies the webhook's certificate against.
	ServerCA string
	// ServerCert and ServerKey are for the webhook to serve with: localhost, 127.0.0.1, ::1.
	ServerCert, ServerKey string
	// ClientCA is what the webhook verifies kube-apiserver's client certificate against.
	ClientCA string
	// ClientCert and ClientKey are what kube-apiserver calls the webhook with.
	ClientCert, ClientKey string
}

var loopbackHosts = [...]string{"localhost", "127.0.0.1", "::1"}

func newCredentials(dir string) (credentials, error) {
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return credentials{}, err
	}
	c := credentials{
		ca:                    ca.file,
		serviceAccountPrivate: filepath.Join(dir, "service-account.key"),
		serviceAccount:        filepath.Join(dir, "service-account.pub"),
	}
	// The first address of the service range is the API server's own inside the cluster.
	hosts := append(loopbackHosts[:], "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.96.0.1")
	if c.servingCert, c.servingKey, err = ca.issue("serving", pkix.Name{CommonName: "localhost"}, hosts...); err != nil {
		return credentials{}, err
	}
	admin := pkix.Name{CommonName: "local-admin", Organization: []string{"system:masters"}}
	if c.adminCert, c.adminKey, err = ca.issue("admin", admin); err != nil {
		return credentials{}, err
	}
	manager := pkix.Name{CommonName: "system:kube-controller-manager"}
	if c.managerCert, c.managerKey, err = ca.issue("kube-controller-manager", manager); err != nil {
		return credentials{}, err
	}
	return c, writeKeyPair(c.serviceAccountPrivate, c.serviceAccount)
}

func newReviewFiles(dir string) (ReviewFiles, error) {
	serverCA, err := newAuthority(dir, "review-ca")
	if err != nil {
		return ReviewFiles{}, err
	}
	clientCA, err := newAuthority(dir, "review-client-ca")
	if err != nil {
		return ReviewFiles{}, err
	}
	files := ReviewFiles{ServerCA: serverCA.file, ClientCA: clientCA.file}
	files.ServerCert, files.ServerKey, err = serverCA.issue("review-server", pkix.Name{CommonName: "localhost"}, loopbackHosts[:]...)
	if err != nil {
		return ReviewFiles{}, err
	}
	files.ClientCert, files.ClientKey, err = clientCA.issue("review-client", pkix.Name{CommonName: "kube-apiserver"})
	return files, err
}
