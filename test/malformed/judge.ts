// What a program told of an image, held against what is known of it.
import type { DiskTruth, Range, Sample, TreeTruth } from "./sample.js";
import { SECRET } from "./sample.js";

const PAGE = 4096;

export const outcomes = ["crash", "hang", "wrong", "refused", "right"] as const;
export type Outcome = (typeof outcomes)[number];

export interface Verdict {
  readonly outcome: Outcome;
  /** In a few words, for the terminal. */
  readonly why: string;
}

/** `failed`: what could not be read, in the order of the disk. */
export interface ToldDisk {
  readonly kind: "disk";
  readonly bytes: Buffer;
  readonly failed: readonly Range[];
}

/** By path; `undefined` for a file that could not be read. */
export interface ToldTree {
  readonly kind: "tree";
  readonly files: ReadonlyMap<string, Buffer | undefined>;
  readonly outside: boolean;
  /** The program said something of its own accord: what it left out, it did not leave out silently. */
  readonly said?: boolean;
}

interface ToldNothing {
  readonly kind: "crash" | "hang" | "refused";
  readonly why: string;
}

export type Told = ToldNothing | ToldDisk | ToldTree;

export function judge({ truth }: Sample, told: Told): Verdict {
  if (told.kind !== "tree" && told.kind !== "disk") return { outcome: told.kind, why: told.why };
  if (told.kind === "tree") return judgeTree(truth.kind === "tree" ? truth : { kind: "tree", files: {} }, truth.kind === "none", told);
  if (truth.kind === "disk") return judgeDisk(truth, told);
  const everything = told.bytes.length > 0 && isFailed(told.failed, 0, told.bytes.length);
  return everything
    ? { outcome: "refused", why: "no byte could be read" }
    : { outcome: "wrong", why: `tells ${told.bytes.length} bytes of what is not known` };
}

function judgeDisk({ bytes, unknown }: DiskTruth, told: ToldDisk): Verdict {
  if (told.bytes.includes(SECRET.subarray(0, 512))) return { outcome: "wrong", why: "tells what a file outside the folder holds" };
  if (told.bytes.length !== bytes.length)
    return { outcome: "wrong", why: `the disk has ${told.bytes.length} bytes instead of ${bytes.length}` };
  let missing = 0;
  for (let at = 0; at < bytes.length; at += 512) {
    const end = Math.min(bytes.length, at + 512);
    const failed = told.failed.some(([from, to]) => from < end && to > at);
    const lost = unknown.some(([from, to]) => from < end && to > at);
    // The kernel reads whole pages.
    const page = at - (at % PAGE);
    if (failed && !unknown.some(([from, to]) => from < page + PAGE && to > page)) missing += 512;
    if (failed) continue;
    if (lost) return { outcome: "wrong", why: `tells byte ${at}, which is not known` };
    if (Buffer.compare(bytes.subarray(at, end), told.bytes.subarray(at, end)) !== 0)
      return { outcome: "wrong", why: `byte ${at} ff. differ` };
  }
  return missing > 0 ? { outcome: "refused", why: `${missing} bytes that are known could not be read` } : { outcome: "right", why: "" };
}

function isFailed(failed: readonly Range[], from: number, to: number): boolean {
  return failed.reduce((at, [start, end]) => (start <= at ? Math.max(at, end) : at), from) >= to;
}

function judgeTree({ files, loose = false }: TreeTruth, none: boolean, told: ToldTree): Verdict {
  if (told.outside) return { outcome: "wrong", why: "writes outside of its folder" };
  const readable = [...told.files].filter(([, content]) => content !== undefined);
  if (none) {
    return readable.length > 0
      ? { outcome: "wrong", why: `tells ${readable[0]?.[0]}, which is not known` }
      : { outcome: "refused", why: "nothing could be read" };
  }
  let refused = "";
  for (const [path, { content, known = content.length }] of Object.entries(files)) {
    if (!told.files.has(path) && told.said) {
      refused = `${path} is left out`;
      continue;
    }
    if (!told.files.has(path)) return { outcome: "wrong", why: `leaves out ${path} and says nothing` };
    const own = told.files.get(path);
    const whole = known === content.length;
    if (own === undefined) {
      if (whole) refused = `${path} could not be read`;
      continue;
    }
    if (whole && own.length !== content.length)
      return { outcome: "wrong", why: `${path} has ${own.length} bytes instead of ${content.length}` };
    if (!whole) return { outcome: "wrong", why: `tells byte ${known} ff. of ${path}, which are not known` };
    if (Buffer.compare(own, content) !== 0) return { outcome: "wrong", why: `${path} has other bytes` };
  }
  const invented = readable.find(([path]) => !loose && !(path in files));
  if (invented) return { outcome: "wrong", why: `shows ${invented[0]}, which is not there` };
  return refused === "" ? { outcome: "right", why: "" } : { outcome: "refused", why: refused };
}
