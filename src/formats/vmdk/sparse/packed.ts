// Compressed grains. Reference: VMware Virtual Disk Format 5.0, section "Stream-Optimized Compressed Sparse Extents".
// That text says RFC 1951; what programs write and read are zlib streams, RFC 1950.
import { inflateZlib } from "../../../native/unpack.js";
import { readBytes, type Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import { packedKeys } from "../../driver.js";
import { behindEnd } from "../../stored.js";
import type { GrainStore } from "./grains.js";
import type { HostedHeader } from "./hosted-header.js";
import { GRAIN_MARKER_SIZE, GRAIN_SIZE_PREFIX, SECTOR } from "./layout.js";

/** More than any deflate stream of a grain can need: stored blocks add 5 bytes per 64 KiB, careless writers some more. */
export function mostStored(grainSize: number): number {
  return 2 * grainSize + 1024;
}

/** Grains stored compressed, behind a marker or behind their size alone. */
export function packedStore(source: Source, { size, grainSize, markers }: HostedHeader): GrainStore {
  const headSize = markers ? GRAIN_MARKER_SIZE : GRAIN_SIZE_PREFIX;
  const keys = packedKeys();
  let packed = Buffer.alloc(0);
  let whole: Buffer | undefined;

  const corrupt = (position: number, message: string) =>
    new ImageError("CORRUPT", `the compressed grain at ${hex(position)} ${message}`, { file: source.name, position });

  /** The stream of grain number `grain`. Valid until the next call. */
  function readStream(position: number, grain: number): Uint8Array {
    const head = readBytes(source, position, headSize);
    if (markers) {
      const sector = head.readUInt32LE(4) * 2 ** 32 + head.readUInt32LE(0);
      const expected = (grain * grainSize) / SECTOR;
      if (sector !== expected) throw corrupt(position, `is marked as sector ${sector} of the disk, not ${expected}: the file is damaged`);
    }
    const stored = head.readUInt32LE(headSize - 4);
    if (stored === 0 || stored > mostStored(grainSize)) {
      throw corrupt(position, `takes ${stored} bytes, not 1 to ${mostStored(grainSize)}`);
    }
    if (position + headSize + stored > source.size) throw behindEnd(source, position + headSize, stored);
    if (packed.length < stored) packed = Buffer.allocUnsafeSlow(stored);
    const stream = packed.subarray(0, stored);
    source.read(stream, position + headSize);
    return stream;
  }

  /** The last grain of a disk may be stored whole, or only as far as the disk has it. */
  function unpackShort(stream: Uint8Array, target: Uint8Array): boolean {
    whole ??= Buffer.allocUnsafeSlow(grainSize);
    if (!inflateZlib(stream, whole)) return inflateZlib(stream, target);
    target.set(whole.subarray(0, target.length));
    return true;
  }

  return {
    joined: false,
    extent(position, grain, skip, length) {
      if (position + headSize >= source.size) return { kind: "damaged", length, error: behindEnd(source, position, headSize) };
      const content = Math.min(grainSize, size - grain * grainSize);
      const block = {
        key: keys + String(grain),
        size: content,
        source,
        position,
        unpack(target: Uint8Array) {
          const stream = readStream(position, grain);
          if (content < grainSize ? unpackShort(stream, target) : inflateZlib(stream, target)) return;
          throw corrupt(position, `(${stream.length} bytes) does not decode to ${content} bytes`);
        },
      };
      return { kind: "packed", length, block, skip };
    },
  };
}
