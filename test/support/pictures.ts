// Disks that are only a map, and pictures of them.
import type { Extent, Layer } from "../../src/formats/driver.js";
import { lanesOf } from "../../src/picture/areas.js";
import type { Picture } from "../../src/picture/picture.js";
import { surveyDisk } from "../../src/picture/survey.js";
import type { Source } from "../../src/source/source.js";
import { ImageError } from "../../src/util/errors.js";
import { printable } from "../../src/util/text.js";

/** A file that is never read. */
export function fileOf(name: string, size: number): Source {
  return { name, size, read: () => undefined, close: () => undefined };
}

/** A disk of blocks of `block` bytes, each of which `at` tells of. Its runs are the blocks. */
export function diskOf(name: string, block: number, blocks: number, at: (index: number, length: number) => Extent, parent?: Layer): Layer {
  return {
    format: "test",
    name,
    size: block * blocks,
    ...(parent && { parent }),
    map(offset, length) {
      const index = Math.floor(offset / block);
      const skip = offset - index * block;
      const extent = at(index, Math.min(length, block - skip));
      if (extent.kind === "data") return { ...extent, position: extent.position + skip };
      return extent.kind === "parent" ? { ...extent, offset } : extent;
    },
    facts: () => ({ details: {}, notes: [] }),
    close: () => undefined,
  };
}

const damage = (length: number, file: string): Extent => {
  return { kind: "damaged", length, error: new ImageError("CORRUPT", "the entry leads nowhere", { file, position: 64 }) };
};

/** A picture of `layer` with partitions of these names, of equal size. */
export function pictureOfLayer(layer: Layer, names: readonly string[] = [], limit?: number): Picture {
  const size = Math.floor(layer.size / Math.max(1, names.length));
  const partitions = names.map((name, index) => {
    return { number: index + 1, start: index * size, size, type: "0x83", typeName: "Linux", name };
  });
  const table = names.length > 0 ? { scheme: "gpt" as const, sectorSize: 512, partitions, notes: [] } : undefined;
  return {
    name: printable(layer.name),
    format: "test, version 1",
    stored: 12_345,
    survey: surveyDisk(layer, limit === undefined ? {} : { limit }),
    areas: lanesOf(layer.size, table, undefined),
  };
}

/** Eight blocks of 64 KiB, of every kind, in two images. */
export function exampleDisk(name = "top.img", base = "base.img"): Layer {
  const block = 65_536;
  const [own, below] = [fileOf(name, 2 ** 20), fileOf(base, 2 ** 21)];
  const parent = diskOf(base, block, 7, (_index, length) => ({ kind: "data", length, source: below, position: 4096 }));
  const kinds: readonly ((length: number) => Extent)[] = [
    (length) => ({ kind: "data", length, source: own, position: 0x50000 }),
    (length) => ({ kind: "data", length, source: own, position: 0x20000 }),
    (length) => ({ kind: "zero", length }),
    (length) => ({ kind: "parent", length, offset: 0 }),
    (length) => ({
      kind: "packed",
      length,
      skip: 0,
      block: { key: "1", size: block, source: own, position: 0x30000, unpack: () => undefined },
    }),
    (length) => damage(length, name),
    (length) => ({ kind: "data", length, source: own, position: 0x60000 }),
    (length) => ({ kind: "parent", length, offset: 0 }),
  ];
  return diskOf(name, block, kinds.length, (index, length) => kinds[index]?.(length) ?? { kind: "zero", length }, parent);
}
