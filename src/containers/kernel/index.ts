import { storedExtent } from "../../formats/stored.js";
import { sliceSource } from "../../source/slice.js";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Container, ContainerContext, ContainerDriver, Item } from "../container.js";
import { recogniseKernel } from "./recognise.js";

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
  const { variant, details, payload } = found;
  const notes: string[] = [];
  const inner = payload && unpackPayload(disk, payload, context, notes);
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
    facts: () => ({ variant, details: { ...details, ...(inner && { "unpacked size": inner.size }) }, notes }),
    close: () => inner?.close(),
  };
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
