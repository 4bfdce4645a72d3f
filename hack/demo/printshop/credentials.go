package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// credentials are what the client's Secret holds.
type credentials struct {
	clientID, clientSecret, issuer string
}

// credentialSource reads the Secret as it is now.
type credentialSource func(context.Context) (credentials, error)

func newCredentialSource(c config) (credentialSource, error) {
	if c.credentialsDir != "" {
		return mounted(c.credentialsDir), nil
	}
	namespace, name, ok := strings.Cut(c.credentialsSecret, "/")
	if !ok {
		return nil, errors.New("-credentials-secret must be namespace/name")
	}
	rest, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (credentials, error) {
		secret, err := client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return credentials{}, err
		}
		return complete(func(key string) (string, error) { return strings.TrimSpace(string(secret.Data[key])), nil })
	}, nil
}

// mounted reads a directory in which the Secret is mounted.
func mounted(dir string) credentialSource {
	return func(context.Context) (credentials, error) {
		return complete(func(key string) (string, error) {
			text, err := os.ReadFile(filepath.Join(dir, key))
			return strings.TrimSpace(string(text)), err
		})
	}
}

// complete takes the three entries and refuses a Secret that lacks one.
func complete(read func(key string) (string, error)) (credentials, error) {
	var c credentials
	for key, into := range map[string]*string{"client-id": &c.clientID, "client-secret": &c.clientSecret, "issuer": &c.issuer} {
		var err error
		if *into, err = read(key); err != nil {
			return credentials{}, err
		}
		if *into == "" {
			return credentials{}, fmt.Errorf("the Secret has no entry %s", key)
		}
	}
	return c, nil
}
