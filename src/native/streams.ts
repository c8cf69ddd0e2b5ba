import { binding } from "./binding.js";

/** What the addon exports for streams. */
interface StreamsBinding {
  /** A decoder at the start of a stream, or why there is none. */
  openStream(kind: number, header: Uint8Array, check: number, limit: number): object | StreamState;
  /** Decodes some of `input` into some of `target`. `counts`: bytes taken, bytes written, bytes of memory held. */
  runStream(stream: object, input: Uint8Array, target: Uint8Array, counts: Float64Array): StreamState;
  closeStream(stream: object): void;
}

/** What the addon says of a step. */
const states = { goesOn: 0, ended: 1, damaged: 2, unknown: 3, tooLarge: 4, noMemory: 5 } as const;
type StreamState = (typeof states)[keyof typeof states];

/** Why a stream cannot be decoded, or not any further. */
export type StreamFailure = "damaged" | "unknown" | "too large" | "no memory";

/** A decoder that goes on where it stopped. */
export interface NativeStream {
  /** Decodes some of `input` into some of `target`; `taken` and `written` say how much. */
  step(input: Uint8Array, target: Uint8Array): "goes on" | "ended" | StreamFailure;
  readonly taken: number;
  readonly written: number;
  /** Bytes of memory that it takes, about. */
  readonly memory: number;
  /** Gives its memory back; twice is once. */
  close(): void;
}

/** What is decoded, from where on. */
export type StreamStart =
  /** One block behind its header, which is `header`; `check` as the stream's flags number it. `limit`: bytes of memory. */
  | { readonly kind: "xz block"; readonly header: Uint8Array; readonly check: number; readonly limit: number }
  /** A whole .lzma file, or a whole member of an .lz file. */
  | { readonly kind: "lzma" | "lzip"; readonly limit: number }
  /** Frames: each ends the stream, a step more begins the next. `limit`: the largest window, as a power of two. */
  | { readonly kind: "zstd"; readonly limit: number }
  | { readonly kind: "bzip2" };

const kinds = { "xz block": 0, lzma: 1, lzip: 2, zstd: 3, bzip2: 4 } as const;
const none = new Uint8Array(0);

/** Whether streams can be decoded at all. */
export const hasStreams: boolean = binding !== undefined && "openStream" in binding;

/** A decoder, or why there is none. Only where `hasStreams`. */
export function openStream(start: StreamStart): NativeStream | StreamFailure {
  const native = binding as unknown as StreamsBinding;
  const [header, check] = start.kind === "xz block" ? [start.header, start.check] : [none, 0];
  const stream = native.openStream(kinds[start.kind], header, check, start.kind === "bzip2" ? 0 : start.limit);
  if (typeof stream === "number") return failureOf(stream);
  const counts = new Float64Array(3);
  return {
    step(input, target) {
      const state = native.runStream(stream, input, target, counts);
      return state === states.goesOn ? "goes on" : state === states.ended ? "ended" : failureOf(state);
    },
    get taken() {
      return counts[0]!;
    },
    get written() {
      return counts[1]!;
    },
    get memory() {
      return counts[2]!;
    },
    close: () => native.closeStream(stream),
  };
}

function failureOf(state: StreamState): StreamFailure {
  if (state === states.unknown) return "unknown";
  if (state === states.tooLarge) return "too large";
  return state === states.noMemory ? "no memory" : "damaged";
}
