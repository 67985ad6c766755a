package link

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"time"
)

// Certificate is what a certificate says about itself, in the spelling the project's results have.
type Certificate struct {
	// Subject and Issuer: attributes in the order of the certificate, by their short names.
	Subject, Issuer string
	// Names are the DNS names and IP addresses it is for.
	Names               []string
	ValidFrom, ValidTo  time.Time
	Fingerprint, Serial string
	SignatureAlgorithm  string
	// KeyBits is 0 for a kind of key we do not know.
	KeyBits int
}

func certificateOf(x *x509.Certificate) Certificate {
	return Certificate{
		Subject:            distinguished(x.RawSubject),
		Issuer:             distinguished(x.RawIssuer),
		Names:              namesOf(x),
		ValidFrom:          x.NotBefore.UTC(),
		ValidTo:            x.NotAfter.UTC(),
		Fingerprint:        fingerprintOf(x),
		Serial:             hex.EncodeToString(x.SerialNumber.Bytes()),
		SignatureAlgorithm: x.SignatureAlgorithm.String(),
		KeyBits:            keyBits(x),
	}
}

// chainOf is the server's certificate and those it sent that vouch for it, each by the one before, without a
// self-signed root: that is for us to have.
func chainOf(sent []*x509.Certificate) []*x509.Certificate {
	chain := sent[:1:1]
	for len(chain) < 10 {
		last := chain[len(chain)-1]
		if isSelfIssued(last) {
			break
		}
		next := issuerOf(last, sent[1:])
		if next == nil || isSelfIssued(next) {
			break
		}
		chain = append(chain, next)
	}
	return chain
}

// issuerOf finds who signed it; signatures Go takes for none (SHA-1) are believed here, for they are judged elsewhere.
func issuerOf(signed *x509.Certificate, among []*x509.Certificate) (named *x509.Certificate) {
	for _, each := range among {
		if !bytes.Equal(each.RawSubject, signed.RawIssuer) || each.Equal(signed) {
			continue
		}
		if signed.CheckSignatureFrom(each) == nil {
			return each
		}
		if named == nil {
			named = each
		}
	}
	return named
}

func isSelfIssued(x *x509.Certificate) bool { return bytes.Equal(x.RawSubject, x.RawIssuer) }

func fingerprintOf(x *x509.Certificate) string {
	sum := sha256.Sum256(x.Raw)
	return hex.EncodeToString(sum[:])
}

func keyBits(x *x509.Certificate) int {
	switch key := x.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen()
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize
	case ed25519.PublicKey:
		return 256
	}
	return 0
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// The tags of a GeneralName, RFC 5280 §4.2.1.6.
const (
	dnsName   = 2
	ipAddress = 7
)

// namesOf are the DNS names and addresses in the order of the certificate, which Go's own lists lose.
func namesOf(x *x509.Certificate) []string {
	names := []string{}
	for _, extension := range x.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var general []asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &general); err != nil {
			continue
		}
		for _, each := range general {
			switch each.Tag {
			case dnsName:
				names = append(names, string(each.Bytes))
			case ipAddress:
				names = append(names, addressText(each.Bytes))
			}
		}
	}
	return names
}

// addressText writes an IPv6 address as OpenSSL does, with all its zeros.
func addressText(octets net.IP) string {
	if len(octets) != net.IPv6len {
		return octets.String()
	}
	groups := make([]string, 0, 8)
	for at := 0; at < len(octets); at += 2 {
		groups = append(groups, fmt.Sprintf("%X", int(octets[at])<<8|int(octets[at+1])))
	}
	return strings.Join(groups, ":")
}
