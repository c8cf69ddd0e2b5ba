// .lzma, the format before xz: one stream behind 13 bytes. Reference: the LZMA specification of the LZMA SDK, "LZMA file format".
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";
import type { PackedDriver } from "./driver.js";
import { countDecoded, MEMORY_LIMIT, requireStreams, type StreamedUnit, streamedUnit, zerosUpTo } from "./streamed.js";
import { createUnitList, decodeUnits } from "./units.js";
import { unpackedSource } from "./unpacked.js";

const HEADER_SIZE = 13;
/** Larger ones nobody has written; xz refuses them, too. */
const SIZE_LIMIT = 2 ** 38;
const DICTIONARY_LIMIT = 2 ** 28;

export const lzma: PackedDriver = {
  name: "lzma",
  extensions: [".lzma"],
  probe,
  index(source, options) {
    requireStreams(source.name, "lzma");
    // There is no check and no way to tell what it is but to decode it.
    const { size, end, error } = countDecoded(stream(source, source.size), options.progress);
    const units = createUnitList(source.name);
    const rest = error ?? (zerosUpTo(source, end, source.size) ? undefined : trailing(source, end));
    if (rest && (!options.degraded || rest.code === "UNSUPPORTED")) throw early(rest, source);
    if (rest) options.damage(`${rest.message}; what follows byte ${rest.position ?? end} of the compressed file is missing`);
    units.add({ from: 0, to: error ? source.size : end, size });
    return units.encode("lzma", source.size, { cut: error !== undefined && size > 0 });
  },
  open(source, index) {
    const units = decodeUnits(index, "lzma", source.size);
    if (!units) return undefined;
    requireStreams(source.name, "lzma");
    return unpackedSource(source, units, {
      unit: "lzma stream",
      advice: "Compress with xz -T0 for random access.",
      open: (unit) => stream(source, units.end(unit)),
    });
  },
};

/** It has no signature: so every byte must be what encoders write. */
function probe(head: Uint8Array): boolean {
  if (head.length < HEADER_SIZE + 5) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const properties = head[0]!;
  if (properties >= 225 || (properties % 9) + (Math.floor(properties / 9) % 5) > 4) return false;
  const dictionary = view.getUint32(1, true);
  if (dictionary < 2 ** 12 || dictionary > DICTIONARY_LIMIT || !isUsual(dictionary)) return false;
  const [low, high] = [view.getUint32(5, true), view.getUint32(9, true)];
  const unknown = low === 0xffffffff && high === 0xffffffff;
  if (!unknown && (high * 2 ** 32 + low === 0 || high * 2 ** 32 + low > SIZE_LIMIT)) return false;
  // The range coder starts with a zero. The first symbol is a literal, unless the stream is empty: then it marks the end.
  return head[HEADER_SIZE] === 0 && (head[HEADER_SIZE + 1]! < 0x80 || unknown);
}

/** 2^n or 2^n + 2^(n-1), as all encoders choose. */
function isUsual(size: number): boolean {
  const top = 2 ** Math.floor(Math.log2(size));
  return size === top || size === top * 1.5;
}

function stream(source: Source, end: number): StreamedUnit {
  return streamedUnit({
    source,
    start: 0,
    end,
    what: "lzma stream",
    begin: () => ({ stream: { kind: "lzma", limit: MEMORY_LIMIT }, data: 0 }),
  });
}

function trailing({ name }: Source, position: number): ImageError {
  return new ImageError("CORRUPT", "something follows the lzma stream", { file: name, position });
}

/** Damage at the end of the file is told as what it is. */
function early(error: ImageError, source: Source): ImageError {
  if (error.position !== source.size) return error;
  return new ImageError("TRUNCATED", "the file ends inside the lzma stream", { file: source.name, position: source.size });
}
