// FUSE requests built byte by byte, and replies taken apart, from include/uapi/linux/fuse.h alone. Little-endian, as every machine the tests run on.

export const op = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  unlink: 10,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  getxattr: 22,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  readdirplus: 44,
  lseek: 46,
} as const;

/** A request with this operation, node and body. */
export function request(opcode: number, node: number, body: Uint8Array = Buffer.alloc(0), unique = 77n): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32LE(40 + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(unique, 8);
  header.writeBigUInt64LE(BigInt(node), 16);
  return Buffer.concat([header, body]);
}

export function name(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** fuse_read_in */
export function readBody(offset: number | bigint, size: number): Buffer {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(size, 16);
  return body;
}

/** fuse_init_in */
export function initBody(major: number, minor: number, readahead: number, flags: number): Buffer {
  const body = Buffer.alloc(64);
  [major, minor, readahead, flags].forEach((value, index) => body.writeUInt32LE(value >>> 0, 4 * index));
  return body;
}

/** fuse_lseek_in; whence 3 is SEEK_DATA, 4 SEEK_HOLE */
export function lseekBody(offset: number, whence: number): Buffer {
  const body = Buffer.alloc(24);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(whence, 16);
  return body;
}

export interface Reply {
  readonly unique: bigint;
  /** A positive errno, 0 if there is none. */
  readonly error: number;
  readonly body: Buffer;
}

export function parseReply(bytes: Uint8Array): Reply {
  const reply = Buffer.from(bytes);
  if (reply.readUInt32LE(0) !== reply.length)
    throw new Error(`the header says ${reply.readUInt32LE(0)} bytes, the reply has ${reply.length}`);
  return { error: Math.abs(reply.readInt32LE(4)), unique: reply.readBigUInt64LE(8), body: reply.subarray(16) };
}

/** fuse_attr */
export function parseAttributes(body: Buffer, at: number) {
  return {
    ino: Number(body.readBigUInt64LE(at)),
    size: Number(body.readBigUInt64LE(at + 8)),
    blocks: Number(body.readBigUInt64LE(at + 16)),
    modified: Number(body.readBigUInt64LE(at + 32)) + body.readUInt32LE(at + 52) / 1e9,
    mode: body.readUInt32LE(at + 60),
    uid: body.readUInt32LE(at + 68),
    gid: body.readUInt32LE(at + 72),
  };
}

/** The names of a listing, with the node id that READDIRPLUS gives. */
export function parseListing(
  body: Buffer,
  plus: boolean,
): readonly { name: string; ino: number; next: number; type: number; node?: number }[] {
  const entries = [];
  let at = 0;
  while (at < body.length) {
    const start = plus ? at + 128 : at;
    const length = body.readUInt32LE(start + 16);
    entries.push({
      name: body.toString("utf8", start + 24, start + 24 + length),
      ino: Number(body.readBigUInt64LE(start)),
      next: Number(body.readBigUInt64LE(start + 8)),
      type: body.readUInt32LE(start + 20),
      ...(plus && { node: Number(body.readBigUInt64LE(at)) }),
    });
    at = start + Math.ceil((24 + length) / 8) * 8;
  }
  return entries;
}
