import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { BLOCK, decodeHeader, decodePax, types } from "../tar-header.js";
import { windowOf } from "../window.js";
import { limits } from "./layout.js";

/** A file in the archive. */
export interface Member {
  readonly name: string;
  /** Where its content is, and how many bytes; the archive may end before. */
  readonly position: number;
  readonly size: number;
}

/** Whether a tar header stands at the start of `head`, and for which name. */
export function nameOfFirst(head: Uint8Array): string | undefined {
  return head.length < BLOCK ? undefined : decodeHeader(Buffer.from(head.buffer, head.byteOffset, BLOCK))?.name;
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
    const header = decodeHeader(block);
    if (!header) throw corrupt(source, at, "there is no header of a member of the archive");
    const position = at + BLOCK;
    const size = next.size ?? header.size;
    at = position + Math.ceil(size / BLOCK) * BLOCK;
    if (!Number.isSafeInteger(at)) throw corrupt(source, position - BLOCK, `a member of ${size} bytes`);
    switch (header.type) {
      case types.longName:
        next = { ...next, name: extension(source, position, size).toString("utf8").replace(/\0.*$/s, "") };
        break;
      case types.paxNext:
        next = { ...next, ...paxFields(extension(source, position, size)) };
        break;
      case types.file:
      case types.oldFile:
      case types.contiguous:
        yield { name: next.name ?? header.name, position, size };
        next = {};
        break;
      default:
        next = {};
    }
  }
}

function corrupt(source: Source, position: number, message: string): ImageError {
  return new ImageError("CORRUPT", message, { file: source.name, position });
}

function extension(source: Source, position: number, size: number): Buffer {
  if (size > limits.name) throw corrupt(source, position, `a name of ${size} bytes; ${limits.name} are the limit`);
  return readBytes(source, position, size);
}

function paxFields(content: Buffer): { readonly name?: string; readonly size?: number } {
  const records = decodePax(content);
  const name = records.get("path");
  const size = records.get("size");
  return { ...(name !== undefined && { name }), ...(size !== undefined && /^\d+$/.test(size) && { size: Number(size) }) };
}
