package testserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Wanted is what a certificate is to be like; where nothing is said it is for mail.example.com and good for a month.
type Wanted struct {
	Subject   pkix.Name
	Names     []string
	Addresses []string
	// From and To are counted from now.
	From, To time.Duration
	// RSABits makes an RSA key of that length; else it is one of P-256.
	RSABits int
	// IsAuthority makes one that may issue others.
	IsAuthority bool
	Usage       []x509.ExtKeyUsage
	IssuerAt    string
	Signature   x509.SignatureAlgorithm
}

const month = 30 * 24 * time.Hour

// Authority issues certificates; nobody knows it unless told.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes a root.
func NewAuthority(t testing.TB, wanted Wanted) *Authority {
	wanted.IsAuthority = true
	key := keyOf(t, wanted.RSABits)
	return &Authority{issue(t, wanted, key, nil), key}
}

// Intermediate makes an authority under this one.
func (a *Authority) Intermediate(t testing.TB, wanted Wanted) *Authority {
	return a.Renew(t, &Authority{key: keyOf(t, wanted.RSABits)}, wanted)
}

// Renew gives an authority another certificate for its key.
func (a *Authority) Renew(t testing.TB, under *Authority, wanted Wanted) *Authority {
	wanted.IsAuthority = true
	return &Authority{issue(t, wanted, under.key, a), under.key}
}

// Issue makes a server's certificate, sent with those given after it.
func (a *Authority) Issue(t testing.TB, wanted Wanted, sentWith ...*Authority) tls.Certificate {
	key := keyOf(t, wanted.RSABits)
	made := issue(t, wanted, key, a)
	chain := [][]byte{made.Raw}
	for _, each := range sentWith {
		chain = append(chain, each.Certificate.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: made}
}

// SelfSigned makes a certificate no authority has seen.
func SelfSigned(t testing.TB, wanted Wanted) tls.Certificate {
	key := keyOf(t, wanted.RSABits)
	made := issue(t, wanted, key, nil)
	return tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key, Leaf: made}
}

// PEM is what `ca` takes.
func (a *Authority) PEM() string { return PEM(a.Certificate) }

// PEM writes a certificate down.
func PEM(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// KeyPEM writes a key down.
func KeyPEM(t testing.TB, certificate tls.Certificate) string {
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func issue(t testing.TB, wanted Wanted, key crypto.Signer, by *Authority) *x509.Certificate {
	t.Helper()
	now := time.Now()
	if wanted.To == 0 {
		wanted.From, wanted.To = -time.Hour, month
	}
	if wanted.Subject.String() == "" {
		wanted.Subject = pkix.Name{CommonName: "mail.example.com"}
	}
	if wanted.Names == nil && wanted.Addresses == nil && !wanted.IsAuthority {
		wanted.Names = []string{"mail.example.com"}
	}
	if wanted.Usage == nil && !wanted.IsAuthority {
		wanted.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: wanted.Subject, DNSNames: wanted.Names,
		NotBefore: now.Add(wanted.From), NotAfter: now.Add(wanted.To),
		SignatureAlgorithm: wanted.Signature, ExtKeyUsage: wanted.Usage, BasicConstraintsValid: true, IsCA: wanted.IsAuthority,
	}
	for _, address := range wanted.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	if wanted.IssuerAt != "" {
		template.IssuingCertificateURL = []string{wanted.IssuerAt}
	}
	if wanted.IsAuthority {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return made
}

func keyOf(t testing.TB, bits int) crypto.Signer {
	if bits > 0 {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		return key
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}
