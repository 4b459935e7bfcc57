// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

type evaluator func(context.Context, *unstructured.Unstructured) (string, error)

func kstatus(obj *unstructured.Unstructured) (answer, error) {
	result, err := status.Compute(obj)
	if err != nil {
		return answer{}, err
	}
	return answer{Kstatus: result.Status.String(), Message: result.Message}, nil
}

// fluxHealth evaluates as the Kustomization says, which may hold nothing that Flux does not know.
func fluxHealth(manifest string) (evaluator, error) {
	if manifest == "" {
		return nil, nil
	}
	var kustomization kustomizev1.Kustomization
	if err := yaml.UnmarshalStrict([]byte(manifest), &kustomization); err != nil {
		return nil, err
	}
	construct, err := cel.NewStatusReader(kustomization.Spec.HealthCheckExprs)
	if err != nil {
		return nil, err
	}
	// The cluster is only asked for what belongs to an object, of which ours have nothing.
	reader := construct(nil)
	return func(ctx context.Context, obj *unstructured.Unstructured) (string, error) {
		result, err := reader.ReadStatusForObject(ctx, nil, obj)
		if err != nil {
			return "", err
		}
		return result.Status.String(), result.Error
	}, nil
}
