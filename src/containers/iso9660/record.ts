// ECMA-119, clause 9.1: directory records.
import { decodeText } from "../../util/decode-text.js";
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

const flags = { directory: 2, associated: 4, multiExtent: 128 } as const;

/** A record, decoded when it is asked: a directory may have hundreds of thousands, and most of what they say is not wanted. */
export class DirectoryRecord {
  /** Byte position of the record. */
  readonly position: number;
  /** Where it stands, and the System Use field from `useStart` to `useEnd`. */
  readonly content: Buffer;
  readonly useStart: number;
  readonly useEnd: number;
  readonly #at: number;
  readonly #volume: Volume;
  readonly #nameLength: number;
  readonly #flags: number;

  /** The record at `at` of `content`, which stands at `base` of the disk and holds all of its bytes. */
  constructor(content: Buffer, at: number, base: number, volume: Volume) {
    const length = content[at] ?? 0;
    this.position = base + at;
    this.content = content;
    this.#at = at;
    this.#volume = volume;
    this.#nameLength = Math.min(content[at + 32] ?? 0, length - 33);
    this.#flags = content[at + (volume.kind === "high sierra" ? 24 : 25)] ?? 0;
    // The System Use field begins at an even position (9.1.12).
    this.useStart = at + 33 + this.#nameLength + ((this.#nameLength + 1) & 1);
    this.useEnd = at + length;
  }

  /** "." for the directory itself, ".." for its parent: names 0 and 1 (7.6.2). */
  get link(): "." | ".." | undefined {
    if (this.#nameLength !== 1) return undefined;
    const only = this.content[this.#at + 33] ?? 0;
    return only === 0 ? "." : only === 1 ? ".." : undefined;
  }

  /** As stored, or "." and "..". Versions, and the dot of an empty extension, are no part of a name for people. */
  get name(): string {
    const { content, link } = this;
    if (link) return link;
    const identifier = content.subarray(this.#at + 33, this.#at + 33 + this.#nameLength);
    const name = this.#volume.kind === "joliet" ? decodeUcs2(identifier) : decodeText(identifier);
    return name.replace(/;\d*$/, "").replace(/^(.+)\.$/s, "$1");
  }

  /** Bytes of data. */
  get size(): number {
    return this.content.readUInt32LE(this.#at + 10);
  }

  get section(): Section {
    const { content, size } = this;
    const { blockSize } = this.#volume;
    const at = this.#at;
    return {
      // Blocks of attributes stand in front.
      position: (content.readUInt32LE(at + 2) + (content[at + 1] ?? 0)) * blockSize,
      size,
      unit: (content[at + 26] ?? 0) * blockSize,
      gap: (content[at + 27] ?? 0) * blockSize,
    };
  }

  get isDirectory(): boolean {
    return (this.#flags & flags.directory) !== 0;
  }

  /** The resource fork of the record that follows (9.1.6). */
  get isAssociated(): boolean {
    return (this.#flags & flags.associated) !== 0;
  }

  /** More records of the same name continue this one (9.1.6). */
  get goesOn(): boolean {
    return (this.#flags & flags.multiExtent) !== 0;
  }

  /** Milliseconds since 1970. */
  get recorded(): number | undefined {
    return timeOf(this.content, this.#at + 18, this.#volume.kind !== "high sierra");
  }
}

/**
 * 7 bytes at `at`: year since 1900, month, day, hour, minute, second, and the offset from GMT in quarters of an hour (9.1.5); without the last in
 * High Sierra.
 */
export function timeOf(content: Uint8Array, at: number, withZone: boolean): number | undefined {
  const byte = (index: number) => content[at + index] ?? 0;
  const month = byte(1);
  const day = byte(2);
  if (month === 0 || day === 0) return undefined;
  return Date.UTC(1900 + byte(0), month - 1, day, byte(3), byte(4), byte(5)) - (withZone ? zoneOf(byte(6)) : 0);
}

/** Milliseconds that a clock is ahead of GMT, of which `byte` has the quarters of an hour, signed. genisoimage writes one of a whole day from 2038 on: it is none. */
export function zoneOf(byte: number): number {
  const quarters = (byte << 24) >> 24;
  return Math.abs(quarters) <= 52 ? quarters * 15 * 60_000 : 0;
}
