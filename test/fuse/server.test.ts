import { constants } from "node:os";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_READ } from "../../src/fuse/protocol.js";
import { writeAttributes } from "../../src/fuse/attributes.js";
import { createServer, type Server } from "../../src/fuse/server.js";
import { memoryFile } from "../../src/tree/flat.js";
import type { FlatFile, Node, Tree } from "../../src/tree/node.js";
import { directoryNode } from "../../src/tree/node.js";
import { indexTree } from "../support/tree.js";
import { ImageError } from "../../src/util/errors.js";
import { initBody, lseekBody, name, op, parseAttributes, parseListing, parseReply, type Reply, readBody, request } from "./requests.js";

const content = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));
const modified = 1_700_000_000_500;
/** open(2), fcntl.h */
const { EINVAL, EIO, EISDIR, ENOENT, ENOSYS, ENOTDIR, ENXIO, EROFS } = constants.errno;

/** 4096 bytes of hole, 4096 of data, hole to the end. */
const sparse: FlatFile = {
  size: 20_000,
  read: (target) => void target.fill(0),
  locate: (offset, length) => {
    const data = offset >= 4096 && offset < 8192;
    const end = data ? 8192 : offset < 4096 ? 4096 : 20_000;
    const extent = data ? memoryFile("", content).locate(0, 4096).extent : ({ kind: "zero", length: 0 } as const);
    return { extent: { ...extent, length: Math.min(length, end - offset) }, depth: 0 };
  },
  allocated: () => 4096,
};

const broken: FlatFile = {
  ...sparse,
  read: () => {
    throw new ImageError("CORRUPT", "the cluster is damaged", { file: "a.qcow2", position: 512 });
  },
};

const denied: FlatFile = {
  ...sparse,
  read: () => {
    throw Object.assign(new Error("read"), { code: "ENOMEM" });
  },
};

const file = (id: number, flat: FlatFile): Node => ({ kind: "file", id, mode: 0o440, modified, file: flat });

const tree: Tree = indexTree(
  directoryNode(1, 0o555, modified, [
    { name: "disk.raw", node: file(2, memoryFile("disk.raw", content)) },
    { name: "sparse", node: file(3, sparse) },
    { name: "broken", node: file(4, broken) },
    { name: "denied", node: file(5, denied) },
    { name: "link", node: { kind: "symlink", id: 6, mode: 0o777, modified, target: "disk.raw" } },
    { name: "déjà", node: directoryNode(7, 0o500, modified, []) },
  ]),
);

const errors: unknown[] = [];
const newServer = (interest?: Int32Array) =>
  createServer(tree, { owner: { uid: 12, gid: 34 }, interest, onError: (error) => errors.push(error) });
const server = newServer();
const reply = Buffer.alloc(MAX_READ + 16, 0xee);

function ask(opcode: number, node: number, body?: Uint8Array, own = server): Reply {
  const bytes = request(opcode, node, body);
  const length = own(bytes, bytes.length, reply);
  return parseReply(reply.subarray(0, length));
}

describe("FUSE server", () => {
  test("agrees on the older protocol version and on the flags that both know", () => {
    const { error, body } = ask(op.init, 0, initBody(7, 40, 131_072, 0xffffffff));
    expect(error).toBe(0);
    expect(body.length).toBe(64);
    expect([body.readUInt32LE(0), body.readUInt32LE(4), body.readUInt32LE(8)]).toEqual([7, 40, 131_072]);
    const flags = body.readUInt32LE(12);
    expect(flags & 1, "asynchronous reads").toBe(1);
    expect(flags & (1 << 22), "long requests").not.toBe(0);
    expect(flags & (1 << 16), "no write-back cache").toBe(0);
    expect(body.readUInt16LE(28)).toBe(256);
    expect(ask(op.init, 0, initBody(7, 35, 1, 0)).body.readUInt32LE(4)).toBe(35);
    expect(ask(op.init, 0, initBody(7, 35, 1, 0)).body.readUInt32LE(12)).toBe(0);
  });

  test("asks a kernel of a later major version to speak this one, and refuses one that is too old", () => {
    expect(ask(op.init, 0, initBody(8, 0, 0, 0)).body.readUInt32LE(0)).toBe(7);
    expect(ask(op.init, 0, initBody(7, 8, 0, 0)).error).toBe(constants.errno.EPROTO);
  });

  test("finds names, and only names of directories", () => {
    const { error, body } = ask(op.lookup, 1, name("déjà"));
    expect(error).toBe(0);
    expect(body.readBigUInt64LE(0)).toBe(7n);
    expect(parseAttributes(body, 40)).toMatchObject({ ino: 7, mode: 0o040500, uid: 12, gid: 34 });
    expect(ask(op.lookup, 1, name("disk")).error).toBe(ENOENT);
    expect(ask(op.lookup, 2, name("x")).error).toBe(ENOTDIR);
    expect(ask(op.lookup, 99, name("x")).error).toBe(ENOENT);
  });

  test("tells what stat shows", () => {
    const attributes = (node: number) => parseAttributes(ask(op.getattr, node).body, 16);
    expect(attributes(2)).toEqual({ ino: 2, size: 10_000, blocks: 20, modified: 1_700_000_000.5, mode: 0o100440, uid: 12, gid: 34 });
    expect(attributes(3)).toMatchObject({ size: 20_000, blocks: 8 });
    expect(attributes(6)).toMatchObject({ size: 8, mode: 0o120777 });
  });

  test("times before 1970, and to the nanosecond", () => {
    const attributes = new DataView(new ArrayBuffer(88));
    const shown = (times: { readonly modified: number; readonly nanoseconds?: number }) => {
      writeAttributes(attributes, 0, { kind: "fifo", id: 1, mode: 0, ...times }, { uid: 0, gid: 0 });
      return [attributes.getBigInt64(32, true), attributes.getUint32(52, true)];
    };
    expect(shown({ modified: -1250 })).toEqual([-2n, 750_000_000]);
    expect(shown({ modified: 1_700_000_000_123, nanoseconds: 123_456_789 })).toEqual([1_700_000_000n, 123_456_789]);
    expect(shown({ modified: -(2 ** 45) * 1000 })).toEqual([-(2n ** 45n), 0]);
  });

  test("reads any range, short at the end, nothing behind it", () => {
    const read = (offset: number | bigint, size: number) => ask(op.read, 2, readBody(offset, size)).body;
    expect(read(0, 10_000).equals(content)).toBe(true);
    expect(read(9_990, 4096).equals(content.subarray(9_990))).toBe(true);
    expect(read(10_000, 1).length).toBe(0);
    expect(read(2n ** 63n - 1n, 4096).length).toBe(0);
    fc.assert(
      fc.property(fc.nat(11_000), fc.nat(11_000), (offset, size) => {
        return read(offset, size).equals(content.subarray(offset, offset + size));
      }),
    );
  });

  test("a range that cannot be read is an error for that request, and told", () => {
    errors.length = 0;
    expect(ask(op.read, 4, readBody(0, 512))).toMatchObject({ error: EIO, unique: 77n });
    expect(ask(op.read, 5, readBody(0, 512)).error).toBe(constants.errno.ENOMEM);
    expect(errors).toHaveLength(2);
    expect(ask(op.read, 2, readBody(0, 512)).error).toBe(0);
  });

  test("a directory is not read, a file not listed, a file no link", () => {
    expect(ask(op.read, 1, readBody(0, 512)).error).toBe(EISDIR);
    expect(ask(op.readdir, 2, readBody(0, 512)).error).toBe(ENOTDIR);
    expect(ask(op.readlink, 2).error).toBe(EINVAL);
    expect(ask(op.readlink, 6).body.toString()).toBe("disk.raw");
  });

  /** What READDIR or READDIRPLUS gives, read in pieces of `size` bytes. */
  const listed = (own: Server, opcode: number, size: number) => {
    const plus = opcode === op.readdirplus;
    const all: ReturnType<typeof parseListing>[number][] = [];
    for (;;) {
      const { error, body } = ask(opcode, 1, readBody(all.at(-1)?.next ?? 0, size), own);
      expect(error).toBe(0);
      expect(body.length).toBeLessThanOrEqual(size);
      const entries = parseListing(body, plus);
      if (entries.length === 0) return all;
      all.push(...entries);
    }
  };

  test.each([
    [op.readdir, 80],
    [op.readdirplus, 200],
    [op.readdir, 4096],
    [op.readdirplus, 4096],
  ])("lists every name once, however small the pieces (operation %i, %i bytes)", (opcode, size) => {
    const entries = listed(newServer(), opcode, size);
    expect(entries.map(({ name: found }) => found)).toEqual([".", "..", "disk.raw", "sparse", "broken", "denied", "link", "déjà"]);
    expect(entries.map(({ ino, type }) => [ino, type]).slice(2)).toEqual([
      [2, 8],
      [3, 8],
      [4, 8],
      [5, 8],
      [6, 10],
      [7, 4],
    ]);
  });

  test("tells all of directories at once, and of files when they are asked for one by one", () => {
    const own = newServer();
    const told = () => listed(own, op.readdirplus, 4096).map(({ node }) => node);
    expect(told()).toEqual([0, 0, 0, 0, 0, 0, 0, 7]);
    // Directories are asked for by whoever walks, and names that are not there by whoever searches a path.
    for (let round = 0; round < 100; round += 1) for (const each of ["déjà", "vu"]) ask(op.lookup, 1, name(each), own);
    expect(told()).toEqual([0, 0, 0, 0, 0, 0, 0, 7]);
    for (let round = 0; round < 32; round += 1) ask(op.lookup, 1, name("sparse"), own);
    expect(told()).toEqual([0, 0, 2, 3, 4, 5, 6, 7]);
    const { body } = ask(op.readdirplus, 1, readBody(3, 4096), own);
    expect(parseAttributes(body, 40)).toEqual(parseAttributes(ask(op.lookup, 1, name("sparse"), own).body, 40));
  });

  test("what was asked for counts for all threads that serve", () => {
    const interest = new Int32Array(new SharedArrayBuffer(4));
    const [one, other] = [newServer(interest), newServer(interest)];
    for (let round = 0; round < 16; round += 1) for (const each of [one, other]) ask(op.lookup, 1, name("link"), each);
    for (const each of [one, other]) expect(listed(each, op.readdirplus, 4096)[2]?.node).toBe(2);
  });

  test("finds data and holes", () => {
    const seek = (offset: number, whence: number) => {
      const { error, body } = ask(op.lseek, 3, lseekBody(offset, whence));
      return error === 0 ? Number(body.readBigUInt64LE(0)) : -error;
    };
    expect([seek(0, 3), seek(5000, 3), seek(8192, 3)]).toEqual([4096, 5000, -ENXIO]);
    expect([seek(0, 4), seek(5000, 4), seek(19_999, 4), seek(20_000, 4)]).toEqual([0, 8192, 19_999, -ENXIO]);
    expect(Number(ask(op.lseek, 2, lseekBody(1, 4)).body.readBigUInt64LE(0))).toBe(10_000);
    expect(seek(0, 0)).toBe(-EINVAL);
  });

  test("changes nothing", () => {
    for (const opcode of [op.setattr, op.unlink, op.write]) expect(ask(opcode, 2, Buffer.alloc(200)).error).toBe(EROFS);
  });

  test("says once and for all what it does not do", () => {
    expect(ask(op.getxattr, 2, Buffer.alloc(20)).error).toBe(ENOSYS);
    expect(ask(op.flush, 2, Buffer.alloc(24)).error).toBe(ENOSYS);
    expect(ask(op.open, 2, Buffer.alloc(8)).error).toBe(ENOSYS);
    expect(ask(op.opendir, 1, Buffer.alloc(8)).error).toBe(ENOSYS);
  });

  test("does not reply where no reply is wanted", () => {
    for (const opcode of [op.forget, op.batchForget, op.interrupt]) {
      const bytes = request(opcode, 2, Buffer.alloc(16));
      expect(server(bytes, bytes.length, reply)).toBe(0);
    }
  });

  test("answers any bytes with a reply to the same request, and never throws", () => {
    const anyRequest = fc.tuple(
      fc.nat(60),
      fc.integer({ min: 0, max: 9 }),
      fc.uint8Array({ maxLength: 120 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    fc.assert(
      fc.property(anyRequest, ([opcode, node, body, unique]) => {
        const bytes = request(opcode, node, body, unique);
        const length = server(bytes, bytes.length, reply);
        if (length === 0) return [op.forget, op.batchForget, op.interrupt].some((silent) => silent === opcode);
        return parseReply(reply.subarray(0, length)).unique === unique;
      }),
      { numRuns: 2000 },
    );
  });

  test("a request that ends inside its structure is refused", () => {
    expect(ask(op.read, 2, Buffer.alloc(12)).error).toBe(EIO);
    expect(server(Buffer.alloc(64), 39, reply)).toBe(0);
  });
});
