// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
)

const (
	workers = 4
	// kube-controller-manager looks for new kinds every 30 seconds; a test cannot wait for that.
	discoveryPeriod = time.Second
)

// startControllers starts the two controllers that tests rely on: without them a deleted namespace
// stays for ever and the children of a deleted owner do, too.
func startControllers(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	namespaces := namespace.NewNamespaceController(ctx, client, objects,
		client.Discovery().ServerPreferredNamespacedResources,
		shared.Core().V1().Namespaces(), 5*time.Minute, v1.FinalizerKubernetes)

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	started := make(chan struct{})
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, objects, mapper,
		map[schema.GroupResource]struct{}{{Group: "", Resource: "events"}: {}},
		informerfactory.NewInformerFactory(shared, metadatainformer.NewSharedInformerFactory(objects, 0)),
		started)
	if err != nil {
		return err
	}
	shared.Start(ctx.Done())
	close(started)
	go namespaces.Run(ctx, workers)
	go collector.Run(ctx, workers, time.Minute)
	go collector.Sync(ctx, client.Discovery(), discoveryPeriod)
	return nil
}
