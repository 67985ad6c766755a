package link_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pop-connectivity/xk6-pop3/internal/testserver"
	"github.com/pop-connectivity/xk6-pop3/link"
)

const day = 24 * time.Hour

func named(name string) pkix.Name { return pkix.Name{CommonName: name} }

func dayOf(at time.Duration) string { return time.Now().Add(at).UTC().Format("2006-01-02") }

func sha256Of(certificate tls.Certificate) string {
	return hex.EncodeToString(sha256Octets(certificate))
}

// The server shows a certificate; the table says what is told of it, and that nothing else is.
func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	known := testserver.NewAuthority(t, testserver.Wanted{Subject: named("Known CA")})
	stranger := testserver.NewAuthority(t, testserver.Wanted{Subject: named("Stranger CA")})
	between := known.Intermediate(t, testserver.Wanted{Subject: named("Between CA")})
	betweenExpired := known.Intermediate(t, testserver.Wanted{Subject: named("Old CA"), From: -60 * day, To: -2 * day})
	betweenRenewed := known.Renew(t, betweenExpired, testserver.Wanted{Subject: named("Old CA")})
	goneRoot := testserver.NewAuthority(t, testserver.Wanted{Subject: named("Gone CA"), From: -60 * day, To: -2 * day})
	expired := testserver.Wanted{From: -60 * day, To: -3 * day}
	pinned := testserver.SelfSigned(t, testserver.Wanted{Names: []string{"elsewhere.example.com"}})
	trustsAll := known.PEM() + goneRoot.PEM()

	for _, row := range []struct {
		title   string
		shown   tls.Certificate
		terms   link.Terms
		faults  []link.Fault
		trusted bool
	}{
		{title: "nothing", shown: known.Issue(t, testserver.Wanted{}), trusted: true},
		{title: "nothing, with an intermediate", shown: between.Issue(t, testserver.Wanted{}, between), trusted: true},
		{
			title: "nothing, by a wildcard", trusted: true,
			shown: known.Issue(t, testserver.Wanted{Names: []string{"*.example.com"}}),
		},
		{
			title: "nothing, by its address", trusted: true, terms: link.Terms{Identity: "192.0.2.7"},
			shown: known.Issue(t, testserver.Wanted{Addresses: []string{"192.0.2.7"}}),
		},
		{
			title: "nothing, with what is expired lying beside", trusted: true,
			shown: known.Issue(t, testserver.Wanted{}, betweenExpired),
		},
		{
			title: "nothing, with the old certificate of its authority before the new one", trusted: true,
			shown: betweenExpired.Issue(t, testserver.Wanted{}, betweenExpired, betweenRenewed),
		},
		{
			title:  "a weak signature",
			shown:  known.Issue(t, testserver.Wanted{Signature: x509.ECDSAWithSHA1}),
			faults: []link.Fault{{link.Weak, "a signature in the chain is too weak"}},
		},
		{
			title: "expired", shown: known.Issue(t, expired),
			faults: []link.Fault{{link.Expired, "the certificate expired on " + dayOf(-3*day)}},
		},
		{
			title: "not yet valid", shown: known.Issue(t, testserver.Wanted{From: 5 * day, To: 50 * day}),
			faults: []link.Fault{{link.NotYetValid, "the certificate is valid from " + dayOf(5*day)}},
		},
		{
			title: "an intermediate has expired", shown: betweenExpired.Issue(t, testserver.Wanted{}, betweenExpired),
			faults: []link.Fault{{
				link.Expired, "the certificate of Old CA, which vouches for it, expired on " + dayOf(-2*day),
			}},
		},
		{
			title: "a root has expired", shown: goneRoot.Issue(t, testserver.Wanted{From: -30 * day, To: 30 * day}),
			faults: []link.Fault{{link.Expired, "an authority of the chain has expired"}},
		},
		{
			title: "for another host", trusted: true,
			shown: known.Issue(t, testserver.Wanted{Names: []string{"a.example.net", "b.example.net", "c.example.net", "d.example.net"}}),
			faults: []link.Fault{{
				link.WrongHost, "the certificate is for a.example.net, b.example.net, c.example.net and 1 more, not mail.example.com",
			}},
		},
		{
			title: "a wildcard is one label", trusted: true, terms: link.Terms{Identity: "a.mail.example.com"},
			shown: known.Issue(t, testserver.Wanted{Names: []string{"*.example.com"}}),
			faults: []link.Fault{{
				link.WrongHost, "the certificate is for *.example.com, not a.mail.example.com",
			}},
		},
		{
			title: "a common name is no name", trusted: true,
			shown:  known.Issue(t, testserver.Wanted{Names: []string{}, Subject: named("mail.example.com")}),
			faults: []link.Fault{{link.WrongHost, "the certificate is for no host name, not mail.example.com"}},
		},
		{
			title: "a name is no address", trusted: true, terms: link.Terms{Identity: "192.0.2.7"},
			shown: known.Issue(t, testserver.Wanted{}),
			faults: []link.Fault{{
				link.WrongHost, "the certificate is for mail.example.com, not the address 192.0.2.7",
			}},
		},
		{
			title: "self-signed", shown: testserver.SelfSigned(t, testserver.Wanted{}),
			faults: []link.Fault{{link.Untrusted, "the certificate is self-signed"}},
		},
		{
			title: "an authority nobody knows", shown: stranger.Issue(t, testserver.Wanted{}),
			faults: []link.Fault{{
				link.Untrusted, "Stranger CA is no trusted authority, or an intermediate one the server does not send",
			}},
		},
		{
			title: "the intermediate was forgotten",
			shown: between.Issue(t, testserver.Wanted{IssuerAt: "http://ca.example.com/between.cer"}),
			faults: []link.Fault{{
				link.Untrusted, "the server does not send the intermediate certificate of Between CA",
			}},
		},
		{
			title: "a chain to nobody we know",
			shown: func() tls.Certificate {
				middle := stranger.Intermediate(t, testserver.Wanted{Subject: named("Middle CA")})
				return middle.Issue(t, testserver.Wanted{}, middle, stranger)
			}(),
			faults: []link.Fault{{
				link.Untrusted, "the chain leads to no trusted authority; the certificate was issued by Middle CA",
			}},
		},
		{
			title:  "not one for servers",
			shown:  known.Issue(t, testserver.Wanted{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}),
			faults: []link.Fault{{link.Untrusted, "the certificate is not one for servers"}},
		},
		{
			title: "a short RSA key", shown: known.Issue(t, testserver.Wanted{RSABits: 1024}), trusted: true,
			faults: []link.Fault{{link.Weak, "the certificate has an RSA key of 1024 bits"}},
		},
		{
			title: "several things at once, the gravest first",
			shown: stranger.Issue(t, testserver.Wanted{From: -9 * day, To: -4 * day, Names: []string{"x.example.net"}, RSABits: 1024}),
			faults: []link.Fault{
				{link.Expired, "the certificate expired on " + dayOf(-4*day)},
				{link.WrongHost, "the certificate is for x.example.net, not mail.example.com"},
				{link.Untrusted, "Stranger CA is no trusted authority, or an intermediate one the server does not send"},
				{link.Weak, "the certificate has an RSA key of 1024 bits"},
			},
		},
		{
			title: "nothing that a pin does not vouch for", shown: pinned,
			terms: link.Terms{Pins: []string{sha256Of(pinned)}},
		},
		{
			title: "not the one pinned", shown: pinned,
			terms: link.Terms{Identity: "elsewhere.example.com", Pins: []string{hex.EncodeToString(make([]byte, 32))}},
			faults: []link.Fault{
				{link.Untrusted, "the certificate is not the one pinned; if it was renewed, pin its SHA-256 " + sha256Of(pinned)},
				{link.Untrusted, "the certificate is self-signed"},
			},
		},
	} {
		t.Run(row.title, func(t *testing.T) {
			terms := row.terms
			if terms.Identity == "" {
				terms.Identity = "mail.example.com"
			}
			terms.Authorities = trustsAll
			session := handshake(t, &tls.Config{Certificates: []tls.Certificate{row.shown}}, terms)
			require.Equal(t, row.faults, session.Faults)
			require.Equal(t, row.faults == nil, session.Authorized)
			require.Equal(t, row.trusted, session.Trusted)
		})
	}
}

// Its fingerprint vouches for it: what stands behind it has no say, and does not count in how long it is good.
func TestAPinnedCertificateStandsAlone(t *testing.T) {
	root := testserver.NewAuthority(t, testserver.Wanted{})
	gone := root.Intermediate(t, testserver.Wanted{Subject: named("Gone CA"), From: -60 * day, To: -2 * day})
	shown := gone.Issue(t, testserver.Wanted{}, gone)
	server := &tls.Config{Certificates: []tls.Certificate{shown}}
	session := handshake(t, server, link.Terms{Identity: "mail.example.com", Pins: []string{sha256Of(shown)}})
	require.Empty(t, session.Faults)
	require.True(t, session.Authorized)
	require.Len(t, session.Chain, 1)
}

// Whoever asks for no judgement gets none, and is not told that all is well.
func TestAnUnjudgedCertificateIsNotAuthorized(t *testing.T) {
	server := &tls.Config{Certificates: []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{})}}
	for _, terms := range []link.Terms{
		{Identity: "mail.example.com", Insecure: true},
		{Identity: "mail.example.com", Base: &tls.Config{InsecureSkipVerify: true}},
	} {
		session := handshake(t, server, terms)
		require.Empty(t, session.Faults)
		require.False(t, session.Authorized)
		require.False(t, session.Trusted)
		require.Len(t, session.Chain, 1)
	}
}

// The option of all k6 is not for a connection that says itself whom it trusts.
func TestWhomAConnectionTrustsIsNotOverruledByTheOptions(t *testing.T) {
	server := &tls.Config{Certificates: []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{})}}
	base := &tls.Config{InsecureSkipVerify: true}
	for _, terms := range []link.Terms{
		{Identity: "mail.example.com", Base: base, Pins: []string{strings.Repeat("ab", 32)}},
		{Identity: "mail.example.com", Base: base, Authorities: testserver.NewAuthority(t, testserver.Wanted{}).PEM()},
	} {
		session := handshake(t, server, terms)
		require.NotEmpty(t, session.Faults)
		require.False(t, session.Authorized)
	}
}

func TestAuthoritiesReplaceThoseOfTheOptions(t *testing.T) {
	known, other := testserver.NewAuthority(t, testserver.Wanted{}), testserver.NewAuthority(t, testserver.Wanted{})
	pool := x509.NewCertPool()
	pool.AddCert(other.Certificate)
	server := &tls.Config{Certificates: []tls.Certificate{other.Issue(t, testserver.Wanted{})}}
	terms := link.Terms{Identity: "mail.example.com", Base: &tls.Config{RootCAs: pool}}
	require.True(t, handshake(t, server, terms).Authorized)
	terms.Authorities = known.PEM()
	require.False(t, handshake(t, server, terms).Authorized)
}

func TestTheChainIsTheCertificateAndWhatVouchesForIt(t *testing.T) {
	root := testserver.NewAuthority(t, testserver.Wanted{Subject: named("Root CA")})
	upper := root.Intermediate(t, testserver.Wanted{Subject: named("Upper CA")})
	lower := upper.Intermediate(t, testserver.Wanted{Subject: named("Lower CA")})
	beside := root.Intermediate(t, testserver.Wanted{Subject: named("Beside CA")})
	shown := lower.Issue(t, testserver.Wanted{}, root, beside, upper, lower) // out of order
	session := handshake(t, &tls.Config{Certificates: []tls.Certificate{shown}}, link.Terms{
		Identity: "mail.example.com", Authorities: root.PEM(),
	})
	var subjects []string
	for _, each := range session.Chain {
		subjects = append(subjects, each.Subject)
	}
	require.Equal(t, []string{"CN=mail.example.com", "CN=Lower CA", "CN=Upper CA"}, subjects)
	require.Equal(t, "CN=Root CA", session.Chain[2].Issuer)
	require.True(t, session.Authorized)
}

// handshake is one with a server of that kind.
func handshake(t *testing.T, server *tls.Config, terms link.Terms) *link.Session {
	t.Helper()
	at := testserver.Serve(t, func(conn net.Conn) { _ = tls.Server(conn, server).Handshake() })
	connection := connected(t, at)
	session, err := connection.StartTLS(terms, 20*time.Second)
	require.NoError(t, err)
	return session
}

func connected(t *testing.T, at *net.TCPAddr) *link.Connection {
	t.Helper()
	connection, err := link.Connect(t.Context(), new(net.Dialer).DialContext, link.Destination{
		Host: at.IP.String(), Port: at.Port, Limit: 20 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { connection.Close() })
	return connection
}

func sha256Octets(certificate tls.Certificate) []byte {
	sum := sha256.Sum256(certificate.Certificate[0])
	return sum[:]
}
