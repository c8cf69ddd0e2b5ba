import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, Layer } from "../driver.js";
import { auditVhd } from "./audit.js";
import { factsOf } from "./facts.js";
import { isVhd } from "./footer.js";
import { readHeader, type VhdHeader } from "./header.js";
import { diskTypes } from "./layout.js";
import { mapOfBlocks, mapOfFixed } from "./map.js";
import { readParentNames, uuid } from "./parent.js";
import { vhdVariants } from "./variants.js";

/** That date of layers of this format, which a child compares with the one it has noted. */
const modifications = new WeakMap<Layer, number>();

export const vhd: FormatDriver = {
  name: "vhd",
  variants: vhdVariants,
  extensions: [".vhd", ".avhd", ".vpc", ".vud"],
  probe: isVhd,
  open(source, opener, { snapshot }) {
    if (snapshot !== undefined) {
      throw new ImageError("UNSUPPORTED", "VHD images have no snapshots inside", {
        file: source.name,
        hint: "Each snapshot is a differencing disk in a file of its own (.avhd, .vhd or .vud): open that one.",
      });
    }
    const header = readHeader(source);
    const { type, dynamic, size } = header;
    const names = dynamic && type === diskTypes.differencing ? readParentNames(source, header, dynamic) : undefined;
    const parent = names && opener.parent(names.wish);
    const layer: Layer = {
      format: "vhd",
      name: source.name,
      size,
      ...(parent && { parent }),
      map: mapOf(source, header),
      facts: () => factsOf(header, names, parent && modifications.get(parent)),
      audit: (audit) => auditVhd(source, header, audit),
      close() {
        parent?.close();
        source.close();
      },
    };
    if (source.modified !== undefined) modifications.set(layer, source.modified);
    return layer;
  },
  identities(source) {
    const id = uuid(readHeader(source).footer.uniqueId);
    return id === undefined ? [] : [{ kind: "UUID", value: id }];
  },
};

function mapOf(source: Source, header: VhdHeader): Layer["map"] {
  return header.dynamic ? mapOfBlocks(source, header, header.dynamic) : mapOfFixed(source, header);
}
