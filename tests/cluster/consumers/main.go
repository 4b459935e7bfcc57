// SPDX-License-Identifier: Apache-2.0

// Command consumers says what those who read status make of objects, with their own code: kstatus
// (Flux, Helm), Flux's evaluator of healthCheckExprs, and Argo CD's Lua engine with the libraries that
// Argo CD opens. A request comes as JSON on standard input, the answer goes to standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type request struct {
	Objects []unstructured.Unstructured `json:"objects"`
	// Kustomization is a manifest of Flux, whose expressions are used.
	Kustomization string `json:"kustomization,omitempty"`
	// Script is Lua, which sees each object as obj.
	Script string `json:"script,omitempty"`
}

type answer struct {
	Kstatus string `json:"kstatus"`
	Message string `json:"message"`
	Flux    string `json:"flux,omitempty"`
	Lua     any    `json:"lua,omitempty"`
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	evaluate, err := fluxHealth(asked.Kustomization)
	if err != nil {
		return err
	}
	answers := make([]answer, len(asked.Objects))
	for i := range asked.Objects {
		if answers[i], err = ask(ctx, &asked.Objects[i], evaluate, asked.Script); err != nil {
			return fmt.Errorf("%s %s: %w", asked.Objects[i].GetKind(), asked.Objects[i].GetName(), err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func ask(ctx context.Context, obj *unstructured.Unstructured, evaluate evaluator, script string) (answer, error) {
	made, err := kstatus(obj)
	if err != nil {
		return made, err
	}
	if evaluate != nil {
		if made.Flux, err = evaluate(ctx, obj); err != nil {
			return made, err
		}
	}
	if script != "" {
		made.Lua, err = runLua(ctx, obj.Object, script)
	}
	return made, err
}
