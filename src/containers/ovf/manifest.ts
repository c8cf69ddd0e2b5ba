// Manifests: a digest of each file. Reference: DSP0243, "Manifest"; the spellings are those of OpenSSL 0.9 to 3, of BSD and of the GNU tools.
import { getHashes } from "node:crypto";
import { decodeDocument } from "./encoding.js";

export interface ManifestEntry {
  /** As it stands there. */
  readonly file: string;
  /** As Node calls it, such as `sha256`; undefined for one that it does not have. */
  readonly algorithm: string | undefined;
  /** As it stands there. */
  readonly algorithmName: string;
  /** Hexadecimal, in small letters. */
  readonly digest: string;
}

export interface Manifest {
  readonly entries: readonly ManifestEntry[];
  /** Numbers of the lines that are no entries, from 1 on; of many the first ones. */
  readonly strange: readonly number[];
}

/** Bytes. */
export const MANIFEST_LIMIT = 16 * 2 ** 20;

const ENTRY_LIMIT = 100_000;
const STRANGE_LIMIT = 100;

/** Letters of a line: the longest path, an algorithm, a signature. */
const LINE_LIMIT = 20_000;

/** Throws an `Error` in words for people if it cannot be one. */
export function parseManifest(content: Uint8Array): Manifest {
  const entries: ManifestEntry[] = [];
  const strange: number[] = [];
  const lines = decodeDocument(content)
    .replace(/^\ufeff/, "")
    .split(/\r\n|\n|\r/);
  for (const [index, line] of lines.entries()) {
    if (/^[\s\0]*(#|\/\/|$)/.test(line)) continue;
    const entry = parseLine(line);
    if (entry) entries.push(entry);
    else if (strange.length < STRANGE_LIMIT) strange.push(index + 1);
    if (entries.length > ENTRY_LIMIT) throw new Error(`it has more than ${ENTRY_LIMIT} entries`);
  }
  return { entries, strange };
}

function parseLine(line: string): ManifestEntry | undefined {
  const assigned = parseAssignment(line);
  if (assigned) {
    const { name, file, value } = assigned;
    return /^[0-9a-f]+$/i.test(value) ? entryOf(file, name, value) : undefined;
  }
  // As sha256sum writes it: the length tells the algorithm.
  const [, digest, file] = line.length > LINE_LIMIT ? [] : (/^([0-9a-fA-F]{32,128}) [ *](\S.*?)\s*$/.exec(line) ?? []);
  if (digest === undefined || file === undefined) return undefined;
  const name = { 32: "MD5", 40: "SHA1", 64: "SHA256", 96: "SHA384", 128: "SHA512" }[digest.length];
  return name === undefined ? undefined : entryOf(file, name, digest);
}

function entryOf(file: string, name: string, value: string): ManifestEntry | undefined {
  const algorithm = hashNamed(name);
  const length = digestLengths[algorithm ?? ""];
  if (length !== undefined && value.length !== length * 2) return undefined;
  return { file, algorithm, algorithmName: name, digest: value.toLowerCase() };
}

/** `NAME(file)= value`, with or without blanks; the file's name may hold brackets. */
export function parseAssignment(line: string): { readonly name: string; readonly file: string; readonly value: string } | undefined {
  if (line.length > LINE_LIMIT) return undefined;
  const text = line.trim();
  const open = text.indexOf("(");
  const end = text.lastIndexOf(")");
  const name = text.slice(0, open).trim();
  const value = /^\s*=\s*(\S+)$/.exec(text.slice(end + 1))?.[1];
  const file = text.slice(open + 1, end).trim();
  return open > 0 && end > open && value !== undefined && file !== "" && /^[\w/-]+$/.test(name) ? { name, file, value } : undefined;
}

const digestLengths: Readonly<Record<string, number>> = {
  md5: 16,
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  "sha3-256": 32,
  "sha3-384": 48,
  "sha3-512": 64,
};

const known = new Set(getHashes());

/** `SHA256`, `SHA-256`, `SHA2-256`, `sha256` → `sha256`. */
export function hashNamed(name: string): string | undefined {
  const plain = name.toLowerCase().replace(/[-_/]/g, "");
  const family = /^sha3(256|384|512)$/.exec(plain)?.[1];
  const hash = family === undefined ? plain.replace(/^sha2(224|256|384|512)$/, "sha$1").replace(/^sha$/, "sha1") : `sha3-${family}`;
  return digestLengths[hash] !== undefined && known.has(hash) ? hash : undefined;
}
