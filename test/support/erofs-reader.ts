// Reads EROFS as Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h in the Linux sources describe it, for what an index consists of. It is stricter
// than the kernel: whatever does not have to be so is an error here.

/** One thing in the file system. */
export interface Found {
  readonly nid: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly number: number;
  /** Seconds since 1970, and nanoseconds of the second. */
  readonly modified: readonly [seconds: number, nanoseconds: number];
  readonly device: number;
  /** Bytes of a chunk; undefined for what is not in chunks. */
  readonly chunkSize: number | undefined;
}

export interface Erofs {
  readonly blockSize: number;
  /** Blocks of each device. */
  readonly devices: readonly number[];
  readonly inodes: number;
  readonly root: Found;
  /** Names and what they lead to, without `.` and `..`, which are checked. */
  list(directory: Found): ReadonlyMap<string, Found>;
  /** The bytes of a file or a link. */
  read(file: Found): Buffer;
  /** Where each chunk is: the number of the device (0: this file) and the byte in it; undefined for a hole. */
  chunks(file: Found): readonly ({ readonly device: number; readonly position: number } | undefined)[];
  /** Everything, by its path; the root is `""`. */
  walk(): ReadonlyMap<string, Found>;
}

const kinds = new Map([
  [0o100000, 1],
  [0o040000, 2],
  [0o020000, 3],
  [0o060000, 4],
  [0o010000, 5],
  [0o140000, 6],
  [0o120000, 7],
]);

/** `image`: the whole file system; `devices`: the whole files that are named beside it. */
export function readErofs(image: Buffer, devices: readonly Buffer[]): Erofs {
  const check = (holds: boolean, message: string): void => {
    if (!holds) throw new Error(`EROFS: ${message}`);
  };
  check(image.readUInt32LE(1024) === 0xe0f5e1e2, "no magic");
  check(image.readUInt32LE(1028) === 0 && image.readUInt32LE(1032) === 0, "a checksum, or compatible features");
  const bits = image.readUInt8(1036);
  check(bits >= 9 && bits <= 12, `blocks of 2^${bits} bytes`);
  const blockSize = 2 ** bits;
  const rootNid = image.readUInt16LE(1038);
  const inodes = Number(image.readBigUInt64LE(1040));
  const blocks = image.readUInt32LE(1060);
  check(blocks * blockSize === image.length, `${blocks} blocks, the file has ${image.length} bytes`);
  const meta = image.readUInt32LE(1064) * blockSize;
  check((image.readUInt32LE(1104) & ~0xc) === 0, "features that are not known");
  const count = image.readUInt16LE(1110);
  check(count === devices.length, `${count} devices in the table, ${devices.length} were given`);
  const table = image.readUInt16LE(1112) * 128;
  check(count === 0 || (table >= 1024 + 128 && table + 128 * count <= meta), "the table of devices lies over something else");
  const deviceBlocks = devices.map((device, index) => {
    const slot = table + 128 * index;
    check(image.readUInt32LE(slot + 68) === 0, "a device has an address in the whole");
    const size = image.readUInt32LE(slot + 64);
    check(size === Math.ceil(device.length / blockSize), `device ${index + 1} is said to have ${size} blocks`);
    return size;
  });

  const inodeAt = (nid: number): Found => {
    const at = meta + 32 * nid;
    check(at + 64 <= image.length, `inode ${nid} is not in the file`);
    const format = image.readUInt16LE(at);
    check([1, 5, 9].includes(format), `inode ${nid} has the format ${format}`);
    check(image.readUInt16LE(at + 2) === 0, "extended attributes");
    const mode = image.readUInt16LE(at + 4);
    const address = image.readUInt32LE(at + 16);
    if (format === 9) check((address & ~0x3f) === 0 && (address & 0x20) !== 0, `chunks of the format ${address}`);
    return {
      nid,
      mode,
      size: Number(image.readBigUInt64LE(at + 8)),
      number: image.readUInt32LE(at + 20),
      uid: image.readUInt32LE(at + 24),
      gid: image.readUInt32LE(at + 28),
      modified: [Number(image.readBigInt64LE(at + 32)), image.readUInt32LE(at + 40)],
      links: image.readUInt32LE(at + 44),
      device: [0o020000, 0o060000].includes(mode & 0o170000) ? address : 0,
      chunkSize: format === 9 ? blockSize * 2 ** (address & 0x1f) : undefined,
    };
  };
  const plain = ({ nid, size }: Found): Buffer => {
    const at = meta + 32 * nid;
    const inline = image.readUInt16LE(at) === 5;
    const start = inline ? at + 64 : image.readUInt32LE(at + 16) * blockSize;
    if (inline) check(Math.floor((start + size - 1) / blockSize) === Math.floor(at / blockSize), "inline bytes leave their block");
    else check(start >= meta, "bytes before all inodes");
    check(start + size <= image.length, "bytes that are not in the file");
    return image.subarray(start, start + size);
  };
  const chunks: Erofs["chunks"] = ({ nid, size, chunkSize = 0 }) =>
    Array.from({ length: Math.ceil(size / chunkSize) }, (_, index) => {
      const at = meta + 32 * nid + 64 + 8 * index;
      const device = image.readUInt16LE(at + 2);
      const block = image.readUInt32LE(at + 4);
      check(image.readUInt16LE(at) === 0, "an address of 48 bits");
      if (block === 0xffffffff) return undefined;
      check(device <= count, `device ${device} is not in the table`);
      return { device, position: block * blockSize };
    });
  const read = (file: Found): Buffer => {
    if (file.chunkSize === undefined) return plain(file);
    const content = Buffer.alloc(file.size);
    for (const [index, chunk] of chunks(file).entries()) {
      if (!chunk) continue;
      const start = index * file.chunkSize;
      const length = Math.min(file.chunkSize, file.size - start);
      const from = chunk.device === 0 ? image : devices[chunk.device - 1];
      // The kernel reads whole blocks.
      const end = chunk.position + Math.ceil(length / blockSize) * blockSize;
      check(from !== undefined && end <= from.length, `a chunk ends at ${end} of a file of ${from?.length} bytes`);
      from?.copy(content, start, chunk.position, chunk.position + length);
    }
    return content;
  };

  function* entriesOf(directory: Found): Generator<readonly [name: Buffer, nid: number, type: number]> {
    const content = plain(directory);
    let before: Buffer | undefined;
    for (let start = 0; start < content.length; start += blockSize) {
      const block = content.subarray(start, start + blockSize);
      const first = block.readUInt16LE(8);
      check(first >= 12 && first % 12 === 0 && first < block.length, `names start at ${first}`);
      for (let at = 0; at < first; at += 12) {
        const from = block.readUInt16LE(at + 8);
        const to = at + 12 < first ? block.readUInt16LE(at + 20) : block.length;
        check(from >= first && to > from && to <= block.length, `a name from ${from} to ${to}`);
        let name = block.subarray(from, to);
        // The last one ends with its block, or before zeros.
        if (at + 12 >= first && name.includes(0)) name = name.subarray(0, name.indexOf(0));
        check(name.length > 0 && name.length <= 255 && !name.includes(0) && !name.includes("/"), "a name that is none");
        check(!before || Buffer.compare(before, name) < 0, `"${name.toString()}" stands in the wrong place`);
        check(block.readUInt8(at + 11) === 0, "reserved");
        before = name;
        yield [name, Number(block.readBigUInt64LE(at)), block.readUInt8(at + 10)];
      }
    }
  }
  const list = (directory: Found, parent?: Found): ReadonlyMap<string, Found> => {
    check((directory.mode & 0o170000) === 0o040000, "no directory");
    const entries = new Map<string, Found>();
    const dots = new Set<string>();
    for (const [bytes, nid, type] of entriesOf(directory)) {
      const name = bytes.toString();
      const found = inodeAt(nid);
      check(kinds.get(found.mode & 0o170000) === type, `${name} has the type ${type}`);
      if (name === "." || name === "..") dots.add(name);
      else entries.set(name, found);
      if (name === ".") check(nid === directory.nid, ". leads elsewhere");
      if (name === ".." && parent) check(nid === parent.nid, ".. leads elsewhere");
    }
    check(dots.size === 2, "no . and ..");
    return entries;
  };
  const root = inodeAt(rootNid);
  const walk = (): ReadonlyMap<string, Found> => {
    const all = new Map([["", root]]);
    const into = (path: string, directory: Found, parent: Found): void => {
      for (const [name, found] of list(directory, parent)) {
        all.set(`${path}${name}`, found);
        if ((found.mode & 0o170000) === 0o040000) into(`${path}${name}/`, found, directory);
      }
    };
    into("", root, root);
    check(inodes === new Set([...all.values()].map(({ nid }) => nid)).size, `${inodes} inodes are said to be there`);
    return all;
  };
  return { blockSize, devices: deviceBlocks, inodes, root, list: (directory) => list(directory), read, chunks, walk };
}
