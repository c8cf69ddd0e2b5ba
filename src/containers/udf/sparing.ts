// UDF 2.2.12: the table of packets that were replaced, on discs that are rewritten often.
import { ImageError } from "../../util/errors.js";
import { readBytes } from "../../source/source.js";
import { damagedUdf, sectorPosition, type Space } from "./space.js";
import { coveredLength, isIntact, tagOf } from "./tag.js";

/** By the first block of a packet in its partition: the sector where it is now. */
export type Packets = ReadonlyMap<number, number>;

/** Free and defective spare packets have numbers from here on instead of a block's. */
const NO_BLOCK = 0xfffffff0;

const HEADER = 56;

interface Table {
  readonly sequence: number;
  readonly packets: Packets;
}

/** The newest of the tables, which are copies of each other. Throws if all are damaged: then nobody knows which packets are stale. */
export function readSparing(space: Space, sectors: readonly number[]): Packets {
  const found = sectors.map((sector) => tableAt(space, sector)).filter((table) => table !== undefined);
  const [newest] = found.toSorted((a, b) => b.sequence - a.sequence);
  if (newest) {
    if (found.length < sectors.length) space.note("A sparing table is damaged: another copy of it was used.");
    return newest.packets;
  }
  if (sectors.length === 0) return new Map();
  throw damagedUdf(
    space,
    "none of its sparing tables is intact, so which blocks were replaced is not known",
    sectorPosition(space, sectors[0] ?? 0),
  );
}

function tableAt(space: Space, sector: number): Table | undefined {
  const { disk } = space;
  const position = sectorPosition(space, sector);
  if (position < 0 || position + HEADER > disk.size) return undefined;
  try {
    const head = readBytes(disk, position, HEADER);
    // Its tag is numbered 0; its name stands behind the flags of an entity identifier.
    if (tagOf(head) !== 0 || head.toString("latin1", 17, 35) !== "*UDF Sparing Table") return undefined;
    const count = head.readUInt16LE(48);
    const length = Math.max(HEADER + count * 8, coveredLength(head));
    if (position + length > disk.size) return undefined;
    const whole = readBytes(disk, position, length);
    return isIntact(whole) ? { sequence: head.readUInt32LE(52), packets: packetsOf(whole, count) } : undefined;
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function packetsOf(table: Buffer, count: number): Packets {
  const packets = new Map<number, number>();
  for (let index = 0; index < count; index += 1) {
    const original = table.readUInt32LE(HEADER + index * 8);
    if (original < NO_BLOCK) packets.set(original, table.readUInt32LE(HEADER + index * 8 + 4));
  }
  return packets;
}
