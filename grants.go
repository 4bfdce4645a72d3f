package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

const grantsUsage = `Lists or revokes what users have granted clients, wherever an issuer keeps it.

Usage:
  latchkey grants list [flags]             list grants
  latchkey grants revoke [flags] [<id>...]  revoke grants, and with them all tokens issued under them

What is revoked must be named: by ids, or with --user, --client or --issuer; those of --all are all there are.

Flags:
`

// grantsOptions are the flags of `latchkey grants`.
type grantsOptions struct {
	kubeconfig, namespace string
	issuer, user, client  string
	all                   bool
	ids                   map[string]bool
}

// grantsCommand is `latchkey grants`.
func grantsCommand(ctx context.Context, args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	o, fs := &grantsOptions{ids: map[string]bool{}}, flag.NewFlagSet("latchkey grants", flag.ContinueOnError)
	o.register(fs)
	switch verb {
	case "list", "revoke":
	case "help", "-h", "--help":
		fs.SetOutput(out)
		fs.Usage()
		return nil
	default:
		fmt.Fprintf(os.Stderr, "latchkey grants: say list or revoke, and not %q\n\n", verb)
		fs.Usage()
		return errUsage
	}
	if err := o.parse(fs, args); err != nil {
		return err
	}
	if err := o.validate(verb); err != nil {
		fmt.Fprintln(os.Stderr, "latchkey grants "+verb+":", err)
		return errUsage
	}
	c, err := o.connect()
	if err != nil {
		return err
	}
	if verb == "list" {
		return o.list(ctx, c, out)
	}
	return o.revoke(ctx, c, out)
}

func (o *grantsOptions) register(fs *flag.FlagSet) {
	fs.Usage = func() {
		_, _ = fmt.Fprint(fs.Output(), grantsUsage) // as the flag package does
		fs.PrintDefaults()
	}
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file`; as kubectl finds it when empty")
	fs.StringVar(&o.namespace, "namespace", defaultNamespace(), "`namespace` of the operator")
	fs.StringVar(&o.issuer, "issuer", "", "only those at the AuthorizationServer of that `name`")
	fs.StringVar(&o.user, "user", "", "only those of the user of that `name`")
	fs.StringVar(&o.client, "client", "", "only those of the client with that `client_id`, such as shop.storefront")
	fs.BoolVar(&o.all, "all", false, "revoke all there are")
}

// parse takes flags and ids in any order.
func (o *grantsOptions) parse(fs *flag.FlagSet, args []string) error {
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil:
			return errUsage // the flag package has printed what is wrong
		case fs.NArg() == 0:
			return nil
		}
		o.ids[fs.Arg(0)] = true
		args = fs.Args()[1:]
	}
}

func (o *grantsOptions) validate(verb string) error {
	named := len(o.ids) > 0 || o.issuer != "" || o.user != "" || o.client != ""
	switch {
	case verb == "list" && o.all:
		return errors.New("--all is for revoke; list shows all anyway")
	case verb == "list" && len(o.ids) > 0:
		return errors.New("unexpected argument; filter with --issuer, --user or --client")
	case verb == "revoke" && !named && !o.all:
		return errors.New("say which: ids, --issuer, --user, --client, or --all")
	case verb == "revoke" && named && o.all:
		return errors.New("--all goes with nothing that says which")
	}
	return nil
}

// matches says whether the grant is one of those that the flags name.
func (o *grantsOptions) matches(g *store.Grant) bool {
	return (o.issuer == "" || o.issuer == g.AuthorizationServer) && (o.user == "" || o.user == g.User) &&
		(o.client == "" || o.client == g.ClientID) && (len(o.ids) == 0 || o.ids[g.ID])
}

func (o *grantsOptions) connect() (client.Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: say with --kubeconfig how to reach one: %w", err)
	}
	config.QPS, config.UserAgent = -1, "latchkey/"+version()
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// grantSource is a place where grants are kept, as a person sees it.
type grantSource interface {
	Each(ctx context.Context, f func(*store.Grant) error) error
	Delete(ctx context.Context, id string) error
}

// visit calls f with each place there is.
func (o *grantsOptions) visit(ctx context.Context, c client.Client, f func(grantSource) error) error {
	failures := []error{f(kubernetes.NewAdmin(c, o.namespace))}
	var servers v1alpha1.AuthorizationServerList
	if err := c.List(ctx, &servers); err != nil {
		return errors.Join(append(failures, fmt.Errorf("list AuthorizationServers: %w", err))...)
	}
	found, seen := o.issuer == "", map[string]bool{}
	for i := range servers.Items {
		as := &servers.Items[i]
		if o.issuer != "" && as.Name != o.issuer {
			continue
		}
		found = true
		if as.Spec.Storage == nil || seen[as.Spec.Storage.Valkey.SecretRef.Name] {
			continue
		}
		name := as.Spec.Storage.Valkey.SecretRef.Name
		seen[name] = true
		if err := o.visitValkey(ctx, c, name, f); err != nil {
			failures = append(failures, fmt.Errorf("the storage of AuthorizationServer %s: %w", as.Name, err))
		}
	}
	if !found {
		failures = append(failures, fmt.Errorf("there is no AuthorizationServer %s", o.issuer))
	}
	return errors.Join(failures...)
}

func (o *grantsOptions) visitValkey(ctx context.Context, c client.Client, secretName string, f func(grantSource) error) error {
	var secret corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: secretName}, &secret); err != nil {
		return fmt.Errorf("read Secret %s in namespace %s: %w", secretName, o.namespace, err)
	}
	return storage.Use(secret.Data, func(s *valkey.Store) error { return f(s) })
}

func (o *grantsOptions) list(ctx context.Context, c client.Client, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if _, err := fmt.Fprintln(w, "ID\tUSER\tCLIENT\tSERVER\tSCOPES\tISSUED\tEXPIRES\tREVOKED"); err != nil {
		return err
	}
	err := o.visit(ctx, c, func(s grantSource) error {
		return s.Each(ctx, func(g *store.Grant) error {
			if !o.matches(g) {
				return nil
			}
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.ID, g.User, g.ClientID, g.AuthorizationServer,
				scopesOf(g), moment(g.IssuedAt), moment(g.ExpiresAt), strings.TrimSpace(moment(g.RevokedAt)+" "+g.RevokedReason))
			return err
		})
	})
	return errors.Join(err, w.Flush())
}

// scopesOf are all scopes of a grant, at whatever resource.
func scopesOf(g *store.Grant) string {
	scopes := append([]string{}, g.Scopes...)
	for _, t := range g.Targets {
		scopes = append(scopes, t.Scopes...)
	}
	return strings.Join(scopes, ",")
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// revoke deletes the grants, as kubectl deletes OAuthGrants.
func (o *grantsOptions) revoke(ctx context.Context, c client.Client, out io.Writer) error {
	revoked := map[string]bool{}
	err := o.visit(ctx, c, func(s grantSource) error {
		var ids []string
		if err := s.Each(ctx, func(g *store.Grant) error {
			if o.matches(g) {
				ids = append(ids, g.ID)
			}
			return nil
		}); err != nil {
			return err
		}
		for _, id := range ids {
			switch err := s.Delete(ctx, id); {
			case errors.Is(err, store.ErrNotFound): // somebody else was there before
			case err != nil:
				return fmt.Errorf("revoke %s: %w", id, err)
			default:
				if _, err := fmt.Fprintln(out, id); err != nil {
					return err
				}
			}
			revoked[id] = true
		}
		return nil
	})
	for id := range o.ids {
		if !revoked[id] && err == nil {
			err = fmt.Errorf("there is no grant %s", id)
		}
	}
	return err
}
