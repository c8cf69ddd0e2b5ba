// Where tracks are on the disc, for sheets that do not tell: IEC 908 and the Orange Book, as quoted by MMC ("CD sessions").
import { LEAD } from "./sectors.js";

/** Sectors of lead-out, lead-in and pregap between the end of session `session` and the start of the next. */
export function gapAfter(session: number): number {
  return session === 1 ? 11_400 : 6900;
}

export interface Arriving {
  readonly session: number;
  readonly data: boolean;
  /** Sectors before index 1: those that are stored, and those that are not. */
  readonly pregap: { readonly stored: number; readonly silent: number };
  /** From index 1 on, with a gap behind. */
  readonly length: number;
  /** Where its first sector says that it is. */
  readonly address: number | undefined;
}

/** Gives the sector at index 1 of one track after the other. */
export function createClock(): (track: Arriving) => number {
  let end: number | undefined;
  let session = 1;
  return (track) => {
    const start = end === undefined ? firstStart(track) : startBehind(end, session, track);
    session = track.session;
    end = start + track.length;
    return start;
  };
}

/** Data begins the disc; before sound there may be more than the two seconds that are not counted. */
function firstStart({ data, pregap: { stored, silent } }: Arriving): number {
  return data ? 0 : stored + Math.max(0, silent - LEAD);
}

/** What the first sector tells is true where it can be: gaps may be left out of a sheet. */
function startBehind(end: number, before: number, { session, pregap: { stored, silent }, address }: Arriving): number {
  if (address !== undefined && address >= end) return address;
  const gap = stored + silent;
  let start = end + gap;
  for (let each = before; each < session; each += 1) start += gapAfter(each);
  return session > before ? start - Math.min(gap, LEAD) : start;
}
