package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"

	"github.com/grafana/sobek"
)

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

var cryptoExports = []string{"hmac", "md5", "randomBytes", "sha1", "sha256", "sha384", "sha512"}

func (vu *VU) k6Crypto() map[string]any {
	members := map[string]any{"hmac": vu.hmac, "randomBytes": vu.randomBytes}
	for name, made := range hashes {
		members[name] = func(call sobek.FunctionCall) sobek.Value {
			sum := made()
			sum.Write(vu.octets(call.Argument(0)))
			return vu.encoded(sum.Sum(nil), call.Argument(1))
		}
	}
	return members
}

func (vu *VU) hmac(call sobek.FunctionCall) sobek.Value {
	made := hashes[call.Argument(0).String()]
	if made == nil {
		vu.throw("invalid algorithm: %s", call.Argument(0))
	}
	sum := hmac.New(made, vu.octets(call.Argument(1)))
	sum.Write(vu.octets(call.Argument(2)))
	return vu.encoded(sum.Sum(nil), call.Argument(3))
}

func (vu *VU) randomBytes(call sobek.FunctionCall) sobek.Value {
	octets := make([]byte, call.Argument(0).ToInteger())
	_, err := rand.Read(octets)
	vu.must(err)
	return vu.runtime.ToValue(vu.runtime.NewArrayBuffer(octets))
}

// octets are the memory of the script itself: whoever keeps them copies them.
func (vu *VU) octets(value sobek.Value) []byte {
	switch given := value.Export().(type) {
	case string:
		return []byte(given)
	case []byte:
		return given
	case sobek.ArrayBuffer:
		return given.Bytes()
	}
	panic(vu.runtime.NewTypeError("invalid type %s, expected string, []byte or ArrayBuffer", value))
}

func (vu *VU) encoded(octets []byte, encoding sobek.Value) sobek.Value {
	switch encoding.String() {
	case "hex":
		return vu.runtime.ToValue(hex.EncodeToString(octets))
	case "base64":
		return vu.runtime.ToValue(base64.StdEncoding.EncodeToString(octets))
	case "base64url":
		return vu.runtime.ToValue(base64.URLEncoding.EncodeToString(octets))
	case "base64rawurl":
		return vu.runtime.ToValue(base64.RawURLEncoding.EncodeToString(octets))
	case "binary":
		return vu.runtime.ToValue(vu.runtime.NewArrayBuffer(octets))
	}
	vu.throw("invalid output encoding: %s", encoding)
	return nil
}
