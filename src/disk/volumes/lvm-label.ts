import { crc32 } from "node:zlib";
import type { Scan } from "../partitions/scan.js";
import { type Area, areaBytes } from "./area.js";
import { lvmLabel, lvmLocation, lvmMetadataHeader, lvmPhysicalVolume, lvmRawLocation } from "./layout.js";

/** The label stands in one of the first four sectors of 512 bytes. */
const LABEL_SECTORS = 4;
const HEADER_SIZE = 512;
/** Of a raw location. */
const ignored = 1;
const headerMagic = " LVM2 x[5A%r0N*>";
/** pvcreate makes two at most, and leaves room for 8 lists of locations. */
const maxMetadataAreas = 8;
/** Usual metadata has some KiB; thousands of volumes take a few MiB. */
const maxTextSize = 4 * 2 ** 20;
/** Of all texts on a disk, together. */
const maxTextTotal = 16 * 2 ** 20;

export interface PhysicalVolume {
  readonly area: Area;
  /** 32 characters, without the dashes of the metadata. */
  readonly uuid: string;
  /** The text of each metadata area that is intact. */
  readonly texts: readonly string[];
}

/** What is left of the bytes that may be read, and the texts that were. */
interface TextStore {
  left: number;
  readonly known: Map<string, string>;
}

export function createTextStore(): TextStore {
  return { left: maxTextTotal, known: new Map() };
}

/** LVM's checksum: a CRC-32 that starts from a number of its own and is not inverted at the end. */
function lvmChecksum(content: Uint8Array): number {
  return ~crc32(content, ~0xf597a6cf >>> 0) >>> 0;
}

/** The LVM2 physical volume in an area, if it is one. */
export function readPhysicalVolume(scan: Scan, area: Area, store: TextStore): PhysicalVolume | undefined {
  for (let sector = 0; sector < LABEL_SECTORS; sector += 1) {
    const raw = areaBytes(scan, area, sector * 512, 512);
    const label = raw && lvmLabel.decode(raw);
    if (label?.id !== "LABELONE" || label.type !== "LVM2 001" || label.sector_xl !== BigInt(sector)) continue;
    if (lvmChecksum((raw as Buffer).subarray(20)) !== label.crc_xl) {
      scan.note(`the LVM label at byte ${area.start + sector * 512} has a wrong checksum; it is not used`);
      continue;
    }
    return readHeader(scan, area, raw as Buffer, label.offset_xl, store);
  }
  return undefined;
}

function readHeader(scan: Scan, area: Area, raw: Buffer, offset: number, store: TextStore): PhysicalVolume | undefined {
  if (offset + lvmPhysicalVolume.size > raw.length) return undefined;
  const { pv_uuid } = lvmPhysicalVolume.decode(raw, offset);
  const lists: { start: number; size: number }[][] = [[], []];
  let at = offset + lvmPhysicalVolume.size;
  // First where data is, which the metadata tells better, then where metadata is; each list ends in zeros.
  for (const list of lists) {
    for (;;) {
      if (at + lvmLocation.size > raw.length) return undefined;
      const location = lvmLocation.decode(raw, at);
      at += lvmLocation.size;
      if (location.offset === 0n) break;
      list.push({ start: Number(location.offset), size: Number(location.size) });
    }
  }
  const places = (lists[1] ?? []).slice(0, maxMetadataAreas);
  return { area, uuid: pv_uuid, texts: places.flatMap(({ start, size }) => readMetadata(scan, area, start, size, store) ?? []) };
}

/** The text of the metadata area at `start`, or, with a note, undefined. */
function readMetadata(scan: Scan, area: Area, start: number, size: number, store: TextStore): string | undefined {
  const found = metadataAt(scan, area, start, size, store);
  if (typeof found === "object") scan.note(`the LVM metadata area at byte ${area.start + start} ${found.damage}; it is not used`);
  return typeof found === "object" ? undefined : found;
}

function metadataAt(scan: Scan, area: Area, start: number, size: number, store: TextStore): string | { damage: string } | undefined {
  const raw = areaBytes(scan, area, start, HEADER_SIZE);
  if (!raw || start + size > area.size) return { damage: `is not inside ${area.label}` };
  const header = lvmMetadataHeader.decode(raw);
  if (header.magic !== headerMagic || header.version !== 1 || header.start !== BigInt(start)) return { damage: "has no header" };
  if (lvmChecksum(raw.subarray(4)) !== header.checksum_xl) return { damage: "has a header with a wrong checksum" };
  const location = lvmRawLocation.decode(raw, lvmMetadataHeader.size);
  // No volume group has been made yet, or it keeps no metadata here.
  if (location.offset === 0n || location.flags & ignored) return undefined;
  const text = { offset: Number(location.offset), size: Number(location.size), checksum: location.checksum };
  if (text.offset < HEADER_SIZE || text.offset >= size || text.size > size - HEADER_SIZE)
    return { damage: "leaves the place it was given" };
  if (text.size > maxTextSize) return { damage: `holds ${text.size} bytes of text, more than ${maxTextSize}` };
  // All copies of a group's metadata are the same.
  const key = `${text.size} ${text.checksum}`;
  const known = store.known.get(key);
  if (known !== undefined) return known;
  if (text.size > store.left) return { damage: "comes behind very much other metadata" };
  store.left -= text.size;
  const content = readCircular(scan, area, start, size, text);
  if (!content) return { damage: "cannot be read" };
  if (lvmChecksum(content) !== text.checksum) return { damage: "holds a text with a wrong checksum" };
  const decoded = content.toString("utf8");
  store.known.set(key, decoded);
  return decoded;
}

/** The text goes on behind the header where it reaches the end of its area. */
function readCircular(scan: Scan, area: Area, start: number, size: number, text: { offset: number; size: number }): Buffer | undefined {
  const first = Math.min(text.size, size - text.offset);
  const head = areaBytes(scan, area, start + text.offset, first);
  if (first === text.size) return head;
  const tail = areaBytes(scan, area, start + HEADER_SIZE, text.size - first);
  return head && tail && Buffer.concat([head, tail]);
}
