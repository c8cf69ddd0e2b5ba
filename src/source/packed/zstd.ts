// Zstandard: frames that decode by themselves. RFC 8878.
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { countDecoded, requireStreams, type StreamedUnit, streamedUnit, WINDOW_LOG_LIMIT } from "./streamed.js";
import { createUnitList, decodeUnits, type UnitList } from "./units.js";
import { unpackedSource } from "./unpacked.js";
import { isFrame, readSeekTable, walkFrames } from "./zstd-frames.js";

export const zstd: PackedDriver = {
  name: "zstd",
  extensions: [".zst", ".zstd"],
  probe: isFrame,
  index(source, options) {
    requireStreams(source.name, "zstd");
    const units = createUnitList(source.name);
    const frames = readSeekTable(source);
    if (frames) {
      for (const { start: from, end: to, size = 0 } of frames) units.add({ from, to, size });
      return units.encode("zstd", source.size);
    }
    return units.encode("zstd", source.size, { cut: addFrames(source, units, options) });
  },
  open(source, index) {
    const units = decodeUnits(index, "zstd", source.size);
    if (!units) return undefined;
    requireStreams(source.name, "zstd");
    return unpackedSource(source, units, {
      unit: "zstd frame",
      advice: "Compress with pzstd for random access.",
      open: (unit) => framesOf(source, units.start(unit), units.end(unit)),
    });
  },
};

function framesOf(source: Source, start: number, end: number): StreamedUnit {
  return streamedUnit({
    source,
    start,
    end,
    what: "zstd frame",
    next: "more",
    begin: (position) => ({ stream: { kind: "zstd", limit: WINDOW_LOG_LIMIT }, data: position }),
  });
}

/** Whether the last unit is damaged further on. */
function addFrames(source: Source, units: UnitList, options: IndexOptions): boolean {
  let position = 0;
  try {
    walkFrames(
      source,
      ({ start, end, size }) => {
        units.add({ from: start, to: end, size: size ?? sizeOf(source, start, end, options) });
        position = end;
      },
      options.progress,
    );
    return false;
  } catch (error) {
    if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
    options.damage(`${error.message}; what follows byte ${error.position ?? position} of the compressed file is missing`);
    const { size } = countDecoded(framesOf(source, position, source.size), options.progress);
    units.add({ from: position, to: source.size, size, apart: true });
    return size > 0;
  }
}

/** By decoding it: its header does not tell. */
function sizeOf(source: Source, start: number, end: number, options: IndexOptions): number {
  const { size, error } = countDecoded(framesOf(source, start, end), options.progress);
  if (error) throw error;
  return size;
}
