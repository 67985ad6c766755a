package script

import (
	"math"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/grafana/sobek"

	"github.com/pop-connectivity/xk6-pop3/link"
)

// values goes to and fro between JavaScript and Go. The constructors are those of the engine, whatever a script later
// makes of the names.
type values struct {
	runtime    *sobek.Runtime
	error      sobek.Value
	uint8Array sobek.Value
}

func valuesOf(runtime *sobek.Runtime) *values {
	return &values{runtime, runtime.Get("Error"), runtime.Get("Uint8Array")}
}

// failure is a TransportError.
func (v *values) failure(err error) sobek.Value {
	failure := link.FailureOf(err)
	made := v.construct(v.error, v.runtime.ToValue(failure.Words))
	v.must(made.DefineDataProperty("name", v.runtime.ToValue("TransportError"), sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE))
	v.must(made.Set("code", string(failure.Code)))
	return made
}

// octets takes them over.
func (v *values) octets(octets []byte) sobek.Value {
	return v.construct(v.uint8Array, v.runtime.ToValue(v.runtime.NewArrayBuffer(octets)))
}

func (v *values) secured(session *link.Session) sobek.Value {
	chain := make([]any, 0, len(session.Chain))
	for _, each := range session.Chain {
		chain = append(chain, v.certificate(each))
	}
	faults := make([]any, 0, len(session.Faults))
	for _, each := range session.Faults {
		faults = append(faults, v.object(map[string]any{"code": string(each.Code), "message": each.Words}))
	}
	bindings := map[string]any{}
	for name, octets := range session.Bindings {
		bindings[name] = v.octets(octets)
	}
	return v.object(map[string]any{
		"version":          session.Version,
		"cipher":           session.Cipher,
		"alpn":             session.ALPN,
		"peerCertificates": v.runtime.NewArray(chain...),
		"trusted":          session.Trusted,
		"authorized":       session.Authorized,
		"faults":           v.runtime.NewArray(faults...),
		"bindings":         v.object(bindings),
	})
}

func (v *values) certificate(c link.Certificate) sobek.Value {
	names := make([]any, 0, len(c.Names))
	for _, each := range c.Names {
		names = append(names, each)
	}
	return v.object(map[string]any{
		"subject":            c.Subject,
		"issuer":             c.Issuer,
		"names":              v.runtime.NewArray(names...),
		"validFrom":          isoDate(c.ValidFrom),
		"validTo":            isoDate(c.ValidTo),
		"fingerprint":        c.Fingerprint,
		"serialNumber":       c.Serial,
		"signatureAlgorithm": c.SignatureAlgorithm,
		"publicKeyBits":      c.KeyBits,
	})
}

// isoDate is what toISOString() gives.
func isoDate(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func (v *values) addressOf(end *net.TCPAddr) any {
	if end == nil {
		return sobek.Null()
	}
	return end.IP.String()
}

func (v *values) portOf(end *net.TCPAddr) any {
	if end == nil {
		return sobek.Null()
	}
	return end.Port
}

// object is a plain one, whatever k6 does with the names of Go's fields.
func (v *values) object(fields map[string]any) *sobek.Object {
	made := v.runtime.NewObject()
	for name, value := range fields {
		v.must(made.Set(name, value))
	}
	return made
}

func (v *values) construct(constructor, argument sobek.Value) *sobek.Object {
	made, err := v.runtime.New(constructor, argument)
	v.must(err)
	return made
}

// must throws what the engine itself finds wrong.
func (v *values) must(err error) {
	if err != nil {
		panic(v.runtime.NewGoError(err))
	}
}

// What follows reads arguments: once, here; a mistake is thrown as a TypeError with one line.

func (v *values) mistake(format string, values ...any) *sobek.Object {
	return v.runtime.NewTypeError(append([]any{"k6/x/pop3: " + format}, values...)...)
}

func (v *values) destination(argument sobek.Value) (to link.Destination, tags map[string]string) {
	asked := v.fields(argument, "connect", "host", "port", "family", "tags", "timeoutMs")
	return link.Destination{
		Host:   v.host(asked["host"], "host"),
		Port:   v.whole(asked["port"], "port", 1, 65535),
		Family: v.family(asked["family"], "family"),
		Limit:  v.limit(asked["timeoutMs"]),
	}, v.tags(asked["tags"])
}

// question is what resolve is asked: a name, and on what terms.
func (v *values) question(host, terms sobek.Value) link.Destination {
	asked := link.Destination{Host: v.host(host, "host")}
	if isNone(terms) {
		return asked
	}
	given := v.fields(terms, "resolve", "family", "port", "timeoutMs")
	asked.Family = v.family(given["family"], "family")
	asked.Limit = v.limit(given["timeoutMs"])
	if port := given["port"]; !isNone(port) {
		asked.Port = v.whole(port, "port", 1, 65535)
	}
	return asked
}

func (v *values) terms(argument sobek.Value) link.Terms {
	asked := v.fields(argument, "startTLS", "serverName", "identity", "ca", "pins", "clientCertificate", "insecure")
	terms := link.Terms{Identity: v.text(asked["identity"], "identity"), Pins: v.pins(asked["pins"])}
	if serverName := asked["serverName"]; !isNone(serverName) {
		terms.ServerName = v.text(serverName, "serverName")
	}
	if authorities := asked["ca"]; !isNone(authorities) {
		terms.Authorities = v.text(authorities, "ca")
	}
	if pair := asked["clientCertificate"]; !isNone(pair) {
		both := v.fields(pair, "clientCertificate", "certificate", "key")
		terms.ClientCertificate = &link.KeyPair{
			Certificate: v.text(both["certificate"], "clientCertificate.certificate"),
			Key:         v.text(both["key"], "clientCertificate.key"),
		}
	}
	if insecure := asked["insecure"]; !isNone(insecure) {
		is, isBool := insecure.Export().(bool)
		if !isBool {
			panic(v.mistake("insecure is to be true or false"))
		}
		terms.Insecure = is
	}
	return terms
}

// fields are those of an object; one that is not known is a slip of the pen, and refused by its name.
func (v *values) fields(argument sobek.Value, of string, known ...string) map[string]sobek.Value {
	object, is := argument.(*sobek.Object)
	if !is {
		panic(v.mistake("%s wants an object with %s", of, strings.Join(known, ", ")))
	}
	found := map[string]sobek.Value{}
	for _, name := range known {
		found[name] = object.Get(name)
	}
	for _, name := range object.Keys() {
		if _, is := found[name]; !is {
			panic(v.mistake("%s knows no %s, only %s", of, name, strings.Join(known, ", ")))
		}
	}
	return found
}

func (v *values) text(argument sobek.Value, name string) string {
	if !isNone(argument) {
		if text, is := argument.Export().(string); is && text != "" {
			return text
		}
	}
	panic(v.mistake("%s is to be a text", name))
}

// A host goes to the resolver and into errors: nothing but what a name or an address can hold.
var hosts = regexp.MustCompile(`^[^\s/@\[\]\x00-\x1f]{1,255}$`)

func (v *values) host(argument sobek.Value, name string) string {
	host := v.text(argument, name)
	if !hosts.MatchString(host) {
		panic(v.mistake("%s is to be a name or an address", name))
	}
	return host
}

func (v *values) family(argument sobek.Value, name string) int {
	if isNone(argument) {
		return 0
	}
	family := v.whole(argument, name, 0, 6)
	if family != 0 && family != 4 && family != 6 {
		panic(v.mistake("%s is to be 0, 4 or 6", name))
	}
	return family
}

func (v *values) whole(argument sobek.Value, name string, least, most int) int {
	number := v.number(argument, name)
	if number != math.Trunc(number) || number < float64(least) || number > float64(most) {
		panic(v.mistake("%s is to be a whole number from %d to %d", name, least, most))
	}
	return int(number)
}

func (v *values) number(argument sobek.Value, name string) float64 {
	if !isNone(argument) {
		switch number := argument.Export().(type) {
		case int64:
			return float64(number)
		case float64:
			return number
		}
	}
	panic(v.mistake("%s is to be a number", name))
}

// What setTimeout() takes at the most, in milliseconds.
const longestMs = 1<<31 - 1

func (v *values) limit(argument sobek.Value) time.Duration {
	if isNone(argument) {
		return 0
	}
	ms := v.number(argument, "timeoutMs")
	if !(ms >= 0 && ms <= longestMs) {
		panic(v.mistake("timeoutMs is to be from 0 to %d", longestMs))
	}
	limit := time.Duration(ms * float64(time.Millisecond))
	if limit == 0 && ms > 0 {
		return time.Nanosecond // 0 would be none
	}
	return limit
}

func (v *values) tags(argument sobek.Value) map[string]string {
	tags := map[string]string{}
	if isNone(argument) {
		return tags
	}
	object, is := argument.(*sobek.Object)
	if !is {
		panic(v.mistake("tags is to be an object"))
	}
	for _, name := range object.Keys() {
		value := object.Get(name)
		if isNone(value) {
			panic(v.mistake("the tag %s is to be a text", name))
		}
		tags[name] = value.String()
	}
	return tags
}

var fingerprints = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (v *values) pins(argument sobek.Value) []string {
	if isNone(argument) {
		return nil
	}
	var pins []string
	if err := v.runtime.ExportTo(argument, &pins); err != nil {
		panic(v.mistake("pins is to be a list of texts"))
	}
	for at, pin := range pins {
		pins[at] = strings.ToLower(strings.ReplaceAll(pin, ":", ""))
		if !fingerprints.MatchString(pins[at]) {
			panic(v.mistake("a pin is the SHA-256 of a certificate, 64 hexadecimal digits"))
		}
	}
	return pins
}

// octetsIn copies them: the script may change its array while they are being sent.
func (v *values) octetsIn(argument sobek.Value, name string) []byte {
	if !isNone(argument) {
		switch octets := argument.Export().(type) {
		case []byte:
			return append([]byte{}, octets...)
		case sobek.ArrayBuffer:
			return append([]byte{}, octets.Bytes()...)
		}
	}
	panic(v.mistake("%s is to be a Uint8Array or an ArrayBuffer", name))
}

func isNone(argument sobek.Value) bool {
	return argument == nil || sobek.IsUndefined(argument) || sobek.IsNull(argument)
}
