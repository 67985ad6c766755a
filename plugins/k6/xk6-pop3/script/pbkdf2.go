package script

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/grafana/sobek"

	"github.com/pop-connectivity/xk6-pop3/link"
)

// A server names the iterations of SCRAM: without a limit it could keep a core busy for as long as it likes.
const (
	mostIterations = 1_000_000
	mostOctets     = 64 // SHA-512's
)

var algorithms = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// pbkdf2 (RFC 8018 §5.2) cannot be stopped; at the end of the iteration nobody waits for it.
func (m *Module) pbkdf2(call sobek.FunctionCall) sobek.Value {
	vu := m.vu("pbkdf2")
	password := m.values.octetsIn(call.Argument(0), "password")
	salt := m.values.octetsIn(call.Argument(1), "salt")
	iterations := m.values.whole(call.Argument(2), "iterations", 1, mostIterations)
	length := m.values.whole(call.Argument(3), "length", 1, mostOctets)
	algorithm, is := algorithms[m.values.text(call.Argument(4), "algorithm")]
	if !is {
		panic(m.values.mistake("algorithm is to be sha1, sha256 or sha512"))
	}
	return m.promise(func() (func() any, error) {
		derived := make(chan []byte, 1)
		failed := make(chan error, 1)
		go func() {
			key, err := pbkdf2.Key(algorithm, string(password), salt, iterations, length)
			if err != nil {
				failed <- err
				return
			}
			derived <- key
		}()
		select {
		case <-vu.Context.Done():
			return nil, link.Fail(link.Closed)
		case err := <-failed:
			return nil, err
		case key := <-derived:
			return func() any { return m.values.octets(key) }, nil
		}
	})
}
