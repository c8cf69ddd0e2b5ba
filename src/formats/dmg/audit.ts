// The checksum of the data fork, which holds all that is stored of the disk.
import { readBytes, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { crc32, eachPiece } from "../digests.js";
import type { DmgFooter } from "./footer.js";
import { footer as layout } from "./layout.js";

/** In the footer: type, size in bits, and the checksum itself. */
const CHECKSUM = 80;
const CRC32 = 2;

export function auditDmg(source: Source, { atStart, dataForkPosition, dataForkSize }: DmgFooter, audit: Audit): void {
  const position = (atStart ? 0 : source.size - layout.size) + CHECKSUM;
  const field = readBytes(source, position, 12);
  if (field.readUInt32BE(0) !== CRC32 || field.readUInt32BE(4) !== 32) return;
  const stored = field.readUInt32BE(8);
  if (dataForkPosition + dataForkSize > source.size) {
    const message = `the data fork, ${dataForkSize} bytes at ${hex(dataForkPosition)}, leaves the file of ${source.size} bytes`;
    audit.found({ kind: "behind the end", severity: "error", message, position });
    return;
  }
  let crc = 0;
  eachPiece(source, dataForkPosition, dataForkSize, (piece, done) => {
    crc = crc32(piece, crc);
    audit.progress(done, dataForkSize);
  });
  if (crc === stored) return;
  const message = `the checksum of the data fork is ${hex(stored)}, its content has ${hex(crc)}`;
  audit.found({ kind: "checksum wrong", severity: "error", message, position });
}
