import { crc32 } from "node:zlib";
import { storedExtent } from "../../formats/stored.js";
import { sliceSource } from "../../source/slice.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Container, ContainerContext, ContainerDriver, Finding, Item } from "../container.js";
import { type Kernel, recogniseKernel } from "./recognise.js";

/** A kernel: the file is shown as it is, and beside it what it unpacks at its start, if that can be unpacked. */
export const kernel: ContainerDriver = {
  name: "kernel",
  probe: (disk) => recogniseKernel(disk) !== undefined,
  open: openKernel,
};

const root: Item = { id: 1, kind: "directory", size: 0 };
const INNER = 2;

function openKernel(disk: Source, context: ContainerContext): Container {
  const found = recogniseKernel(disk);
  if (!found) throw new ImageError("WRONG_FORMAT", "it is no kernel", { file: disk.name });
  const { variant, details, payload, sums = [] } = found;
  const notes: string[] = [];
  const inner = payload && unpackPayload(disk, payload, context, notes);
  const version = "version" in details ? undefined : versionIn(inner ?? disk);
  const item: Item | undefined = inner && { id: INNER, kind: "file", size: inner.size };
  return {
    format: "kernel",
    root,
    item: (id) => (id === root.id ? root : id === INNER ? item : undefined),
    list: () => new Map(item ? [["vmlinux", item]] : []),
    content(id) {
      if (!inner || id !== INNER) throw new ImageError("CORRUPT", "there is no such file", { file: disk.name });
      return { size: inner.size, map: (offset, length) => storedExtent(inner, offset, length) };
    },
    facts: () => ({
      variant,
      details: { ...details, ...(version !== undefined && { version }), ...(inner && { "unpacked size": inner.size }) },
      notes,
    }),
    ...(sums.length > 0 && { check: () => sums.flatMap((sum) => checkSum(disk, sum)) }),
    close: () => inner?.close(),
  };
}

/** Bytes of a kernel that are looked through for its version, and read at once. */
const SEARCH_LIMIT = 64 * 2 ** 20;
const SEARCH_STEP = 2 ** 20;
const VERSION_SIZE = 512;

/** What the kernel says in its log first: `linux_banner` (Linux, init/version.c). Undefined for what has none, or cannot be read that far. */
function versionIn(kernelProper: Source): string | undefined {
  const end = Math.min(kernelProper.size, SEARCH_LIMIT);
  try {
    for (let at = 0; at < end; at += SEARCH_STEP) {
      const content = readBytes(kernelProper, at, Math.min(SEARCH_STEP + VERSION_SIZE, kernelProper.size - at));
      for (let found = content.indexOf(BANNER); found >= 0 && found < SEARCH_STEP; found = content.indexOf(BANNER, found + 1)) {
        const version = /^Linux version (\d[\x20-\x7e]*)/.exec(content.toString("latin1", found, found + VERSION_SIZE))?.[1];
        if (version !== undefined) return version.trim();
      }
    }
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
  return undefined;
}

const BANNER = "Linux version ";

/** U-Boot, tools/mkimage.c: CRC-32 of the data, and of the header with zeros in place of its own. */
function checkSum(disk: Source, { what, position, size, crc32: wanted }: NonNullable<Kernel["sums"]>[number]): readonly Finding[] {
  const bad = (message: string): readonly Finding[] => [{ file: what, kind: "digest differs", severity: "error", message, position }];
  if (position + size > disk.size) return bad(`the ${what} of ${size} bytes is cut`);
  let found = 0;
  for (let at = 0; at < size; at += SEARCH_STEP) {
    const content = readBytes(disk, position + at, Math.min(SEARCH_STEP, size - at));
    found = crc32(position + at === 0 ? content.fill(0, 4, 8) : content, found);
  }
  return found === wanted ? [] : bad(`the CRC-32 of the ${what} is ${found.toString(16)}, and the file says ${wanted.toString(16)}`);
}

/** Behind anything but gzip, x86 kernels have the unpacked size: 4 bytes that belong to no stream. */
function unpackPayload(
  disk: Source,
  { position, size }: { position: number; size: number },
  { unpack }: ContainerContext,
  notes: string[],
): Source | undefined {
  const whole = { ...disk, close: () => undefined };
  for (const length of [size, Math.max(0, size - 4)]) {
    try {
      const inner = unpack(sliceSource(whole, position, length), `payload ${length}`);
      if (inner) return inner;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      if (length < size) notes.push(`The kernel in it cannot be unpacked: ${error.message}.`);
    }
  }
  return undefined;
}
