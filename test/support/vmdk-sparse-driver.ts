// Sparse extents as if each were a whole image, so that the contract of drivers can be asked of them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isSparse, openSparse, type SparseExtent } from "../../src/formats/vmdk/sparse/index.js";
import { memorySource } from "../../src/source/memory.js";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import type { FormatDriver, Layer } from "../../src/formats/driver.js";
import type { Source } from "../../src/source/source.js";

/** Under the name of the format, which is what the contract tells it from others by. */
export const sparseDriver: FormatDriver = {
  name: "vmdk",
  variants: [],
  extensions: [".vmdk"],
  probe: ({ head }) => isSparse(head),
  open: (source) => layerOf(source, openSparse(source)),
};

function layerOf(source: Source, extent: SparseExtent): Layer {
  return {
    format: "sparse",
    name: source.name,
    size: extent.size,
    map: (offset, length) => extent.map(offset, length),
    facts: () => ({ details: extent.details, notes: extent.notes }),
    close: () => source.close(),
  };
}

export function openBytes(image: Uint8Array, size?: number): SparseExtent {
  return openSparse(memorySource("test.vmdk", image), size);
}

/** One range of an extent; what is absent reads as zeros. */
export function readExtent(extent: SparseExtent, offset: number, length: number): Buffer {
  const layer: Layer = { format: "sparse", name: "", size: extent.size, map: extent.map, facts: () => extent, close: () => undefined };
  const target = Buffer.alloc(length, 0xee);
  readDisk(layer, target, offset, createBlockCache(2 ** 22));
  return target;
}

/** The file at `path` as a source. */
export function fileInMemory(path: string): Source {
  return memorySource(path, readFileSync(path));
}

/** What the only file of a folder holds. */
export function onlyFileOf(folder: string): Buffer {
  const [name, ...more] = readdirSync(folder);
  if (name === undefined || more.length > 0) throw new Error(`there are ${more.length + 1} files in ${folder}, or none`);
  return readFileSync(join(folder, name));
}
