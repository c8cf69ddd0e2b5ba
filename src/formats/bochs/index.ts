import { basename } from "node:path";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, Layer, Opener } from "../driver.js";
import { type BochsHeader, readHeader } from "./header.js";
import { MAGIC, SECTOR, TYPE } from "./layout.js";
import { createMap } from "./map.js";
import { bochsVariants } from "./variants.js";

const begin = Buffer.from(`${MAGIC.padEnd(32, "\0")}${TYPE.padEnd(16, "\0")}`, "latin1");

export const bochs: FormatDriver = {
  name: "bochs",
  variants: bochsVariants,
  extensions: [".img", ".redolog"],
  probe: ({ head }) => head.length >= SECTOR && begin.equals(head.subarray(0, begin.length)),
  open(source, opener, { snapshot }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "Bochs images have no snapshots", { file: source.name });
    const header = readHeader(source);
    const map = createMap(source, header);
    const parent = baseOf(source, header, opener);
    const { version, subtype, size, extentSize } = header;
    return {
      format: "bochs",
      name: source.name,
      size,
      ...(parent && { parent }),
      map,
      facts: () => ({
        variant: `version ${version}, ${subtype.toLowerCase()}`,
        details: { "extent size": extentSize },
        notes: parent ? ["It does not name its base image, which was found by the name of the file."] : [],
      }),
      close() {
        parent?.close();
        source.close();
      },
    };
  },
};

/**
 * What an undoable or volatile redolog was written over. It is not recorded; Bochs calls the redolog of `disk.img` `disk.img.redolog`, or `disk.img.` and
 * six letters or digits. Throws if there is no such image, or one of another size, which Bochs does not open either.
 */
function baseOf(source: Source, { subtype, size }: BochsHeader, opener: Opener): Layer | undefined {
  if (subtype === "Growing") return undefined;
  const own = basename(source.name);
  const name = own.replace(subtype === "Undoable" ? /\.redolog$/ : /\.[0-9A-Za-z]{6}$/, "");
  const base = opener.parent({ names: name === own ? [] : [name] });
  if (base.size === size || opener.degraded) return base;
  base.close();
  const message = `${base.name} has ${base.size} bytes, so it is not the base of this redolog, whose disk has ${size}`;
  throw new ImageError("PART_MISSING", message, { file: source.name, hint: "Use --parent FILE to name the base image." });
}
