// Discs that were written in several goes. Each session has descriptors of its own, 16 sectors behind its start, and its directories may name what earlier ones hold.
import { readBytes, type Source } from "../../source/source.js";
import { readVolumes, SECTOR } from "./volume.js";

/** What xorriso writes on media without sessions: descriptors of the last one at the start, the first session 32 sectors further, the next aligned to as many. */
const FIRST_EMULATED = 32;

/** Sectors from the end of one session on a CD to the start of the next: lead-out, lead-in and pregap, behind the first session and behind others. */
const cdGaps = [11_400, 6900] as const;
/** A track may be longer than its file system: two sectors of run-out, 150 of padding, and both. */
const PADDING = 320;
/** A disc has no more. */
const SESSIONS_LIMIT = 99;

/**
 * Where the sessions of a disc begin, in bytes, the oldest first. `known`: where the image's own table says. Without it they are looked for where writing
 * programs put them, and, if `thorough`, in everything that may be a gap.
 */
export function findSessions(disk: Source, known: readonly number[] | undefined, thorough: boolean): readonly number[] {
  const told = known?.filter((start) => readVolumes(disk, start).length > 0) ?? [];
  if (told.length > 0) return told;
  const emulated = chain(disk, FIRST_EMULATED * SECTOR, (end) => [Math.ceil(end / FIRST_EMULATED) * FIRST_EMULATED]);
  // The copy at the start of the disc is of the last one.
  if (emulated.length > 1) return emulated;
  return chain(disk, 0, (end, index) => {
    const gap = cdGaps[Math.min(index, 1)] ?? 0;
    return thorough ? range(end, end + cdGaps[0] + PADDING) : range(end + gap, end + gap + PADDING);
  });
}

/** Sessions from `start` on; `next` tells in which sectors the one behind `end` may begin. */
function chain(disk: Source, start: number, next: (end: number, index: number) => Iterable<number>): number[] {
  const starts: number[] = [];
  let session: number | undefined = start;
  while (session !== undefined && starts.length < SESSIONS_LIMIT) {
    const volumes = readVolumes(disk, session);
    if (volumes.length === 0) break;
    starts.push(session);
    const first: number = session / SECTOR;
    // Some count from the start of the disc, others from that of the session.
    const sectors: number = Math.ceil(Math.max(...volumes.map(({ size }) => size)) / SECTOR);
    session = [first + sectors, sectors].flatMap((end) => (end > first ? firstSession(disk, next(end, starts.length - 1)) : [])).at(0);
  }
  return starts;
}

/** The first of `sectors` at which a session begins, if any. */
function firstSession(disk: Source, sectors: Iterable<number>): readonly number[] {
  for (const sector of sectors) {
    const position = (sector + 16) * SECTOR;
    if (position + SECTOR > disk.size) return [];
    const mark = readBytes(disk, position, 6);
    if (mark[0] === 1 && mark.toString("latin1", 1) === "CD001") return [sector * SECTOR];
  }
  return [];
}

function* range(start: number, end: number): Generator<number> {
  for (let sector = start; sector < end; sector += 1) yield sector;
}
