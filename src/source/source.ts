import { ImageError } from "../util/errors.js";
import type { Struct } from "../util/struct.js";

/** The bytes of one file, or of a part of one. Never written. */
export interface Source {
  /** What the user calls it, for messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Fills all of `target` from `position` on, or throws: `TRUNCATED` past the end, the system's error otherwise. */
  read(target: Uint8Array, position: number): void;
  /**
   * Where data stands, for sparse files: the run that starts at `position` is data or a hole, for `length` ≥ 1 bytes.
   * Absent where it is not known; then everything is data.
   */
  run?(position: number): { readonly data: boolean; readonly length: number };
  /** When it was changed last, in milliseconds since 1970, where that is known. */
  readonly modified?: number;
  /** For the fast paths below `read`: position 0 of this source is byte `offset` of the open file `fd`. */
  readonly file?: { readonly fd: number; readonly offset: number };
  close(): void;
}

/** `length` bytes at `position`; throws like `read`. The caller has bounded `length`. */
export function readBytes(source: Source, position: number, length: number): Buffer {
  const target = Buffer.allocUnsafeSlow(length);
  source.read(target, position);
  return target;
}

/** Reads and decodes one structure. Errors carry the file's name and the position in the file. */
export function readStruct<T>(source: Source, position: number, layout: Struct<T>): T {
  if (position + layout.size > source.size) {
    throw new ImageError("TRUNCATED", `the ${layout.name} of ${layout.size} bytes leaves the file of ${source.size} bytes`, {
      file: source.name,
      position,
    });
  }
  try {
    return layout.decode(readBytes(source, position, layout.size));
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, error.message, { file: source.name, position: position + (error.position ?? 0), cause: error });
  }
}

/** Refuses a read that leaves `source`, the way every source does. */
export function checkRange(source: { readonly name: string; readonly size: number }, length: number, position: number): void {
  if (position >= 0 && position + length <= source.size) return;
  throw new ImageError("TRUNCATED", `${length} bytes were wanted, the file has ${source.size} bytes`, { file: source.name, position });
}
