// Manifests of EC2 bundles, as ec2-ami-tools and euca2ools write them (version 2007-10-10). Amazon never published the format.
import { ImageError } from "../../util/errors.js";
import { parseXml, type XmlElement } from "../xml.js";

export interface BundlePart {
  readonly fileName: string;
  /** Of the part as it is stored, in lower case. */
  readonly digest: Digest | undefined;
}

export interface Digest {
  /** As `node:crypto` calls it. */
  readonly algorithm: string;
  readonly value: string;
}

export interface BundleManifest {
  readonly name: string;
  /** `machine`, `kernel` or `ramdisk`. */
  readonly type: string;
  /** Bytes of the image. */
  readonly size: number | undefined;
  /** Bytes of all parts together. */
  readonly bundledSize: number | undefined;
  /** Of the tar archive, before it was compressed. */
  readonly digest: Digest | undefined;
  readonly architecture: string;
  readonly kernelId: string;
  readonly ramdiskId: string;
  /** Key and initialisation vector, encrypted for the user, in hexadecimal digits; absent where the bundle is not encrypted. */
  readonly encryptedKey: string | undefined;
  readonly encryptedIv: string | undefined;
  /** In order. */
  readonly parts: readonly BundlePart[];
}

/** Parts have 10 MiB. */
const PART_LIMIT = 100_000;

/** Throws `CORRUPT` for what is no manifest. */
export function parseManifest(text: string, file: string): BundleManifest {
  const corrupt = (message: string) => new ImageError("CORRUPT", `the manifest: ${message}`, { file });
  let root: XmlElement;
  try {
    root = parseXml(text).root;
  } catch (error) {
    throw corrupt(error instanceof Error ? error.message : String(error));
  }
  const image = childOf(root, "image");
  if (root.name !== "manifest" || !image) throw corrupt("it describes no image");
  const list = childOf(image, "parts");
  const parts = (list?.children ?? [])
    .filter(({ name }) => name === "part")
    .map((part, order) => ({ part, index: numberIn(part.attributes.get("index")) ?? order }));
  const count = numberIn(list?.attributes.get("count"));
  if (parts.length === 0 || parts.length > PART_LIMIT) throw corrupt(`it names ${parts.length} parts`);
  if (count !== undefined && count !== parts.length) throw corrupt(`it says that there are ${count} parts, and names ${parts.length}`);
  const ordered = [...parts].sort((a, b) => a.index - b.index);
  if (ordered.some(({ index }, order) => index !== order)) throw corrupt("its parts are not numbered from 0 on without a gap");
  const machine = childOf(root, "machine_configuration");
  return {
    name: textIn(image, "name"),
    type: textIn(image, "type") || "machine",
    size: numberIn(textIn(image, "size")),
    bundledSize: numberIn(textIn(image, "bundled_size")),
    digest: digestOf(childOf(image, "digest")),
    architecture: machine ? textIn(machine, "architecture") : "",
    kernelId: machine ? textIn(machine, "kernel_id") : "",
    ramdiskId: machine ? textIn(machine, "ramdisk_id") : "",
    encryptedKey: textIn(image, "user_encrypted_key") || undefined,
    encryptedIv: textIn(image, "user_encrypted_iv") || undefined,
    parts: ordered.map(({ part, index }) => {
      const fileName = textIn(part, "filename");
      if (fileName === "") throw corrupt(`part ${index} has no file name`);
      return { fileName, digest: digestOf(childOf(part, "digest")) };
    }),
  };
}

function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

function textIn(element: XmlElement, name: string): string {
  return childOf(element, name)?.text ?? "";
}

function numberIn(text: string | undefined): number | undefined {
  const number = /^\d{1,16}$/.test(text ?? "") ? Number(text) : undefined;
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}

function digestOf(element: XmlElement | undefined): Digest | undefined {
  if (!element || !/^[0-9a-f]+$/i.test(element.text)) return undefined;
  const algorithm = (element.attributes.get("algorithm") ?? "SHA1").toLowerCase().replaceAll("-", "");
  return ["md5", "sha1", "sha256", "sha384", "sha512"].includes(algorithm) ? { algorithm, value: element.text.toLowerCase() } : undefined;
}
