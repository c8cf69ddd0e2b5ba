// EC2 ("S3-backed") bundles: a manifest, and parts that together are an image in a tar archive, compressed with gzip and mostly encrypted.
import { createHash } from "node:crypto";
import { concatSource } from "../../source/concat.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerContext, ContainerDriver, ContainerFacts, Item } from "../container.js";
import { tar } from "../tar/index.js";
import { checkArchive, checkParts, checkSignature } from "./check.js";
import { decryptedSource, decryptSecrets, keyHint, privateKeyOf } from "./cipher.js";
import { type BundleManifest, parseManifest } from "./manifest.js";

export const ec2Bundle: ContainerDriver = { name: "ec2-bundle", probe: isManifest, open: openBundle };

/** Bytes of a manifest: some 200 for each part of 10 MiB. */
const MANIFEST_LIMIT = 32 * 2 ** 20;
const PROBE_LENGTH = 16 * 1024;
/** Bytes of a directory's name, with room for what may be put behind it. */
const NAME_LIMIT = 200;

const roles: Readonly<Record<string, string>> = { machine: "AMI", kernel: "AKI", ramdisk: "ARI" };

/** Its root element is that of other manifests too (Android, the import of disks). */
function isManifest(disk: Source): boolean {
  if (disk.size > MANIFEST_LIMIT) return false;
  const head = readBytes(disk, 0, Math.min(PROBE_LENGTH, disk.size)).toString("latin1");
  if (!/^(?:\xef\xbb\xbf)?\s*(?:<\?[^>]*>\s*|<!--(?:[^-]|-(?!->))*-->\s*)*<manifest[\s>]/.test(head)) return false;
  return /<image[\s>]/.test(head) && /<(?:parts|bundled_size|(?:user|ec2)_encrypted_key)[\s>]/.test(head);
}

function openBundle(disk: Source, context: ContainerContext): Container {
  const manifest = parseManifest(readBytes(disk, 0, disk.size).toString("utf8"), disk.name);
  const parts = openParts(manifest, context);
  let bundle: Source = parts.whole;
  let archive: Container;
  try {
    checkSize(manifest, bundle, disk.name);
    bundle = blaming(manifest, parts.sources, () => {
      bundle = decrypted(bundle, manifest, disk.name, context);
      return unpacked(bundle, parts.sources, disk.name, context);
    });
    archive = tar.open(bundle, context);
  } catch (error) {
    bundle.close();
    throw error;
  }
  const whole = bundle;
  const image = imageIn(archive, manifest);
  const { name, type } = manifest;
  return {
    ...archive,
    format: "ec2-bundle",
    disks: image ? [{ name: directoryName(name || image.path), path: image.path, role: roles[type] ?? type }] : [],
    facts: () => factsOf(manifest, parts.whole.size, image, archive),
    check: (progress) => [
      checkSignature(manifest, context.options.privateKey, "manifest"),
      ...checkParts(manifest, parts.sources, progress),
      checkArchive(manifest, whole, progress),
    ],
    close: () => whole.close(),
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

function checkSize({ bundledSize }: BundleManifest, { size }: Source, file: string): void {
  if (bundledSize === undefined || bundledSize === size) return;
  throw new ImageError(
    size < bundledSize ? "TRUNCATED" : "CORRUPT",
    `the parts together have ${size} bytes, the manifest says ${bundledSize}`,
    {
      file,
    },
  );
}

function decrypted(bundle: Source, { secrets }: BundleManifest, file: string, { options }: ContainerContext): Source {
  if (secrets.length === 0) return bundle;
  if (options.privateKey === undefined) throw new ImageError("KEY_NEEDED", "the bundle is encrypted", { file, hint: keyHint });
  const { key, iv } = decryptSecrets(secrets, privateKeyOf(options.privateKey, file), file);
  return decryptedSource(bundle, key, iv);
}

function unpacked(bundle: Source, parts: readonly Source[], file: string, { unpack }: ContainerContext): Source {
  // The caller knows the manifest, and not whether the parts are still those of last time.
  const state = createHash("sha256").update(JSON.stringify(parts.map(({ size, modified }) => [size, modified])));
  const inner = unpack(bundle, `bundle ${state.digest("hex")}`);
  if (!inner) throw new ImageError("CORRUPT", "the parts together are not compressed with gzip", { file });
  return inner;
}

/** What cannot be unpacked is damaged somewhere: the digests tell in which part. */
function blaming<T>(manifest: BundleManifest, parts: readonly Source[], action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
    const bad = checkParts(manifest, parts, () => undefined).find(({ severity }) => severity === "error");
    if (!bad) throw error;
    throw new ImageError("CORRUPT", `the part ${quote(bad.file)} is damaged: ${bad.message}`, {
      file: error.file,
      hint: error.hint,
      cause: error,
    });
  }
}

/** The image by the manifest's name, else the only file there is. */
function imageIn(archive: Container, { name }: BundleManifest): { readonly path: string; readonly item: Item } | undefined {
  const files = [...archive.list(archive.root.id)].filter(([, { kind }]) => kind === "file").map(([path, item]) => ({ path, item }));
  return files.find(({ path }) => path === name) ?? (files.length === 1 ? files[0] : undefined);
}

/** As one name of a directory. */
function directoryName(name: string): string {
  const safe = name.toWellFormed().replaceAll(/[/\0]/g, "_");
  const short =
    Buffer.byteLength(safe) > NAME_LIMIT
      ? Buffer.from(safe)
          .toString("utf8", 0, NAME_LIMIT)
          .replace(/\ufffd+$/, "")
      : safe;
  return short === "." || short === ".." ? "image" : short;
}

function factsOf(
  manifest: BundleManifest,
  bundledSize: number,
  image: { readonly path: string; readonly item: Item } | undefined,
  archive: Container,
): ContainerFacts {
  const { type, architecture, kernelId, ramdiskId, devices, ancestors, productCodes, user, bundler, secrets, parts, size } = manifest;
  const given = { architecture, "kernel id": kernelId, "ramdisk id": ramdiskId, "block devices": devices, "made from": ancestors };
  const more = { "product codes": productCodes, user, bundler };
  const notes = [...archive.facts().notes];
  if (!image) notes.push("Which of the files in it is the image cannot be told: none is shown as a disk.");
  else if (size !== undefined && image.item.size !== size) {
    notes.push(`The image has ${image.item.size} bytes, and the manifest says ${size}.`);
  }
  return {
    variant: secrets.length === 0 ? "not encrypted" : "AES-128-CBC",
    details: {
      type: roles[type] ?? type,
      ...Object.fromEntries(Object.entries({ ...given, ...more }).filter(([, value]) => value !== "")),
      parts: parts.length,
      "bundled size": bundledSize,
    },
    notes,
  };
}
