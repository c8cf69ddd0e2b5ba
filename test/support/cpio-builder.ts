// cpio archives from their specifications: "newc" and "crc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), "odc" (POSIX.1), old binary.

export interface CpioEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** All of st_mode. */
  readonly mode?: number;
  readonly links?: number;
  readonly inode?: number;
  /** Of a device file. */
  readonly device?: readonly [major: number, minor: number];
  readonly modified?: number;
  /** Instead of the right one. */
  readonly sum?: number;
  /** NUL bytes behind the one that ends the name. */
  readonly extraNuls?: number;
}

export type CpioKind = "newc" | "crc" | "odc" | "little" | "big";

export const types = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

let inodes = 100;

export function cpioEntry(kind: CpioKind, entry: CpioEntry): Buffer {
  const { name, content = new Uint8Array(), mode = types.file | 0o644, links = 1, device: [major, minor] = [0, 0], extraNuls = 0 } = entry;
  inodes += 1;
  const { inode = inodes, modified = 1_700_000_000 } = entry;
  const label = Buffer.concat([Buffer.from(name), Buffer.alloc(1 + extraNuls)]);
  const [uid, gid, size] = [1000, 50, content.length];
  if (kind === "newc" || kind === "crc") {
    const sum = kind === "crc" ? (entry.sum ?? content.reduce((all, byte) => (all + byte) >>> 0, 0)) : 0;
    const numbers = [inode, mode, uid, gid, links, modified, size, 8, 1, major, minor, label.length, sum];
    const head = Buffer.from(
      (kind === "crc" ? "070702" : "070701") + numbers.map((number) => number.toString(16).padStart(8, "0")).join(""),
    );
    return Buffer.concat([filled(Buffer.concat([head, label]), 4), filled(content, 4)]);
  }
  const special = (major << 8) | minor;
  if (kind === "odc") {
    const octal = (number: number, digits: number) => number.toString(8).padStart(digits, "0");
    const six = [0o4001, inode, mode, uid, gid, links, special].map((number) => octal(number, 6)).join("");
    const head = `070707${six}${octal(modified, 11)}${octal(label.length, 6)}${octal(size, 11)}`;
    return Buffer.concat([Buffer.from(head), label, content]);
  }
  const halves = (number: number) => [number >>> 16, number & 0xffff];
  const words = [0o070707, 0o4001, inode, mode, uid, gid, links, special, ...halves(modified), label.length, ...halves(size)];
  const head = Buffer.alloc(26);
  for (const [index, word] of words.entries()) {
    if (kind === "little") head.writeUInt16LE(word, index * 2);
    else head.writeUInt16BE(word, index * 2);
  }
  return Buffer.concat([filled(Buffer.concat([head, label]), 2), filled(content, 2)]);
}

/** An archive with its end mark. */
export function cpioArchive(kind: CpioKind, entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, { name: "TRAILER!!!", mode: 0, inode: 0 }].map((entry) => cpioEntry(kind, entry)));
}

function filled(content: Uint8Array, alignment: number): Buffer {
  return Buffer.concat([content, Buffer.alloc((alignment - (content.length % alignment)) % alignment)]);
}
