import { createHash, randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Range } from "../tree/ranges.js";
import type { Segments } from "./segments.js";

/** A range that could not be read, and why. */
export type LostRange = Range & { readonly reason: string };

/** How far a run is. */
export interface Progressed {
  /** Names the pieces, and in which order: `done` counts those. */
  readonly plan: string;
  /** Pieces that are on the disk, of those that come first. */
  readonly done: number;
  /** What could not be read of them. */
  readonly lost: readonly LostRange[];
}

const VERSION = 1;
/** Bytes of a journal that is read: those of a million ranges. */
const SIZE_LIMIT = 2 ** 28;

/** What is kept beside an unfinished file, for the run that goes on with it. `key` names what is copied, in its present state. */
export function writeJournal(path: string, key: string, progressed: Progressed): void {
  const unfinished = `${path}.${randomUUID()}`;
  try {
    writeFileSync(unfinished, JSON.stringify({ version: VERSION, key, ...progressed }), { flag: "wx", flush: true });
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Undefined if it was not written for `key`, or is none. */
export function readJournal(path: string, key: string): Progressed | undefined {
  try {
    const content = readFileSync(path);
    if (content.length > SIZE_LIMIT) return undefined;
    const kept = JSON.parse(content.toString()) as { version?: unknown; key?: unknown } & Partial<Progressed>;
    const { plan, done, lost } = kept;
    if (kept.version !== VERSION || kept.key !== key || typeof plan !== "string" || !isCount(done)) return undefined;
    return Array.isArray(lost) && lost.every(isLost) ? { plan, done, lost } : undefined;
  } catch {
    return undefined;
  }
}

/** Equal for equal pieces in the same order. */
export function nameOfPlan(segments: Segments): string {
  return createHash("sha256").update(new Uint8Array(segments.buffer)).digest("hex");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isLost(value: unknown): value is LostRange {
  const { start, end, reason } = (value ?? {}) as Partial<LostRange>;
  return isCount(start) && isCount(end) && typeof reason === "string";
}
