// The descriptor of a package. Reference: DMTF DSP0243 1.0 to 2.1, and VMware's OVF 0.9, in which sections and contents are told apart by xsi:type.
import { ImageError, reasonOf } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { decodeDocument } from "./encoding.js";
import { kindOf } from "./sections.js";
import { readSystem, type VirtualSystem } from "./system.js";
import { bytesPerUnit, inBytes } from "./units.js";
import { attributeOf, childrenOf, parseXml, textOf, type XmlDocument, type XmlElement } from "../xml.js";

/** A file of the package, as `References` names it. */
export interface FileReference {
  readonly id: string;
  readonly href: string;
  /** Bytes, of all pieces together. */
  readonly size: number | undefined;
  /** Such as `gzip`. */
  readonly compression: string | undefined;
  /** Bytes of each piece but the last; undefined for a file in one piece. */
  readonly chunkSize: number | undefined;
}

export interface DiskEntry {
  readonly id: string;
  /** The id of a file; undefined for a disk that is empty. */
  readonly fileRef: string | undefined;
  /** Bytes of the virtual disk. Writers get it wrong: the image itself tells. */
  readonly capacity: number | undefined;
  readonly populatedSize: number | undefined;
  /** A URI that stands for a format. */
  readonly format: string | undefined;
  /** The id of the disk that it is a difference to. */
  readonly parentRef: string | undefined;
}

export interface Descriptor {
  /** Such as `OVF 1.1`. */
  readonly version: string;
  readonly files: readonly FileReference[];
  readonly disks: readonly DiskEntry[];
  readonly networks: readonly string[];
  readonly systems: readonly VirtualSystem[];
  /** What an EncryptionSection says is encrypted: ids or names of files. Empty where it says nothing; undefined where there is none. */
  readonly encrypted: readonly string[] | undefined;
}

/** Bytes; real ones have less than 1 MiB, unless they carry pictures. */
export const DESCRIPTOR_LIMIT = 16 * 2 ** 20;

/** Of files, of disks, of networks, of systems. */
const COUNT_LIMIT = 10_000;

/** Throws `CORRUPT` if it is no descriptor; `file` is what it is called. */
export function parseDescriptor(content: Uint8Array, file: string): Descriptor {
  try {
    return readEnvelope(parseXml(decodeDocument(content)));
  } catch (cause) {
    throw new ImageError("CORRUPT", `the descriptor cannot be understood: ${reasonOf(cause)}`, { file, cause });
  }
}

function readEnvelope({ root, namespace }: XmlDocument): Descriptor {
  if (root.name !== "Envelope") throw new Error(`its root element is ${quote(root.name)}, not "Envelope"`);
  const sections = (kind: string) => root.children.filter((each) => kindOf(each) === kind);
  const diskSections = [...sections("DiskSection"), ...sections("SharedDiskSection")];
  const disks = diskSections.flatMap((each) => [...childrenOf(each, "Disk"), ...childrenOf(each, "SharedDisk")]);
  const networks = sections("NetworkSection").flatMap((each) => childrenOf(each, "Network"));
  const configuration = sections("DeploymentOptionSection").flatMap(defaultConfiguration)[0];
  const encrypted = [...sections("EncryptionSection"), ...sections("EncryptedData")];
  return {
    version: versionOf(namespace, attributeOf(root, "version")),
    files: few(
      "files",
      childrenOf(root, "References").flatMap((each) => childrenOf(each, "File")),
    ).map(readFile),
    disks: few("disks", disks).map(readDisk),
    networks: few("networks", [...new Set(networks.flatMap((each) => attributeOf(each, "name") ?? []))]),
    systems: few("virtual systems", systemsIn(root)).map((each) => readSystem(each, configuration)),
    encrypted: encrypted.length > 0 ? encrypted.flatMap(dataReferences) : undefined,
  };
}

function few<T>(what: string, list: readonly T[]): readonly T[] {
  if (list.length > COUNT_LIMIT) throw new Error(`it has ${list.length} ${what}; ${COUNT_LIMIT} are the limit`);
  return list;
}

function systemsIn(element: XmlElement): readonly XmlElement[] {
  return element.children.flatMap((each) => {
    const kind = kindOf(each);
    if (kind === "VirtualSystemCollection") return systemsIn(each);
    return kind === "VirtualSystem" ? [each] : [];
  });
}

/** XML Encryption names what it encrypted by URIs that begin with `#`. */
function dataReferences(element: XmlElement): readonly string[] {
  const own = element.name === "DataReference" ? [(attributeOf(element, "URI") ?? "").replace(/^#/, "")] : [];
  return [...own, ...element.children.flatMap(dataReferences)];
}

/** The configuration that counts unless another one is chosen: the one that says so, else the first. */
function defaultConfiguration(section: XmlElement): readonly string[] {
  const all = childrenOf(section, "Configuration");
  const chosen = all.find((each) => /^(true|1)$/i.test(attributeOf(each, "default") ?? "")) ?? all[0];
  return (chosen && [attributeOf(chosen, "id") ?? ""]) ?? [];
}

function readFile(element: XmlElement): FileReference {
  const chunkSize = inBytes(attributeOf(element, "chunkSize"), 1);
  return {
    id: attributeOf(element, "id") ?? "",
    href: attributeOf(element, "href") ?? "",
    size: inBytes(attributeOf(element, "size"), 1),
    compression: attributeOf(element, "compression"),
    chunkSize: chunkSize === 0 ? undefined : chunkSize,
  };
}

function readDisk(element: XmlElement): DiskEntry {
  const unit = attributeOf(element, "capacityAllocationUnits");
  const capacity = inBytes(attributeOf(element, "capacity"), unit === undefined ? 1 : bytesPerUnit(unit));
  return {
    id: attributeOf(element, "diskId") ?? "",
    fileRef: attributeOf(element, "fileRef"),
    // Red Hat's first ones have a size in GiB instead.
    capacity: capacity ?? (element.attributes.has("capacity") ? undefined : inBytes(attributeOf(element, "size"), 2 ** 30)),
    populatedSize: inBytes(attributeOf(element, "populatedSize"), 1),
    format: attributeOf(element, "format") ?? textOf(element, "Format"),
    parentRef: attributeOf(element, "parentRef"),
  };
}

function versionOf(namespace: string, version: string | undefined): string {
  const path = namespace.replace(/\/$/, "");
  if (path === "http://www.vmware.com/schema/ovf/1/envelope" || path === "http://schemas.dmtf.org/ovf/envelope") return "OVF 0.9";
  const major = /\/ovf\/envelope\/(\d+)$/.exec(path)?.[1];
  // Red Hat writes the version of its own program there.
  if (version !== undefined && /^[0-2]\.\d+(\.\d+)?$/.test(version) && (major === undefined || version.startsWith(major)))
    return `OVF ${version}`;
  return major === undefined ? "OVF" : `OVF ${major}.x`;
}
