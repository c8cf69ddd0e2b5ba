import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, Layer } from "../driver.js";
import { storedExtent } from "../stored.js";
import { auditDmg } from "./audit.js";
import { decoderOf } from "./decoders.js";
import { type DmgFooter, isDmg, readFooter } from "./footer.js";
import { SECTOR } from "./layout.js";
import { createMap } from "./map.js";
import { readPlist, type TableData } from "./plist.js";
import { readResources } from "./resources.js";
import { NO_ENTRY, type Runs, runsOf } from "./runs.js";
import { dmgVariants } from "./variants.js";

export const dmg: FormatDriver = {
  name: "dmg",
  variants: dmgVariants,
  extensions: [".dmg"],
  probe: isDmg,
  open(source, _opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `an Apple disk image has no ${asked}`, { file: source.name });
    const footer = readFooter(source);
    const tables = readTables(source, footer);
    return tables ? mapped(source, footer, tables) : plain(source, footer);
  },
};

/** The block tables; undefined where the image has none at all, since it is not packed. */
function readTables(source: Source, footer: DmgFooter): TableData[] | undefined {
  if (footer.plistSize > 0) return readPlist(source, footer.plistPosition, footer.plistSize);
  if (footer.resourceForkSize > 0) return readResources(source, footer.resourceForkPosition, footer.resourceForkSize);
  return undefined;
}

function mapped(source: Source, footer: DmgFooter, tables: readonly TableData[]): Layer {
  const position = footer.plistSize > 0 ? footer.plistPosition : footer.resourceForkPosition;
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position });
  if (tables.length === 0) throw fail("the image has no block table");
  const runs = runsOf(tables, fail);
  // The tables are what other programs go by.
  const sectors = Math.max(footer.sectorCount, runs.end);
  const size = sectors * SECTOR;
  if (!Number.isSafeInteger(size)) throw fail(`the disk has ${sectors} sectors, which is more than 2^53 bytes`);
  const { imageFormat, compression } = formatOf(runs);
  return {
    format: "dmg",
    name: source.name,
    size,
    map: createMap(source, runs, footer.dataForkPosition, size),
    facts: () => ({
      variant: imageFormat,
      details: { compression, "block tables": tables.length, chunks: runs.count },
      notes: notesOf(footer, runs),
    }),
    audit: (audit) => auditDmg(source, footer, audit),
    close: () => source.close(),
  };
}

/** Neither a property list nor a resource fork: the data fork is the disk. */
function plain(source: Source, footer: DmgFooter): Layer {
  const { dataForkPosition, dataForkSize, sectorCount } = footer;
  const size = sectorCount * SECTOR;
  if (size > dataForkSize) {
    const message = `the image has no block table, and its data fork of ${dataForkSize} bytes cannot be the disk of ${size} bytes`;
    throw new ImageError("CORRUPT", message, { file: source.name });
  }
  return {
    format: "dmg",
    name: source.name,
    size,
    map: (offset, length) => storedExtent(source, dataForkPosition + offset, Math.min(length, size - offset)),
    facts: () => ({ variant: "UDxx", details: { compression: "none" }, notes: [] }),
    audit: (audit) => auditDmg(source, footer, audit),
    close: () => source.close(),
  };
}

/** What Apple calls such an image, and how its chunks are stored. */
function formatOf({ types }: Runs): { readonly imageFormat: string; readonly compression: string } {
  const used = [...new Set(types)].map(decoderOf).filter((decoder) => decoder !== undefined);
  const [first] = used;
  return { imageFormat: first?.imageFormat ?? "UDRO", compression: used.map(({ name }) => name).join(", ") || "none" };
}

function notesOf(footer: DmgFooter, { types, end }: Runs): string[] {
  const notes: string[] = [];
  if (footer.atStart) notes.push("The footer is at the start of the file, as in images of the first version.");
  if (footer.sectorCount < end) notes.push(`The footer says ${footer.sectorCount} sectors, the block tables map ${end}.`);
  if (types.includes(NO_ENTRY)) notes.push("Some sectors have no entry in their block table and cannot be read.");
  return notes;
}
