import { constants } from "node:os";
import { createPassingTable, settle, settleFile } from "../../../src/fuse/opens.js";
import { MAX_READ, REQUEST_SIZE } from "../../../src/fuse/protocol.js";
import { createServer } from "../../../src/fuse/server.js";
import { memoryFile } from "../../../src/tree/flat.js";
import { directoryNode, type Entry, type FileNode, type FlatFile, type Node, type Tree } from "../../../src/tree/node.js";
import { ImageError } from "../../../src/util/errors.js";
import { noise } from "../../support/content.js";
import { readInput } from "../input.js";
import { Problem, promise } from "../problem.js";
import { hashOf } from "../random.js";
import type { Run } from "../run.js";

/** What the kernel waits for no reply to: FORGET, INTERRUPT, BATCH_FORGET. */
const silent = new Set([2, 36, 42]);
const HEADER = 40;
const GUARD = 64;

/** A tree with everything in it that a request can meet. */
function treeOf(): Tree {
  const modified = 1_600_000_000_123;
  const content = noise(5, 10_000);
  const file = (id: number, flat: FlatFile): FileNode => ({
    kind: "file",
    id,
    mode: 0o440,
    modified,
    file: flat,
    uid: 3,
    gid: 4,
    links: 2,
  });
  const sparse: FlatFile = {
    size: 2 ** 40,
    read: (target) => void target.fill(0),
    locate(offset, length) {
      const data = offset >= 4096 && offset < 8192;
      const end = data ? 8192 : offset < 4096 ? 4096 : 2 ** 40;
      const run = Math.min(length, end - offset);
      return { extent: data ? memoryFile("", content).locate(offset - 4096, run).extent : { kind: "zero", length: run }, depth: 0 };
    },
    allocated: () => 4096,
  };
  const failing = (error: Error): FlatFile => ({
    ...sparse,
    size: 5000,
    read() {
      throw error;
    },
    locate() {
      throw error;
    },
  });
  const many = Array.from({ length: 60 }, (_, index): Entry => {
    return { name: `${"name".repeat(index)}${index}`, node: file(100 + index, memoryFile("", content.subarray(0, index))) };
  });
  const root = directoryNode(1, 0o555, modified, [
    { name: "disk.raw", node: file(2, memoryFile("disk.raw", content)) },
    { name: "sparse", node: file(3, sparse) },
    { name: "damaged", node: file(4, failing(new ImageError("CORRUPT", "damaged"))) },
    { name: "lost", node: file(5, failing(Object.assign(new Error("read"), { code: "ENOMEM" }))) },
    { name: "mistaken", node: file(6, failing(new TypeError("a mistake"))) },
    { name: "link", node: { kind: "symlink", id: 7, mode: 0o777, modified, target: "disk.raw" } },
    { name: "device", node: { kind: "block device", id: 8, mode: 0o600, modified, device: { major: 8, minor: 300 } } },
    { name: "fifo", node: { kind: "fifo", id: 9, mode: 0o600, modified } },
    { name: "d\u00e9j\u00e0", node: directoryNode(2 ** 45 + 10, 0o500, modified, many) },
  ]);
  const nodes = new Map<number, Node>();
  const add = (node: Node): void => {
    nodes.set(node.id, node);
    if (node.kind === "directory") for (const entry of node.entries()) add(entry.node);
  };
  add(root);
  return { root, node: (id) => nodes.get(id) };
}

const tree = treeOf();
const reply = Buffer.alloc(16 + MAX_READ + GUARD);
const request = Buffer.alloc(REQUEST_SIZE);
const errnos = new Set<number>(Object.values(constants.errno));

/** Sends every file of the input as a request, to one server, twice: what stands behind a request must not matter. */
export function checkRequests(run: Run): void {
  const passing = run.random.once(2);
  const [one, other] = [0x00, 0xff].map((filling) => converse(run, filling, passing));
  if (one !== other) throw new Problem("differs", "what stands behind a request changes the reply");
  run.tell(one);
}

function converse(run: Run, filling: number, passing: boolean): string {
  let opened = 0;
  const server = createServer(tree, {
    owner: { uid: 1000, gid: 1000 },
    ...(passing && { passing: settled() }),
    isWhole() {
      opened += 1;
      return opened % 4 !== 0;
    },
    // Tells that it happened, as the worker does.
    onError: () => undefined,
  });
  const replies: number[] = [];
  for (const file of run.input.files) {
    const length = Math.min(file.size, REQUEST_SIZE);
    readInput(run.input, file, request.subarray(0, length), 0);
    request.fill(filling, length, Math.min(REQUEST_SIZE, length + 512));
    reply.fill(0x77, reply.length - GUARD);
    const before = hashOf(request.subarray(0, length));
    const answered = server(request, length, reply.subarray(0, reply.length - GUARD));
    promise(hashOf(request.subarray(0, length)) === before, () => "the request was written to");
    checkReply(length, answered);
    replies.push(answered, answered === 0 ? 0 : hashOf(reply.subarray(0, Math.min(answered, 8192))));
  }
  return replies.join(" ");
}

function settled() {
  const table = createPassingTable([2, 3, 4], 0);
  settleFile(table, 2, 7, { direct: true });
  settleFile(table, 3, 8, { direct: false });
  settle(table);
  return table;
}

function checkReply(length: number, answered: number): void {
  promise(
    reply.subarray(reply.length - GUARD).every((byte) => byte === 0x77),
    () => "written behind the reply's buffer",
  );
  const opcode = request.readUInt32LE(4);
  if (length < HEADER || silent.has(opcode)) {
    promise(answered === 0, () => `${answered} bytes of reply to what wants none`);
    return;
  }
  promise(Number.isSafeInteger(answered) && answered >= 16 && answered <= 16 + MAX_READ, () => `a reply of ${answered} bytes`);
  promise(reply.readUInt32LE(0) === answered, () => `a reply of ${answered} bytes that says ${reply.readUInt32LE(0)}`);
  const error = reply.readInt32LE(4);
  promise(error === 0 || errnos.has(-error), () => `the error ${error}`);
  promise(error === 0 || answered === 16, () => `${answered} bytes of reply with the error ${error}`);
  promise(reply.subarray(8, 16).equals(request.subarray(8, 16)), () => "the reply is to another request");
  // What a kernel asks for with a size must not be answered with more.
  if (error === 0 && [15, 28, 44].includes(opcode)) {
    promise(
      answered - 16 <= request.readUInt32LE(HEADER + 16),
      () => `${answered - 16} bytes, ${request.readUInt32LE(HEADER + 16)} were asked for`,
    );
  }
}
