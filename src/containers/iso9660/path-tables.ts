// ECMA-119, clause 9.4: path tables list the directories once more, in both byte orders.
import { readBytes, type Source } from "../../source/source.js";
import type { Finding } from "../../util/finding.js";
import { hex } from "../../util/text.js";
import type { Volume } from "./volume.js";

/** Told what is wrong, and at which byte of the disc. */
export type Tell = (severity: Finding["severity"], kind: string, message: string, position: number) => void;

/** A directory, by where it begins, and the one that it is in. */
export interface WalkedDirectory {
  readonly position: number;
  readonly parent: number;
}

const TABLE_LIMIT = 64 * 2 ** 20;

export function checkPathTables(disk: Source, volume: Volume, directories: ReadonlyMap<number, WalkedDirectory>, tell: Tell): void {
  const descriptor = volume.rootRecord - 156;
  const fields = readBytes(disk, descriptor, 160);
  const size = fields.readUInt32LE(132);
  const places = { little: fields.readUInt32LE(140), big: fields.readUInt32BE(148) };
  for (const order of ["little", "big"] as const) {
    const position = places[order] * volume.blockSize;
    const what = `the ${order}-endian path table of the ${volume.kind} volume`;
    if (position + size > disk.size || size > TABLE_LIMIT) {
      tell(
        "error",
        "path table",
        `${what}, ${size} bytes at ${hex(position)}, does not lie on the disc`,
        descriptor + (order === "little" ? 140 : 148),
      );
      continue;
    }
    compare(readBytes(disk, position, size), order, { what, position, blockSize: volume.blockSize, directories, tell });
  }
}

interface Context {
  readonly what: string;
  readonly position: number;
  readonly blockSize: number;
  readonly directories: ReadonlyMap<number, WalkedDirectory>;
  readonly tell: Tell;
}

function compare(table: Buffer, order: "little" | "big", { what, position, blockSize, directories, tell }: Context): void {
  const number = (at: number, size: number) => (order === "little" ? table.readUIntLE(at, size) : table.readUIntBE(at, size));
  const places: number[] = [];
  const listed = new Set<number>();
  for (let at = 0; at + 8 < table.length; ) {
    const nameLength = table[at] ?? 0;
    const wrong = (problem: string) => tell("error", "path table", `entry ${places.length + 1} of ${what} ${problem}`, position + at);
    if (nameLength === 0 || at + 8 + nameLength > table.length) {
      wrong("is broken");
      break;
    }
    const place = (number(at + 2, 4) + (table[at + 1] ?? 0)) * blockSize;
    const parent = number(at + 6, 2);
    places.push(place);
    listed.add(place);
    const walked = directories.get(place);
    if (!walked) wrong(`leads to ${hex(place)}, where no directory is`);
    else if (parent < 1 || parent > places.length || (places.length <= 0xffff && places[parent - 1] !== walked.parent)) {
      wrong(`has another parent than the directory at ${hex(place)}`);
    }
    at += 8 + nameLength + (nameLength & 1);
  }
  for (const { position: place } of directories.values()) {
    if (!listed.has(place)) tell("error", "path table", `the directory at ${hex(place)} is missing in ${what}`, position);
  }
}
