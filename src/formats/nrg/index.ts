import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Sound } from "../cd/audio.js";
import { type DiscTrack, discLayer } from "../cd/disc.js";
import { addressOf, hasSyncAt, kinds, LEAD, RAW, type SectorKind } from "../cd/sectors.js";
import { createClock } from "../cd/session.js";
import { refuseChoice } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { footerOf, type NrgTrack, readSessions } from "./chunks.js";
import { nrgVariants } from "./variants.js";

export const nrg: FormatDriver = {
  name: "nrg",
  variants: nrgVariants,
  extensions: [".nrg"],
  probe: ({ tail, size }) => footerOf(tail, size) !== undefined,
  open(source, _opener, options) {
    refuseChoice(source, options);
    const length = Math.min(source.size, 12);
    const footer = footerOf(readBytes(source, source.size - length, length), source.size);
    if (!footer) throw new ImageError("WRONG_FORMAT", "it is no Nero image", { file: source.name });
    const tracks = layOut(source, readSessions(source, footer));
    return discLayer({ format: "nrg", variant: `version ${footer.version}`, source, parts: [], tracks, notes: [] });
  },
};

/** What the mode of a track means: `kind` is absent for audio. */
const modes: ReadonlyMap<number, { readonly kind?: SectorKind; readonly stride: number }> = new Map([
  [0x00, { kind: "user", stride: 2048 }],
  [0x02, { kind: "user", stride: 2048 }],
  [0x03, { kind: "subheader", stride: 2336 }],
  [0x05, { kind: "raw", stride: 2352 }],
  [0x06, { kind: "raw", stride: 2352 }],
  [0x07, { stride: 2352 }],
  [0x08, { stride: 2352 }],
  [0x0f, { kind: "raw", stride: 2448 }],
  [0x10, { stride: 2448 }],
  [0x11, { kind: "raw", stride: 2448 }],
]);

/** Less than there is between sessions. */
const SESSION_GAP = 6900;

function layOut(source: Source, sessions: readonly (readonly NrgTrack[])[]): readonly DiscTrack[] {
  const clock = createClock();
  const found: DiscTrack[] = [];
  let stored = 0;
  sessions.forEach((tracks, index) => {
    tracks.forEach((track, place) => {
      const { kind, stride } = layoutOf(source, track);
      const number = track.number ?? found.length + 1;
      const [pregap, sectors] = [(track.index1 - track.index0) / stride, (track.end - track.index1) / stride];
      if (pregap < 0 || sectors < 0 || !Number.isInteger(pregap) || !Number.isInteger(sectors)) {
        const message = `track ${number} lies from ${track.index0} over ${track.index1} to ${track.end}, which are no sectors of ${stride} bytes`;
        throw new ImageError("CORRUPT", message, { file: source.name, position: track.entry });
      }
      const first = found.length === 0;
      const session = index + 1;
      const start = clock({
        session,
        data: kind !== undefined,
        length: sectors,
        address: (kind === "raw" ? addressOf(source, track.index1) : undefined) ?? toldBy(track, stored, place),
        // The two seconds before sector 0 are stored, and not counted; between tracks that were written one by one they are not stored.
        pregap: first || !track.atOnce ? { stored: 0, silent: first ? pregap : LEAD } : { stored: pregap, silent: 0 },
      });
      stored += sectors;
      if (kind !== undefined) {
        const content = [{ count: sectors, stored: { source, position: track.index1, layout: { kind, stride } } }];
        found.push({ kind: "data", number, session, start, content });
        return;
      }
      const sound = (position: number, count: number): Sound => ({
        size: count * RAW,
        stored: { source, position, stride, bigEndian: false },
      });
      const heard = first && pregap <= LEAD ? [] : [sound(track.index0, pregap)];
      found.push({ kind: "audio", number, session, start, pregap: heard, content: [sound(track.index1, sectors)] });
    });
  });
  return found;
}

/** Tracks that were written one by one have a sector of the disc only where a session begins, if it is one at all. */
function toldBy({ sector, atOnce }: NrgTrack, stored: number, place: number): number | undefined {
  if (sector === undefined || atOnce) return sector;
  return place === 0 && sector - stored >= SESSION_GAP ? sector : undefined;
}

function layoutOf(
  source: Source,
  { mode, sectorSize, index1, entry }: NrgTrack,
): { readonly kind?: SectorKind | undefined; readonly stride: number } {
  const known = modes.get(mode);
  if (!known) throw new ImageError("UNSUPPORTED", `the track mode ${hex(mode)} is not known`, { file: source.name, position: entry });
  // Mode 6 is of whole sectors, or of those without sync and header.
  const stride = sectorSize ?? (mode === 6 && !hasSyncAt(source, index1) ? 2336 : known.stride);
  if (known.kind === undefined) {
    if (stride === 2352 || stride === 2448) return { stride };
  } else {
    const kind = (["user", "subheader", "raw"] as const).find((each) => stride === kinds[each].main || stride === kinds[each].main + 96);
    if (kind) return { kind, stride };
  }
  throw new ImageError("CORRUPT", `a track of mode ${hex(mode)} has sectors of ${stride} bytes`, { file: source.name, position: entry });
}
