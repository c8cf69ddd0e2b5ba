import { bzip2 } from "./bzip2.js";
import type { PackedDriver } from "./driver.js";
import { gzip } from "./gzip.js";
import { lz4 } from "./lz4.js";
import { lzip } from "./lzip.js";
import { lzma } from "./lzma.js";
import { lzop } from "./lzop.js";
import { xz } from "./xz.js";
import { zstd } from "./zstd.js";

/** The ways to compress a file that are known. The last has no signature. */
export const packedDrivers: readonly PackedDriver[] = [gzip, xz, zstd, bzip2, lz4, lzip, lzop, lzma];

/** The driver whose signature `head` begins with. */
export function packedDriverOf(head: Uint8Array): PackedDriver | undefined {
  return packedDrivers.find((driver) => driver.probe(head));
}
