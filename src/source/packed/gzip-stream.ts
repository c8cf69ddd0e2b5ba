import { type GzipBinding, gzipBinding, kinds, statuses } from "../../native/gzip.js";
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";

/** Where a gzip file can be taken up: what `GzipBinding.gzipRestart` takes. */
export interface GzipPlace {
  readonly kind: number;
  readonly bit: number;
  /** Bit where the block's header starts, for `kinds.code`. */
  readonly header: number;
  readonly extra: number;
  readonly last: boolean;
}

/** A gzip file, decoded from one place on. */
export interface GzipStream {
  /** Byte of the file that comes next. */
  readonly position: number;
  /** Bytes that the last `fill` has made, also if it threw. */
  readonly made: number;
  /**
   * Goes on into `target`: one of `statuses`, where `hungry` means that the file ends here. It stops at a member's end once `memberFrom` bytes are made.
   * `goesOn` is asked before every piece of input; once it says no, it also stops at the next end of a block or a member.
   */
  fill(target: Uint8Array, memberFrom?: number, goesOn?: () => boolean): number;
  /** Where it stands now, and how many bytes of the member are decoded there. */
  mark(): GzipPlace & { readonly written: number };
  /**
   * Goes elsewhere. `window`: what is decoded before that place, at most 32 KiB. `end`: the byte of the file up to which it will most likely be read.
   * Throws `CORRUPT` if there is no deflate block.
   */
  restart(place: GzipPlace, window: Uint8Array, end: number): void;
  /** `CORRUPT`, at the present position, after `damaged`. */
  fault(): ImageError;
}

const INPUT_SIZE = 128 * 1024;
/** Bytes read at once behind the expected end. */
const BEHIND_SIZE = 4096;
/** Room for the header of a deflate block with the longest tables: 3 + 14 + 19 · 3 + 320 · 14 bits, and up to 7 bits before it. */
const HEADER_SIZE = 1024;
const NEVER = Number.MAX_SAFE_INTEGER;

/** Throws `UNSUPPORTED` where the addon is missing. */
export function requireAddon(source: Source): GzipBinding {
  if (gzipBinding) return gzipBinding;
  throw new ImageError("UNSUPPORTED", "it is compressed with gzip, which needs the native addon", {
    file: source.name,
    hint: "Build the addon with scripts/setup.",
  });
}

/** Decodes `source`, from its start until it is taken up elsewhere. It reads `inputSize` bytes at once. */
export function gzipStream(source: Source, inputSize = INPUT_SIZE): GzipStream {
  const addon = requireAddon(source);
  const decoder = addon.gzipDecoder();
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(inputSize, source.size)));
  const counts = new Float64Array(2);
  const marked = new Float64Array(6);
  let input = buffer.subarray(0, 0);
  let position = 0;
  let expectedEnd = source.size;
  let made = 0;

  function refill(): void {
    const ahead = Math.max(BEHIND_SIZE, expectedEnd - position);
    input = buffer.subarray(0, Math.min(buffer.length, ahead, source.size - position));
    source.read(input, position);
  }

  return {
    get position() {
      return position;
    },
    get made() {
      return made;
    },
    fill(target, memberFrom = NEVER, goesOn = () => true) {
      made = 0;
      for (;;) {
        const stop = !goesOn();
        if (input.length === 0) refill();
        const rest = made === 0 ? target : target.subarray(made);
        const from = stop ? 0 : Math.max(0, memberFrom - made);
        const status = addon.gzipFeed(decoder, input, rest, from, stop ? 0 : NEVER, counts);
        const [used = 0, given = 0] = counts;
        input = input.subarray(used);
        position += used;
        made += given;
        if (status !== statuses.hungry || position >= source.size) return status;
      }
    },
    mark() {
      addon.gzipMark(decoder, marked);
      const [kind = 0, bit = 0, header = 0, extra = 0, last = 0, written = 0] = marked;
      return { kind, bit, header, extra, last: last !== 0, written };
    },
    restart({ kind, bit, header, extra, last }, window, end) {
      const headerPosition = Math.floor(header / 8);
      const start = buffer.subarray(0, kind === kinds.code ? Math.min(HEADER_SIZE, buffer.length, source.size - headerPosition) : 0);
      source.read(start, headerPosition);
      position = Math.floor(bit / 8);
      expectedEnd = end;
      input = buffer.subarray(0, 0);
      if (!addon.gzipRestart(decoder, kind, bit, header, extra, last, window, start)) {
        throw new ImageError("CORRUPT", "there is no deflate block, as there was before", { file: source.name, position: headerPosition });
      }
    },
    fault: () => new ImageError("CORRUPT", `its gzip data does not decode: ${addon.gzipFault(decoder)}`, { file: source.name, position }),
  };
}
