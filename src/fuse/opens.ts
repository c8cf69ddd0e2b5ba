import { constants } from "node:fs";
import { constants as system } from "node:os";
import type { OpenWay } from "./counters.js";
import { clear, type Exchange, in32, in64, OUT } from "./exchange.js";
import { little, openFlags, openIn, openOut, releaseIn } from "./protocol.js";
import { setUint64 } from "./uint64.js";

/**
 * Files whose reads the kernel may answer itself, from a file that it knows by a number ("backing file"); the same memory in every thread.
 * The kernel refuses a file that is open in both ways at once, so what is open decides for those who come later.
 */
export interface PassingTable {
  /** Numbers of nodes; the place in this list is the file's place in `state`. */
  readonly nodes: readonly number[];
  /** One number that tells whether all is settled, then two for each file: its backing file, 0 while there is none, below 0 where
   * that can only be read through the page cache; and how often it is open. */
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

/**
 * Makes a backing file known: from the next OPEN on that finds the file closed. `direct`: whether it can be read past the page cache.
 */
export function settleFile({ nodes, state }: PassingTable, node: number, id: number, { direct }: { readonly direct: boolean }): void {
  Atomics.store(state, backing(nodes.indexOf(node)), direct ? id : -id);
}

/** Nothing more is to be waited for. */
export function settle({ state }: PassingTable): void {
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
}

const { O_DIRECT } = constants;
const { EINVAL } = system.errno;

/** What a handle tells when the file is closed: how it was opened. */
const handles = { other: 0, answered: 1, passed: 2 } as const;

export interface Opens {
  /** Answers OPEN. */
  open(exchange: Exchange, node: number): number;
  /** Takes note of RELEASE. */
  release(exchange: Exchange, node: number): void;
}

/** How many files the kernel can read itself now. */
export function passedFiles({ nodes, state }: PassingTable): number {
  return nodes.filter((_, place) => Atomics.load(state, backing(place)) !== 0).length;
}

/** `isWhole`: whether the image still is as it was; what the kernel reads behind the end of a file that was cut would be zeros. `count` is told how each file is opened. */
export function createOpens(table: PassingTable, isWhole: () => boolean, count: (way: OpenWay) => void): Opens {
  const { state, patience } = table;
  const places = new Map(table.nodes.map((node, place) => [node, place]));

  /** The number of the backing file to open with, or 0. Below 0: it cannot be opened now. */
  function enter(place: number, pastCache: boolean): number {
    const usable = isWhole();
    for (;;) {
      const count = Atomics.load(state, opens(place));
      const id = Atomics.load(state, backing(place));
      const fits = id > 0 || !pastCache;
      // What is open already as passed through can be opened in no other way.
      if (count < 0 && !fits) return -1;
      const passed = id !== 0 && (count < 0 || (count === 0 && usable && fits));
      if (Atomics.compareExchange(state, opens(place), count, passed ? count - 1 : count + 1) === count) return passed ? Math.abs(id) : 0;
    }
  }

  return {
    open(exchange, node) {
      const place = places.get(node);
      if (place === undefined) {
        count("server");
        return reply(exchange, handles.other, openFlags.KEEP_CACHE, 0);
      }
      if (Atomics.load(state, 0) === 0) Atomics.wait(state, 0, 0, Math.max(0, patience - Date.now()));
      const id = enter(place, (in32(exchange, openIn.flags) & O_DIRECT) !== 0);
      // As a file system says that has nothing of the kind.
      if (id < 0) return -EINVAL;
      count(id === 0 ? "server" : Atomics.load(state, backing(place)) > 0 ? "image" : "index");
      if (id === 0) return reply(exchange, handles.answered, openFlags.KEEP_CACHE, 0);
      return reply(exchange, handles.passed, openFlags.PASSTHROUGH, id);
    },
    release(exchange, node) {
      const place = places.get(node);
      const handle = in64(exchange, releaseIn.handle);
      if (place === undefined || handle === handles.other) return;
      Atomics.add(state, opens(place), handle === handles.passed ? 1 : -1);
    },
  };
}

function reply(exchange: Exchange, handle: number, flags: number, id: number): number {
  const { replyView } = exchange;
  clear(exchange, openOut.size);
  setUint64(replyView, OUT + openOut.handle, handle);
  replyView.setUint32(OUT + openOut.flags, openFlags.NOFLUSH | flags, little);
  replyView.setInt32(OUT + openOut.backing, id, little);
  return openOut.size;
}
