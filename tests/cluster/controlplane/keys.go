// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// pki names the files of the throw-away certificates.
type pki struct {
	authority, authorityKey      string
	serverCertificate, serverKey string
	adminCertificate, adminKey   string
	tokenKey, tokenPublicKey     string
}

// ensureKeys makes the certificates, or finds those of an earlier run: clients of a restarted
// server must go on trusting it.
func ensureKeys(dir string) (pki, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	keys := pki{
		in("ca.crt"), in("ca.key"), in("server.crt"), in("server.key"),
		in("admin.crt"), in("admin.key"), in("token.key"), in("token.pub"),
	}
	// The last file to be written tells that all are there.
	if _, err := os.Stat(keys.tokenPublicKey); err == nil {
		return keys, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keys, err
	}
	authority := template("postroom-test-authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	authorityKey, err := issue(authority, authority, nil, keys.authority, keys.authorityKey)
	if err != nil {
		return keys, err
	}
	server := template("kube-apiserver")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	server.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	if _, err := issue(server, authority, authorityKey, keys.serverCertificate, keys.serverKey); err != nil {
		return keys, err
	}
	admin := template("admin")
	admin.Subject.Organization = []string{"system:masters"}
	admin.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := issue(admin, authority, authorityKey, keys.adminCertificate, keys.adminKey); err != nil {
		return keys, err
	}
	return keys, writeTokenKeys(keys)
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // the system has no randomness: nothing can go on
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// issue makes a key and a certificate for it, signed by the issuer, or by itself without issuerKey.
func issue(subject, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey, certificate, key string) (*ecdsa.PrivateKey, error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if issuerKey == nil {
		issuerKey = own
	}
	der, err := x509.CreateCertificate(rand.Reader, subject, issuer, &own.PublicKey, issuerKey)
	if err != nil {
		return nil, err
	}
	if err := writePEM(certificate, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		return nil, err
	}
	return own, writePEM(key, "EC PRIVATE KEY", encoded)
}

// writeTokenKeys makes the pair that signs and verifies ServiceAccount tokens.
func writeTokenKeys(keys pki) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(keys.tokenKey, "EC PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(keys.tokenPublicKey, "PUBLIC KEY", public)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeKubeconfig returns the administrator's client configuration and the file that holds it.
func writeKubeconfig(stateDir string, port int, keys pki) (*rest.Config, string, error) {
	read := func(path string) []byte {
		content, err := os.ReadFile(path)
		if err != nil {
			panic(err) // written a moment ago
		}
		return content
	}
	config := api.NewConfig()
	config.Clusters["postroom"] = &api.Cluster{
		Server:                   fmt.Sprintf("https://127.0.0.1:%d", port),
		CertificateAuthorityData: read(keys.authority),
	}
	config.AuthInfos["admin"] = &api.AuthInfo{
		ClientCertificateData: read(keys.adminCertificate),
		ClientKeyData:         read(keys.adminKey),
	}
	config.Contexts["postroom"] = &api.Context{Cluster: "postroom", AuthInfo: "admin"}
	config.CurrentContext = "postroom"
	path := filepath.Join(stateDir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return nil, "", err
	}
	admin, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return nil, "", err
	}
	admin.QPS, admin.Burst = 200, 400
	return admin, path, nil
}

// unversioned prepares a configuration for paths outside of API groups.
func unversioned(config *rest.Config) *rest.Config {
	plain := rest.CopyConfig(config)
	plain.GroupVersion = &schema.GroupVersion{}
	plain.NegotiatedSerializer = serializer.WithoutConversionCodecFactory{}
	return plain
}
