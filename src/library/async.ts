import { Worker } from "node:worker_threads";
import { imageErrorOf } from "./errors.js";
import type { ImageExtent } from "./extents.js";
import type { OpenImageOptions } from "./options.js";
import { type Maker, partsOf } from "./parts.js";
import { createPool, type Pool } from "./pool.js";
import { checkCount, checkSpan, spanOf } from "./ranges.js";
import { requestOf } from "./request.js";
import type { FileRef } from "./shape.js";
import { streamOf } from "./stream.js";
import type { AsyncImage, AsyncImageFile, AsyncImageTree, CallOptions, TreeItem } from "./types.js";

/** How an image is to be opened, and by how many workers. */
export interface OpenImageAsyncOptions extends OpenImageOptions {
  /** How many threads may read it, from 1 to 64; 2 if it is left out. They start when there is something to do for them. */
  readonly workers?: number | undefined;
  /** Gives up opening. */
  readonly signal?: AbortSignal | undefined;
}

const WORKERS = 2;
const WORKERS_LIMIT = 64;

/**
 * Opens an image like `openImage`, in worker threads: neither opening nor reading holds up the caller's. An image that is open keeps the process alive only
 * while a call is under way.
 *
 * Rejects with what `openImage` throws, with the reason of `signal`, or with a `WorkerError` if a worker ends unasked, such as for want of memory. After
 * that every call rejects with it.
 */
export async function openImageAsync(path: string | URL, options: OpenImageAsyncOptions = {}): Promise<AsyncImage> {
  const { workers = WORKERS, progress, signal } = options;
  checkCount("workers", workers, 1);
  if (workers > WORKERS_LIMIT) throw new RangeError(`workers: ${workers} is more than ${WORKERS_LIMIT}`);
  const start = (workerData: unknown) =>
    new Worker(new URL("./worker.js", import.meta.url), { workerData, execArgv: [], name: "flatmount" });
  const pool = await createPool({ view: requestOf(path, options) }, { workers, progress, signal, start });
  return {
    ...partsOf(pool.shape, makerOf(pool, workers)),
    check: ({ signal: given } = {}) => pool.call("check", {}, given),
    close: () => pool.close(),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

function makerOf(pool: Pool, ahead: number): Maker<AsyncImageFile, AsyncImageTree> {
  return {
    file: (ref) => fileOf(pool, ref, ahead),
    noDisk(error) {
      const fail = (): never => {
        throw error();
      };
      const reject = async (): Promise<never> => fail();
      return { size: 0, read: reject, readAt: reject, extents: fail, createReadStream: fail };
    },
    tree(root) {
      const list: AsyncImageTree["list"] = (path = "", { signal } = {}) => pool.call("list", { root, path }, signal);
      return {
        list,
        stat: (path, { signal } = {}) => pool.call("stat", { root, path, follow: true }, signal),
        lstat: (path, { signal } = {}) => pool.call("stat", { root, path, follow: false }, signal),
        open: async (path, { signal } = {}) => fileOf(pool, await pool.call("open", { root, path }, signal), ahead),
        walk: (path = "", options = {}) => walk(list, path, options),
      };
    },
  };
}

function fileOf(pool: Pool, { id, size }: FileRef, ahead: number): AsyncImageFile {
  async function readAt(offset: number, length: number, { signal }: CallOptions = {}): Promise<Buffer> {
    checkSpan(size, offset, length);
    const { buffer } = await pool.call("read", { id, offset, length }, signal);
    return Buffer.from(buffer);
  }
  return {
    size,
    readAt,
    async read(target, offset, options) {
      target.set(await readAt(offset, target.length, options));
    },
    extents(range = {}) {
      const { offset, length } = spanOf(size, range);
      return extents(pool, id, offset, offset + length, range.signal);
    },
    createReadStream: (options = {}) => streamOf(size, (offset, length, signal) => readAt(offset, length, { signal }), ahead, options),
  };
}

async function* extents(
  pool: Pool,
  id: number,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageExtent, undefined, undefined> {
  for (let at = start; at < end; ) {
    for (const { error, ...extent } of await pool.call("extents", { id, start: at, end }, signal)) {
      at = extent.start + extent.length;
      yield { ...extent, ...(error && { error: imageErrorOf(error) }) };
    }
  }
  return undefined;
}

/** Depth first, one directory at a time. */
async function* walk(list: AsyncImageTree["list"], path: string, options: CallOptions): AsyncGenerator<TreeItem, undefined, undefined> {
  const way = [{ prefix: "", id: -1, entries: (await list(path, options))[Symbol.iterator]() }];
  const above = new Set<number>();
  for (let here = way.at(-1); here; here = way.at(-1)) {
    const next = here.entries.next();
    if (next.done) {
      above.delete(here.id);
      way.pop();
      continue;
    }
    const { name, ...stat } = next.value;
    const below = `${here.prefix}${name}`;
    yield { path: below, ...stat };
    if (stat.kind !== "directory" || above.has(stat.id)) continue;
    above.add(stat.id);
    way.push({ prefix: `${below}/`, id: stat.id, entries: (await list(`${path}/${below}`, options))[Symbol.iterator]() });
  }
  return undefined;
}
