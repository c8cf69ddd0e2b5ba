import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { auditExpandable } from "./audit.js";
import { openBundle } from "./bundle.js";
import { DESCRIPTOR_NAME, isDescriptor } from "./descriptor.js";
import { isExpandable, openExpandable } from "./expandable.js";
import { parallelsVariants } from "./variants.js";

export const parallels: FormatDriver = {
  name: "parallels",
  variants: parallelsVariants,
  extensions: [".hdd", ".hds"],
  probe: ({ head }) => isExpandable(head) || isDescriptor(head),
  open(source, opener, { snapshot }) {
    const head = Buffer.alloc(Math.min(source.size, 16));
    source.read(head, 0);
    if (!isExpandable(head)) return openBundle(source, opener, snapshot);
    if (snapshot !== undefined) {
      throw new ImageError("UNSUPPORTED", "a single Parallels image has no snapshots", {
        file: source.name,
        hint: `Those of a bundle are listed in ${DESCRIPTOR_NAME}: open that, or its directory.`,
      });
    }
    const { size, map, facts } = openExpandable(source);
    return {
      format: "parallels",
      name: source.name,
      size,
      map,
      facts,
      audit: (audit) => auditExpandable(source, audit),
      close: () => source.close(),
    };
  },
  /** Parallels names an image of a bundle by its snapshot. Alone it may be a mere difference. */
  partOf: (name) => (/\.\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}\.hds$/i.test(name) ? [DESCRIPTOR_NAME] : []),
};
