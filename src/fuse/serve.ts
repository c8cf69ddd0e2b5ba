import { fstatSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parentPort, threadId } from "node:worker_threads";
import { type Binding, binding } from "../native/binding.js";
import type { OpenedFile } from "../source/file.js";
import { openView, type ViewRequest } from "../tree/view.js";
import { systemCode } from "../util/errors.js";
import type { Owner } from "./attributes.js";
import { type Counters, decodeCounter, type Row } from "./counters.js";
import { errorTeller } from "./error-teller.js";
import type { Interest } from "./listing.js";
import type { PassingTable } from "./opens.js";
import { MAX_READ, outHeader, REQUEST_SIZE } from "./protocol.js";
import { createServer, isListing, type Server } from "./server.js";
import { statsOf, withStatsFile } from "./stats-file.js";
import { createTurn, type TurnTable } from "./turn.js";

/** What a worker is to do: its first message. */
export interface WorkerTask {
  readonly view: ViewRequest;
  readonly files: readonly OpenedFile[];
  readonly owner: Owner;
  /** A descriptor of the FUSE connection. */
  readonly device: number;
  readonly passing?: PassingTable | undefined;
  readonly activity?: Int32Array | undefined;
  readonly interest: Interest;
  readonly turns: TurnTable;
  /** Those of all threads. */
  readonly counters: Counters;
  /** This thread's. */
  readonly row: Row;
}

/** What a worker tells. */
export type WorkerMessage = { readonly kind: "ready" } | { readonly kind: "error"; readonly text: string };

/** A worker: does what its first message tells. */
export function waitForTask(): void {
  parentPort?.once("message", (task: WorkerTask) => run(task));
}

function run({ view, files, owner, device, passing, activity, interest, turns, counters, row }: WorkerTask): void {
  const tell = (message: WorkerMessage) => parentPort?.postMessage(message);
  const { tree, close } = openView({ ...view, options: { ...view.options, opened: files } }, undefined, decodeCounter(row));
  const server = createServer(
    withStatsFile(tree, () => statsOf(counters, passing)),
    {
      owner,
      passing,
      interest,
      counters: row,
      isWhole: () => files.every(isWhole),
      onError: errorTeller((text) => tell({ kind: "error", text })),
    },
  );
  tell({ kind: "ready" });
  if (!binding) throw new Error("the native addon is gone");
  serve(binding, device, server, createTurn(turns, threadId), activity ?? new Int32Array(1));
  close();
}

/** Whether nothing of a file was cut off since it was opened. */
function isWhole({ fd, size, regular }: OpenedFile): boolean {
  return !regular || fstatSync(fd).size >= size;
}

/** Microseconds that a worker stays awake for the next request. A thread that sleeps is woken in some 10 to 40. With one processor it would only be in the way. */
const PATIENCE = availableParallelism() > 1 ? 50 : 0;

/** Reads requests and writes replies until the file system is unmounted. The thread sleeps in read(2); the kernel's queue is the scheduler. */
function serve(native: Binding, device: number, server: Server, turn: (listing: boolean) => void, activity: Int32Array): void {
  const request = Buffer.allocUnsafeSlow(REQUEST_SIZE);
  const reply = Buffer.allocUnsafeSlow(outHeader.size + MAX_READ);
  for (;;) {
    const length = native.receiveRequest(device, request, PATIENCE);
    if (length < 0) return;
    const size = server(request, length, reply);
    if (size === 0) continue;
    activity[0] = 1;
    send(device, reply, size);
    turn(isListing(request));
  }
}

function send(device: number, reply: Buffer, size: number): void {
  try {
    writeSync(device, reply, 0, size);
  } catch (error) {
    // ENOENT: whoever asked was interrupted and is gone. ENODEV shows again at the next read.
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "ENODEV" && code !== "EINTR") throw error;
  }
}
