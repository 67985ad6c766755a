package link

import (
	"crypto"
	_ "crypto/sha256" // the hashes below
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
)

// bindings tie an exchange to this very connection (RFC 5056): TLS 1.3 has an exporter for it (RFC 9266), before, the
// first Finished message of the handshake (RFC 5929 §3); the certificate itself serves for both (§4), more weakly.
func bindings(state tls.ConnectionState) (map[string][]byte, error) {
	found := map[string][]byte{}
	if state.Version == tls.VersionTLS13 {
		exported, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			return nil, err
		}
		found["tls-exporter"] = exported
	} else if len(state.TLSUnique) > 0 {
		found["tls-unique"] = state.TLSUnique
	}
	leaf := state.PeerCertificates[0]
	if hash, is := endPointHashes[leaf.SignatureAlgorithm]; is {
		sum := hash.New()
		sum.Write(leaf.Raw)
		found["tls-server-end-point"] = sum.Sum(nil)
	}
	return found, nil
}

// The hash of the certificate's signature, SHA-256 for MD5 and SHA-1 (RFC 5929 §4.1); none where it has none of its own.
var endPointHashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.MD5WithRSA:       crypto.SHA256,
	x509.SHA1WithRSA:      crypto.SHA256,
	x509.ECDSAWithSHA1:    crypto.SHA256,
	x509.SHA256WithRSA:    crypto.SHA256,
	x509.SHA256WithRSAPSS: crypto.SHA256,
	x509.ECDSAWithSHA256:  crypto.SHA256,
	x509.SHA384WithRSA:    crypto.SHA384,
	x509.SHA384WithRSAPSS: crypto.SHA384,
	x509.ECDSAWithSHA384:  crypto.SHA384,
	x509.SHA512WithRSA:    crypto.SHA512,
	x509.SHA512WithRSAPSS: crypto.SHA512,
	x509.ECDSAWithSHA512:  crypto.SHA512,
}
