import type { X509Certificate } from "node:crypto";
import { reasonOf } from "../../util/errors.js";
import { printable } from "../../util/text.js";
import { CERTIFICATE_LIMIT, type CertificateFile, issuerOf, parseCertificate, type Signature, signerOf, subjectOf } from "./certificate.js";
import type { Finding } from "./findings.js";
import { type ReadableFile, readWhole } from "./package.js";

/** The manifest as it is stored: that is what is signed. */
interface Signed {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Who signed the manifest, and whether that is so. Whether the signer can be trusted is not judged: most sign for themselves. */
export function checkSignature(
  certificate: string,
  open: (path: string) => ReadableFile | undefined,
  signed: Signed | undefined,
  now: number,
): readonly Finding[] {
  const file = printable(certificate);
  const finding = (kind: Finding["kind"], severity: Finding["severity"], message: string): Finding => ({ file, kind, severity, message });
  if (!signed) return [finding("signature not checked", "warning", "there is no manifest that it could sign")];
  let parsed: CertificateFile;
  try {
    const source = open(certificate);
    if (!source) return [finding("missing", "error", "it is not there any more")];
    parsed = parseCertificate(readWhole(source, certificate, CERTIFICATE_LIMIT));
  } catch (error) {
    return [finding("unreadable", "error", reasonOf(error))];
  }
  const { signatures, certificates, others } = parsed;
  if (signatures.length === 0 || certificates.length === 0) {
    const what = others.length > 0 ? `a kind of certificate that is not known (${others.join(", ")})` : "no certificate with a signature";
    return [finding("signature not checked", "warning", `it holds ${what}`)];
  }
  const found = signatures.flatMap((signature) => checkOne(signature, certificates, signed, now).map((each) => finding(...each)));
  if (others.length === 0) return found;
  return [...found, finding("signature not checked", "note", `what else it holds is not looked at: ${others.join(", ")}`)];
}

type Found = readonly [kind: Finding["kind"], severity: Finding["severity"], message: string];

function checkOne(signature: Signature, certificates: readonly X509Certificate[], signed: Signed, now: number): readonly Found[] {
  const { algorithm, algorithmName } = signature;
  if (algorithm === undefined) {
    return [["signature not checked", "warning", `its signature is of a kind that is not known: ${printable(algorithmName)}`]];
  }
  const signer = signerOf(signature, certificates, signed.content);
  if (!signer)
    return [["signature wrong", "error", `its signature (${printable(algorithmName)}) is not that of ${printable(signed.name)}`]];
  const subject = printable(subjectOf(signer));
  const issuer = printable(issuerOf(signer));
  const by = subject === issuer ? `${subject} (self-signed)` : `${subject} (certified by ${issuer})`;
  const dates = `valid from ${dateOf(signer.validFrom)} to ${dateOf(signer.validTo)}`;
  const found: Found[] = [
    ["signature ok", "ok", `${printable(signed.name)} was signed by ${by}, ${dates}; whether that can be trusted is not judged`],
  ];
  if (Date.parse(signer.validTo) < now)
    found.push(["certificate expired", "warning", `the certificate of ${subject} is not valid any more: ${dates}`]);
  if (Date.parse(signer.validFrom) > now)
    found.push(["certificate not valid yet", "warning", `the certificate of ${subject} is not valid yet: ${dates}`]);
  return found;
}

/** `Jan  2 03:04:05 2026 GMT` → `2026-01-02`; as it is where it is no date. */
function dateOf(text: string): string {
  const time = Date.parse(text);
  return Number.isNaN(time) ? printable(text) : new Date(time).toISOString().slice(0, 10);
}
