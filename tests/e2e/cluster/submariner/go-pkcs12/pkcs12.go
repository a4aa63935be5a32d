// Package pkcs12 replaces github.com/cert-manager/go-pkcs12, which no registry serves. Submariner's gateway needs
// one method of it, for the certificates of its libreswan cable driver, which the end-to-end clusters do not use.
package pkcs12

import (
	"crypto/x509"
	"errors"
)

// Encoder has the one method that is needed.
type Encoder struct{}

// Modern refuses to encode.
var Modern = &Encoder{}

// EncodeWithFriendlyName always fails.
func (*Encoder) EncodeWithFriendlyName(
	string, any, *x509.Certificate, []*x509.Certificate, string,
) ([]byte, error) {
	return nil, errors.New("PKCS #12 is not part of this build")
}
