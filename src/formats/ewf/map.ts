import { inflateSync } from "node:zlib";
import { inflateZlib } from "../../native/unpack.js";
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { type Extent, type PackedBlock, packedKeys } from "../driver.js";
import { behindEnd, storedExtent } from "../stored.js";
import { adler32 } from "./adler.js";
import { CHECKSUM_SIZE } from "./layout.js";
import type { ChunkIndex, Place } from "./tables.js";

/** `map` of a disk of `size` bytes. `lost`: why chunks behind those of the index cannot be had. */
export function createMap(
  index: ChunkIndex,
  size: number,
  chunkSize: number,
  lost: ImageError,
): (offset: number, length: number) => Extent {
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);
  const contentOf = (chunk: number) => Math.min(chunkSize, size - chunk * chunkSize);

  function packed(
    { table: { source }, position }: Place,
    chunk: number,
    skip: number,
    length: number,
    unpack: PackedBlock["unpack"],
  ): Extent {
    return { kind: "packed", length, block: { key: keys + String(chunk), size: contentOf(chunk), source, position, unpack }, skip };
  }

  function compressed(place: Place, chunk: number, skip: number, length: number): Extent {
    const { position, room, table } = place;
    const { source } = table;
    const stored = Math.min(room, roomFor(chunkSize), source.size - position);
    return packed(place, chunk, skip, length, (target) => {
      if (scratch.length < stored) scratch = Buffer.allocUnsafeSlow(stored);
      const bytes = scratch.subarray(0, stored);
      source.read(bytes, position);
      if (inflateZlib(bytes, target)) return;
      const message = `chunk ${chunk} at ${hex(position)} does not decode to ${target.length} bytes`;
      throw new ImageError("CORRUPT", message, { file: source.name, position });
    });
  }

  /** A chunk that is stored as it is, with its checksum behind it: nothing of it is shown that does not fit. */
  function summed(place: Place, chunk: number, skip: number, length: number): Extent {
    const { position, table } = place;
    const { source } = table;
    return packed(place, chunk, skip, length, (target) => {
      source.read(target, position);
      const stored = readBytes(source, position + target.length, CHECKSUM_SIZE).readUInt32LE(0);
      const computed = adler32(target);
      if (stored === computed) return;
      const message = `chunk ${chunk} at ${hex(position)} has the checksum ${hex(stored)}, its content has ${hex(computed)}`;
      throw new ImageError("CORRUPT", message, { file: source.name, position });
    });
  }

  return (offset, length) => {
    const chunk = Math.floor(offset / chunkSize);
    const skip = offset - chunk * chunkSize;
    const most = Math.min(length, size - offset, chunkSize - skip);
    if (chunk >= index.count) {
      return { kind: "damaged", length: Math.min(length, size - offset), error: lost };
    }
    let place: Place;
    try {
      place = index.place(chunk);
    } catch (error) {
      if (error instanceof ImageError) return { kind: "damaged", length: most, error };
      throw error;
    }
    const { source } = place.table;
    if (place.position >= source.size) return { kind: "damaged", length: most, error: behindEnd(source, place.position, chunkSize) };
    if (place.compressed) return compressed(place, chunk, skip, most);
    const whole = contentOf(chunk);
    if (place.room < whole + CHECKSUM_SIZE) {
      const message = `chunk ${chunk} at ${hex(place.position)} is not compressed, and there are ${place.room} bytes for ${whole}`;
      return { kind: "damaged", length: most, error: new ImageError("CORRUPT", message, { file: source.name, position: place.position }) };
    }
    if (place.position + whole + CHECKSUM_SIZE <= source.size) return summed(place, chunk, skip, most);
    // The end of the file cuts it: there is no checksum any more.
    return storedExtent(source, place.position + skip, most);
  };
}

/** Bytes that a compressed chunk takes at most: more than zlib makes of noise. */
function roomFor(chunkSize: number): number {
  return chunkSize + (chunkSize >>> 3) + 4096;
}

/** The size of a disk that does not tell it: all chunks are full but the last one. */
export function sizeByChunks(index: ChunkIndex, chunkSize: number): number {
  if (index.count === 0) return 0;
  const { table, position, room, compressed } = index.place(index.count - 1);
  const full = (index.count - 1) * chunkSize;
  if (!compressed) return full + Math.max(0, Math.min(chunkSize, room - CHECKSUM_SIZE));
  const stored = Math.min(room, roomFor(chunkSize), table.source.size - position);
  try {
    return full + inflateSync(readBytes(table.source, position, stored), { maxOutputLength: chunkSize }).length;
  } catch (cause) {
    throw new ImageError("CORRUPT", "it does not tell the size of the disk, and its last chunk does not decode", {
      file: table.source.name,
      position,
      cause,
    });
  }
}
