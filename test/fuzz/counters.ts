/** What the instrumented code counts, and what it allocates. Absent where code runs as it is. */
export interface Counters {
  /** How often each place was reached in this execution, modulo 256. */
  readonly hits: Uint8Array;
  /** Bytes that were asked for in this execution. */
  allocated: number;
  /** Of each place. */
  readonly places: readonly Place[];
  readonly vocabulary: readonly (readonly [file: string, word: string | number])[];
}

export interface Place {
  /** From the top of the repository. */
  readonly file: string;
  readonly line: number;
  /** A statement, or a part of an expression that may be passed over. */
  readonly kind: "statement" | "branch";
}

declare global {
  var fuzzCounters: Counters | undefined;
}

/** Which places were reached, and about how often: a bit for each of eight classes. */
export interface Reached {
  /** Whether this execution did something that none did before; remembered. */
  note(): boolean;
  clear(): void;
  readonly seen: Uint8Array;
}

const classes = Uint8Array.from({ length: 256 }, (_, hits) => {
  if (hits < 4) return hits === 0 ? 0 : 1 << (hits - 1);
  return hits < 8 ? 8 : hits < 16 ? 16 : hits < 32 ? 32 : hits < 128 ? 64 : 128;
});

export function createReached({ hits }: Counters): Reached {
  const seen = new Uint8Array(hits.length);
  const words = new BigUint64Array(hits.buffer, hits.byteOffset, hits.length >> 3);
  return {
    seen,
    note() {
      let news = false;
      for (let word = 0; word < words.length; word += 1) {
        if (words[word] === 0n) continue;
        for (let at = word << 3; at < (word << 3) + 8; at += 1) {
          const bits = classes[hits[at]!]!;
          if ((bits & ~seen[at]!) === 0) continue;
          seen[at]! |= bits;
          news = true;
        }
      }
      return news;
    },
    clear: () => void hits.fill(0),
  };
}

export interface FileCoverage {
  readonly file: string;
  readonly lines: number;
  readonly covered: number;
  /** Lines that were never reached. */
  readonly missed: readonly number[];
}

/** Lines with statements, by file, for files in `scope`. */
export function coverageOf({ places }: Counters, seen: Uint8Array, scope: readonly string[]): readonly FileCoverage[] {
  const files = new Map<string, Map<number, boolean>>();
  places.forEach(({ file, line, kind }, index) => {
    if (kind !== "statement" || !inScope(file, scope)) return;
    const lines = files.get(file) ?? new Map<number, boolean>();
    files.set(file, lines);
    // A line counts where one of its statements was reached.
    lines.set(line, (lines.get(line) ?? false) || seen[index] !== 0);
  });
  return [...files].map(([file, lines]) => {
    const missed = [...lines].filter(([, reached]) => !reached).map(([line]) => line);
    return { file, lines: lines.size, covered: lines.size - missed.length, missed };
  });
}

export function inScope(file: string, scope: readonly string[]): boolean {
  return scope.some((each) => (each.endsWith("/") ? file.startsWith(each) : file === each));
}
