import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { header, indexNode, limits, NODE_SIZE, SECTOR, SIGNATURE } from "./layout.js";

export interface SparseImage {
  readonly version: number;
  /** Bytes of the disk. */
  readonly size: number;
  readonly bandSize: number;
  readonly nodes: number;
  readonly storedBands: number;
  /** For each band of the disk its number in the file, counted from 1 through all nodes; 0 for none, `twice` for one that is claimed twice. */
  readonly places: Uint32Array;
  /** Where the bands of a node begin, and the number in the file of the first. */
  readonly starts: readonly { readonly position: number; readonly first: number }[];
}

export const twice = 0xffffffff;

/** Reads all nodes. Throws for everything that leaves a part of the disk unknown. */
export function readImage(source: Source): SparseImage {
  const fields = readStruct(source, 0, header);
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const { signature, version, sectorsPerBand, lowSectors } = fields;
  if (signature !== SIGNATURE) throw fail("WRONG_FORMAT", 0, "it is no sparse disk image");
  if (version > 3) throw fail("UNSUPPORTED", 4, `the version is ${version}; up to version 3 is read here`);
  if (sectorsPerBand === 0 || sectorsPerBand > limits.sectorsPerBand) {
    throw fail("CORRUPT", 8, `a band has ${sectorsPerBand} sectors, not 1 to ${limits.sectorsPerBand}`);
  }
  const sectors = fields.sectors === 0 ? lowSectors : fields.sectors;
  if (sectors % 2 ** 32 !== lowSectors) throw fail("CORRUPT", 16, `the disk is said to have ${sectors} sectors, and ${lowSectors}`);
  const bandSize = sectorsPerBand * SECTOR;
  const bands = Math.ceil(sectors / sectorsPerBand);
  if (bands === 0 || bands > limits.bands) throw fail("CORRUPT", 28, `the disk has ${bands} bands, not 1 to ${limits.bands}`);

  const places = new Uint32Array(bands);
  const starts: { position: number; first: number }[] = [];
  let storedBands = 0;
  let number = 1;
  for (let position = 0, size: number = header.size; ; size = indexNode.size) {
    if (position + NODE_SIZE > source.size)
      throw fail("TRUNCATED", position, `the node at ${hex(position)} leaves the file of ${source.size} bytes`);
    const node = readBytes(source, position, NODE_SIZE);
    starts.push({ position: position + NODE_SIZE, first: number });
    for (let at = size; at < NODE_SIZE; at += 4, number += 1) {
      const band = node.readUInt32BE(at);
      if (band === 0) continue;
      if (band > bands) throw fail("CORRUPT", position + at, `a band is said to be number ${band} of ${bands}`);
      places[band - 1] = places[band - 1] === 0 ? number : twice;
      storedBands += 1;
    }
    const { next } = position === 0 ? fields : readStruct(source, position, indexNode);
    if (next === 0) return { version, size: sectors * SECTOR, bandSize, nodes: starts.length, storedBands, places, starts };
    if (next < position + NODE_SIZE || next + NODE_SIZE > source.size) {
      throw fail(
        next < position + NODE_SIZE ? "CORRUPT" : "TRUNCATED",
        position,
        `the next node is said to be at ${hex(next)}, in a file of ${source.size} bytes`,
      );
    }
    if (readBytes(source, next, 4).toString("latin1") !== SIGNATURE) throw fail("CORRUPT", next, `there is no node at ${hex(next)}`);
    position = next;
  }
}
