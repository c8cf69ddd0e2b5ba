// EC2 ("S3-backed") bundles: a manifest, and parts that together are an image in a tar archive, compressed with gzip and mostly encrypted.
import { createHash } from "node:crypto";
import { concatSource } from "../../source/concat.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { CheckProgress, Container, ContainerContext, ContainerDriver, Finding } from "../container.js";
import { tar } from "../tar/index.js";
import { decryptedSource, decryptSecret, privateKeyOf } from "./cipher.js";
import { type BundleManifest, type Digest, parseManifest } from "./manifest.js";

export const ec2Bundle: ContainerDriver = { name: "ec2-bundle", probe: isManifest, open: openBundle };

/** Bytes of a manifest: some 200 for each part of 10 MiB. */
const MANIFEST_LIMIT = 32 * 2 ** 20;
const PROBE_LENGTH = 16 * 1024;
const PIECE = 2 ** 20;

const roles: Readonly<Record<string, string>> = { machine: "AMI", kernel: "AKI", ramdisk: "ARI" };

function isManifest(disk: Source): boolean {
  if (disk.size > MANIFEST_LIMIT) return false;
  const head = readBytes(disk, 0, Math.min(PROBE_LENGTH, disk.size)).toString("latin1");
  return (
    /^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<manifest[\s>]/.test(head) &&
    /<(?:parts|bundled_size|user_encrypted_key|bundler)[\s>]/.test(head)
  );
}

function openBundle(disk: Source, context: ContainerContext): Container {
  const manifest = parseManifest(readBytes(disk, 0, disk.size).toString("utf8"), disk.name);
  const parts = openParts(manifest, context);
  let bundle: Source = parts.whole;
  let tarSource: Source;
  let archive: Container;
  try {
    if (manifest.bundledSize !== undefined && manifest.bundledSize !== bundle.size) {
      throw new ImageError("TRUNCATED", `the parts together have ${bundle.size} bytes, the manifest says ${manifest.bundledSize}`, {
        file: disk.name,
      });
    }
    bundle = decrypted(bundle, manifest, disk.name, context);
    const unpacked = context.unpack(bundle, "bundle");
    if (!unpacked) throw new ImageError("CORRUPT", "the parts together are not compressed with gzip", { file: disk.name });
    bundle = unpacked;
    tarSource = unpacked;
    archive = tar.open(tarSource, context);
  } catch (error) {
    bundle.close();
    throw error;
  }
  const path = imageIn(archive, manifest);
  const { architecture, kernelId, ramdiskId, encryptedKey, type } = manifest;
  return {
    ...archive,
    format: "ec2-bundle",
    disks: path === undefined ? [] : [{ name: manifest.name.replaceAll("/", "_") || path, path, role: roles[type] ?? type }],
    facts: () => ({
      variant: encryptedKey === undefined ? "not encrypted" : "AES-128-CBC",
      details: {
        type: roles[type] ?? type,
        ...(architecture !== "" && { architecture }),
        ...(kernelId !== "" && { "kernel id": kernelId }),
        ...(ramdiskId !== "" && { "ramdisk id": ramdiskId }),
        parts: manifest.parts.length,
        "bundled size": parts.whole.size,
      },
      notes: archive.facts().notes,
    }),
    check: (progress) => checkBundle(manifest, parts.sources, tarSource, progress),
    close: () => tarSource.close(),
  };
}

function openParts({ parts }: BundleManifest, { part }: ContainerContext): { readonly whole: Source; readonly sources: readonly Source[] } {
  const sources: Source[] = [];
  try {
    for (const { fileName } of parts) sources.push(part(fileName));
  } catch (error) {
    for (const source of sources) source.close();
    throw error;
  }
  return { whole: concatSource(sources[0]?.name ?? "", sources), sources };
}

function decrypted(bundle: Source, { encryptedKey, encryptedIv }: BundleManifest, file: string, { options }: ContainerContext): Source {
  if (encryptedKey === undefined || encryptedIv === undefined) return bundle;
  if (options.privateKey === undefined) {
    throw new ImageError("KEY_NEEDED", "the bundle is encrypted", {
      file,
      hint: "Give the private key of the user that it was made for with --key-file FILE.",
    });
  }
  const key = privateKeyOf(options.privateKey, file);
  return decryptedSource(
    bundle,
    decryptSecret(encryptedKey, key, "the key", file),
    decryptSecret(encryptedIv, key, "the initialisation vector", file),
  );
}

/** The image by the manifest's name, else the only file there is. */
function imageIn(archive: Container, { name }: BundleManifest): string | undefined {
  const files = [...archive.list(archive.root.id)].filter(([, { kind }]) => kind === "file").map(([path]) => path);
  return files.find((path) => path === name) ?? (files.length === 1 ? files[0] : undefined);
}

/** Compares the digest of each part, and that of the archive. */
function checkBundle(
  { parts, digest, name }: BundleManifest,
  sources: readonly Source[],
  archive: Source,
  progress: CheckProgress,
): readonly Finding[] {
  const size = sources.reduce((sum, source) => sum + source.size, 0) + (digest ? archive.size : 0);
  let before = 0;
  const checked = (file: string, source: Source, wanted: Digest | undefined): Finding => {
    if (!wanted) return { file, kind: "not checked", severity: "warning", message: "the manifest has no digest of it that is known" };
    const found = digestOf(source, wanted.algorithm, (done) => progress({ file, done: before + done, size }));
    before += source.size;
    if (found === wanted.value)
      return { file, kind: "ok", severity: "ok", message: `its ${wanted.algorithm.toUpperCase()} is that of the manifest` };
    return {
      file,
      kind: "digest differs",
      severity: "error",
      message: `its ${wanted.algorithm.toUpperCase()} is ${found}, and the manifest says ${wanted.value}`,
    };
  };
  const findings = sources.map((source, index) => checked(parts[index]?.fileName ?? "", source, parts[index]?.digest));
  return [...findings, checked(name, archive, digest)];
}

function digestOf(source: Source, algorithm: string, progress: (done: number) => void): string {
  const hash = createHash(algorithm);
  for (let position = 0; position < source.size; position += PIECE) {
    hash.update(readBytes(source, position, Math.min(PIECE, source.size - position)));
    progress(Math.min(source.size, position + PIECE));
  }
  return hash.digest("hex");
}
