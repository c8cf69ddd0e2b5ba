import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Extent, FormatDriver } from "../driver.js";
import { runLength } from "../runs.js";
import { storedExtent } from "../stored.js";
import { SIGNATURE } from "./layout.js";
import { readImage, type SparseImage, twice } from "./read.js";
import { sparseimageVariants } from "./variants.js";

/** Apple's sparse disk image, in one file. */
export const sparseimage: FormatDriver = {
  name: "sparseimage",
  variants: sparseimageVariants,
  extensions: [".sparseimage"],
  probe: ({ head }) => Buffer.from(head.subarray(0, 4)).toString("latin1") === SIGNATURE && (head[7] ?? 0) <= 16 && head[4] === 0,
  open(source, _opener, { snapshot, disk }) {
    const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
    if (asked !== undefined) throw new ImageError("UNSUPPORTED", `a sparse disk image has no ${asked}`, { file: source.name });
    const image = readImage(source);
    const { version, size, bandSize, storedBands, nodes } = image;
    return {
      format: "sparseimage",
      name: source.name,
      size,
      map: createMap(source, image),
      facts: () => ({ variant: `version ${version}`, details: { "band size": bandSize, "stored bands": storedBands, nodes }, notes: [] }),
      close: () => source.close(),
    };
  },
};

function createMap(source: Source, { size, bandSize, places, starts }: SparseImage): (offset: number, length: number) => Extent {
  const positionOf = (place: number): number => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle]?.first ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    const { position, first } = starts[low] as SparseImage["starts"][number];
    return position + (place - first) * bandSize;
  };
  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const band = Math.floor(offset / bandSize);
    const place = places[band] ?? 0;
    if (place === twice) {
      const error = new ImageError("CORRUPT", `band ${band + 1} of the disk is stored in two places`, { file: source.name });
      return { kind: "damaged", length: runLength(offset, most, bandSize, () => false), error };
    }
    if (place === 0) return { kind: "zero", length: runLength(offset, most, bandSize, (other) => places[other] === 0) };
    const start = positionOf(place);
    const run = runLength(offset, most, bandSize, (other) => {
      const next = places[other] ?? 0;
      return next !== 0 && next !== twice && positionOf(next) === start + (other - band) * bandSize;
    });
    return storedExtent(source, start + (offset - band * bandSize), run);
  };
}
