// Bochs redologs, byte by byte. Independent of the reader: nothing of src/formats/bochs is used here.
// Reference: iodev/hdimage/hdimage.h in the Bochs sources.
import { noise, randomNumbers } from "./content.js";

/** What an extent is: in the slot of that number, or not there. */
export type BochsExtent = number | "absent";

export interface BochsShape {
  readonly extents: readonly BochsExtent[];
  readonly version?: 1 | 2;
  readonly subtype?: string;
  /** Sectors of an extent; Bochs takes 8 times the bytes of its bitmap. */
  readonly sectors?: number;
  /** Bytes of a bitmap, if it is not as large as it must be. */
  readonly bitmap?: number;
  /** Bytes of the disk. */
  readonly size?: number;
  /** Entries of the catalog. */
  readonly catalog?: number;
  /** How many of the sectors of an extent are stored; default a half. */
  readonly filled?: number;
  readonly seed?: number;
  readonly base?: Uint8Array;
}

export interface BochsImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Where slot 0 is, with its bitmap. */
  readonly dataPosition: number;
}

export function buildBochs(shape: BochsShape): BochsImage {
  const { extents, version = 2, subtype = "Growing", sectors = 16, filled = 0.5, seed = 1, base } = shape;
  const extentSize = sectors * 512;
  const bitmap = shape.bitmap ?? Math.ceil(sectors / 8);
  const bitmapSize = Math.ceil(bitmap / 512) * 512;
  const catalog = shape.catalog ?? extents.length;
  const size = shape.size ?? extents.length * extentSize;
  const dataPosition = 512 + catalog * 4;
  const slots = Math.max(-1, ...extents.filter((extent) => typeof extent === "number")) + 1;

  const image = Buffer.alloc(dataPosition + slots * (bitmapSize + extentSize));
  image.write("Bochs Virtual HD Image", 0, "latin1");
  image.write("Redolog", 32, "latin1");
  image.write(subtype, 48, "latin1");
  const fields = [version * 0x10000, 512, catalog, bitmap, extentSize];
  for (const [index, value] of fields.entries()) image.writeUInt32LE(value, 64 + 4 * index);
  image.writeBigUInt64LE(BigInt(size), version === 1 ? 84 : 88);

  const disk = Buffer.alloc(extents.length * extentSize);
  disk.set((base ?? new Uint8Array()).subarray(0, disk.length));
  const random = randomNumbers(seed);
  for (let index = 0; index < catalog; index += 1) {
    const slot = extents[index] ?? "absent";
    image.writeUInt32LE(slot === "absent" ? 0xffffffff : slot, 512 + index * 4);
    if (slot === "absent") continue;
    const start = dataPosition + slot * (bitmapSize + extentSize);
    for (let sector = 0; sector < sectors; sector += 1) {
      const content = noise(seed * 100_000 + slot * 1000 + sector, 512);
      const at = start + bitmapSize + sector * 512;
      // What is not marked is stored, too, and must not show.
      content.copy(image, at);
      if (random() >= filled) continue;
      const byte = start + (sector >>> 3);
      image[byte] = (image[byte] ?? 0) | (1 << (sector & 7));
      content.copy(disk, index * extentSize + sector * 512);
    }
  }
  return { image, disk: disk.subarray(0, size), dataPosition };
}
