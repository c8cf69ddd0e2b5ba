// Certificates of packages: the signature of the manifest in the way in which digests are written, and the certificates it can be checked with.
// Reference: DSP0243, "Certificate".
import { createVerify, X509Certificate } from "node:crypto";
import { decodeDocument } from "./encoding.js";
import { hashNamed, parseAssignment } from "./manifest.js";

export interface Signature {
  /** The file that it signs, as it stands there. */
  readonly file: string;
  readonly algorithmName: string;
  readonly algorithm: string | undefined;
  readonly value: Buffer;
}

export interface CertificateFile {
  readonly signatures: readonly Signature[];
  readonly certificates: readonly X509Certificate[];
  /** What else is in it, such as `PKCS7`. */
  readonly others: readonly string[];
}

/** Bytes. */
export const CERTIFICATE_LIMIT = 2 ** 20;

const CHAIN_LIMIT = 64;

/** Throws an `Error` in words for people if there is something in it that cannot be understood. */
export function parseCertificate(content: Uint8Array): CertificateFile {
  const text = decodeDocument(content);
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----/g)];
  const certificates = blocks.filter(([, kind]) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(kind ?? ""));
  if (certificates.length > CHAIN_LIMIT) throw new Error(`it has more than ${CHAIN_LIMIT} certificates`);
  return {
    signatures: text
      .split(/\r\n|\n|\r/)
      .slice(0, 1000)
      .flatMap(signatureIn),
    certificates: certificates.map(([, , base64 = ""]) => readCertificate(base64)),
    others: blocks.flatMap(([, kind = ""]) => (/CERTIFICATE$/.test(kind) ? [] : [kind])),
  };
}

function signatureIn(line: string): readonly Signature[] {
  const found = parseAssignment(line);
  if (!found) return [];
  const { name, file, value } = found;
  const isHex = /^(?:[0-9a-f]{2})+$/i.test(value);
  if (!isHex && !/^[A-Za-z0-9+/]{16,}={0,2}$/.test(value)) return [];
  return [{ file, algorithmName: name, algorithm: hashNamed(name), value: Buffer.from(value, isHex ? "hex" : "base64") }];
}

function readCertificate(base64: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, "base64"));
  } catch (cause) {
    throw new Error("a certificate in it is damaged", { cause });
  }
}

/** The one of `certificates` whose key made the signature of `content`. */
export function signerOf(signature: Signature, certificates: readonly X509Certificate[], content: Uint8Array): X509Certificate | undefined {
  return certificates.find((certificate) => {
    try {
      return createVerify(signature.algorithm ?? "")
        .update(content)
        .verify(certificate.publicKey, signature.value);
    } catch {
      // A kind of key that cannot have made it.
      return false;
    }
  });
}

/** `CN=Example, O=Example Inc.`: most important first, in one line. */
export function subjectOf({ subject }: X509Certificate): string {
  return oneLine(subject);
}

export function issuerOf({ issuer }: X509Certificate): string {
  return oneLine(issuer);
}

function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").reverse().join(", ");
}
