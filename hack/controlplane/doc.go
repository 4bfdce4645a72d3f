// Package controlplane runs a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) on loopback,
// for tests and for the local environment. Nothing is simulated: RBAC, CEL validation, admission policies, ServiceAccount
// tokens, namespace deletion and garbage collection are Kubernetes' own.
//
// A test package shares one control plane among its tests and isolates them by namespace:
//
//	var cluster *controlplane.ControlPlane
//
//	func TestMain(m *testing.M) {
//		options := controlplane.Options{Manifests: []string{"config/crd"}}
//		os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
//			cluster = cp
//			return nil
//		}))
//	}
//
// cluster.RESTConfig() is cluster-admin; cluster.Kubectl runs the real kubectl; cluster.ServiceAccountKubeconfig gives a
// component its least-privilege identity. A test that stops the API server should Start a control plane of its own.
//
// Programs come from KUBEBUILDER_ASSETS where they are there; the others are built once from the module in hack/cluster
// into .local/bin, which takes some minutes the first time.
package controlplane
