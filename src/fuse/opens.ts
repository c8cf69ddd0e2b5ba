import { clear, type Exchange, in64, OUT } from "./exchange.js";
import { little, openFlags, openOut, releaseIn } from "./protocol.js";
import { setUint64 } from "./uint64.js";

/**
 * Files whose reads the kernel may answer itself, from a file that it knows by a number ("backing file"); the same memory in every thread.
 * The kernel refuses a file that is open in both ways at once, so what is open decides for those who come later.
 */
export interface PassingTable {
  /** Numbers of nodes; the place in this list is the file's place in `state`. */
  readonly nodes: readonly number[];
  /** One number that tells whether all is settled, then two for each file: its backing file, 0 while there is none; and how often it is open. */
  readonly state: Int32Array<SharedArrayBuffer>;
  /** Until then, in milliseconds since 1970, an OPEN waits for what is not settled yet. */
  readonly patience: number;
}

/** How often a file is open: above zero, answered here; below, by the kernel. */
const opens = (place: number) => 2 + 2 * place;
const backing = (place: number) => 1 + 2 * place;

export function createPassingTable(nodes: readonly number[], patience: number): PassingTable {
  return { nodes, state: new Int32Array(new SharedArrayBuffer(4 * (1 + 2 * nodes.length))), patience: Date.now() + patience };
}

/** Makes a backing file known: from the next OPEN on that finds the file closed. */
export function settleFile({ nodes, state }: PassingTable, node: number, id: number): void {
  Atomics.store(state, backing(nodes.indexOf(node)), id);
}

/** Nothing more is to be waited for. */
export function settle({ state }: PassingTable): void {
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
}

/** What a handle tells when the file is closed: how it was opened. */
const handles = { other: 0, answered: 1, passed: 2 } as const;

export interface Opens {
  /** Answers OPEN. */
  open(exchange: Exchange, node: number): number;
  /** Takes note of RELEASE. */
  release(exchange: Exchange, node: number): void;
}

export function createOpens(table: PassingTable): Opens {
  const { state, patience } = table;
  const places = new Map(table.nodes.map((node, place) => [node, place]));

  /** The backing file to open with, or 0. */
  function enter(place: number): number {
    if (Atomics.load(state, 0) === 0) Atomics.wait(state, 0, 0, Math.max(0, patience - Date.now()));
    for (;;) {
      const count = Atomics.load(state, opens(place));
      const id = count <= 0 ? Atomics.load(state, backing(place)) : 0;
      const next = id === 0 ? count + 1 : count - 1;
      if (Atomics.compareExchange(state, opens(place), count, next) === count) return id;
    }
  }

  return {
    open(exchange, node) {
      const place = places.get(node);
      const id = place === undefined ? 0 : enter(place);
      const handle = place === undefined ? handles.other : id === 0 ? handles.answered : handles.passed;
      const { replyView } = exchange;
      clear(exchange, openOut.size);
      setUint64(replyView, OUT + openOut.handle, handle);
      replyView.setUint32(OUT + openOut.flags, openFlags.NOFLUSH | (id === 0 ? openFlags.KEEP_CACHE : openFlags.PASSTHROUGH), little);
      replyView.setInt32(OUT + openOut.backing, id, little);
      return openOut.size;
    },
    release(exchange, node) {
      const place = places.get(node);
      if (place === undefined) return;
      Atomics.add(state, opens(place), in64(exchange, releaseIn.handle) === handles.passed ? 1 : -1);
    },
  };
}
