import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Sound } from "../cd/audio.js";
import { type DiscTrack, discLayer } from "../cd/disc.js";
import { addressOf, hasSyncAt, RAW } from "../cd/sectors.js";
import { createParts, readSheet, refuseChoice, siblings, textOf } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { type CcdSheet, type CcdTrack, isCcd, parseCcd } from "./parse.js";
import { ccdVariants } from "./variants.js";

/** The subchannels (.sub) say nothing that is shown here: they are not opened. */
export const ccd: FormatDriver = {
  name: "ccd",
  variants: ccdVariants,
  extensions: [".ccd"],
  probe: ({ head }) => isCcd(textOf(head)),
  open(source, opener, options) {
    refuseChoice(source, options);
    const text = readSheet(source);
    if (!isCcd(text)) throw new ImageError("WRONG_FORMAT", "it is no CloneCD control file", { file: source.name });
    const sheet = parseCcd(text, source.name);
    const parts = createParts(opener);
    try {
      const image = parts.open(siblings(source.name, [".img", ".bin"]));
      const notes = image.size % RAW === 0 ? [] : [`Its image ends with ${image.size % RAW} bytes that are no whole sector.`];
      const tracks = layOut(sheet, image, source.name);
      return discLayer({ format: "ccd", variant: `version ${sheet.version}`, source, parts: parts.opened, tracks, notes });
    } catch (error) {
      parts.close();
      throw error;
    }
  },
};

/** The image holds one session behind the other, without what is between them, or with it. */
function layOut({ tracks, leadOuts }: CcdSheet, image: Source, sheet: string): readonly DiscTrack[] {
  const found: DiscTrack[] = [];
  let stored = 0;
  for (const session of new Set(tracks.map((track) => track.session))) {
    const own = tracks.filter((track) => track.session === session);
    const leadOut = leadOuts.get(session);
    const [first] = own;
    if (!first || leadOut === undefined) throw new ImageError("CORRUPT", `session ${session} has no lead-out`, { file: sheet });
    // The first session begins with sector 0; the pause before another one may be stored.
    const begin = session === 1 ? Math.min(0, first.start) : startOf(image, stored, first);
    const position = (sector: number) => (stored + sector - begin) * RAW;
    own.forEach((track, index) => {
      const next = own[index + 1];
      const end = next ? next.start - next.pregap : leadOut;
      if (end < track.start) throw new ImageError("CORRUPT", `track ${track.number} ends before it begins`, { file: sheet });
      found.push(trackAt(track, image, position, end, own[index - 1]));
    });
    stored += leadOut - begin;
  }
  return found;
}

/** The number of the sector that the image has at sector `stored`, where a later session begins. */
function startOf(image: Source, stored: number, first: CcdTrack): number {
  for (const begin of [first.start, first.start - first.pregap, first.start - 150]) {
    if (addressOf(image, (stored + first.start - begin) * RAW) === first.start) return begin;
  }
  // All that is between the sessions is stored.
  if (addressOf(image, first.start * RAW) === first.start) return stored;
  return first.start;
}

function trackAt(
  { number, session, data, start, pregap }: CcdTrack,
  source: Source,
  position: (sector: number) => number,
  end: number,
  before: CcdTrack | undefined,
): DiscTrack {
  const at = position(start);
  // The control field is the drive's and may be wrong; the sectors are what they are.
  if (data || hasSyncAt(source, at)) {
    const content = [{ count: end - start, stored: { source, position: at, layout: { kind: "raw", stride: RAW } as const } }];
    return { kind: "data", number, session, start, content };
  }
  const sound = (sector: number, sectors: number): readonly Sound[] =>
    sectors > 0 ? [{ size: sectors * RAW, stored: { source, position: position(sector), stride: RAW, bigEndian: false } }] : [];
  // What is before the first track of the disc is heard, if one looks for it.
  const [from, sectors] = before ? [start - pregap, pregap] : session === 1 ? [0, start] : [0, 0];
  return {
    kind: "audio",
    number,
    session,
    start,
    pregap: position(from) >= 0 ? sound(from, sectors) : [],
    content: sound(start, end - start),
  };
}
