// The checksum that follows each chunk of a disk: SHA-1 of old, in hexadecimal, in a member called like the chunk.
import { createHash } from "node:crypto";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { eachPiece } from "../digests.js";
import { type Member, membersOf } from "./tar.js";

/** `id`: what the names of the disk's chunks begin with. */
export function auditXva(source: Source, id: string, audit: Audit): void {
  let chunk: (Member & { readonly number: string }) | undefined;
  let others = 0;
  try {
    for (const member of membersOf(source)) {
      audit.progress(member.position, source.size);
      if (!member.name.startsWith(`${id}/`)) continue;
      const [, number, kind] = /^(\d{8,15})(?:\.(checksum|xxhash))?$/.exec(member.name.slice(id.length + 1)) ?? [];
      if (number === undefined) continue;
      if (kind === undefined) chunk = { ...member, number };
      else if (kind === "xxhash") others += 1;
      else if (chunk?.number === number) compare(source, chunk, member, audit);
    }
  } catch (error) {
    // The map of the disk tells what that makes of it.
    if (!(error instanceof ImageError)) throw error;
    audit.found({ kind: "archive damaged", severity: "error", message: error.message, position: error.position });
  }
  if (others === 0) return;
  const message = `${others} chunks have checksums by xxHash, which were not compared`;
  audit.found({ kind: "not compared", severity: "note", message, count: others });
}

function compare(source: Source, { name, position, size }: Member, sum: Member, audit: Audit): void {
  // A chunk or a checksum that is cut is told as an archive that is.
  if (position + size > source.size || sum.position + sum.size > source.size || sum.size > 128) return;
  const stored = readBytes(source, sum.position, sum.size).toString("latin1").trim().toLowerCase();
  const hash = createHash("sha1");
  eachPiece(source, position, size, (piece) => hash.update(piece));
  if (hash.digest("hex") === stored) return;
  audit.found({
    kind: "checksum wrong",
    severity: "error",
    message: `the chunk ${quote(name)} has another checksum than its member ${quote(sum.name)} says`,
    position,
  });
}
