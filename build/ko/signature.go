package ko

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"strings"
)

// A Signature is what scripts/sign-file appends to a module.
type Signature struct {
	Signer   string // common name of the signing certificate's issuer, "" where it is not told
	KeyID    string // serial number or key identifier, "66:F5:4E:..."
	HashAlgo string // "sha256"; "" where it is not told
	Bytes    int    // of all that is appended, trailer included
	// Fault says what is wrong with the trailer itself, "" when nothing is. The
	// kernel takes such a module for one with a bad signature.
	Fault string
}

const (
	signatureMagic = "~Module signature appended~\n"
	// signatureInfo is the size of struct module_signature: algo, hash, id_type,
	// signer_len, key_id_len, 3 bytes of padding, sig_len in network order.
	signatureInfo = 12
	idPKCS7       = 2 // PKEY_ID_PKCS7
)

// Unsigned is the module without its appended signature: a part of data, all
// of it when there is no signature.
func Unsigned(data []byte) []byte {
	s := parseSignature(data)
	if s == nil || s.Fault != "" {
		return data
	}
	return data[:len(data)-s.Bytes]
}

// parseSignature returns nil for a module without one.
func parseSignature(data []byte) *Signature {
	body, ok := bytes.CutSuffix(data, []byte(signatureMagic))
	if !ok {
		return nil
	}
	s := &Signature{Bytes: len(signatureMagic)}
	if len(body) < signatureInfo {
		s.Fault = "the file ends before the signature's description"
		return s
	}
	info := body[len(body)-signatureInfo:]
	body = body[:len(body)-signatureInfo]
	s.Bytes += signatureInfo
	size := uint64(binary.BigEndian.Uint32(info[8:])) + uint64(info[3]) + uint64(info[4])
	if size >= uint64(len(body)) {
		s.Fault = fmt.Sprintf("a signature of %d bytes does not fit into a file of %d", size, len(data))
		return s
	}
	if info[2] != idPKCS7 || info[0] != 0 || info[1] != 0 || info[3] != 0 || info[4] != 0 ||
		!bytes.Equal(info[5:8], []byte{0, 0, 0}) {
		s.Fault = "it is not a PKCS#7 message, the only form that kernels since 4.3 take"
	}
	s.Bytes += int(size) //nolint:gosec // less than len(body)
	message := body[uint64(len(body))-size:]
	s.readPKCS7(message)
	return s
}

// readPKCS7 reads who signed, as far as it is told.
func (s *Signature) readPKCS7(message []byte) {
	// ContentInfo: type, [0] SignedData. SignedData: version, digestAlgorithms,
	// encapContentInfo, [0] certificates, [1] crls, signerInfos.
	signed := last(last(message))
	infos := last(last(signed))
	var first asn1.RawValue
	if _, err := asn1.Unmarshal(infos, &first); err == nil {
		s.readSigner(first.Bytes)
	}
}

// last returns the contents of the last element in a sequence of elements.
func last(elements []byte) []byte {
	var e asn1.RawValue
	for len(elements) > 0 {
		rest, err := asn1.Unmarshal(elements, &e)
		if err != nil {
			return nil
		}
		elements = rest
	}
	return e.Bytes
}

// readSigner reads the first fields of a SignerInfo, RFC 5652 section 5.3:
// version, IssuerAndSerialNumber or [0] SubjectKeyIdentifier, digestAlgorithm.
func (s *Signature) readSigner(fields []byte) {
	var (
		number int
		id     asn1.RawValue
		digest pkix.AlgorithmIdentifier
	)
	rest, err := asn1.Unmarshal(fields, &number)
	if err != nil {
		return
	}
	if rest, err = asn1.Unmarshal(rest, &id); err != nil {
		return
	}
	if _, err = asn1.Unmarshal(rest, &digest); err == nil {
		s.HashAlgo = hashName(digest.Algorithm)
	}
	if id.Class == asn1.ClassContextSpecific {
		s.KeyID = colons(id.Bytes)
		return
	}
	var issuer pkix.RDNSequence
	rest, err = asn1.Unmarshal(id.Bytes, &issuer)
	if err != nil {
		return
	}
	var name pkix.Name
	name.FillFromRDNSequence(&issuer)
	s.Signer = name.CommonName
	var serial asn1.RawValue
	if _, err := asn1.Unmarshal(rest, &serial); err == nil {
		s.KeyID = colons(bytes.TrimLeft(serial.Bytes, "\x00"))
	}
}

// hashName spells the digests that CONFIG_MODULE_SIG_HASH offers.
func hashName(id asn1.ObjectIdentifier) string {
	switch id.String() {
	case "1.3.14.3.2.26":
		return "sha1"
	case "2.16.840.1.101.3.4.2.1":
		return "sha256"
	case "2.16.840.1.101.3.4.2.2":
		return "sha384"
	case "2.16.840.1.101.3.4.2.3":
		return "sha512"
	case "2.16.840.1.101.3.4.2.4":
		return "sha224"
	case "2.16.840.1.101.3.4.2.8":
		return "sha3-256"
	case "2.16.840.1.101.3.4.2.9":
		return "sha3-384"
	case "2.16.840.1.101.3.4.2.10":
		return "sha3-512"
	}
	return id.String()
}

// colons writes bytes as "66:F5:4E".
func colons(b []byte) string {
	var text strings.Builder
	for i, c := range b {
		if i > 0 {
			text.WriteByte(':')
		}
		fmt.Fprintf(&text, "%02X", c)
	}
	return text.String()
}
