// SPDX-License-Identifier: Apache-2.0

// Command controlplane runs a real Kubernetes control plane in one process, on loopback and without
// root: etcd, kube-apiserver, and the namespace and garbage-collector controllers. It exists for
// postroom's cluster tests and demo; it is no way to run a cluster.
//
// It prints one line, the path of an administrator's kubeconfig, once the API server is ready and
// the controllers run. Data, keys and port live in the state directory, so that a restart looks to
// clients like a restart of the same cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

type settings struct {
	stateDir  string
	port      int
	auditLog  string
	parentPID int
}

func main() {
	var s settings
	flag.StringVar(&s.stateDir, "state-dir", "", "directory for data, keys and the chosen port (required)")
	flag.IntVar(&s.port, "port", 0, "port of the API server; 0: the one used before, else a free one")
	flag.StringVar(&s.auditLog, "audit-log", "", "file that receives one line per request")
	flag.IntVar(&s.parentPID, "parent-pid", 0, "exit when this process is gone")
	flag.Parse()
	if s.stateDir == "" {
		fmt.Fprintln(os.Stderr, "controlplane: --state-dir is required")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, s); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go followParent(ctx, s.parentPID, cancel)

	if err := os.MkdirAll(s.stateDir, 0o700); err != nil {
		return err
	}
	port, err := choosePort(s.stateDir, s.port)
	if err != nil {
		return err
	}
	keys, err := ensureKeys(filepath.Join(s.stateDir, "pki"))
	if err != nil {
		return err
	}
	etcd, err := startEtcd(filepath.Join(s.stateDir, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()

	finished := make(chan error, 1)
	go func() { finished <- serveAPI(ctx, etcd.Clients[0].Addr().String(), port, keys, s) }()

	admin, kubeconfig, err := writeKubeconfig(s.stateDir, port, keys)
	if err != nil {
		return err
	}
	if err := waitUntilReady(ctx, admin, finished); err != nil {
		return err
	}
	if err := startControllers(ctx, admin); err != nil {
		return err
	}
	fmt.Println(kubeconfig)
	// Wait for the API server: it drains requests, and etcd must outlive it.
	return <-finished
}

// followParent ends the process when its parent was killed and could not do it.
func followParent(ctx context.Context, pid int, cancel context.CancelFunc) {
	if pid == 0 {
		return
	}
	// A killed parent that nobody reaps (in a container, say) still looks alive to a signal, and its
	// number may go to another process. But it loses its children at once, so a child asks for that.
	child := os.Getppid() == pid
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
			orphaned := child && os.Getppid() != pid
			if orphaned || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				cancel()
				return
			}
		}
	}
}

func waitUntilReady(ctx context.Context, admin *rest.Config, finished <-chan error) error {
	client, err := rest.UnversionedRESTClientFor(unversioned(admin))
	if err != nil {
		return err
	}
	deadline := time.After(2 * time.Minute)
	for {
		if err := client.Get().AbsPath("/readyz").Do(ctx).Error(); err == nil {
			return nil
		}
		select {
		case err := <-finished:
			return fmt.Errorf("the API server ended before it was ready: %w", err)
		case <-deadline:
			return errors.New("the API server did not become ready within two minutes")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
