import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Piece } from "../pieces.js";
import { storedExtent } from "../stored.js";
import { gatheredMap } from "./gather.js";
import { badSector, dataIn, FORM2, hasSync, isForm2, kinds, type SectorLayout, USER } from "./sectors.js";

/** A run of sectors of a data track. */
export interface Sectors {
  readonly count: number;
  /** Where it is; nowhere, for zeros that the sheet asks for. */
  readonly stored?: StoredSectors | undefined;
  /** Why it cannot be had. */
  readonly error?: ImageError | undefined;
}

export interface StoredSectors {
  readonly source: Source;
  readonly position: number;
  readonly layout: SectorLayout;
}

export function sectorsOf(list: readonly Sectors[]): number {
  return list.reduce((sum, { count }) => sum + count, 0);
}

/** The 2048 bytes that a disk has of each sector. */
export function userPiece(sectors: Sectors): Piece {
  const size = sectors.count * USER;
  const { stored } = sectors;
  if (stored?.layout.stride !== USER) return pieceOf(sectors, USER, copyUser);
  const { source, position } = stored;
  return { size, map: (offset, length) => storedExtent(source, position + offset, Math.min(length, size - offset)) };
}

/** The 2324 bytes of sectors of form 2. */
export function form2Piece(sectors: Sectors): Piece {
  return pieceOf(sectors, FORM2, copyForm2);
}

type Copy = (stored: StoredSectors, content: Buffer, at: number, target: Uint8Array, to: number, position: number) => void;

function pieceOf({ count, stored, error }: Sectors, unit: number, copy: Copy): Piece {
  const size = count * unit;
  if (error) return { size, map: (offset, length) => ({ kind: "damaged", length: Math.min(length, size - offset), error }) };
  if (!stored) return { size, map: (offset, length) => ({ kind: "zero", length: Math.min(length, size - offset) }) };
  const { source, position, layout } = stored;
  const { main } = kinds[layout.kind];
  const map = gatheredMap({ source, position, stride: layout.stride, main, unit, take: (...sector) => copy(stored, ...sector) });
  return { size, map: (offset, length) => map(offset, Math.min(length, size - offset)) };
}

const copyUser: Copy = ({ source, layout: { kind } }, content, at, target, to, position) => {
  const data = dataIn(kind, content, at);
  if (typeof data === "string") throw badSector(source, position, data);
  content.copy(target, to, at + data, at + data + USER);
};

const copyForm2: Copy = ({ source, layout: { kind } }, content, at, target, to, position) => {
  const data = dataIn(kind, content, at);
  if (typeof data === "string") throw badSector(source, position, data);
  if (!isForm2(kind, content, at)) throw badSector(source, position, "has 2048 bytes, among others that have 2324");
  content.copy(target, to, at + data, at + data + FORM2);
};

/** Whether a run of sectors begins as those of Video CDs do: of form 2, with no file system in it. */
export function isVideo({ stored }: Sectors): boolean {
  if (!stored) return false;
  const [first, descriptor] = [sectorOf(stored, 0), sectorOf(stored, 16)];
  const isForm2Sector = (sector: Buffer) => isForm2(stored.layout.kind, sector, 0);
  return first !== undefined && isForm2Sector(first) && (descriptor === undefined || isForm2Sector(descriptor));
}

/** Throws `CORRUPT` if a run of sectors that is to be data alone begins with a sync pattern: what follows would be shifted from sector to sector. */
export function checkPlain({ stored }: Sectors, number: number): void {
  const first = stored?.layout.kind === "user" ? sectorOf(stored, 0) : undefined;
  if (!stored || !first || !hasSync(first, 0)) return;
  const message = `track ${number} is to have sectors of 2048 bytes; there are whole ones of 2352`;
  throw new ImageError("CORRUPT", message, { file: stored.source.name, position: stored.position });
}

/** Whether a run of sectors may have some of form 2. */
export function isMode2({ stored }: Sectors): boolean {
  if (!stored || stored.layout.kind === "user") return false;
  if (stored.layout.kind !== "raw") return true;
  const first = sectorOf(stored, 0);
  return first !== undefined && hasSync(first, 0) && (first[15]! & 3) === 2;
}

function sectorOf({ source, position, layout: { kind, stride } }: StoredSectors, index: number): Buffer | undefined {
  const { main } = kinds[kind];
  const start = position + index * stride;
  if (start + main > source.size) return undefined;
  try {
    return readBytes(source, start, main);
  } catch (error) {
    // Reading the sector tells.
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
