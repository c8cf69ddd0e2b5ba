import { createHash } from "node:crypto";
import type { Source } from "../../src/source/source.js";
import { checkRange } from "../../src/source/source.js";
import { ImageError } from "../../src/util/errors.js";
import { firstBehind, type Input, type InputFile, readInput } from "./input.js";
import { Problem } from "./problem.js";
import { createRandom, hashOf, type Random } from "./random.js";

/** More than an image of some 100 KiB can be a reason for. */
const READS_LIMIT = 200_000;
const BYTES_LIMIT = 2 ** 29;

/** One execution: the files, what was done with them, and what came out. */
export interface Run {
  readonly input: Input;
  /** Depends on the input alone. */
  readonly random: Random;
  /** Everything is looked at, also what takes long. */
  readonly thorough: boolean;
  /** A source for the `index`th file. All must be closed in the end. */
  open(index: number): Source;
  /** The file that something calls `name`, whatever folder it thinks that is in. */
  part(name: string): Source;
  /** What came out, to be compared with what comes out another time. */
  tell(...facts: readonly (string | number | undefined)[]): void;
  told(): string;
  /** Marks the bytes of the input's data that are read from now on, or no longer. */
  trace(on: boolean): void;
  /** Names of the files that are open. */
  left(): readonly string[];
}

export interface RunOptions {
  readonly thorough: boolean;
  /** As long as the input's data: what is read while tracing is on becomes 1. */
  readonly marks?: Uint8Array | undefined;
}

export function createRun(input: Input, { thorough, marks }: RunOptions): Run {
  const open = new Set<Source>();
  const hash = thorough ? createHash("sha1") : undefined;
  let tracing = marks !== undefined;
  let reads = 0;
  let bytes = 0;
  let random: Random | undefined;

  function sourceOf(file: InputFile): Source {
    const source: Source = {
      name: file.name,
      size: file.size,
      read(target, position) {
        checkRange(source, target.length, position);
        reads += 1;
        bytes += target.length;
        if (reads > READS_LIMIT || bytes > BYTES_LIMIT) throw new Problem("work", `more than ${reads - 1} reads, of ${bytes} bytes`);
        readInput(input, file, target, position);
        if (tracing && marks && target.length <= 65_536) mark(marks, file, position, target.length);
      },
      run: (position) => runAt(file, position),
      close() {
        if (!open.delete(source)) throw new Problem("leak", `${file.name} was closed twice`);
      },
    };
    open.add(source);
    return source;
  }

  const self: Run = {
    input,
    get random() {
      return (random ??= createRandom(hashOf(input.data)));
    },
    thorough,
    open: (index) => sourceOf(input.files[index]!),
    part(name) {
      const last = name.replaceAll("\\", "/").split("/").at(-1);
      const index = input.files.findIndex((file, place) => place > 0 && file.name === last);
      if (index < 0) throw new ImageError("PART_MISSING", "there is no such file");
      return self.open(index);
    },
    tell: (...facts) => void hash?.update(`${facts.join(" ")}\n`),
    told: () => hash?.copy().digest("hex") ?? "",
    trace(on) {
      tracing = on && marks !== undefined;
    },
    left: () => [...open].map(({ name }) => name),
  };
  return self;
}

/** Pieces are data, what is between them are holes. */
function runAt({ pieces, size }: InputFile, position: number): { readonly data: boolean; readonly length: number } {
  const piece = pieces[firstBehind(pieces, position)];
  if (!piece) return { data: false, length: size - position };
  if (piece.position > position) return { data: false, length: piece.position - position };
  return { data: true, length: piece.position + piece.length - position };
}

function mark(marks: Uint8Array, { pieces }: InputFile, position: number, length: number): void {
  const end = position + length;
  for (let index = firstBehind(pieces, position); index < pieces.length; index += 1) {
    const piece = pieces[index]!;
    if (piece.position >= end) return;
    const from = Math.max(position, piece.position) - piece.position;
    const to = Math.min(end, piece.position + piece.length) - piece.position;
    marks.fill(1, piece.at + from, piece.at + to);
  }
}
