package kotest

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
)

// signature is a PKCS#7 message in sign-file's form with its trailer. What is
// signed is nothing: no key is needed.
func signature(signer string) []byte {
	if signer == "" {
		signer = "Kernel test key"
	}
	sha256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}
	rsa := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1},
		Parameters: asn1.NullRawValue}
	type issuerAndSerial struct {
		Issuer pkix.RDNSequence
		Serial *big.Int
	}
	type signerInfo struct {
		Version   int
		ID        issuerAndSerial
		Digest    pkix.AlgorithmIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Signature []byte
	}
	type contents struct {
		Type asn1.ObjectIdentifier
	}
	type signedData struct {
		Version int
		Digests []pkix.AlgorithmIdentifier `asn1:"set"`
		Content contents
		Signers []signerInfo `asn1:"set"`
	}
	message, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		signedData{1, []pkix.AlgorithmIdentifier{sha256}, contents{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
			[]signerInfo{{
				1, issuerAndSerial{pkix.Name{CommonName: signer}.ToRDNSequence(), big.NewInt(0x66f54e15)}, sha256, rsa,
				make([]byte, 256),
			}}},
	})
	if err != nil {
		panic(fmt.Sprintf("marshal a constant message: %v", err))
	}
	// struct module_signature: only id_type and sig_len are not zero.
	message = append(binary.BigEndian.AppendUint32(append(message, 0, 0, 2, 0, 0, 0, 0, 0), uint32(len(message))),
		"~Module signature appended~\n"...) //nolint:gosec // small
	return message
}
