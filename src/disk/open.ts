import { closeSync, existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FileEnds, FormatDriver, Identity, Layer, Opener, OpenOptions, ParentWish } from "../formats/driver.js";
import { foreignKind } from "../formats/foreign.js";
import { raw } from "../formats/raw/index.js";
import { detect, driverNamed, wholeNames } from "../formats/registry.js";
import { concatSource } from "../source/concat.js";
import { fileSource, type OpenedFile, openFile } from "../source/file.js";
import { sliceSource } from "../source/slice.js";
import { readBytes, type Source } from "../source/source.js";
import { type ErrorCode, ImageError, reasonOf } from "../util/errors.js";
import { quote } from "../util/text.js";
import { type Confinement, confine } from "./confine.js";
import { type Finding, findParent, has, missingLayer } from "./parents.js";
import { type Candidate, candidatesFor } from "./places.js";
import { otherParts } from "./split.js";

export interface OpenDiskOptions extends OpenOptions {
  /** Do not look at the bytes, open as this format. */
  readonly format?: string | undefined;
  /** Folders beside the image's own whose files the image may name. */
  readonly allow?: readonly string[] | undefined;
  /** Files to take as parents, whatever the images name: the first for the image itself, the next for that one, and so on. */
  readonly parents?: readonly string[] | undefined;
  /** More folders in which parents are looked for; their files may be named, too. */
  readonly search?: readonly string[] | undefined;
  /** Go on without parents and parts that cannot be had: reading what they hold fails. */
  readonly degraded?: boolean | undefined;
  /** The files that follow the image's own, for one that was split. Without them, parts are found by their numbers. */
  readonly parts?: readonly string[] | undefined;
  /** The image is only a part of its file. Bytes; without a size, all that follows. */
  readonly window?: { readonly offset: number; readonly size?: number | undefined } | undefined;
  /** Bytes of a sector, for the partition table; without it, what the image says. */
  readonly sectorSize?: number | undefined;
  /** Files that another thread has opened already: used as they are, and left open. */
  readonly opened?: readonly OpenedFile[] | undefined;
}

export interface OpenedDisk {
  readonly layer: Layer;
  /** Every file that was opened for it; the image itself is the first. */
  readonly files: readonly OpenedFile[];
  /** How each parent of the chain was found. */
  readonly findings: ReadonlyMap<Layer, Finding>;
  /** Bytes of a sector, where the user or the image tells. */
  readonly sectorSize: number | undefined;
  close(): void;
}

/** QEMU's own chains end at 200; nobody makes one of more than a few dozen. */
const DEPTH_LIMIT = 64;
const HEAD_SIZE = 64 * 1024;
const TAIL_SIZE = 512;

/** What a directory that is one image holds beside its disks. */
const BUNDLE_INDEX = "DiskDescriptor.xml";

/** Opens the image at `path` and everything it is a difference to. Throws an `ImageError` that says what cannot be opened and why. */
export function openDisk(path: string, options: OpenDiskOptions = {}): OpenedDisk {
  const files: OpenedFile[] = [];
  const findings = new Map<Layer, Finding>();
  const search = options.search ?? [];
  let confinement: Confinement | undefined;
  const confined = () => (confinement ??= confine(path, [...(options.allow ?? []), ...search]));
  const known = (filePath: string) => options.opened?.find((file) => file.path === filePath);

  /** `trusted`: the user named it, not an image. */
  function open(filePath: string, trusted: boolean): { file: OpenedFile; source: Source } {
    const there = known(filePath);
    const file = there ?? openFile(filePath, { devices: trusted });
    if (!trusted && !there && !confined().allowsOpened(file.fd, filePath)) {
      closeSync(file.fd);
      throw denied(filePath);
    }
    files.push(file);
    return { file, source: there ? fileSource(file, () => undefined) : fileSource(file) };
  }

  /** A file with the parts that follow it. */
  function openWhole(filePath: string, trusted: boolean, parts: readonly string[]): { file: OpenedFile; source: Source } {
    const first = open(filePath, trusted);
    if (parts.length === 0) return first;
    const sources = [first.source];
    try {
      for (const part of parts) sources.push(open(part, trusted).source);
    } catch (error) {
      for (const source of sources) source.close();
      throw error;
    }
    const stored = sources.filter(({ size }) => size > 0);
    return { file: first.file, source: concatSource(first.source.name, stored) };
  }

  function openLayer(filePath: string, format: string | undefined, chain: readonly string[], trusted: boolean): Layer {
    const root = chain.length === 0;
    const parts = (root ? options.parts : undefined) ?? (root && options.window ? [] : otherParts(filePath));
    const whole = openWhole(filePath, trusted, parts);
    const { file } = whole;
    let { source } = whole;
    try {
      if (chain.includes(file.identity)) throw fail("CORRUPT", source, "the chain of images loops: this one is its own ancestor");
      if (chain.length >= DEPTH_LIMIT) throw fail("UNSUPPORTED", source, `the chain of images is longer than ${DEPTH_LIMIT}`);
      if (root && options.window) source = windowOf(source, options.window);
      const ends = readEnds(source);
      if (root && format === undefined && !options.window && parts.length === 0) {
        const layer = openWholeOf(filePath, file, ends);
        if (layer) {
          source.close();
          files.splice(files.indexOf(file), 1);
          return layer;
        }
      }
      const driver = chooseDriver(source, ends, format, file.regular);
      const openerOfThis = opener(filePath, [...chain, file.identity]);
      return driver.open(source, openerOfThis, root ? { snapshot: options.snapshot, disk: options.disk } : {});
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The image that the file is a part of, if it is. */
  function openWholeOf(filePath: string, part: OpenedFile, ends: FileEnds): Layer | undefined {
    const names = wholeNames(part.path, ends);
    for (const name of names) {
      const candidate = join(dirname(filePath), name);
      if (candidate === filePath || !isFile(candidate)) continue;
      const before = files.length;
      const layer = openLayer(candidate, undefined, [], false);
      if (files.slice(before).some(({ identity }) => identity === part.identity)) return layer;
      layer.close();
      files.length = before;
    }
    if (names.length === 0) return undefined;
    throw new ImageError(
      "PART_MISSING",
      `it is only a part of a disk, and ${quote(names[0] ?? "")}, which describes the disk, is missing`,
      {
        file: filePath,
        hint: "Put it next to the file. To see the file's bytes as they are, add --format raw",
      },
    );
  }

  function opener(image: string, chain: readonly string[]): Opener {
    return {
      degraded: options.degraded ?? false,
      part(name) {
        const candidates = candidatesFor(image, name);
        const found = candidates.find((candidate) => reach(candidate, image) === true);
        if (found) return open(found.path, false).source;
        const denial = candidates.map((candidate) => reach(candidate, image)).find((each) => typeof each !== "boolean");
        throw (
          denial ??
          new ImageError("PART_MISSING", `${quote(name)}, which belongs to it, is missing`, {
            file: image,
            hint: "Put it next to the image.",
          })
        );
      },
      parent: (wish) => parentOf(image, wish, chain),
    };
  }

  function parentOf(image: string, wish: ParentWish, chain: readonly string[]): Layer {
    const given = options.parents?.[chain.length - 1];
    const before = files.length;
    try {
      const { path: found, finding } =
        given === undefined
          ? findParent(image, wish, search, { reach: (candidate) => reach(candidate, image), identities: identitiesOf })
          : { path: given, finding: findingOfGiven(given, wish) };
      const layer = openLayer(found, wish.format, chain, given !== undefined);
      findings.set(layer, finding);
      return layer;
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || !/^PART_/.test(error.code)) throw error;
      files.length = before;
      return missingLayer(wish.names[0] ?? "its parent", error);
    }
  }

  function findingOfGiven(given: string, { identity, format }: ParentWish): Finding {
    if (!identity) return { place: "given" };
    return { place: "given", identity, matches: has(identitiesOf(given, format), identity) };
  }

  /** Whether a file that an image names is there and may be opened. In a worker, what was opened for it is all there is. */
  function reach({ path: candidate }: Candidate, image: string): boolean | ImageError {
    if (options.opened) return known(candidate) !== undefined;
    try {
      return confined().allows(candidate) ? true : denied(candidate, image);
    } catch {
      return false;
    }
  }

  function identitiesOf(filePath: string, format: string | undefined): readonly Identity[] {
    const there = known(filePath);
    let source: Source | undefined;
    try {
      source = there ? fileSource(there, () => undefined) : fileSource(openFile(filePath, { devices: false }));
      const ends = readEnds(source);
      const driver = format === undefined ? detect(ends) : driverNamed(format);
      return driver.identities?.(source) ?? [];
    } catch (error) {
      if (error instanceof ImageError) return [];
      throw error;
    } finally {
      source?.close();
    }
  }

  const image = bundled(path);
  const layer = openLayer(image, options.format, [], true);
  return { layer, files, findings, sectorSize: options.sectorSize ?? layer.sectorSize, close: () => layer.close() };
}

/** The file that stands for a directory that is one image. */
function bundled(path: string): string {
  const index = join(path, BUNDLE_INDEX);
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() && existsSync(index) ? index : path;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function windowOf(source: Source, { offset, size }: NonNullable<OpenDiskOptions["window"]>): Source {
  const rest = source.size - offset;
  if (rest <= 0) throw fail("TRUNCATED", source, `the image is to begin at ${offset}, the file has ${source.size} bytes`);
  if ((size ?? 0) > rest) throw fail("TRUNCATED", source, `the image is to have ${size} bytes, ${rest} are left behind byte ${offset}`);
  return sliceSource(source, offset, size ?? rest);
}

function denied(path: string, image = path): ImageError {
  const named = image === path ? "this file" : quote(path);
  return new ImageError("PART_DENIED", `${named}, which the image names, is outside the folder of the image, so it was not opened`, {
    file: image,
    hint: `If you trust the image, add --allow ${dirname(path)}`,
  });
}

function chooseDriver(source: Source, ends: FileEnds, format: string | undefined, regular: boolean): FormatDriver {
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

function readEnds(source: Source): FileEnds {
  const tail = Math.min(source.size, TAIL_SIZE);
  return {
    head: readBytes(source, 0, Math.min(source.size, HEAD_SIZE)),
    tail: readBytes(source, source.size - tail, tail),
    size: source.size,
  };
}

function fail(code: ErrorCode, source: Source, message: string): ImageError {
  return new ImageError(code, message, { file: source.name });
}
