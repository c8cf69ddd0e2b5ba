// Images of VirtualBox (VDI), byte by byte. Independent of the reader: nothing of src/formats/vdi is used here.
// Reference: VDICore.h in the VirtualBox sources.
import { noise } from "./content.js";

/** What a block is: stored in the slot of that number, given by the parent, or zeros. */
export type VdiBlock = number | "free" | "zero";

export interface VdiShape {
  readonly blocks: readonly VdiBlock[];
  /** Default: 1.1, with the header of that. `1.1plus` has room for the geometry of the BIOS. */
  readonly version?: "0.1" | "1.0" | "1.1" | "1.1plus";
  readonly type?: 1 | 2 | 3 | 4;
  readonly flags?: number;
  /** Bytes. */
  readonly blockSize?: number;
  /** Bytes before the data of every block. */
  readonly extra?: number;
  /** Bytes of the disk, if it does not fill its last block. */
  readonly size?: number;
  /** Bytes between the header and the block map, and between that and the data; nothing of it is a multiple of a sector. */
  readonly gap?: number;
  /** What the positions of the block map and the data are multiples of. */
  readonly align?: number;
  /** Up to 63 bytes. */
  readonly text?: string;
  readonly comment?: string;
  readonly id?: string;
  readonly modification?: string;
  readonly parent?: { readonly id: string; readonly modification?: string; readonly disk: Uint8Array };
  /** Entries of the block map more than the disk needs. */
  readonly spare?: number;
  /** Cylinders, heads, sectors. */
  readonly geometry?: readonly [number, number, number];
  /** Other content for the same shape. */
  readonly seed?: number;
}

export interface VdiImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly tablePosition: number;
  /** Where slot 0 is, with its extra bytes. */
  readonly dataPosition: number;
}

const FREE = 0xffffffff;
const ZERO = 0xfffffffe;
const GIVEN = "00112233-4455-6677-8899-aabbccddeeff";
const MODIFIED = "fedcba98-7654-3210-0123-456789abcdef";

export function buildVdi(shape: VdiShape): VdiImage {
  const { blocks, version = "1.1", blockSize = 512, extra = 0, gap = 0, align = 1, parent, spare = 0, seed = 1 } = shape;
  const size = shape.size ?? blocks.length * blockSize;
  const count = blocks.length + spare;
  const old = version === "0.1";
  const headerEnd = old ? 420 : version === "1.1plus" ? 472 : 456;
  const aligned = (position: number) => (old ? position : Math.ceil((position + gap) / align) * align);
  const tablePosition = aligned(headerEnd);
  const dataPosition = aligned(tablePosition + count * 4);
  const slots = Math.max(-1, ...blocks.filter((block) => typeof block === "number")) + 1;

  const image = Buffer.alloc(dataPosition + slots * (extra + blockSize), 0xdd);
  image.fill(0, 0, headerEnd);
  const disk = Buffer.alloc(blocks.length * blockSize);
  disk.set((parent?.disk ?? new Uint8Array()).subarray(0, disk.length));
  for (let index = 0; index < count; index += 1) {
    const block = blocks[index] ?? "free";
    const at = index * blockSize;
    if (block === "zero") disk.fill(0, at, at + blockSize);
    if (typeof block === "number") {
      const content = noise(seed * 1000 + block, blockSize);
      content.copy(disk, at);
      content.copy(image, dataPosition + block * (extra + blockSize) + extra);
    }
    image.writeUInt32LE(block === "free" ? FREE : block === "zero" ? ZERO : block, tablePosition + index * 4);
  }

  image.write(shape.text ?? "<<< Oracle VM VirtualBox Disk Image >>>\n", 0, 63, "latin1");
  image.writeUInt32LE(0xbeda107f, 64);
  image.writeUInt32LE(old ? 1 : version === "1.0" ? 0x10000 : 0x10001, 68);
  if (!old) image.writeUInt32LE(headerEnd - 72, 72);
  const at = old ? 72 : 76;
  image.writeUInt32LE(shape.type ?? 1, at);
  image.writeUInt32LE(shape.flags ?? 0, at + 4);
  image.write(shape.comment ?? "", at + 8, 256, "utf8");
  if (!old) {
    image.writeUInt32LE(tablePosition, 340);
    image.writeUInt32LE(dataPosition, 344);
  }
  const rest = old ? 336 : 348;
  const geometry = [...(shape.geometry ?? [0, 0, 0]), 512];
  for (const [index, value] of geometry.entries()) {
    image.writeUInt32LE(version === "1.1plus" ? (index === 3 ? 512 : 0) : value, rest + 4 * index);
    if (version === "1.1plus") image.writeUInt32LE(value, 456 + 4 * index);
  }
  image.writeBigUInt64LE(BigInt(size), old ? 352 : 368);
  const used = new Set(blocks.filter((block) => typeof block === "number")).size;
  const numbers = old ? [blockSize, count, used] : [blockSize, extra, count, used];
  for (const [index, value] of numbers.entries()) image.writeUInt32LE(value, (old ? 360 : 376) + 4 * index);
  const uuids = [shape.id ?? GIVEN, shape.modification ?? MODIFIED, parent?.id, parent?.modification];
  for (const [index, uuid] of (old ? uuids.slice(0, 3) : uuids).entries()) {
    if (uuid !== undefined) image.set(stored(uuid), (old ? 372 : 392) + 16 * index);
  }
  return { image, disk: disk.subarray(0, size), tablePosition, dataPosition };
}

/** A UUID as the file has it: the first three groups little-endian. */
function stored(uuid: string): Buffer {
  const [a = "", b = "", c = "", ...rest] = uuid.split("-");
  return Buffer.concat([...[a, b, c].map((group) => Buffer.from(group, "hex").reverse()), Buffer.from(rest.join(""), "hex")]);
}
