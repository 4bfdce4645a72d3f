package main

import (
	"bytes"
	"context"
	_ "embed" // for the manifest below
)

// printShopIdentity lets the print-shop read its own Secret and nothing else. In a cluster the Secret is mounted into its pod
// instead, and no such rights are needed.
//
//go:embed print-shop.yaml
var printShopIdentity []byte

// startDemoApps starts the resource server and the client of the samples.
func (e *environment) startDemoApps(ctx context.Context) error {
	if err := e.startPhotos(ctx); err != nil {
		return err
	}
	return e.startPrintShop(ctx)
}

func (e *environment) startPhotos(ctx context.Context) error {
	if err := e.reviewerToken(ctx); err != nil {
		return err
	}
	return e.run(ctx, "photos", "photos", e.photos()+"/healthz",
		"-listen="+e.address(offsetPhotos),
		"-authorization-server="+e.httpIssuer(),
		"-review-url="+e.review(),
		"-review-ca-file="+e.caFile(),
		"-token-file="+e.photosToken(),
	)
}

func (e *environment) startPrintShop(ctx context.Context) error {
	if _, _, err := e.cp.KubectlInput(ctx, bytes.NewReader(printShopIdentity), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	identity, err := e.identity(ctx, sampleNamespace, "print-shop")
	if err != nil {
		return err
	}
	return e.run(ctx, "print-shop", "print-shop", e.printShop()+"/healthz",
		"-listen="+e.address(offsetPrintShop),
		"-public-url="+e.printShop(),
		"-photos-url="+e.photos(),
		"-credentials-secret="+sampleNamespace+"/print-shop-oauth",
		"-kubeconfig="+identity,
	)
}
