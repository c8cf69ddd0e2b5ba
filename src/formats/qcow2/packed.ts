// Compressed clusters. Reference: docs/interop/qcow2.rst, section "Compressed Clusters Descriptor".
import { inflateRaw, unzstd } from "../../native/unpack.js";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { type PackedBlock, packedKeys } from "../driver.js";

/** The block that a compressed descriptor names; undefined if it starts behind the end of the file. */
export type PackedClusters = (high: number, low: number) => PackedBlock | undefined;

export function packedClusters(source: Source, clusterBits: number, compression: "zlib" | "zstd"): PackedClusters {
  const clusterSize = 2 ** clusterBits;
  // Bits 0 to x-1 are the position, bits x to 61 the number of further 512-byte sectors; x is 49 to 61, so always in the high word.
  const sectorsShift = 62 - (clusterBits - 8) - 32;
  const positionMask = 2 ** sectorsShift - 1;
  const decode = compression === "zstd" ? unzstd : inflateRaw;
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);

  return (high, low) => {
    const position = (high & positionMask) * 2 ** 32 + low;
    const sectors = ((high & 0x3fffffff) >>> sectorsShift) + 1;
    if (position >= source.size) return undefined;
    // The last sector may reach past the end of the file: the stream ends before.
    const stored = Math.min(sectors * 512 - (position % 512), source.size - position);
    return {
      key: keys + String(position),
      size: clusterSize,
      source,
      position,
      unpack(target) {
        if (scratch.length < stored) scratch = Buffer.allocUnsafeSlow(Math.max(stored, clusterSize));
        const packed = scratch.subarray(0, stored);
        source.read(packed, position);
        if (decode(packed, target)) return;
        throw new ImageError(
          "CORRUPT",
          `the compressed cluster at ${hex(position)} (${stored} bytes, ${compression}) does not decode to ${clusterSize} bytes`,
          {
            file: source.name,
            position,
          },
        );
      },
    };
  };
}
