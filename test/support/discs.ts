// How tests open discs: over files in memory, and read their tracks.
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import type { FormatDriver, Layer, Opener, Track } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { difference } from "./reading.js";

export type Files = Readonly<Record<string, Uint8Array>>;

export interface OpenedDisc extends Layer {
  /** The names that were asked for and are not there. */
  readonly missed: readonly string[];
}

/** Opens the sheet (or image) `content`, called `name`, beside `files`. */
export function openDisc(
  driver: FormatDriver,
  name: string,
  content: Uint8Array | string,
  files: Files = {},
  degraded = false,
): OpenedDisc {
  const missed: string[] = [];
  const opener: Opener = {
    part(part) {
      const found = files[part];
      if (found) return memorySource(part, found);
      missed.push(part);
      throw new ImageError("PART_MISSING", `there is no ${part}`, { file: name });
    },
    parent: () => {
      throw new Error("a disc has no parent");
    },
    degraded,
  };
  const layer = driver.open(memorySource(name, typeof content === "string" ? Buffer.from(content) : content), opener, {});
  return Object.assign(layer, { missed });
}

/** The whole of a disk or track. */
export function contentOf(mapped: Pick<Layer, "size" | "map">): Buffer {
  const target = Buffer.alloc(mapped.size, 0xee);
  readDisk(mapped, target, 0, createBlockCache(2 ** 16));
  return target;
}

export function trackNamed({ tracks = [] }: Pick<Layer, "tracks">, name: string): Track {
  const found = tracks.find((track) => track.name === name);
  if (!found) throw new Error(`there is no ${name} among ${tracks.map((track) => track.name).join(", ")}`);
  return found;
}

/** Where the disk, and the tracks that are named, differ from what they should be. */
export function discDifferences(layer: Layer, disk: Uint8Array, tracks: Files): string[] {
  const names = (layer.tracks ?? []).map(({ name }) => name);
  const wanted = Object.keys(tracks).sort();
  const found = [
    names.join() === wanted.join() ? undefined : `tracks: ${names.join()} instead of ${wanted.join()}`,
    difference(contentOf(layer), disk),
    ...Object.entries(tracks).map(([name, content]) => {
      const differs = names.includes(name) ? difference(contentOf(trackNamed(layer, name)), content) : undefined;
      return differs === undefined ? undefined : `${name}: ${differs}`;
    }),
  ];
  return found.filter((each) => each !== undefined);
}

/** The runs of a disk, as words. */
export function runsOf(layer: Layer): string[] {
  const runs: string[] = [];
  let last = "";
  for (let offset = 0; offset < layer.size; ) {
    const extent = layer.map(offset, layer.size - offset);
    const kind = extent.kind === "data" || extent.kind === "packed" ? "stored" : extent.kind;
    if (kind !== last) runs.push(`${kind} from ${offset / 2048}`);
    last = kind;
    offset += extent.length;
  }
  return runs;
}
