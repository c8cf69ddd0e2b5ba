import { readBytes, type Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { openCowd } from "./cowd.js";
import type { SparseExtent } from "./extent.js";
import { openHosted } from "./hosted.js";
import { COWD_MAGIC, HOSTED_MAGIC, SE_CONST_MAGIC, UNFINISHED_MAGIC } from "./layout.js";
import { openSeSparse } from "./sesparse.js";

export type { SparseExtent } from "./extent.js";

type Kind = "hosted" | "unfinished" | "cowd" | "seSparse";

function kindOf(head: Uint8Array): Kind | undefined {
  if (head.length < 8) return undefined;
  const start = Buffer.from(head.buffer, head.byteOffset, 8);
  if (start.readBigUInt64LE() === SE_CONST_MAGIC) return "seSparse";
  switch (start.toString("latin1", 0, 4)) {
    case HOSTED_MAGIC:
      return "hosted";
    case UNFINISHED_MAGIC:
      return "unfinished";
    case COWD_MAGIC:
      return "cowd";
    default:
      return undefined;
  }
}

/** Whether the file begins like a sparse extent. */
export function isSparse(head: Uint8Array): boolean {
  return kindOf(head) !== undefined;
}

/** Opens it; throws `ImageError`. Does not close `source`. `size`: the extent line's size in bytes, where there is one. */
export function openSparse(source: Source, size?: number): SparseExtent {
  const extent = open(source);
  if (size === undefined || size === extent.size || extent.size === 0) return extent;
  const note = `The extent file holds ${extent.size} bytes; the descriptor says ${size}.`;
  return {
    ...extent,
    get notes() {
      return [note, ...extent.notes];
    },
  };
}

function open(source: Source): SparseExtent {
  const head = readBytes(source, 0, Math.min(8, source.size));
  switch (kindOf(head)) {
    case "hosted":
      return openHosted(source);
    case "cowd":
      return openCowd(source);
    case "seSparse":
      return openSeSparse(source);
    case "unfinished":
      throw new ImageError("CORRUPT", 'the file begins with "kdmv" instead of "KDMV": its writer was interrupted before it was complete', {
        file: source.name,
        position: 0,
      });
    case undefined:
      throw new ImageError("WRONG_FORMAT", "this is no sparse extent: it begins neither like a hosted one, nor COWD, nor seSparse", {
        file: source.name,
        position: 0,
      });
  }
}
