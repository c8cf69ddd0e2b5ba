// Whether a package is what its manifest, its certificate and its descriptor say.
import { createHash, type Hash } from "node:crypto";
import { posix } from "node:path";
import { ImageError, reasonOf, systemCode } from "../../util/errors.js";
import { printable, quote } from "../../util/text.js";
import type { Finding } from "./findings.js";
import { waysOf } from "./href.js";
import { MANIFEST_LIMIT, type Manifest, type ManifestEntry, parseManifest } from "./manifest.js";
import { checkMembers } from "./members.js";
import { type OvfPackage, type ReadableFile, readWhole } from "./package.js";
import { checkSignature } from "./signature.js";

export interface VerifyOptions {
  /** The bytes of a file of the package, instead of the package's own way to them. */
  readonly read?: ((path: string) => ReadableFile | undefined) | undefined;
  /** Called for each piece that was read, with the bytes of all files that are done and are to be done. May throw, to stop. */
  readonly progress?: ((state: { readonly file: string; readonly done: number; readonly size: number }) => void) | undefined;
  /** When it is, in milliseconds since 1970; for dates of certificates. */
  readonly now?: number | undefined;
}

/** Bytes that are read at once. */
const PIECE = 2 ** 20;

/** A file to be read, with all that is said of it. */
interface Task {
  readonly path: string;
  readonly file: ReadableFile;
  readonly entries: ManifestEntry[];
}

/** All there is to say about the package, in the order in which it was found. Reads every file that the manifest lists. */
export function verifyPackage(pkg: OvfPackage, { read, progress, now = Date.now() }: VerifyOptions = {}): readonly Finding[] {
  const open = (path: string) => (read ? (read(path) ?? undefined) : pkg.open(path));
  const findings: Finding[] = [...checkDescriptor(pkg), ...checkMembers(pkg)];
  const { manifest: name } = pkg;
  if (name === undefined) {
    findings.push({
      file: pkg.descriptorName,
      kind: "no manifest",
      severity: "note",
      message: "there is no manifest: nothing tells whether the files are whole",
    });
    if (pkg.certificate !== undefined) findings.push(...checkSignature(pkg.certificate, open, undefined, now));
    return findings;
  }
  const content = attempt(name, findings, () => readWhole(open(name) ?? gone(name), name, MANIFEST_LIMIT));
  if (!content) return findings;
  if (pkg.certificate !== undefined) findings.push(...checkSignature(pkg.certificate, open, { name, content }, now));
  const manifest = attempt(name, findings, () => parseManifest(content));
  if (!manifest) return findings;
  findings.push(...strangeLines(name, manifest));
  const tasks = tasksOf(manifest, name, open, findings);
  findings.push(...checkDigests(tasks, progress));
  findings.push(...unlisted(pkg, new Set(tasks.map(({ path }) => path))));
  return findings;
}

function checkDescriptor({ descriptorName, failure, located }: OvfPackage): readonly Finding[] {
  if (failure) return [{ file: descriptorName, kind: "unreadable", severity: "error", message: failure.message }];
  return located.flatMap(({ reference: { href, size: wanted }, paths, size, notes }): Finding[] => {
    const file = printable(href);
    if (paths.length === 0) {
      // A sentence whose subject is the file.
      const what = notes[0]?.slice(quote(href).length, -1) ?? " is not there";
      return [{ file, kind: "missing", severity: "error", message: `the descriptor names it, and it${what}` }];
    }
    if (wanted === undefined || wanted === size) return [];
    return [{ file, kind: "size differs", severity: "warning", message: `it has ${size} bytes, and the descriptor says ${wanted}` }];
  });
}

function strangeLines(file: string, { entries, strange }: Manifest): readonly Finding[] {
  const lines = strange.map(
    (line): Finding => ({ file, kind: "strange line", severity: "error", message: `line ${line} is no digest of a file` }),
  );
  if (entries.length > 0) return lines;
  return [...lines, { file, kind: "strange line", severity: "error", message: "it lists no file" }];
}

/** Every file of the manifest once. What cannot be checked goes to `findings`. */
function tasksOf(
  { entries }: Manifest,
  manifest: string,
  open: (path: string) => ReadableFile | undefined,
  findings: Finding[],
): readonly Task[] {
  const tasks = new Map<string, Task>();
  for (const entry of entries) {
    const file = printable(entry.file);
    const found = findFile(entry.file, open);
    if (found instanceof ImageError) findings.push({ file, kind: "unreadable", severity: "error", message: found.message });
    else if (!found) findings.push({ file, kind: "missing", severity: "error", message: "the manifest lists it, and it is not there" });
    else if (found.path === manifest) {
      findings.push({ file, kind: "not checked", severity: "warning", message: "a manifest cannot hold its own digest" });
    } else {
      const task = tasks.get(found.path) ?? { ...found, entries: [] };
      task.entries.push(entry);
      tasks.set(found.path, task);
    }
  }
  return [...tasks.values()];
}

/** The file that a manifest means: by the way its name tells, else, as digests are made of files elsewhere, by the last part of it. */
function findFile(
  name: string,
  open: (path: string) => ReadableFile | undefined,
): { readonly path: string; readonly file: ReadableFile } | ImageError | undefined {
  const ways = waysOf(name);
  const chosen = "paths" in ways ? ways : waysOf(posix.basename(name.replaceAll("\\", "/")));
  try {
    for (const path of "paths" in chosen ? chosen.paths : []) {
      const file = open(path);
      if (file) return { path, file };
    }
    return undefined;
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

function checkDigests(tasks: readonly Task[], progress: VerifyOptions["progress"]): readonly Finding[] {
  const size = tasks.reduce((all, { file }) => all + file.size, 0);
  let before = 0;
  return tasks.flatMap((task) => {
    const findings = checkFile(task, (done) => progress?.({ file: task.path, done: before + done, size }));
    before += task.file.size;
    return findings;
  });
}

/** Reads a file once, for all digests that are told of it. */
function checkFile({ path, file, entries }: Task, progress: (done: number) => void): readonly Finding[] {
  const name = printable(path);
  const hashes = new Map<string, Hash>();
  for (const { algorithm } of entries) if (algorithm !== undefined) hashes.set(algorithm, createHash(algorithm));
  try {
    if (hashes.size > 0) readAll(file, [...hashes.values()], progress);
  } catch (error) {
    if (!(error instanceof ImageError) && systemCode(error) === undefined) throw error;
    return [{ file: name, kind: "unreadable", severity: "error", message: reasonOf(error) }];
  }
  const digests = new Map([...hashes].map(([algorithm, hash]) => [algorithm, hash.digest("hex")]));
  return entries.map(({ algorithm, algorithmName, digest }): Finding => {
    if (algorithm === undefined) {
      return {
        file: name,
        kind: "not checked",
        severity: "warning",
        message: `its digest is of a kind that is not known: ${algorithmName}`,
      };
    }
    const found = digests.get(algorithm);
    if (found === digest) return { file: name, kind: "ok", severity: "ok", message: `its ${algorithmName} is that of the manifest` };
    return {
      file: name,
      kind: "digest differs",
      severity: "error",
      message: `its ${algorithmName} is ${found}, and the manifest says ${digest}`,
    };
  });
}

function readAll(file: ReadableFile, hashes: readonly Hash[], progress: (done: number) => void): void {
  const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE, file.size));
  for (let offset = 0; offset < file.size; ) {
    const piece = buffer.subarray(0, Math.min(buffer.length, file.size - offset));
    file.read(piece, offset);
    for (const hash of hashes) hash.update(piece);
    offset += piece.length;
    progress(offset);
  }
}

/** Files that nothing is said of, apart from those that cannot be in it. */
function unlisted({ files, manifest, certificate }: OvfPackage, listed: ReadonlySet<string>): readonly Finding[] {
  return [...files()].flatMap((path): Finding[] => {
    if (path === manifest || path === certificate || listed.has(path)) return [];
    return [
      {
        file: printable(path),
        kind: "not listed",
        severity: "warning",
        message: "the manifest does not list it: nothing tells whether it is whole",
      },
    ];
  });
}

/** What `action` gives; undefined, and a finding, if it throws what a file can be to blame for. */
function attempt<T>(file: string, findings: Finding[], action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    findings.push({ file: printable(file), kind: "unreadable", severity: "error", message: reasonOf(error) });
    return undefined;
  }
}

function gone(file: string): never {
  throw new ImageError("PART_MISSING", "it is not there any more", { file });
}
