import type { Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { type Extent, packedKeys } from "../driver.js";
import { behindEnd, storedExtent } from "../stored.js";
import { type Decoder, decoderOf } from "./decoders.js";
import { entryTypes, limits, SECTOR } from "./layout.js";
import { NO_ENTRY, type Runs } from "./runs.js";

/** `map` of a disk of `size` bytes with these runs, whose data is at `dataForkPosition`. */
export function createMap(source: Source, runs: Runs, dataForkPosition: number, size: number): (offset: number, length: number) => Extent {
  const { starts, lengths, types, dataOffsets, dataSizes } = runs;
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);

  function damaged(index: number, length: number, code: ErrorCode, message: string): Extent {
    const position = dataForkPosition + dataOffsets[index]!;
    return { kind: "damaged", length, error: new ImageError(code, message, { file: source.name, position }) };
  }

  function packed(index: number, decoder: Decoder, skip: number, length: number): Extent {
    const position = dataForkPosition + dataOffsets[index]!;
    const stored = dataSizes[index]!;
    const blockSize = lengths[index]! * SECTOR;
    if (blockSize > limits.chunk || stored > limits.chunk) {
      return damaged(index, length, "UNSUPPORTED", `a chunk of ${blockSize} bytes, stored in ${stored}; ${limits.chunk} are the limit`);
    }
    if (position + stored > source.size) return { kind: "damaged", length, error: behindEnd(source, position, stored) };
    const block = {
      key: keys + String(index),
      size: blockSize,
      source,
      position,
      unpack(target: Uint8Array) {
        if (scratch.length < stored) scratch = Buffer.allocUnsafeSlow(stored);
        const content = scratch.subarray(0, stored);
        source.read(content, position);
        if (decoder.unpack(content, target)) return;
        const message = `the chunk at ${hex(position)} (${stored} bytes, ${decoder.name}) does not decode to ${blockSize} bytes`;
        throw new ImageError("CORRUPT", message, { file: source.name, position });
      },
    };
    return { kind: "packed", length, block, skip };
  }

  function mapRun(index: number, skip: number, length: number): Extent {
    const type = types[index]!;
    if (isZero(type)) return { kind: "zero", length };
    const decoder = decoderOf(type);
    if (decoder) return packed(index, decoder, skip, length);
    const run = lengths[index]! * SECTOR;
    if (type === NO_ENTRY) return damaged(index, length, "CORRUPT", `the block table says nothing about ${run / SECTOR} of its sectors`);
    if (type !== entryTypes.raw) return damaged(index, length, "UNSUPPORTED", `chunks of type ${hex(type)} are not known`);
    const stored = dataSizes[index]!;
    if (stored < run) return damaged(index, length, "CORRUPT", `a plain chunk of ${run} bytes has only ${stored} in the file`);
    return storedExtent(source, dataForkPosition + dataOffsets[index]! + skip, length);
  }

  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const index = lastAtOrBefore(runs, offset / SECTOR);
    const start = index < 0 ? 0 : starts[index]! * SECTOR;
    const end = index < 0 ? 0 : start + lengths[index]! * SECTOR;
    if (offset < end) return mapRun(index, offset - start, Math.min(most, end - offset));
    // Between the tables, which are one for each partition, is nothing.
    const next = index + 1 < runs.count ? starts[index + 1]! * SECTOR : size;
    return { kind: "zero", length: Math.min(most, next - offset) };
  };
}

function isZero(type: number): boolean {
  return type === entryTypes.zero || type === entryTypes.ignore;
}

/** The last run that starts at `sector` or before; -1 if there is none. */
function lastAtOrBefore({ count, starts }: Runs, sector: number): number {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= sector) low = middle;
    else high = middle - 1;
  }
  return low;
}
