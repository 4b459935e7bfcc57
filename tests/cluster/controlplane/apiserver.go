// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// Who did what to which object, without bodies: enough to prove what a client wrote.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`

// serveAPI runs the API server until ctx ends. Flags as in controller-runtime's envtest.
func serveAPI(ctx context.Context, etcd string, port int, keys pki, s settings) error {
	arguments := []string{
		"--etcd-servers=http://" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + keys.serverCertificate,
		"--tls-private-key-file=" + keys.serverKey,
		"--client-ca-file=" + keys.authority,
		"--service-account-issuer=https://127.0.0.1:" + strconv.Itoa(port),
		"--service-account-key-file=" + keys.tokenPublicKey,
		"--service-account-signing-key-file=" + keys.tokenKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		// Only Pods would need it, and nothing here runs any.
		"--disable-admission-plugins=ServiceAccount",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",
		"--shutdown-delay-duration=0s",
		"--shutdown-watch-termination-grace-period=1s",
	}
	if s.auditLog != "" {
		policy := filepath.Join(s.stateDir, "audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return err
		}
		arguments = append(arguments,
			"--audit-policy-file="+policy, "--audit-log-path="+s.auditLog, "--audit-log-mode=blocking",
			// Never rotated: whoever counts requests would miss those in the old file.
			"--audit-log-maxsize=0")
	}
	config := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range config.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := config.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := config.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	return app.Run(ctx, completed)
}

// choosePort returns the wanted port, else the one of an earlier run, else a free one.
func choosePort(stateDir string, wanted int) (int, error) {
	file := filepath.Join(stateDir, "port")
	if wanted == 0 {
		if text, err := os.ReadFile(file); err == nil {
			return strconv.Atoi(strings.TrimSpace(string(text)))
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("no free port: %w", err)
		}
		wanted = listener.Addr().(*net.TCPAddr).Port
		listener.Close()
	}
	return wanted, os.WriteFile(file, []byte(strconv.Itoa(wanted)), 0o600)
}
