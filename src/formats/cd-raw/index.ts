import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { type DiscTrack, discLayer } from "../cd/disc.js";
import { hasSync, kinds, RAW } from "../cd/sectors.js";
import { refuseChoice } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { layoutOf } from "./detect.js";
import { cdRawVariants } from "./variants.js";

/** A disc without a sheet: what its sectors tell is all there is. */
export const cdRaw: FormatDriver = {
  name: "cd-raw",
  variants: cdRawVariants,
  extensions: [".bin", ".img", ".mdf", ".iso"],
  probe: ({ head, tail, size }) => layoutOf(head, size) !== undefined && !isDiscJuggler(tail),
  open(source, _opener, options) {
    refuseChoice(source, options);
    const layout = layoutOf(readBytes(source, 0, Math.min(source.size, 65_536)), source.size);
    if (!layout) throw new ImageError("WRONG_FORMAT", "it does not hold the sectors of a CD", { file: source.name });
    const { kind, stride } = layout;
    const all = Math.floor((source.size + stride - kinds[kind].main) / stride);
    const count = kind === "raw" ? dataSectors(source, stride, all) : all;
    const tracks: DiscTrack[] = [
      { kind: "data", number: 1, session: 1, start: 0, content: [{ count, stored: { source, position: 0, layout } }] },
    ];
    if (count < all) {
      const stored = { source, position: count * stride, stride, bigEndian: false };
      tracks.push({ kind: "audio", number: 2, session: 1, start: count, pregap: [], content: [{ size: (all - count) * RAW, stored }] });
    }
    const rest = source.size - (all - 1) * stride - kinds[kind].main;
    return discLayer({
      format: "cd-raw",
      variant: `sectors of ${stride} bytes`,
      source,
      parts: [],
      tracks,
      notes: [
        ...(rest > stride - kinds[kind].main ? [`It ends with ${rest} bytes that are no whole sector.`] : []),
        ...(count < all ? [`There is no sheet: what follows its ${count} sectors of data is shown as one audio track.`] : []),
      ],
    });
  },
};

/** DiscJuggler's images (CDI) hold the gap before each track: its sectors would be taken for the first of the disk. The version stands 8 bytes before the end. */
function isDiscJuggler(tail: Uint8Array): boolean {
  const [version = 0, ...rest] = tail.subarray(-8, -4);
  return version >= 4 && version <= 6 && rest.join() === "0,0,128";
}

/** Sectors looked at together: a damaged one is not the end. */
const SAMPLE = 8;

/** How many sectors the data has that the image begins with, before the audio that may follow. */
function dataSectors(source: Source, stride: number, all: number): number {
  const isData = (sector: number): boolean => {
    const from = Math.max(0, Math.min(sector, all - SAMPLE));
    const count = Math.min(SAMPLE, all - from);
    const content = readBytes(source, from * stride, (count - 1) * stride + 16);
    return Array.from({ length: count }, (_, index) => index * stride).some((at) => hasSync(content, at));
  };
  if (isData(all - 1)) return all;
  let [low, high] = [0, all - SAMPLE];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isData(middle)) low = middle;
    else high = middle;
  }
  // Of the last sample with data, the last sector that is.
  let count = Math.min(SAMPLE, all - low);
  const content = readBytes(source, low * stride, (count - 1) * stride + 16);
  while (count > 0 && !hasSync(content, (count - 1) * stride)) count -= 1;
  return low + count;
}
