import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import { checkShown } from "../tree/check.js";
import type { FlatFile } from "../tree/node.js";
import { openView } from "../tree/view.js";
import { ClosedError } from "./errors.js";
import { extentsOf } from "./extents.js";
import type { OpenImageOptions } from "./options.js";
import { type Maker, partsOf } from "./parts.js";
import { directoryAtPath, fileAtPath } from "./paths.js";
import { checkSpan, spanOf } from "./ranges.js";
import { requestOf } from "./request.js";
import { shapeOf } from "./shape.js";
import { streamOf } from "./stream.js";
import { listAt, statAt, walkBelow } from "./tree.js";
import type { Image, ImageFile, ImageTree } from "./types.js";

/**
 * Opens an image of any format, everything it is a difference to, and the images in it. All of it is only ever read.
 *
 * Reads are synchronous: they take as long as a read of the files, and decoding, takes. Opening is quick but for compressed files, which are read through
 * once. `openImageAsync` leaves both to workers.
 *
 * @param path - the image's file; for a split one, its descriptor or first part; a block device. Relative to the current directory.
 * @throws `ImageError` that says what cannot be opened and why; `UserError` for options that do not fit the image; `RangeError` for numbers that make no sense.
 */
export function openImage(path: string | URL, options: OpenImageOptions = {}): Image {
  const view = openView(requestOf(path, options), options.progress);
  let closed = false;
  const ensureOpen = (): void => {
    if (closed) throw new ClosedError();
  };

  const maker: Maker<ImageFile, ImageTree> = {
    file({ id }) {
      const node = view.tree.node(id);
      if (node?.kind !== "file") throw new Error(`node ${id} is no file`);
      return fileOf(node.file, ensureOpen);
    },
    noDisk(error) {
      const fail = (): never => {
        ensureOpen();
        throw error();
      };
      return { size: 0, read: fail, readAt: fail, extents: fail, createReadStream: fail };
    },
    tree(root) {
      const top = () => {
        ensureOpen();
        const node = view.tree.node(root);
        if (!node) throw new Error(`there is no node ${root}`);
        return node;
      };
      return {
        list: (way = "") => listAt(top(), way),
        stat: (way) => statAt(top(), way, true),
        lstat: (way) => statAt(top(), way, false),
        open: (way) => fileOf(fileAtPath(top(), way).file, ensureOpen),
        walk: (way = "") => guarded(walkBelow(directoryAtPath(top(), way)), ensureOpen),
      };
    },
  };

  const close = (): void => {
    if (closed) return;
    closed = true;
    view.close();
  };
  try {
    return {
      ...partsOf(shapeOf(view.shown), maker),
      check(progress = () => undefined) {
        ensureOpen();
        return checkShown(view.shown, basename(view.description.image), progress);
      },
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function fileOf(file: FlatFile, ensureOpen: () => void): ImageFile {
  const { size } = file;
  const read = (target: Uint8Array, offset: number): void => {
    ensureOpen();
    checkSpan(size, offset, target.length);
    if (target.length > 0) file.read(target, offset);
  };
  const readAt = (offset: number, length: number): Buffer => {
    // Before memory is taken for it.
    checkSpan(size, offset, length);
    const target = Buffer.allocUnsafeSlow(length);
    read(target, offset);
    return target;
  };
  return {
    size,
    read,
    readAt,
    extents(range = {}) {
      ensureOpen();
      const { offset, length } = spanOf(size, range);
      return guarded(extentsOf(file, offset, offset + length), ensureOpen);
    },
    createReadStream(options = {}) {
      ensureOpen();
      return streamOf(size, (offset, length) => soon(() => readAt(offset, length)), 1, options);
    },
  };
}

/** Lets others have their turn between two pieces of a stream. */
async function soon<T>(action: () => T): Promise<T> {
  await setImmediate();
  return action();
}

/** Nothing is looked up once the image is closed. */
function* guarded<T>(items: Iterable<T>, ensureOpen: () => void): Generator<T, undefined, undefined> {
  ensureOpen();
  for (const item of items) {
    yield item;
    ensureOpen();
  }
  return undefined;
}
