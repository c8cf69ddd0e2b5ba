// DiskDescriptor.xml, which says what the files of a bundle are. Reference: docs/interop/prl-xml.rst in the QEMU sources.
import { readBytes, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { SECTOR } from "./layout.js";
import { parseXml, type XmlElement } from "./xml.js";

export const DESCRIPTOR_NAME = "DiskDescriptor.xml";
const ROOT = "Parallels_disk_image";

export interface Descriptor {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of a logical sector, where it tells; positions are in sectors of 512 all the same. */
  readonly sectorSize: number | undefined;
  /** In the order of the disk, without gaps; the last one may reach behind its end. */
  readonly storages: readonly Storage[];
  readonly shots: readonly Shot[];
  /** What the guest writes to, if it is declared. */
  readonly topId: string | undefined;
}

/** A part of the disk, with the images that hold it. */
export interface Storage {
  /** Bytes of the disk. */
  readonly start: number;
  readonly end: number;
  readonly images: readonly StoredImage[];
}

export interface StoredImage {
  /** A GUID in lower case, without braces. */
  readonly id: string;
  readonly plain: boolean;
  readonly file: string;
}

export interface Shot {
  readonly id: string;
  readonly parentId: string | undefined;
  readonly name: string;
}

/** The specification knows a dozen elements; real descriptors have some KiB. */
const SIZE_LIMIT = 2 ** 20;
const NO_ID = "00000000-0000-0000-0000-000000000000";

/** Whether a file begins like a descriptor. */
export function isDescriptor(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString("latin1");
  let at = text.startsWith("\xef\xbb\xbf") ? 3 : 0;
  for (;;) {
    while (/\s/.test(text[at] ?? "")) at += 1;
    const end = text.startsWith("<?", at) ? "?>" : text.startsWith("<!--", at) ? "-->" : undefined;
    if (end === undefined) break;
    const found = text.indexOf(end, at + 2);
    if (found < 0) return false;
    at = found + end.length;
  }
  return text.startsWith(`<${ROOT}`, at) && /[\s/>]/.test(text[at + 1 + ROOT.length] ?? "");
}

/** Reads and checks all of it; throws for everything that leaves the disk unknown. */
export function readDescriptor(source: Source): Descriptor {
  if (source.size > SIZE_LIMIT) throw failure(source, "CORRUPT", `the descriptor has ${source.size} bytes; ${SIZE_LIMIT} are the limit`);
  let root: XmlElement;
  try {
    root = parseXml(new TextDecoder("utf-8", { fatal: true }).decode(readBytes(source, 0, source.size)));
  } catch (error) {
    const reason = error instanceof TypeError ? "it is not UTF-8" : error instanceof Error ? error.message : String(error);
    throw new ImageError("CORRUPT", `the descriptor cannot be understood: ${reason}`, { file: source.name, cause: error });
  }
  if (root.name !== ROOT) throw failure(source, "WRONG_FORMAT", `the descriptor has <${root.name}> around it, not <${ROOT}>`);
  const version = root.attributes.get("Version");
  if (version !== "1.0") throw failure(source, "UNSUPPORTED", `the descriptor has the version ${quote(version ?? "")}; 1.0 is read here`);

  const parameters = only(source, root, "Disk_Parameters");
  refuse(source, parameters);
  const sectors = numberIn(source, parameters, "Disk_size");
  const sectorSize = childOf(parameters, "LogicSectorSize") && numberIn(source, parameters, "LogicSectorSize");
  const snapshots = childOf(root, "Snapshots");
  const topText = snapshots && childOf(snapshots, "TopGUID")?.text;
  return {
    size: bytesOf(source, sectors, "Disk_size"),
    sectorSize: sectorSize === 512 || sectorSize === 4096 ? sectorSize : undefined,
    storages: readStorages(source, only(source, root, "StorageData"), sectors * SECTOR),
    shots: childrenOf(snapshots, "Shot").map((shot) => readShot(source, shot)),
    topId: topText === undefined || topText === "" ? undefined : idOf(source, topText),
  };
}

/** What changes the meaning of everything else. */
function refuse(source: Source, parameters: XmlElement): void {
  const padding = childOf(parameters, "Padding")?.text ?? "0";
  if (padding !== "0") throw failure(source, "UNSUPPORTED", `the disk has the padding ${quote(padding)}; only disks without are specified`);
  const encryption = childOf(parameters, "Encryption");
  const engine = encryption && childOf(encryption, "Engine")?.text;
  if (engine === undefined || engine === "" || normalized(engine) === NO_ID) return;
  throw new ImageError("KEY_NEEDED", `the disk is encrypted with the engine ${quote(engine)}; encrypted disks cannot be read yet`, {
    file: source.name,
    hint: "Decrypt a copy first, in Parallels Desktop.",
  });
}

function readStorages(source: Source, data: XmlElement, size: number): readonly Storage[] {
  const storages = childrenOf(data, "Storage")
    .map((storage) => ({
      start: bytesOf(source, numberIn(source, storage, "Start"), "Start"),
      end: bytesOf(source, numberIn(source, storage, "End"), "End"),
      images: childrenOf(storage, "Image").map((image) => readImage(source, image)),
    }))
    .sort((a, b) => a.start - b.start);
  let reached = 0;
  for (const { start, end } of storages) {
    if (start !== reached || end <= start) {
      const message = `a storage has the sectors ${start / SECTOR} to ${end / SECTOR}; those before end at ${reached / SECTOR}`;
      throw failure(source, "CORRUPT", message);
    }
    reached = end;
  }
  if (reached < size) {
    throw failure(source, "CORRUPT", `the storages have ${reached / SECTOR} sectors together, the disk has ${size / SECTOR}`);
  }
  return storages;
}

function readImage(source: Source, image: XmlElement): StoredImage {
  const type = only(source, image, "Type").text;
  if (type !== "Plain" && type !== "Compressed") {
    throw failure(source, "UNSUPPORTED", `an image has the type ${quote(type)}; Plain and Compressed are known`);
  }
  const file = only(source, image, "File").text;
  if (file === "") throw failure(source, "CORRUPT", "an image has no file name");
  return { id: idOf(source, only(source, image, "GUID").text), plain: type === "Plain", file };
}

function readShot(source: Source, shot: XmlElement): Shot {
  const parentId = idOf(source, only(source, shot, "ParentGUID").text);
  return {
    id: idOf(source, only(source, shot, "GUID").text),
    parentId: parentId === NO_ID ? undefined : parentId,
    name: childOf(shot, "Name")?.text ?? "",
  };
}

/** A GUID as it is compared, whatever it looked like. */
export function normalized(id: string): string {
  return id.replace(/^\{(.*)\}$/, "$1").toLowerCase();
}

function idOf(source: Source, text: string): string {
  const id = normalized(text);
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw failure(source, "CORRUPT", `the descriptor has ${quote(text)} where a GUID belongs`);
}

function childrenOf(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? [];
}

function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

function only(source: Source, element: XmlElement, name: string): XmlElement {
  const [child, second] = childrenOf(element, name);
  if (child && !second) return child;
  throw failure(source, "CORRUPT", `<${element.name}> has ${child ? "more than one" : "no"} <${name}>`);
}

function numberIn(source: Source, element: XmlElement, name: string): number {
  const { text } = only(source, element, name);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw failure(source, "CORRUPT", `<${name}> is ${quote(text)}, not a number`);
}

function bytesOf(source: Source, sectors: number, name: string): number {
  if (Number.isSafeInteger(sectors * SECTOR)) return sectors * SECTOR;
  throw failure(source, "CORRUPT", `<${name}> is ${sectors} sectors, which are over 2^53 bytes`);
}

function failure(source: Source, code: ErrorCode, message: string): ImageError {
  return new ImageError(code, message, { file: source.name });
}
