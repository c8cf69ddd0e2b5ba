import { constants } from "node:os";
import type { DecodeCounter } from "../disk/cache.js";
import { opcodes } from "./protocol.js";

/** What a request asks for. `list` is READDIR and READDIRPLUS. */
const requestKinds = ["read", "lookup", "getattr", "open", "list", "readlink", "seek", "other"] as const;
/** Why it failed. `missing`: no such name, which is no fault; `refused`: what would write, or is not permitted; `unsupported`: what there is no need for here. */
const errorClasses = ["io", "missing", "refused", "unsupported", "other"] as const;
/** Where an opened file is read, as `ReadingPath` has it. */
const openWays = ["image", "index", "server"] as const;

type RequestKind = (typeof requestKinds)[number];
type ErrorClass = (typeof errorClasses)[number];
export type OpenWay = (typeof openWays)[number];

/** What one thread has counted: written by it alone, read by all. Exact below 2^53. */
export type Row = Float64Array<SharedArrayBuffer>;

/** A row for each thread. */
export type Counters = readonly Row[];

/** Places in a row: the kinds, the classes and the ways, each in the order above, and then the rest. */
const ERRORS = requestKinds.length;
const OPENS = ERRORS + errorClasses.length;
const READ_BYTES = OPENS + openWays.length;
const HITS = READ_BYTES + 1;
const MISSES = HITS + 1;
const DECODED_BYTES = MISSES + 1;
const FIELDS = DECODED_BYTES + 1;
/** So that no two threads write to one line of the processor's cache, which has 64 bytes: with what is left free, rows are at least that far apart. */
const ROW_BYTES = Math.ceil((FIELDS * 8) / 64) * 64 + 64;

export function createCounters(threads: number): Counters {
  const memory = new SharedArrayBuffer(threads * ROW_BYTES);
  return Array.from({ length: threads }, (_, index) => new Float64Array(memory, index * ROW_BYTES, FIELDS));
}

const kindOf = new Map<number, RequestKind>([
  [opcodes.READ, "read"],
  [opcodes.LOOKUP, "lookup"],
  [opcodes.GETATTR, "getattr"],
  [opcodes.OPEN, "open"],
  [opcodes.READDIR, "list"],
  [opcodes.READDIRPLUS, "list"],
  [opcodes.READLINK, "readlink"],
  [opcodes.LSEEK, "seek"],
]);
/** By opcode, the place of its kind. Those of later kernels are behind the end, and `other`. */
const places = Uint8Array.from({ length: 64 }, (_, opcode) => requestKinds.indexOf(kindOf.get(opcode) ?? "other"));
const OTHER = requestKinds.indexOf("other");

const { EIO, ENOENT, EROFS, EACCES, EPERM, ENOSYS } = constants.errno;

function classOf(errno: number): ErrorClass {
  switch (errno) {
    case EIO:
      return "io";
    case ENOENT:
      return "missing";
    case EROFS:
    case EACCES:
    case EPERM:
      return "refused";
    case ENOSYS:
      return "unsupported";
    default:
      return "other";
  }
}

/** Adds at a place that is in every row. */
function add(row: Row, place: number, amount: number): void {
  row[place]! += amount;
}

/** A request was answered, with `result` bytes, or below 0 with an errno. */
export function countRequest(row: Row, opcode: number, result: number): void {
  add(row, places[opcode] ?? OTHER, 1);
  if (result < 0) add(row, ERRORS + errorClasses.indexOf(classOf(-result)), 1);
  else if (opcode === opcodes.READ) add(row, READ_BYTES, result);
}

/** A file was opened, to be read in this way. */
export function countOpen(row: Row, way: OpenWay): void {
  add(row, OPENS + openWays.indexOf(way), 1);
}

/** What the cache of decoded blocks tells, counted in `row`. */
export function decodeCounter(row: Row): DecodeCounter {
  return {
    hit: () => add(row, HITS, 1),
    decoded(bytes) {
      add(row, MISSES, 1);
      add(row, DECODED_BYTES, bytes);
    },
  };
}

/** What was counted since the mount was made, by all threads. What the kernel answers itself, from its page cache or past us, is not in it. */
export interface Stats {
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** Answers to READ, without their headers. */
  readonly readBytes: number;
  /** Requests that were answered with an error; they are among `requests`. */
  readonly errors: Readonly<Record<ErrorClass, number>>;
  /** Of decoded blocks: found, and not found and so decoded. */
  readonly cache: { readonly hits: number; readonly misses: number; readonly decodedBytes: number };
  /** Absent where the kernel opens files without asking. */
  readonly opens?: Readonly<Record<OpenWay, number>>;
  /** How many files the kernel can read itself now: what it reads of them is not counted here. */
  readonly passedFiles: number;
}

/** `opensAsked`: whether the kernel asks before it opens a file. */
export function summarise(
  rows: Counters,
  { opensAsked, passedFiles }: { readonly opensAsked: boolean; readonly passedFiles: number },
): Stats {
  const sum = (place: number) => rows.reduce((total, row) => total + row[place]!, 0);
  const named = <K extends string>(names: readonly K[], from: number) =>
    Object.fromEntries(names.map((name, index) => [name, sum(from + index)])) as Record<K, number>;
  return {
    requests: named(requestKinds, 0),
    readBytes: sum(READ_BYTES),
    errors: named(errorClasses, ERRORS),
    cache: { hits: sum(HITS), misses: sum(MISSES), decodedBytes: sum(DECODED_BYTES) },
    ...(opensAsked && { opens: named(openWays, OPENS) }),
    passedFiles,
  };
}
