import { closeSync, existsSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { FormatDriver, Layer, Opener, OpenOptions } from "../formats/driver.js";
import { foreignKind } from "../formats/foreign.js";
import { raw } from "../formats/raw/index.js";
import { detect, driverNamed } from "../formats/registry.js";
import { fileSource, type OpenedFile, openFile } from "../source/file.js";
import { readBytes, type Source } from "../source/source.js";
import { type ErrorCode, ImageError, reasonOf } from "../util/errors.js";
import { quote } from "../util/text.js";
import { type Confinement, confine } from "./confine.js";
import { parseName } from "./names.js";

export interface OpenDiskOptions extends OpenOptions {
  /** Do not look at the bytes, open as this format. */
  readonly format?: string | undefined;
  /** Folders beside the image's own whose files the image may name. */
  readonly allow?: readonly string[] | undefined;
  /** Files that another thread has opened already: used as they are, and left open. */
  readonly opened?: readonly OpenedFile[] | undefined;
}

export interface OpenedDisk {
  readonly layer: Layer;
  /** Every file that was opened for it; the image itself is the first. */
  readonly files: readonly OpenedFile[];
  close(): void;
}

/** QEMU's own chains end at 200; nobody makes one of more than a few dozen. */
const DEPTH_LIMIT = 64;
const HEAD_SIZE = 64 * 1024;
const TAIL_SIZE = 512;

/** Opens the image at `path` and everything it is a difference to. Throws an `ImageError` that says what cannot be opened and why. */
export function openDisk(path: string, options: OpenDiskOptions = {}): OpenedDisk {
  const files: OpenedFile[] = [];
  let confinement: Confinement | undefined;

  function open(filePath: string, named: boolean): { file: OpenedFile; source: Source } {
    const known = options.opened?.find((file) => file.path === filePath);
    const file = known ?? openFile(filePath, { devices: !named });
    if (named && !known && !confinement?.allowsOpened(file.fd, filePath)) {
      closeSync(file.fd);
      throw denied(filePath);
    }
    files.push(file);
    return { file, source: known ? fileSource(file, () => undefined) : fileSource(file) };
  }

  function openLayer(filePath: string, format: string | undefined, chain: readonly string[]): Layer {
    const { file, source } = open(filePath, chain.length > 0);
    try {
      if (chain.includes(file.identity)) throw fail("CORRUPT", source, "the chain of images loops: this one is its own ancestor");
      if (chain.length >= DEPTH_LIMIT) throw fail("UNSUPPORTED", source, `the chain of images is longer than ${DEPTH_LIMIT}`);
      const driver = chooseDriver(source, format, file.regular);
      const openerOfThis = opener(filePath, [...chain, file.identity]);
      return driver.open(source, openerOfThis, chain.length === 0 ? { snapshot: options.snapshot } : {});
    } catch (error) {
      source.close();
      throw error;
    }
  }

  function opener(image: string, chain: readonly string[]): Opener {
    const locate = (name: string, what: string) => {
      const named = inContext(image, () => parseName(name));
      confinement ??= confine(path, options.allow ?? []);
      return { ...named, path: findNamed(image, named.path, what, confinement) };
    };
    return {
      part: (name) => open(locate(name, "data file").path, true).source,
      parent(name, format) {
        const named = locate(name, "backing file");
        if (named.format !== undefined && format !== undefined && named.format !== format) {
          throw new ImageError("CORRUPT", `its backing file is declared as ${quote(format)}, and as ${quote(named.format)} in its name`, {
            file: image,
          });
        }
        return openLayer(named.path, named.format ?? format, chain);
      },
    };
  }

  const layer = openLayer(path, options.format, []);
  return { layer, files, close: () => layer.close() };
}

/** Where the file that `image` names is: beside the image as it was given, or beside what a link to it points at. */
function findNamed(image: string, name: string, what: string, confinement: Confinement): string {
  const candidates = isAbsolute(name) ? [name] : [join(dirname(image), name), join(dirname(realpathSync(image)), name)];
  const path = candidates.find((candidate) => existsSync(candidate)) ?? candidates[0] ?? name;
  try {
    if (confinement.allows(path)) return path;
  } catch (cause) {
    throw new ImageError("PART_MISSING", `its ${what} ${quote(name)} cannot be opened: ${reasonOf(cause)}`, {
      file: image,
      hint: isAbsolute(name) ? "Put it back there, or make the image name another file." : "Put it next to the image.",
      cause,
    });
  }
  throw denied(path, image, what);
}

function denied(path: string, image = path, what = "file"): ImageError {
  return new ImageError("PART_DENIED", `its ${what} ${quote(path)} is outside the folder of the image, so it was not opened`, {
    file: image,
    hint: `If you trust the image, add --allow ${dirname(path)}`,
  });
}

function chooseDriver(source: Source, format: string | undefined, regular: boolean): FormatDriver {
  const ends = readEnds(source);
  if (format !== undefined) {
    const driver = driverNamed(format);
    if (driver.probe(ends)) return driver;
    throw fail("WRONG_FORMAT", source, `it is not a ${format} image: the signature is missing`);
  }
  if (source.size === 0) throw fail("WRONG_FORMAT", source, "the file is empty");
  const driver = detect(ends);
  const namedRaw = raw.extensions.some((extension) => source.name.toLowerCase().endsWith(extension));
  const other = driver === raw && regular ? foreignKind(ends, namedRaw) : undefined;
  if (other === undefined) return driver;
  throw new ImageError("WRONG_FORMAT", other, {
    file: source.name,
    hint: "To see its bytes as they are, add --format raw",
  });
}

function readEnds(source: Source): { head: Uint8Array; tail: Uint8Array } {
  const tail = Math.min(source.size, TAIL_SIZE);
  return {
    head: readBytes(source, 0, Math.min(source.size, HEAD_SIZE)),
    tail: readBytes(source, source.size - tail, tail),
  };
}

function fail(code: ErrorCode, source: Source, message: string): ImageError {
  return new ImageError(code, message, { file: source.name });
}

function inContext<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ImageError && error.file === undefined)
      throw new ImageError(error.code, error.message, { hint: error.hint, file, cause: error });
    throw error;
  }
}
