import type { Source } from "../../source/source.js";
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Extent, FormatDriver } from "../driver.js";
import { runLength } from "../runs.js";
import { storedExtent } from "../stored.js";
import { type Bitmap, readBitmap } from "./bitmap.js";
import { isPartclone, type PartcloneHeader, partcloneCrc, readHeader } from "./header.js";
import { limits } from "./layout.js";
import { partcloneVariants } from "./variants.js";

/** A partition of which only the blocks in use were kept. */
export const partclone: FormatDriver = {
  name: "partclone",
  variants: partcloneVariants,
  extensions: [".pcl"],
  probe: ({ head }) => isPartclone(head),
  open(source, _opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `a partclone image has no ${asked}`, { file: source.name });
    const header = readHeader(source);
    const bitmap = readBitmap(source, header);
    const { version, fileSystem, program, size, blockSize, blocks } = header;
    return {
      format: "partclone",
      name: source.name,
      size,
      map: createMap(source, header, bitmap),
      facts: () => ({
        variant: `version ${version}`,
        details: {
          "file system": fileSystem,
          ...(program !== "" && { program: `partclone ${program}` }),
          "block size": blockSize,
          "stored blocks": bitmap.used,
        },
        notes: bitmap.used < blocks ? ["It is a partition, and holds only the blocks that were in use: free space reads as zeros."] : [],
      }),
      close: () => source.close(),
    };
  },
};

function createMap(source: Source, header: PartcloneHeader, bitmap: Bitmap): (offset: number, length: number) => Extent {
  const { size, blockSize, blocks, blocksPerChecksum } = header;
  const checksumSize = header.version === 1 ? checksumSizeOf(source, header, bitmap) : header.checksumSize;
  const plain = checksumSize === 0;
  const strip = (stored: number) => (plain ? 0 : Math.floor(stored / blocksPerChecksum));
  const has = (block: number) => block < blocks && bitmap.has(block);
  return (offset, length) => {
    const rest = Math.min(length, size - offset);
    const block = Math.floor(offset / blockSize);
    if (block >= blocks) return { kind: "zero", length: rest };
    const most = Math.min(rest, limits.run * blockSize);
    if (!has(block)) return { kind: "zero", length: runLength(offset, most, blockSize, (other) => !has(other)) };
    const rank = bitmap.rank(block);
    // Stored blocks follow each other, up to the next checksum.
    const run = runLength(offset, most, blockSize, (other) => has(other) && strip(rank + other - block) === strip(rank));
    return storedExtent(source, bitmap.end + rank * blockSize + strip(rank) * checksumSize + (offset - block * blockSize), run);
  };
}

/** Old programs on machines of 64 bits wrote eight bytes behind each block, the others four. The checksum of the second stored block tells, or the size of the file. */
function checksumSizeOf(source: Source, { blockSize }: PartcloneHeader, { used, end }: Bitmap): number {
  if (used < 2) return 4;
  const sizes = [4, 8];
  const bySum = sizes.filter((size) => hasSum(source, blockSize, end, size));
  if (bySum[0] !== undefined && bySum.length === 1) return bySum[0];
  const bySize = sizes.find((size) => source.size === end + used * (blockSize + size));
  if (bySize !== undefined) return bySize;
  throw new ImageError(
    "CORRUPT",
    "whether its checksums have four or eight bytes cannot be told: they fit neither way, nor does the size of the file",
    {
      file: source.name,
      position: end + blockSize,
    },
  );
}

/** Whether the checksums of the first two blocks are where they would be with `size` bytes for each. They are taken of the first byte of the block alone, by mistake. */
function hasSum(source: Source, blockSize: number, start: number, size: number): boolean {
  const second = start + blockSize + size;
  if (second + blockSize + 4 > source.size) return false;
  const sumOf = (position: number, from: number) => {
    const [first = 0] = readBytes(source, position, 1);
    return partcloneCrc(Buffer.alloc(blockSize, first), from);
  };
  const one = sumOf(start, 0xffffffff);
  const stored = (position: number) => readBytes(source, position + blockSize, 4).readUInt32LE(0);
  return stored(start) === one && [one, 0xffffffff].some((from) => stored(second) === sumOf(second, from));
}
