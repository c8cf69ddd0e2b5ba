import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { type Binding, binding } from "../native/binding.js";
import { ImageError, reasonOf } from "../util/errors.js";
import { printable } from "../util/text.js";
import { checkRange, type Source } from "./source.js";

/** An open file and what it was when it was opened. */
export interface OpenedFile {
  readonly path: string;
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** Identity, for loops in a chain. */
  readonly identity: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Bytes it takes on its file system. */
  readonly allocated: number;
  /** Whether it lies on a file system, so that holes can be asked for; false for a device. */
  readonly regular: boolean;
}

/** open(2): for a descriptor that only stands for a file. Not among Node's constants. */
export const O_PATH = 0o10000000;
/** O_NONBLOCK: opening a FIFO must not wait for a writer. It changes nothing for files. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens a regular file, or a block device where `devices` allows it, read-only. Throws `UNREADABLE` with a reason for people.
 * Nothing else is ever read from: a FIFO would block, a character device has no end.
 */
export function openFile(path: string, { devices }: { readonly devices: boolean }): OpenedFile {
  return devices ? opened(path, () => openSync(path, READ), true) : openFound(path, () => openSync(path, O_PATH));
}

/**
 * Opens what `find` gives an O_PATH descriptor of, if it is a regular file; `path` is for people. Only then is it opened: merely opening a device
 * may do something, and one end of a FIFO lets the other go on.
 */
export function openFound(path: string, find: () => number): OpenedFile {
  return opened(
    path,
    () => {
      const found = find();
      try {
        checkKind(path, fstatSync(found), false);
        return openSync(`/proc/self/fd/${found}`, READ);
      } finally {
        closeSync(found);
      }
    },
    false,
  );
}

function opened(path: string, open: () => number, devices: boolean): OpenedFile {
  let fd: number;
  try {
    fd = open();
  } catch (cause) {
    throw cause instanceof ImageError ? cause : unreadable(path, reasonOf(cause), cause);
  }
  try {
    return describe(path, fd, devices);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function checkKind(path: string, stat: Stats, devices: boolean): void {
  if (stat.isDirectory()) throw unreadable(path, "it is a directory");
  if (!stat.isFile() && !(devices && stat.isBlockDevice())) throw unreadable(path, "it is not a regular file");
}

function describe(path: string, fd: number, devices: boolean): OpenedFile {
  const stat = fstatSync(fd);
  checkKind(path, stat, devices);
  const regular = stat.isFile();
  if (!regular && !binding) throw unreadable(path, "block devices need the native addon, which is not built");
  const size = regular ? stat.size : (binding?.sizeOf(fd) ?? 0);
  return {
    path,
    fd,
    size,
    identity: `${stat.dev}:${stat.ino}`,
    modified: stat.mtimeMs,
    allocated: regular ? stat.blocks * 512 : size,
    regular,
  };
}

function unreadable(path: string, reason: string, cause?: unknown): ImageError {
  return new ImageError("UNREADABLE", `cannot be read: ${reason}`, { file: printable(path), cause });
}

/** The bytes of an open file. Reads go straight to the system; nothing is buffered here. */
export function fileSource(file: OpenedFile, close: () => void = () => closeSync(file.fd)): Source {
  const { fd, size } = file;
  const name = printable(file.path);
  const source: Source = {
    name,
    size,
    read(target, position) {
      checkRange(source, target.length, position);
      readFully(name, fd, target, position);
    },
    modified: file.modified,
    file: { fd, offset: 0 },
    ...(file.regular && binding && { run: runFinder(binding, fd, size) }),
    close,
  };
  return source;
}

function readFully(name: string, fd: number, target: Uint8Array, position: number): void {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) {
      throw new ImageError("TRUNCATED", "the file has become shorter since it was opened", { file: name, position: position + done });
    }
    done += count;
  }
}

/** Finds data and holes, and remembers the last run: reads come in order, and lseek costs as much as a small read. */
function runFinder({ seekData, seekHole, sizeOf }: Binding, fd: number, size: number): NonNullable<Source["run"]> {
  let start = 0;
  let end = 0;
  let data = false;
  return (position) => {
    if (position < start || position >= end) {
      const nextData = seekData(fd, position);
      data = nextData === position;
      start = position;
      // -1: nothing but a hole up to the end, wherever that is by now.
      end = Math.min(size, data ? seekHole(fd, position) : nextData < 0 ? sizeOf(fd) : nextData);
      // The file has become shorter: what is lost is no hole. Reading it tells.
      if (end <= position) {
        data = true;
        end = size;
      }
    }
    return { data, length: end - position };
  };
}
