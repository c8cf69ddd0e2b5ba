// ECMA-119, clause 9.1: directory records.
import { decodeText } from "../text.js";
import { decodeUcs2, type Volume } from "./volume.js";

/** One extent of a file: blocks that follow each other, or, interleaved, `unit` bytes of them and then a gap, over and over. */
export interface Section {
  /** Bytes, of the first data. */
  readonly position: number;
  /** Bytes of data. */
  readonly size: number;
  /** Bytes; 0 where nothing is left out. */
  readonly unit: number;
  readonly gap: number;
}

export interface DirectoryRecord {
  /** Byte position of the record. */
  readonly position: number;
  /** As stored, without version, or "." and "..". */
  readonly name: string;
  readonly section: Section;
  readonly isDirectory: boolean;
  readonly isHidden: boolean;
  /** The resource fork of the record that follows (9.1.6). */
  readonly isAssociated: boolean;
  /** More records of the same name continue this one (9.1.6). */
  readonly goesOn: boolean;
  /** Milliseconds since 1970. */
  readonly recorded: number | undefined;
  /** The System Use field. */
  readonly systemUse: Uint8Array;
}

const flags = { hidden: 1, directory: 2, associated: 4, multiExtent: 128 } as const;

/** Decodes the record at `at` of `content`, which stands at `base` of the disk. `content` holds all of its bytes. */
export function decodeRecord(content: Buffer, at: number, base: number, volume: Volume): DirectoryRecord {
  const { kind, blockSize } = volume;
  const old = kind === "high sierra";
  const length = content[at] ?? 0;
  const flagBits = content[at + (old ? 24 : 25)] ?? 0;
  const nameLength = Math.min(content[at + 32] ?? 0, length - 33);
  const identifier = content.subarray(at + 33, at + 33 + nameLength);
  // The System Use field begins at an even position (9.1.12).
  const systemUse = content.subarray(at + 33 + nameLength + ((nameLength + 1) & 1), at + length);
  const attributeBlocks = content[at + 1] ?? 0;
  return {
    position: base + at,
    name: nameOf(identifier, kind),
    section: {
      position: (content.readUInt32LE(at + 2) + attributeBlocks) * blockSize,
      size: content.readUInt32LE(at + 10),
      unit: (content[at + 26] ?? 0) * blockSize,
      gap: (content[at + 27] ?? 0) * blockSize,
    },
    isDirectory: (flagBits & flags.directory) !== 0,
    isHidden: (flagBits & flags.hidden) !== 0,
    isAssociated: (flagBits & flags.associated) !== 0,
    goesOn: (flagBits & flags.multiExtent) !== 0,
    recorded: timeOf(content.subarray(at + 18, at + 25), !old),
    systemUse,
  };
}

/** Names 0 and 1 are the directory itself and its parent (7.6.2). Versions, and the dot of an empty extension, are no part of a name for people. */
function nameOf(identifier: Buffer, kind: Volume["kind"]): string {
  if (identifier.length === 1 && identifier[0] === 0) return ".";
  if (identifier.length === 1 && identifier[0] === 1) return "..";
  const name = kind === "joliet" ? decodeUcs2(identifier) : decodeText(identifier);
  return name.replace(/;\d*$/, "").replace(/^(.+)\.$/, "$1");
}

/** 7 bytes: year since 1900, month, day, hour, minute, second, and the offset from GMT in quarters of an hour (9.1.5); without the last in High Sierra. */
export function timeOf(stamp: Uint8Array, withZone: boolean): number | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0] = stamp;
  if (month === 0 || day === 0) return undefined;
  const offset = withZone ? ((zone << 24) >> 24) * 15 * 60_000 : 0;
  return Date.UTC(1900 + year, month - 1, day, hour, minute, second) - offset;
}
