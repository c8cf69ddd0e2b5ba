import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { FileEnds, Identity, Layer, Opener, OpenOptions, ParentWish } from "../formats/driver.js";
import { raw } from "../formats/raw/index.js";
import { describingNames, detect, driverNamed, wholeNames } from "../formats/registry.js";
import { concatSource } from "../source/concat.js";
import { fileSource, type OpenedFile, openFile } from "../source/file.js";
import { sliceSource } from "../source/slice.js";
import type { Source } from "../source/source.js";
import { swabSource } from "../source/swab.js";
import { type ErrorCode, ImageError, reasonOf, systemCode, UserError } from "../util/errors.js";
import { quote } from "../util/text.js";
import { chooseDriver, readEnds } from "./choose.js";
import { createFiles, type DiskFile, type Opening } from "./files.js";
import { createIndexStore } from "./index-store.js";
import { type Finding, findParent, missingLayer, oneOf } from "./parents.js";
import { type Candidate, candidatesFor, foldersOf } from "./places.js";
import { otherParts } from "./split.js";
import { createUnpacker, innerName, type Progress, type Unpacked, type Unpacker } from "./unpack.js";

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
  /** The bytes of each pair are the wrong way round: they are swapped before anything is looked at. */
  readonly swab?: boolean | undefined;
  /** Bytes of a sector, for the partition table; without it, what the image says. */
  readonly sectorSize?: number | undefined;
  /** Where what was found out about compressed files is kept for later; nowhere, without. */
  readonly cacheFolder?: string | undefined;
  /** Files that another thread has opened already: used as they are, and left open. */
  readonly opened?: readonly OpenedFile[] | undefined;
}

/** What only this thread is asked: cannot be handed to another. */
export interface OpenHooks {
  /** Told while a compressed file is read through. */
  readonly progress?: Progress | undefined;
  /** Whether what is no disk holds files that can be shown: then it opens as raw. */
  readonly holdsFiles?: ((source: Source) => boolean) | undefined;
}

export interface OpenedDisk {
  readonly layer: Layer;
  /** How the image's file was compressed, and what is unusual about that. */
  readonly unpacked: Pick<Unpacked, "packings" | "notes">;
  /** Opens what is compressed in it. */
  readonly unpacker: Unpacker;
  /** Names the image in its present state. */
  readonly key: string;
  /** A file that belongs to the image, as for a driver. */
  part(name: string): Source;
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
/** What tells of the disk in a directory that is one image, best first: that of Parallels, and of Apple, which has a copy. */
const bundleIndexes: readonly { readonly name: string; readonly beside?: string }[] = [
  { name: "DiskDescriptor.xml" },
  { name: "Info.plist", beside: "bands" },
  { name: "Info.bckup", beside: "bands" },
];

/** Opens the image at `path` and everything it is a difference to. Throws an `ImageError` that says what cannot be opened and why. */
export function openDisk(path: string, options: OpenDiskOptions = {}, hooks: OpenHooks = {}): OpenedDisk {
  const image = options.opened?.[0]?.path ?? bundled(path);
  const search = options.search ?? [];
  const files = createFiles(image, [...(options.allow ?? []), ...search], options.opened);
  const findings = new Map<Layer, Finding>();
  const unpacker = createUnpacker(createIndexStore(files.indexes, options.cacheFolder), {
    degraded: options.degraded ?? false,
    progress: hooks.progress,
  });
  let unpacked: Pick<Unpacked, "packings" | "notes"> = { packings: [], notes: [] };
  let parentsTaken = 0;

  /** A file with the parts that follow it. */
  function openWhole(opening: Opening, parts: readonly string[], given: boolean): { file: DiskFile; source: Source } {
    const { file, source } = files.open(opening);
    if (parts.length === 0) return { file, source };
    const sources = [source];
    try {
      for (const [index, part] of parts.entries()) {
        const beside = opening.trusted ? opening.path : undefined;
        sources.push(files.open({ path: part, role: partRole(opening, index), trusted: given, beside }).source);
      }
    } catch (error) {
      for (const each of sources) each.close();
      throw error;
    }
    return { file, source: concatSource(source.name, sources) };
  }

  function partsOf(opening: Opening, root: boolean): readonly string[] {
    if (!files.again)
      return (root ? options.parts : undefined) ?? (root && options.window ? [] : otherParts(opening.path, signatures(opening)));
    const parts: string[] = [];
    for (let part = files.known(partRole(opening, 0)); part; part = files.known(partRole(opening, parts.length))) parts.push(part.path);
    return parts;
  }

  /** The format whose signature a file begins with, if any. */
  function signatures({ path: own, trusted }: Opening): (path: string) => string | undefined {
    const open = (path: string) =>
      trusted && path === own ? openFile(path, { devices: false }) : files.look(path, trusted ? own : undefined);
    return (path) => {
      const driver = peek(
        () => open(path),
        (source) => detect({ ...readEnds(source), tail: new Uint8Array() }),
      );
      return driver === raw ? undefined : driver?.name;
    };
  }

  /** `ancestors`: the identities of the images it is below. */
  function openLayer(opening: Opening, format: string | undefined, ancestors: readonly string[], mayBePart: boolean): Layer {
    const root = ancestors.length === 0;
    const parts = partsOf(opening, root);
    const whole = openWhole(opening, parts, root && options.parts !== undefined);
    const { file } = whole;
    let { source } = whole;
    try {
      if (ancestors.includes(file.identity)) throw fail("CORRUPT", source, "the chain of images loops: this one is its own ancestor");
      if (ancestors.length >= DEPTH_LIMIT) throw fail("UNSUPPORTED", source, `the chain of images is longer than ${DEPTH_LIMIT}`);
      if (root && options.window) source = windowOf(source, options.window);
      if (root && options.swab) source = swabSource(source);
      // Another image's parent is what that one says, and none of them means a compressed file.
      if (root && format !== raw.name) {
        const inner = unpacker.unpack(source, keyOf(files.list(), options));
        source = inner.source;
        unpacked = inner;
      }
      const ends = readEnds(source);
      if (mayBePart && parts.length === 0) {
        const layer = openWholeOf(file, ends);
        if (layer) {
          source.close();
          return layer;
        }
      }
      const { regular } = file;
      const driver = chooseDriver(source, ends, { format, name: innerName(source.name), regular, ...(root && hooks) });
      const openerOfThis = opener(file, [...ancestors, file.identity]);
      const { snapshot, disk, passwords } = options;
      return driver.open(source, openerOfThis, { passwords, keys: unpacker.keys, ...(root && { snapshot, disk }) });
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The image that the file is a part of, if it is. */
  function openWholeOf(part: DiskFile, ends: FileEnds): Layer | undefined {
    const names = wholeNames(basename(part.path), ends);
    const better = [...names, ...describingNames(basename(part.path), ends)];
    for (const candidate of foldersOf(part.path).flatMap((folder) => better.map((name) => join(folder, name)))) {
      if (!isFile(candidate) || resolve(candidate) === resolve(part.path)) continue;
      const layer = openCandidate(candidate);
      if (!layer) continue;
      const others = files.list().filter(({ role }) => role !== part.role && role !== candidate);
      if (others.some(({ identity }) => identity === part.identity)) return layer;
      layer.close();
    }
    const [name] = names;
    if (name === undefined) return undefined;
    throw new ImageError("PART_MISSING", `it is only a part of a disk, and ${quote(name)}, which describes the disk, is missing`, {
      file: part.path,
      hint: "Put it next to the file. To see the file's bytes as they are, add --format raw",
    });
  }

  /** The image at `candidate`; undefined if that is no image. */
  function openCandidate(candidate: string): Layer | undefined {
    try {
      return openLayer({ path: candidate, role: candidate, trusted: false }, undefined, [], false);
    } catch (error) {
      if (error instanceof ImageError && error.code === "WRONG_FORMAT") return undefined;
      throw error;
    }
  }

  function opener(image: DiskFile, ancestors: readonly string[]): Opener {
    return {
      degraded: options.degraded ?? false,
      part(name) {
        const role = `${image.role} part ${name}`;
        return files.attempt(role, () => {
          const found = files.known(role)?.path ?? findPart(image.path, name);
          return files.open({ path: found, role, trusted: false }).source;
        });
      },
      names(folder) {
        const role = `${image.role} part ${folder}/`;
        if (!files.again) return filesIn(foldersOf(image.path), folder, image.path);
        return files.roles().flatMap((each) => (each.startsWith(role) ? [each.slice(role.length)] : []));
      },
      parent: (wish) => parentOf(image, wish, ancestors),
    };
  }

  function findPart(image: string, name: string): string {
    for (const { path: candidate } of candidatesFor(image, name)) {
      const reached = files.reach(candidate, image);
      // Another file of that name may be anything.
      if (reached instanceof ImageError) throw reached;
      if (reached) return candidate;
    }
    const other = otherSpelling(image, name);
    const reached = other !== undefined && files.reach(other, image);
    if (reached instanceof ImageError) throw reached;
    if (other !== undefined && reached) return other;
    throw new ImageError("PART_MISSING", `${quote(name)}, which belongs to it, is missing`, {
      file: image,
      hint: "Put it next to the image.",
    });
  }

  function parentOf(image: DiskFile, wish: ParentWish, ancestors: readonly string[]): Layer {
    const role = `${image.role} parent ${JSON.stringify(wish)}`;
    const given = options.parents?.[ancestors.length - 1];
    if (given !== undefined) parentsTaken = Math.max(parentsTaken, ancestors.length);
    try {
      return files.attempt(role, () => {
        const { path: found, finding } = placeOfParent(image.path, wish, given, role);
        const layer = openLayer({ path: found, role, trusted: given !== undefined, finding }, wish.format, ancestors, false);
        findings.set(layer, finding);
        return layer;
      });
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || !/^PART_|^UNREADABLE$/.test(error.code)) throw error;
      return missingLayer(wish.names[0] ?? "its parent", error);
    }
  }

  function placeOfParent(image: string, wish: ParentWish, given: string | undefined, role: string): { path: string; finding: Finding } {
    const { path: known, finding } = files.known(role) ?? {};
    if (known !== undefined && finding) return { path: known, finding };
    if (given !== undefined) return { path: given, finding: findingOfGiven(given, wish) };
    const reach = ({ path: candidate }: Candidate) => files.reach(candidate, image);
    return findParent(image, wish, search, { reach, identities: (file, format) => identitiesOf(() => files.look(file), format) });
  }

  const mayBePart = options.format === undefined && !options.window && !files.again;
  const layer = openLayer({ path: image, role: image, trusted: true }, options.format, [], mayBePart);
  if (parentsTaken < (options.parents?.length ?? 0)) {
    layer.close();
    throw new UserError(`${quote(options.parents?.[parentsTaken] ?? "")} is given as a parent, but no image here is a difference to it`);
  }
  const opened = files.list();
  const [own] = opened;
  return {
    layer,
    unpacked,
    unpacker,
    key: keyOf(opened, options),
    part(name) {
      if (!own) throw new Error("a disk without a file");
      return opener(own, [own.identity]).part(name);
    },
    get files() {
      return files.list();
    },
    findings,
    sectorSize: options.sectorSize ?? layer.sectorSize,
    close: () => layer.close(),
  };
}

/** Files in one state of each: which they are, how long, and when they were changed last. */
function keyOf(files: readonly OpenedFile[], { window, swab }: Pick<OpenDiskOptions, "window" | "swab">): string {
  const states = files.map(({ identity, size, modified }) => `${identity}:${size}:${modified}`);
  return [...states, ...(window ? [`${window.offset}+${window.size ?? ""}`] : []), ...(swab ? ["swab"] : [])].join(" ");
}

/** The role of the part that stands `index` parts behind the first after `opening`. */
function partRole({ role }: Opening, index: number): string {
  return `${role} + ${index + 1}`;
}

function findingOfGiven(given: string, { identities, format }: ParentWish): Finding {
  if (!identities) return { place: "given" };
  const identity = oneOf(
    identities,
    identitiesOf(() => openFile(given, { devices: true }), format),
  );
  return { place: "given", identity: identity ?? identities[0], matches: identity !== undefined };
}

/** What is written in a file; nothing if it cannot be told. */
function identitiesOf(open: () => OpenedFile, format: string | undefined): readonly Identity[] {
  const found = peek(open, (source) => {
    const driver = format === undefined ? detect(readEnds(source)) : driverNamed(format);
    return driver.identities?.(source);
  });
  return found ?? [];
}

/** A look at a file that may be anything; nothing if it cannot be read or understood. */
function peek<T>(open: () => OpenedFile, look: (source: Source) => T): T | undefined {
  let source: Source | undefined;
  try {
    source = fileSource(open());
    return look(source);
  } catch (error) {
    if (error instanceof ImageError || systemCode(error) !== undefined) return undefined;
    throw error;
  } finally {
    source?.close();
  }
}

/** The one file beside the image whose name is `name` but for upper and lower case: systems that write images do not tell them apart. */
function otherSpelling(image: string, name: string): string | undefined {
  const wanted = basename(name.replaceAll("\\", "/")).toLowerCase();
  for (const folder of foldersOf(image)) {
    try {
      const found = readdirSync(folder).filter((each) => each.toLowerCase() === wanted);
      if (found.length === 1) return join(folder, found[0] ?? "");
    } catch {
      // It is not there, then, as far as can be told.
    }
  }
  return undefined;
}

/** The file that stands for a directory that is one image. */
function bundled(path: string): string {
  const found = bundleIndexes.find(
    ({ name, beside }) => isFile(join(path, name)) && (beside === undefined || isFolder(join(path, beside))),
  );
  return found ? join(path, found.name) : path;
}

/** The names of the files in the folder called `folder` in the first of `places` that has it. */
function filesIn(places: readonly string[], folder: string, image: string): readonly string[] {
  for (const place of places) {
    try {
      return readdirSync(join(place, folder), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") continue;
      throw new ImageError("UNREADABLE", `the folder ${quote(folder)}, which belongs to it, cannot be read: ${reasonOf(cause)}`, {
        file: image,
        cause,
      });
    }
  }
  throw new ImageError("PART_MISSING", `the folder ${quote(folder)}, which belongs to it, is missing`, { file: image });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function windowOf(source: Source, { offset, size }: NonNullable<OpenDiskOptions["window"]>): Source {
  const rest = source.size - offset;
  if (rest <= 0) throw fail("TRUNCATED", source, `the image is to begin at ${offset}, the file has ${source.size} bytes`);
  if ((size ?? 0) > rest) throw fail("TRUNCATED", source, `the image is to have ${size} bytes, ${rest} are left behind byte ${offset}`);
  return sliceSource(source, offset, size ?? rest);
}

function fail(code: ErrorCode, source: Source, message: string): ImageError {
  return new ImageError(code, message, { file: source.name });
}
