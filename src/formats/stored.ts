import type { Source } from "../source/source.js";
import { ImageError, reasonOf } from "../util/errors.js";
import { hex } from "../util/text.js";
import type { Extent } from "./driver.js";

/**
 * `length` bytes stored plainly at `position` of `source`, as far as the file has them: a run that starts behind the end is damaged, never zeros.
 * A run that the end cuts stops there, so the next question gets the damaged rest.
 */
export function storedExtent(source: Source, position: number, length: number): Extent {
  if (position + length <= source.size) return { kind: "data", length, source, position };
  if (position < source.size) return { kind: "data", length: source.size - position, source, position };
  return { kind: "damaged", length, error: behindEnd(source, position, length) };
}

/** What reading data that the file does not have any more fails with. */
export function behindEnd(source: Source, position: number, length: number): ImageError {
  const message = `the data at ${hex(position)} (${length} bytes) is behind the end of the file, which has ${source.size} bytes`;
  return new ImageError("TRUNCATED", message, { file: source.name, position });
}

/** Why the table called `what` at `position` could not be loaded, as an error for the range of the disk that it maps. */
export function tableError(source: Source, what: string, position: number, error: unknown): ImageError {
  if (error instanceof ImageError && error.code !== "TRUNCATED") return error;
  return new ImageError(
    error instanceof ImageError ? error.code : "UNREADABLE",
    `the ${what} at ${hex(position)} cannot be read: ${reasonOf(error)}`,
    {
      file: source.name,
      position,
      cause: error,
    },
  );
}
