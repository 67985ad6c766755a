package link

import (
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf16"
)

// distinguished writes a distinguished name as OpenSSL does on one line: `C=DE, O=Example, CN=mail.example.com`, with
// RFC 2253's escapes. Go's own order is the other way round, and it knows fewer names.
func distinguished(raw []byte) string {
	var parts []string
	for _, set := range relativesOf(raw) {
		var together []string
		for _, each := range set {
			together = append(together, shortName(each.Type)+"="+escaped(textOf(each.Value)))
		}
		parts = append(parts, strings.Join(together, " + "))
	}
	return strings.Join(parts, ", ")
}

// commonName is the common name in a distinguished name, or all of it.
func commonName(raw []byte) string {
	for _, set := range relativesOf(raw) {
		for _, each := range set {
			if shortName(each.Type) == "CN" {
				return escaped(textOf(each.Value))
			}
		}
	}
	return distinguished(raw)
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// The name of this type tells encoding/asn1 that it is a SET.
type relativeSET []attribute

func relativesOf(raw []byte) (relatives []relativeSET) {
	_, _ = asn1.Unmarshal(raw, &relatives) // crypto/x509 has read it before
	return relatives
}

func shortName(oid asn1.ObjectIdentifier) string {
	if short, is := shortNames[oid.String()]; is {
		return short
	}
	return oid.String()
}

// The short names of OpenSSL.
var shortNames = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.4":                    "SN",
	"2.5.4.5":                    "serialNumber",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "street",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.12":                   "title",
	"2.5.4.13":                   "description",
	"2.5.4.15":                   "businessCategory",
	"2.5.4.17":                   "postalCode",
	"2.5.4.41":                   "name",
	"2.5.4.42":                   "GN",
	"2.5.4.43":                   "initials",
	"2.5.4.46":                   "dnQualifier",
	"2.5.4.65":                   "pseudonym",
	"2.5.4.97":                   "organizationIdentifier",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
	"1.2.840.113549.1.9.2":       "unstructuredName",
	"1.3.6.1.4.1.311.60.2.1.1":   "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2":   "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3":   "jurisdictionC",
}

// BMPString and UniversalString: encoding/asn1 has a name for the first alone.
const tagUniversalString = 28

func textOf(value asn1.RawValue) string {
	octets := value.Bytes
	var text strings.Builder
	switch value.Tag {
	case asn1.TagUTF8String:
		return string(octets)
	case asn1.TagBMPString:
		units := make([]uint16, len(octets)/2)
		for at := range units {
			units[at] = uint16(octets[2*at])<<8 | uint16(octets[2*at+1])
		}
		return string(utf16.Decode(units))
	case tagUniversalString:
		for at := 0; at+3 < len(octets); at += 4 {
			text.WriteRune(rune(octets[at])<<24 | rune(octets[at+1])<<16 | rune(octets[at+2])<<8 | rune(octets[at+3]))
		}
	default: // an octet is a character
		for _, octet := range octets {
			text.WriteRune(rune(octet))
		}
	}
	return text.String()
}

func escaped(text string) string {
	var out strings.Builder
	runes := []rune(text)
	for at, char := range runes {
		isEdge := char == ' ' && (at == 0 || at == len(runes)-1) || char == '#' && at == 0
		switch {
		case isEdge || strings.ContainsRune(`,+"\<>;`, char):
			out.WriteRune('\\')
			out.WriteRune(char)
		case char < ' ' || char == 0x7F:
			fmt.Fprintf(&out, `\%02X`, char)
		default:
			out.WriteRune(char)
		}
	}
	return out.String()
}
