import { createHash, createPublicKey, verify } from "node:crypto";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { explain } from "../../util/explain.js";
import type { CheckProgress, Finding } from "../container.js";
import { privateKeyOf } from "./cipher.js";
import type { BundleManifest, Digest } from "./manifest.js";

const PIECE = 2 ** 20;

/** Compares every part with its digest, reading all of it. `progress`: as for a check. */
export function checkParts({ parts }: BundleManifest, sources: readonly Source[], progress: CheckProgress): readonly Finding[] {
  const size = sources.reduce((sum, source) => sum + source.size, 0);
  let before = 0;
  return sources.map((source, index) => {
    const { fileName: file = "", digest } = parts[index] ?? {};
    const finding = checkDigest(file, source, digest, (done) => progress({ file, done: before + done, size }));
    before += source.size;
    return finding;
  });
}

/** Compares the tar archive with its digest: `archive`, once the parts were joined, decrypted and unpacked. */
export function checkArchive({ name, digest }: BundleManifest, archive: Source, progress: CheckProgress): Finding {
  const file = name === "" ? "archive" : name;
  return checkDigest(file, archive, digest, (done) => progress({ file, done, size: archive.size }));
}

/** Whether whoever has the private key signed the manifest; its digests are worth that much. */
export function checkSignature({ signature, signed }: BundleManifest, pem: string | undefined, file: string): Finding {
  const told = (severity: Finding["severity"], kind: string, message: string): Finding => ({ file, kind, severity, message });
  if (signature === undefined || signed === undefined) return told("warning", "not signed", "it is not signed");
  if (pem === undefined) return told("note", "signature not checked", "its signature is not checked without the key of whoever made it");
  try {
    const key = createPublicKey(privateKeyOf(pem, file));
    if (verify("sha1", Buffer.from(signed), key, Buffer.from(signature, "hex"))) {
      return told("ok", "ok", "its signature is that of the private key");
    }
  } catch (error) {
    // Some systems forbid SHA-1.
    return told(
      "warning",
      "signature not checked",
      `its signature cannot be checked: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return told("warning", "signature differs", "it was changed after it was signed, or signed with another key than the private key given");
}

function checkDigest(file: string, source: Source, wanted: Digest | undefined, progress: (done: number) => void): Finding {
  if (!wanted) return { file, kind: "not checked", severity: "warning", message: "the manifest has no digest of it that is known" };
  const label = wanted.algorithm.toUpperCase();
  let found: string;
  try {
    found = digestOf(source, wanted.algorithm, progress);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { file, kind: "damaged file", severity: "error", message: `it cannot be read: ${explain(error)}` };
  }
  if (found === wanted.value) return { file, kind: "ok", severity: "ok", message: `its ${label} is that of the manifest` };
  return { file, kind: "digest differs", severity: "error", message: `its ${label} is ${found}, and the manifest says ${wanted.value}` };
}

function digestOf(source: Source, algorithm: string, progress: (done: number) => void): string {
  const hash = createHash(algorithm);
  for (let position = 0; position < source.size; position += PIECE) {
    hash.update(readBytes(source, position, Math.min(PIECE, source.size - position)));
    progress(Math.min(source.size, position + PIECE));
  }
  return hash.digest("hex");
}
