package controlplane

import (
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a kubeconfig with one cluster and one user. With embed, file contents replace file names, so
// that the kubeconfig can be copied elsewhere.
func writeKubeconfig(file string, cluster api.Cluster, user api.AuthInfo, embed bool) error {
	config := api.NewConfig()
	config.Clusters["local"] = &cluster
	config.AuthInfos["local"] = &user
	config.Contexts["local"] = &api.Context{Cluster: "local", AuthInfo: "local"}
	config.CurrentContext = "local"
	if embed {
		if err := api.FlattenConfig(config); err != nil {
			return err
		}
	}
	return clientcmd.WriteToFile(*config, file)
}

func (cp *ControlPlane) writeKubeconfigs() error {
	cluster := cp.apiServerCluster()
	admin := api.AuthInfo{ClientCertificate: cp.credentials.adminCert, ClientKey: cp.credentials.adminKey}
	if err := writeKubeconfig(cp.Kubeconfig, cluster, admin, true); err != nil {
		return err
	}
	manager := api.AuthInfo{ClientCertificate: cp.credentials.managerCert, ClientKey: cp.credentials.managerKey}
	if err := writeKubeconfig(cp.managerKubeconfig(), cluster, manager, true); err != nil {
		return err
	}
	if cp.options.ReviewURL == "" {
		return nil
	}
	// kube-apiserver posts TokenReviews to exactly this URL.
	webhook := api.Cluster{Server: cp.options.ReviewURL, CertificateAuthority: cp.Review.ServerCA}
	caller := api.AuthInfo{ClientCertificate: cp.Review.ClientCert, ClientKey: cp.Review.ClientKey}
	return writeKubeconfig(cp.webhookConfig(), webhook, caller, false)
}

func (cp *ControlPlane) apiServerCluster() api.Cluster {
	return api.Cluster{Server: cp.URL(), CertificateAuthority: cp.credentials.ca}
}

func (cp *ControlPlane) managerKubeconfig() string {
	return filepath.Join(cp.Dir, "kube-controller-manager.kubeconfig")
}

func (cp *ControlPlane) webhookConfig() string {
	return filepath.Join(cp.Dir, "review-webhook.kubeconfig")
}
