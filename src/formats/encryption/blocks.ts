// Encrypted clusters as blocks that are decrypted as a whole.
import type { Source } from "../../source/source.js";
import { type Extent, packedKeys } from "../driver.js";
import { behindEnd } from "../stored.js";
import { AES_BLOCK } from "./aes.js";
import { SECTOR, type SectorCipher } from "./sector-ciphers.js";

/** Bytes that are decrypted at once at most; asking for longer runs is of no use. */
export const BLOCK_LIMIT = 64 * 1024;

/** From an offset of the disk to its place, as `Layer.map`. */
export type DiskMap = (offset: number, length: number) => Extent;

/** An image's encryption, with its key. */
export interface Encryption {
  /** For people, such as `LUKS, aes-256-xts-plain64, sha256`. */
  readonly name: string;
  readonly cipher: SectorCipher;
  /** What the sectors are counted by: their place on the virtual disk, or in the file that they are stored in. */
  readonly sectors: "disk" | "file";
  /** Where the image does not tell which password is right: takes the one that fits the disk best. `map` uses `cipher`. */
  choose?(map: DiskMap, size: number): void;
  /** What the user should know, one sentence each. */
  notes?(map: DiskMap, size: number): readonly string[];
}

/**
 * The extent of `length` bytes at `offset` of the disk, which are stored encrypted at `position` and part of a unit of `unit` bytes (a power of
 * two, 512 or more): its start is `skip` bytes before. Past the end of the file it is damaged.
 */
export type EncryptedExtent = (position: number, offset: number, skip: number, length: number, unit: number) => Extent;

export function encryptedExtents(source: Source, { cipher, sectors }: Encryption): EncryptedExtent {
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);

  function unpack(target: Uint8Array, position: number, sector: number): void {
    if (scratch.length < target.length) scratch = Buffer.allocUnsafeSlow(target.length);
    const stored = scratch.subarray(0, target.length);
    source.read(stored, position);
    cipher(stored, target, sector);
  }

  return (position, offset, skip, length, unit) => {
    // Blocks begin where a piece of a unit does, and end with one: of large units a block is a piece, of small ones several make a block.
    const piece = Math.min(unit, BLOCK_LIMIT);
    const into = skip % piece;
    const start = position - into;
    const wanted = Math.min(BLOCK_LIMIT, Math.ceil((into + length) / piece) * piece);
    const there = Math.floor((source.size - start) / AES_BLOCK) * AES_BLOCK;
    const size = Math.min(wanted, there);
    if (size <= into) return { kind: "damaged", length, error: behindEnd(source, position, length) };
    const sector = (sectors === "file" ? start : offset - into) / SECTOR;
    const block = {
      key: `${keys}${start}.${sector}.${size}`,
      size,
      source,
      position: start,
      unpack: (target: Uint8Array) => unpack(target, start, sector),
    };
    return { kind: "packed", length: Math.min(length, size - into), block, skip: into };
  };
}
