// ECMA-119 (ISO 9660), clause 8: volume descriptors. High Sierra, its predecessor, has the same things 8 bytes later.
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";

/** Bytes of a sector, in which descriptors and directories are laid out whatever the logical block size. */
export const SECTOR = 2048;

/** Descriptors begin here (ECMA-119, 6.2.1: the first 16 sectors are the system's). */
const FIRST_SECTOR = 16;

/** Some images lack the terminator. */
const DESCRIPTOR_LIMIT = 100;

const types = { boot: 0, primary: 1, supplementary: 2, terminator: 255 } as const;

/** One tree of names: primary, Joliet, or the enhanced volume of ISO 9660:1999. */
export interface Volume {
  readonly kind: "primary" | "joliet" | "enhanced" | "high sierra";
  readonly label: string;
  /** Bytes of a logical block, in which extents are counted. */
  readonly blockSize: number;
  /** Byte position of the root directory's own record, in the descriptor. */
  readonly rootRecord: number;
  /** Bytes of the volume, by its own account. */
  readonly size: number;
}

/** Where the kinds keep what we need, relative to the descriptor. */
const layouts = {
  iso: { type: 0, magic: 1, label: 40, blocks: 80, escapes: 88, blockSize: 128, root: 156 },
  highSierra: { type: 8, magic: 9, label: 48, blocks: 88, escapes: 0, blockSize: 136, root: 180 },
} as const;

/** Every volume of the session that begins at `sessionStart` (bytes), in the order of the descriptors; empty if this is no ISO 9660. */
export function readVolumes(disk: Source, sessionStart = 0): readonly Volume[] {
  const volumes: Volume[] = [];
  for (let index = 0; index < DESCRIPTOR_LIMIT; index += 1) {
    const position = sessionStart + (FIRST_SECTOR + index) * SECTOR;
    if (position + SECTOR > disk.size) break;
    const sector = readBytes(disk, position, SECTOR);
    const magic =
      sector.toString("latin1", 1, 6) === "CD001" ? "iso" : sector.toString("latin1", 9, 14) === "CDROM" ? "highSierra" : undefined;
    if (magic === undefined) break;
    const type = sector[layouts[magic].type];
    if (type === types.terminator) break;
    const volume = type === types.primary || type === types.supplementary ? decodeVolume(sector, position, magic) : undefined;
    if (volume) volumes.push(volume);
  }
  return volumes;
}

function decodeVolume(sector: Buffer, position: number, magic: keyof typeof layouts): Volume | undefined {
  const layout = layouts[magic];
  const kind = kindOf(sector, magic);
  if (!kind) return undefined;
  const label = sector.subarray(layout.label, layout.label + 32);
  const blockSize = sector.readUInt16LE(layout.blockSize);
  return {
    kind,
    label: (kind === "joliet" ? decodeUcs2(label) : label.toString("latin1")).replace(/[\0 ]+$/, ""),
    blockSize: [512, 1024, 2048].includes(blockSize) ? blockSize : SECTOR,
    rootRecord: position + layout.root,
    size: sector.readUInt32LE(layout.blocks) * blockSize,
  };
}

/** A supplementary descriptor is Joliet's only with one of its escape sequences; version 2 makes it the enhanced one (ISO 9660:1999). */
function kindOf(sector: Buffer, magic: keyof typeof layouts): Volume["kind"] | undefined {
  if (magic === "highSierra") return "high sierra";
  if (sector[0] === types.primary) return "primary";
  if (/^%\/[@CE]/.test(sector.toString("latin1", layouts.iso.escapes, layouts.iso.escapes + 3))) return "joliet";
  return sector[6] === 2 ? "enhanced" : undefined;
}

/** UCS-2 or UTF-16, big-endian. */
export function decodeUcs2(content: Uint8Array): string {
  const even = Buffer.from(content.subarray(0, content.length & ~1));
  return even.swap16().toString("utf16le");
}

/** The position of the boot catalogue (El Torito 1.0, section 2.0), in bytes, in the session that begins at `sessionStart`; undefined without one. */
export function bootCatalogPosition(disk: Source, sessionStart: number): number | undefined {
  const position = sessionStart + (FIRST_SECTOR + 1) * SECTOR;
  if (position + SECTOR > disk.size) return undefined;
  const sector = readBytes(disk, position, SECTOR);
  const isBoot =
    sector[0] === types.boot &&
    sector.toString("latin1", 1, 6) === "CD001" &&
    sector.toString("latin1", 7, 30) === "EL TORITO SPECIFICATION";
  return isBoot ? sector.readUInt32LE(0x47) * SECTOR : undefined;
}

export function damagedIso(disk: Source, message: string, position: number): ImageError {
  return new ImageError("CORRUPT", message, { file: disk.name, position });
}
