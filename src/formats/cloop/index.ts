import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { isCloop, readHeader } from "./header.js";
import { createMap } from "./map.js";
import { cloopVariants } from "./variants.js";

export const cloop: FormatDriver = {
  name: "cloop",
  variants: cloopVariants,
  extensions: [".cloop"],
  probe: ({ head, tail }) => isCloop(head, tail),
  open(source, _opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `a compressed loop image has no ${asked}`, { file: source.name });
    const header = readHeader(source);
    const { version, blockSize, blockCount, uzip } = header;
    return {
      format: "cloop",
      name: source.name,
      size: blockSize * blockCount,
      map: createMap(source, header),
      facts: () => ({
        variant: version,
        details: { "block size": blockSize, blocks: blockCount },
        notes: uzip ? ["The image was made by FreeBSD's mkuzip."] : [],
      }),
      close: () => source.close(),
    };
  },
};
