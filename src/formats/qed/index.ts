import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { backingWish } from "../qemu-names.js";
import { auditQed } from "./audit.js";
import { type QedHeader, readHeader } from "./header.js";
import { MAGIC } from "./layout.js";
import { createMap } from "./map.js";
import { qedVariants } from "./variants.js";

export const qed: FormatDriver = {
  name: "qed",
  variants: qedVariants,
  extensions: [".qed"],
  probe({ head }) {
    return head.length >= 4 && new DataView(head.buffer, head.byteOffset, head.length).getUint32(0, true) === MAGIC;
  },
  open(source, opener, { snapshot }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "QED images have no snapshots", { file: source.name });
    const header = readHeader(source);
    const { size, clusterSize, tableEntries, backing } = header;
    const map = createMap(source, header);
    const parent = backing && opener.parent(backingWish(source.name, backing.name, backing.raw ? "raw" : undefined));
    return {
      format: "qed",
      name: source.name,
      size,
      ...(parent && { parent }),
      map,
      facts: () => ({
        details: {
          "cluster size": clusterSize,
          "table entries": tableEntries,
          ...(backing && { "backing file": backing.name }),
          ...(backing?.raw && { "backing format": "raw" }),
        },
        notes: notesOf(header),
      }),
      audit: (audit) => auditQed(source, header, audit),
      close() {
        parent?.close();
        source.close();
      },
    };
  },
};

function notesOf({ needCheck, backing }: QedHeader): readonly string[] {
  const notes: string[] = [];
  if (needCheck) notes.push("It was not closed properly and needs a check: clusters that were being written then may be missing.");
  if (backing && !backing.raw) notes.push("It does not tell the format of its backing file, which was found by its content.");
  return notes;
}
