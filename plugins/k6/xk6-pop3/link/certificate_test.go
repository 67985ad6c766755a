package link_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pop-connectivity/xk6-pop3/internal/testserver"
	"github.com/pop-connectivity/xk6-pop3/link"
)

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeSET []attribute

func oid(dotted ...int) asn1.ObjectIdentifier { return dotted }

func utf8Attribute(of asn1.ObjectIdentifier, text string) attribute {
	return attribute{of, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(text)}}
}

// Results of Node have these spellings (OpenSSL's XN_FLAG_FN_SN with RFC 2253's escapes), and ours are compared to them.
func TestANameIsSpeltAsOpenSSLDoes(t *testing.T) {
	for _, row := range []struct {
		title   string
		subject []relativeSET
		written string
	}{
		{
			"in the order of the certificate",
			[]relativeSET{
				{utf8Attribute(oid(2, 5, 4, 6), "DE")},
				{utf8Attribute(oid(2, 5, 4, 10), "Example")},
				{utf8Attribute(oid(2, 5, 4, 3), "mail.example.com")},
			},
			"C=DE, O=Example, CN=mail.example.com",
		},
		{
			"several attributes in one place",
			[]relativeSET{{utf8Attribute(oid(2, 5, 4, 3), "a"), utf8Attribute(oid(0, 9, 2342, 19200300, 100, 1, 1), "7")}},
			"CN=a + UID=7",
		},
		{
			"what RFC 2253 escapes",
			[]relativeSET{{utf8Attribute(oid(2, 5, 4, 10), ` a,"b"+<c>;\ `)}, {utf8Attribute(oid(2, 5, 4, 3), "#1#")}},
			`O=\ a\,\"b\"\+\<c\>\;\\\ , CN=\#1#`,
		},
		{
			"letters beyond ASCII stay, controls do not",
			[]relativeSET{{utf8Attribute(oid(2, 5, 4, 10), "Zürich\r\n\x7f")}},
			`O=Zürich\0D\0A\7F`,
		},
		{
			"an attribute without a short name",
			[]relativeSET{{utf8Attribute(oid(1, 2, 3, 4, 5), "x")}},
			"1.2.3.4.5=x",
		},
		{
			"a BMPString", // ü is U+00FC
			[]relativeSET{{{oid(2, 5, 4, 3), asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte{0, 'A', 0, 0xFC}}}}},
			"CN=Aü",
		},
		{
			"a TeletexString",
			[]relativeSET{{{oid(2, 5, 4, 3), asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte{'A', 0xFC}}}}},
			"CN=Aü",
		},
	} {
		t.Run(row.title, func(t *testing.T) {
			shown := withSubject(t, row.subject)
			session := handshake(t, &tls.Config{Certificates: []tls.Certificate{shown}}, link.Terms{Insecure: true})
			require.Equal(t, row.written, session.Chain[0].Subject)
			require.Equal(t, row.written, session.Chain[0].Issuer)
		})
	}
}

func withSubject(t *testing.T, subject []relativeSET) tls.Certificate {
	raw, err := asn1.Marshal(subject)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: raw, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestACertificateTellsWhatItIs(t *testing.T) {
	root := testserver.NewAuthority(t, testserver.Wanted{Subject: named("Root CA")})
	shown := root.Issue(t, testserver.Wanted{
		Names: []string{"mail.example.com", "pop.example.com"}, Addresses: []string{"192.0.2.7", "2001:db8::a"},
	})
	session := handshake(t, &tls.Config{Certificates: []tls.Certificate{shown}}, link.Terms{Insecure: true})
	told := session.Chain[0]
	require.Equal(t, []string{"mail.example.com", "pop.example.com", "192.0.2.7", "2001:DB8:0:0:0:0:0:A"}, told.Names)
	require.Equal(t, sha256Of(shown), told.Fingerprint)
	require.Equal(t, shown.Leaf.SerialNumber.Text(16), strings.TrimLeft(told.Serial, "0"))
	require.True(t, shown.Leaf.NotAfter.Equal(told.ValidTo))
	require.True(t, shown.Leaf.NotBefore.Equal(told.ValidFrom))
	require.Equal(t, "ECDSA-SHA256", told.SignatureAlgorithm)
	require.Equal(t, 256, told.KeyBits)

	shown = root.Issue(t, testserver.Wanted{RSABits: 2048})
	session = handshake(t, &tls.Config{Certificates: []tls.Certificate{shown}}, link.Terms{Insecure: true})
	require.Equal(t, 2048, session.Chain[0].KeyBits)
}

// Both ends have to come to the same octets, or SCRAM-PLUS fails.
func TestBothEndsHaveTheSameChannelBindings(t *testing.T) {
	certificate := testserver.SelfSigned(t, testserver.Wanted{})
	for _, row := range []struct {
		version  uint16
		name     string
		binding  string
		ofServer func(tls.ConnectionState) ([]byte, error)
	}{
		{tls.VersionTLS13, "TLSv1.3", "tls-exporter", func(state tls.ConnectionState) ([]byte, error) {
			return state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		}},
		{tls.VersionTLS12, "TLSv1.2", "tls-unique", func(state tls.ConnectionState) ([]byte, error) {
			return state.TLSUnique, nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			states := make(chan tls.ConnectionState, 1)
			at := testserver.Serve(t, func(conn net.Conn) {
				server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: row.version})
				if server.Handshake() == nil {
					states <- server.ConnectionState()
				}
			})
			session, err := connected(t, at).StartTLS(link.Terms{Insecure: true}, 20*time.Second)
			require.NoError(t, err)
			require.Equal(t, row.name, session.Version)
			expected, err := row.ofServer(<-states)
			require.NoError(t, err)
			require.NotEmpty(t, expected)
			require.Equal(t, expected, session.Bindings[row.binding])
			require.Equal(t, sha256Of(certificate), session.Chain[0].Fingerprint)
			require.Len(t, session.Bindings, 2)
			require.Equal(t, sha256Octets(certificate), session.Bindings["tls-server-end-point"])
		})
	}
}
