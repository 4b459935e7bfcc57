// SPDX-License-Identifier: Apache-2.0

// One run of external-dns as a test has it: its own flags, plan, TXT registry and RFC 2136 provider,
// on the DNSEndpoints that come as a List on standard input in place of a watch. What it changed goes
// to standard output. The program itself cannot be built: it takes in every DNS host there is.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"sigs.k8s.io/external-dns/apis/v1alpha1"
	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry"
	"sigs.k8s.io/external-dns/registry/noop"
	"sigs.k8s.io/external-dns/registry/txt"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	config := externaldns.NewConfig()
	if err := config.ParseFlags(os.Args[1:]); err != nil {
		return err
	}
	var list v1alpha1.DNSEndpointList
	if err := json.NewDecoder(os.Stdin).Decode(&list); err != nil {
		return err
	}
	var desired []*endpoint.Endpoint
	for _, item := range list.Items {
		desired = append(desired, item.Spec.Endpoints...)
	}
	filter := endpoint.NewDomainFilter(config.DomainFilter)
	provider, err := rfc2136.New(ctx, config, filter)
	if err != nil {
		return err
	}
	construct := map[string]func() (registry.Registry, error){
		externaldns.RegistryTXT:  func() (registry.Registry, error) { return txt.New(config, provider) },
		externaldns.RegistryNoop: func() (registry.Registry, error) { return noop.New(config, provider) },
	}
	owned, err := construct[config.Registry]()
	if err != nil {
		return err
	}
	current, err := owned.Records(ctx)
	if err != nil {
		return err
	}
	desired, err = owned.AdjustEndpoints(endpoint.MergeEndpoints(desired))
	if err != nil {
		return err
	}
	made := (&plan.Plan{
		Policies:       []plan.Policy{plan.Policies[config.Policy]},
		Current:        current,
		Desired:        desired,
		DomainFilter:   endpoint.MatchAllDomainFilters{filter, owned.GetDomainFilter()},
		ManagedRecords: config.ManagedDNSRecordTypes,
		ExcludeRecords: config.ExcludeDNSRecordTypes,
		OwnerID:        owned.OwnerID(),
	}).Calculate()
	if made.Changes.HasChanges() {
		if err := owned.ApplyChanges(ctx, made.Changes); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(made.Changes)
}
