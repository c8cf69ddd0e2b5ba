import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { windowOf } from "../window.js";
import { BLOCK, fields, limits, memberTypes, tarHeader } from "./layout.js";

/** A file in the archive. */
export interface Member {
  readonly name: string;
  /** Where its content is, and how many bytes; the archive may end before. */
  readonly position: number;
  readonly size: number;
}

/** Whether a tar header stands at the start of `head`, and for which name. */
export function nameOfFirst(head: Uint8Array): string | undefined {
  if (head.length < BLOCK || !hasRightChecksum(head)) return undefined;
  return tarHeader.decode(head).name;
}

/**
 * The files of the archive, in its order, one small read for each. Ends with the archive, or the file: then `truncated` tells. Throws `CORRUPT` at a place
 * that is no header.
 */
export function* membersOf(source: Source): Generator<Member> {
  const read = windowOf(source);
  let next: { readonly name?: string; readonly size?: number } = {};
  for (let at = 0; at + BLOCK <= source.size; ) {
    const block = read(at, BLOCK);
    // Zeros end the archive.
    if (block[0] === 0 && block.every((byte) => byte === 0)) return;
    const header = readHeader(source, block, at);
    const position = at + BLOCK;
    const size = next.size ?? header.size;
    at = position + Math.ceil(size / BLOCK) * BLOCK;
    if (!Number.isSafeInteger(at)) throw corrupt(source, position - BLOCK, `a member of ${size} bytes`);
    switch (header.type) {
      case memberTypes.longName:
        next = { ...next, name: textOf(source, position, size).replace(/\0.*$/s, "") };
        break;
      case memberTypes.pax:
        next = { ...next, ...paxFields(textOf(source, position, size)) };
        break;
      case memberTypes.file:
      case memberTypes.oldFile:
      case memberTypes.contiguous:
        yield { name: next.name ?? header.name, position, size };
        next = {};
        break;
      default:
        next = {};
    }
  }
}

function readHeader(source: Source, block: Buffer, at: number): { readonly name: string; readonly type: number; readonly size: number } {
  const size = sizeOf(block);
  if (size === undefined || !hasRightChecksum(block)) throw corrupt(source, at, "there is no header of a member of the archive");
  const { name, type, magic, prefix } = tarHeader.decode(block);
  // GNU's older headers, with "ustar  ", have other things there.
  return { name: magic === "ustar" && prefix !== "" ? `${prefix}/${name}` : name, type, size };
}

function corrupt(source: Source, position: number, message: string): ImageError {
  return new ImageError("CORRUPT", message, { file: source.name, position });
}

/** Bytes of a member; undefined if the field holds no number. */
function sizeOf(block: Buffer): number | undefined {
  const [at, length] = fields.size;
  if ((block[at]! & 0x80) === 0) return octal(block.subarray(at, at + length));
  // Base 256, the most significant byte first; 2^53 needs seven bytes.
  if (block[at] !== 0x80 || block.subarray(at + 1, at + length - 7).some((byte) => byte !== 0)) return undefined;
  return Number(block.readBigUInt64BE(at + length - 8) & 0xffffffffffffffn);
}

function octal(field: Buffer): number | undefined {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(field.toString("latin1"))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

/** The sum of all bytes, those of the checksum itself counted as blanks. */
function hasRightChecksum(block: Uint8Array): boolean {
  const [at, length] = fields.checksum;
  const stored = octal(Buffer.from(block.subarray(at, at + length)));
  let sum = 32 * length;
  for (let index = 0; index < BLOCK; index += 1) if (index < at || index >= at + length) sum += block[index]!;
  return stored === sum;
}

function textOf(source: Source, position: number, size: number): string {
  if (size > limits.name) throw corrupt(source, position, `a name of ${size} bytes; ${limits.name} are the limit`);
  return readBytes(source, position, size).toString("utf8");
}

/** The records `LENGTH KEY=VALUE\n` that matter here. */
function paxFields(text: string): { readonly name?: string; readonly size?: number } {
  const name = /^\d+ path=(.*)$/m.exec(text)?.[1];
  const size = /^\d+ size=(\d+)$/m.exec(text)?.[1];
  return { ...(name !== undefined && { name }), ...(size !== undefined && { size: Number(size) }) };
}
