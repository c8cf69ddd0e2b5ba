// Manifests of EC2 bundles, as ec2-ami-tools and euca2ools write them (version 2007-10-10). Amazon never published the format.
import { ImageError } from "../../util/errors.js";
import { childrenOf, parseXml, textOf, type XmlElement } from "../xml.js";

export interface BundlePart {
  readonly fileName: string;
  /** Of the part as it is stored. */
  readonly digest: Digest | undefined;
}

export interface Digest {
  /** As `node:crypto` calls it. */
  readonly algorithm: string;
  /** In lower case. */
  readonly value: string;
}

/** Key and initialisation vector of the bundle, encrypted for somebody, in hexadecimal digits. */
export interface Secrets {
  readonly key: string;
  readonly iv: string;
}

export interface BundleManifest {
  readonly name: string;
  /** `machine`, `kernel` or `ramdisk`. */
  readonly type: string;
  /** Account. */
  readonly user: string;
  /** The program that made it. */
  readonly bundler: string;
  /** Bytes of the image. */
  readonly size: number | undefined;
  /** Bytes of all parts together. */
  readonly bundledSize: number | undefined;
  /** Of the tar archive, before it was compressed. */
  readonly digest: Digest | undefined;
  readonly architecture: string;
  readonly kernelId: string;
  readonly ramdiskId: string;
  /** Such as `ami=sda1, swap=sda3`. */
  readonly devices: string;
  readonly ancestors: string;
  readonly productCodes: string;
  /** For whom the key is there: the user, then the cloud. None where the bundle is not encrypted. */
  readonly secrets: readonly Secrets[];
  /** In order. */
  readonly parts: readonly BundlePart[];
  /** Hexadecimal digits; RSA with SHA-1 over `signed`. */
  readonly signature: string | undefined;
  readonly signed: string | undefined;
}

/** Parts have 10 MiB. */
const PART_LIMIT = 100_000;
const CIPHER = "AES-128-CBC";

/** Throws `CORRUPT` for what is no manifest, `UNSUPPORTED` for another way to encrypt. */
export function parseManifest(text: string, file: string): BundleManifest {
  const corrupt = (message: string) => new ImageError("CORRUPT", `the manifest: ${message}`, { file });
  let root: XmlElement;
  try {
    root = parseXml(text).root;
  } catch (error) {
    throw corrupt(error instanceof Error ? error.message : String(error));
  }
  const [image] = childrenOf(root, "image");
  if (root.name !== "manifest" || !image) throw corrupt("it describes no image");
  const [machine] = childrenOf(root, "machine_configuration");
  const [bundler] = childrenOf(root, "bundler");
  const inMachine = (name: string) => (machine && textOf(machine, name)) ?? "";
  const kernelId = inMachine("kernel_id");
  const ramdiskId = inMachine("ramdisk_id");
  return {
    name: textOf(image, "name") ?? "",
    type: typeOf(image, kernelId, ramdiskId),
    user: textOf(image, "user") ?? "",
    bundler: bundler ? [textOf(bundler, "name"), textOf(bundler, "version"), textOf(bundler, "release")].filter(Boolean).join(" ") : "",
    size: numberIn(textOf(image, "size")),
    bundledSize: numberIn(textOf(image, "bundled_size")),
    digest: digestIn(image),
    architecture: inMachine("architecture"),
    kernelId: isMark(kernelId) ? "" : kernelId,
    ramdiskId: isMark(ramdiskId) ? "" : ramdiskId,
    devices: (machine ? descendants(machine, "mapping") : [])
      .map((mapping) => `${textOf(mapping, "virtual") ?? "?"}=${textOf(mapping, "device") ?? "?"}`)
      .join(", "),
    ancestors: textsIn(image, "ancestor_ami_id"),
    productCodes: machine ? textsIn(machine, "product_code") : "",
    secrets: secretsIn(image, corrupt, file),
    parts: partsIn(image, corrupt),
    signature: textOf(root, "signature"),
    signed: signedText(text),
  };
}

/** Eucalyptus tells kernels and RAM disks by a mark where others have the kernel that a machine starts with. */
function isMark(id: string): boolean {
  return id === "true" || id === "yes";
}

function typeOf(image: XmlElement, kernelId: string, ramdiskId: string): string {
  if (isMark(kernelId)) return "kernel";
  return isMark(ramdiskId) ? "ramdisk" : (textOf(image, "type") ?? "machine");
}

function partsIn(image: XmlElement, corrupt: (message: string) => ImageError): readonly BundlePart[] {
  const [list] = childrenOf(image, "parts");
  const parts = list
    ? childrenOf(list, "part").map((part, order) => ({ part, index: numberIn(part.attributes.get("index")) ?? order }))
    : [];
  const count = numberIn(list?.attributes.get("count"));
  if (parts.length === 0 || parts.length > PART_LIMIT) throw corrupt(`it names ${parts.length} parts`);
  if (count !== undefined && count !== parts.length) throw corrupt(`it says that there are ${count} parts, and names ${parts.length}`);
  const ordered = parts.toSorted((a, b) => a.index - b.index);
  if (ordered.some(({ index }, order) => index !== order)) throw corrupt("its parts are not numbered from 0 on without a gap");
  return ordered.map(({ part, index }) => {
    const fileName = textOf(part, "filename");
    if (fileName === undefined) throw corrupt(`part ${index} has no file name`);
    return { fileName, digest: digestIn(part) };
  });
}

function secretsIn(image: XmlElement, corrupt: (message: string) => ImageError, file: string): readonly Secrets[] {
  const hexIn = (name: string) => textOf(image, name)?.replaceAll(/\s/g, "");
  const found: Secrets[] = [];
  let isEncrypted = false;
  for (const owner of ["user", "ec2"]) {
    const key = hexIn(`${owner}_encrypted_key`);
    const iv = hexIn(`${owner}_encrypted_iv`);
    isEncrypted ||= key !== undefined || iv !== undefined;
    if (key !== undefined && iv !== undefined) found.push({ key, iv });
    const algorithm = childrenOf(image, `${owner}_encrypted_key`)[0]?.attributes.get("algorithm");
    if (key !== undefined && algorithm !== undefined && algorithm.toUpperCase() !== CIPHER) {
      throw new ImageError("UNSUPPORTED", `the bundle is encrypted with "${algorithm}", and only ${CIPHER} is known`, { file });
    }
  }
  if (isEncrypted && found.length === 0) throw corrupt("of the key and the initialisation vector only one is there");
  return found;
}

/** What is signed stands in the manifest as it was signed. */
function signedText(text: string): string | undefined {
  const element = (name: string) => new RegExp(`<${name}[\\s>]`).exec(text)?.index;
  const machine = element("machine_configuration");
  const image = element("image");
  if (machine === undefined || image === undefined) return undefined;
  const upTo = (start: number, end: string) => {
    const at = text.indexOf(end, start);
    return at < 0 ? "" : text.slice(start, at + end.length);
  };
  return upTo(machine, "</machine_configuration>") + upTo(image, "</image>");
}

function descendants(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.flatMap((child) => (child.name === name ? [child] : descendants(child, name)));
}

function textsIn(element: XmlElement, name: string): string {
  return descendants(element, name)
    .map(({ text }) => text)
    .filter((text) => text !== "")
    .join(", ");
}

function numberIn(text: string | undefined): number | undefined {
  const number = /^\d{1,16}$/.test(text ?? "") ? Number(text) : undefined;
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}

/** Undefined where there is none, or none that is known. */
function digestIn(parent: XmlElement): Digest | undefined {
  const [element] = childrenOf(parent, "digest");
  if (!element || !/^[0-9a-f]+$/i.test(element.text)) return undefined;
  const algorithm = (element.attributes.get("algorithm") ?? "SHA1").toLowerCase().replaceAll("-", "");
  return ["md5", "sha1", "sha256", "sha384", "sha512"].includes(algorithm) ? { algorithm, value: element.text.toLowerCase() } : undefined;
}
