import type { Finding } from "../util/finding.js";

/** What is wrong with an image's own structure; whoever listens knows the image. */
export type Problem = Omit<Finding, "file">;

/** Told by an audit what it finds, as it finds it: there may be any number. */
export interface Audit {
  found(problem: Problem): void;
  /** These bytes of the virtual disk can be read, and may not be what was written. */
  doubtful(range: { readonly start: number; readonly length: number }, reason: string): void;
  progress(done: number, size: number): void;
}

/** Tells of things that follow each other in one finding: `add` them in order, then `end`. */
export interface RunTeller {
  add(number: number, reason: string): void;
  end(): void;
}

/** `tell` gets the first and the last of a run with the same reason. */
export function createRunTeller(tell: (first: number, last: number, reason: string) => void): RunTeller {
  let first = -1;
  let last = -1;
  let same = "";
  const end = () => {
    if (first >= 0) tell(first, last, same);
    first = -1;
  };
  return {
    add(number, reason) {
      if (first < 0 || number !== last + 1 || reason !== same) {
        end();
        first = number;
        same = reason;
      }
      last = number;
    },
    end,
  };
}
