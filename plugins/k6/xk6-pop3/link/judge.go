package link

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Fault is one thing that is wrong with a certificate: what kind of thing, and one clause for people.
type Fault struct {
	Code  FaultCode
	Words string
}

// FaultCode is the kind of a fault.
type FaultCode string

// Revoked is for the contract's sake: no list of revoked certificates is looked at.
const (
	Expired     FaultCode = "expired"
	NotYetValid FaultCode = "not-yet-valid"
	WrongHost   FaultCode = "wrong-host"
	Untrusted   FaultCode = "untrusted"
	Revoked     FaultCode = "revoked"
	Weak        FaultCode = "weak"
)

// judge tells what a server showed and what is wrong with it, the gravest first. Go names one fault of a chain; dates,
// names and keys are looked at here, for a certificate may have several and each wants its own cure.
func judge(state tls.ConnectionState, config *tls.Config, terms Terms, now time.Time) *Session {
	leaf := state.PeerCertificates[0]
	shown := evidence{
		leaf:     leaf,
		chain:    chainOf(state.PeerCertificates),
		identity: terms.Identity,
		isPinned: slices.Contains(terms.Pins, fingerprintOf(leaf)),
		hasPins:  len(terms.Pins) > 0,
		now:      now,
	}
	if shown.isPinned {
		shown.chain = shown.chain[:1]
	}
	session := &Session{
		Version: versions[state.Version],
		Cipher:  tls.CipherSuiteName(state.CipherSuite),
		ALPN:    state.NegotiatedProtocol,
	}
	for _, each := range shown.chain {
		session.Chain = append(session.Chain, certificateOf(each))
	}
	// k6's insecureSkipTLSVerify comes as the very field that configFor has set. Who says whom to trust is not overruled.
	isSkipped := terms.Base != nil && terms.Base.InsecureSkipVerify && len(terms.Pins) == 0 && terms.Authorities == ""
	if terms.Insecure || isSkipped {
		return session
	}
	shown.find = func(at time.Time) error {
		between := x509.NewCertPool()
		for _, each := range state.PeerCertificates[1:] {
			between.AddCert(each)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: config.RootCAs, Intermediates: between, CurrentTime: at})
		return err
	}
	shown.problem = shown.find(now)
	for _, look := range []func(evidence) []Fault{dates, pin, name, trust, keys} {
		session.Faults = append(session.Faults, look(shown)...)
	}
	session.Trusted = shown.problem == nil
	session.Authorized = len(session.Faults) == 0
	return session
}

// evidence is what a server showed, and what there is to hold it against.
type evidence struct {
	leaf              *x509.Certificate
	chain             []*x509.Certificate
	identity          string
	isPinned, hasPins bool
	now               time.Time
	// find looks for a way to a root at that time; problem is what came of it for now.
	find    func(at time.Time) error
	problem error
}

func dates(shown evidence) (faults []Fault) {
	chain := shown.chain
	if shown.problem == nil {
		chain = chain[:1] // where there is a way, what lies beside it does no harm
	}
	for _, each := range chain {
		switch {
		case !each.NotAfter.After(shown.now):
			faults = append(faults, Fault{Expired, fmt.Sprintf("%s expired on %s", shown.whose(each), day(each.NotAfter))})
		case each.NotBefore.After(shown.now):
			faults = append(faults, Fault{NotYetValid, fmt.Sprintf("%s is valid from %s", shown.whose(each), day(each.NotBefore))})
		}
	}
	return faults
}

func (e evidence) whose(certificate *x509.Certificate) string {
	if certificate == e.leaf {
		return "the certificate"
	}
	return fmt.Sprintf("the certificate of %s, which vouches for it,", commonName(certificate.RawSubject))
}

func pin(shown evidence) []Fault {
	if shown.isPinned || !shown.hasPins {
		return nil
	}
	return []Fault{{Untrusted, "the certificate is not the one pinned; if it was renewed, pin its SHA-256 " +
		fingerprintOf(shown.leaf)}}
}

// name follows RFC 9525 §6: subject alternative names alone, a wildcard is the whole of the left-most label. Go's own
// reading does. A pinned certificate needs neither name nor authority: its fingerprint vouches for it.
func name(shown evidence) []Fault {
	if shown.isPinned || shown.leaf.VerifyHostname(shown.identity) == nil {
		return nil
	}
	asked := shown.identity
	if net.ParseIP(asked) != nil {
		asked = "the address " + asked
	}
	return []Fault{{WrongHost, fmt.Sprintf("the certificate is for %s, not %s", several(namesOf(shown.leaf)), asked)}}
}

func trust(shown evidence) []Fault {
	problem := shown.problem
	if problem == nil || shown.isPinned {
		return nil
	}
	var invalid x509.CertificateInvalidError
	if errors.As(problem, &invalid) && invalid.Reason == x509.Expired {
		if problem = shown.undated(); problem == nil {
			// Told already, unless the date is that of a root nobody sent.
			if len(dates(shown)) > 0 {
				return nil
			}
			return []Fault{authorityDate(invalid.Cert, shown.now)}
		}
	}
	if hasWeakSignature(shown.chain) {
		return []Fault{{Weak, "a signature in the chain is too weak"}}
	}
	return []Fault{{Untrusted, untrustedBecause(problem, shown)}}
}

// undated looks for a way to a root at the times at which the validity of what was sent begins or ends: if there is
// one, only dates stand in it. Go stops at a date before it has asked who vouches.
func (e evidence) undated() (problem error) {
	for _, each := range e.chain {
		for _, at := range []time.Time{each.NotBefore, each.NotAfter} {
			var invalid x509.CertificateInvalidError
			err := e.find(at)
			if err == nil {
				return nil
			}
			if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
				problem = err
			}
		}
	}
	return problem // nil where each way has dates that never meet
}

func authorityDate(certificate *x509.Certificate, now time.Time) Fault {
	if certificate != nil && certificate.NotBefore.After(now) {
		return Fault{NotYetValid, "an authority of the chain is not yet valid"}
	}
	return Fault{Expired, "an authority of the chain has expired"}
}

// hasWeakSignature tells of signatures by MD5 and SHA-1, which Go takes for none. A root's own signature means nothing.
func hasWeakSignature(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(each *x509.Certificate) bool {
		return !isSelfIssued(each) && slices.Contains(weakSignatures, each.SignatureAlgorithm)
	})
}

var weakSignatures = []x509.SignatureAlgorithm{
	x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
}

// untrustedBecause says why there is no way to a root.
func untrustedBecause(problem error, shown evidence) string {
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	var roots x509.SystemRootsError
	switch {
	case errors.As(problem, &invalid):
		if words, is := invalidities[invalid.Reason]; is {
			return words
		}
		return "the chain was not accepted: " + strings.TrimPrefix(clause(problem), "x509: ")
	case errors.As(problem, &critical):
		return "the certificate demands something we do not know"
	case errors.As(problem, &roots):
		return "this machine has no trusted authorities"
	}
	return unknownIssuer(shown)
}

var invalidities = map[x509.InvalidReason]string{
	x509.IncompatibleUsage:          "the certificate is not one for servers",
	x509.NotAuthorizedToSign:        "an issuer in the chain is no authority",
	x509.TooManyIntermediates:       "the chain is longer than its authority allows",
	x509.CANotAuthorizedForThisName: "an authority of the chain may not vouch for this name",
}

// unknownIssuer tells an authority nobody knows from one between that the server should have sent.
func unknownIssuer(shown evidence) string {
	leaf, issuer := shown.leaf, commonName(shown.leaf.RawIssuer)
	switch {
	case isSelfIssued(leaf):
		return "the certificate is self-signed"
	case len(shown.chain) > 1:
		return "the chain leads to no trusted authority; the certificate was issued by " + issuer
	case len(leaf.IssuingCertificateURL) > 0:
		// Who tells where the issuer's certificate is to be had (RFC 5280 §4.2.2.1) expects it to be needed: no root.
		return "the server does not send the intermediate certificate of " + issuer
	}
	return issuer + " is no trusted authority, or an intermediate one the server does not send"
}

// RSA below this can be broken (NIST SP 800-131A).
const shortestRSA = 2048

func keys(shown evidence) (faults []Fault) {
	for _, each := range shown.chain {
		key, is := each.PublicKey.(*rsa.PublicKey)
		if !is || key.N.BitLen() >= shortestRSA {
			continue
		}
		whose := "the certificate"
		if each != shown.leaf {
			whose += " of " + commonName(each.RawSubject)
		}
		faults = append(faults, Fault{Weak, fmt.Sprintf("%s has an RSA key of %d bits", whose, key.N.BitLen())})
	}
	return faults
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

func several(names []string) string {
	switch {
	case len(names) == 0:
		return "no host name"
	case len(names) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}
