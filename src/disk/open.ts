import { basename, join, resolve } from "node:path";
import type { FileEnds, Layer, Opener, ParentWish } from "../formats/driver.js";
import { raw } from "../formats/raw/index.js";
import { describingNames, detect, wholeNames } from "../formats/registry.js";
import { concatSource } from "../source/concat.js";
import { type OpenedFile, openFile } from "../source/file.js";
import { sliceSource } from "../source/slice.js";
import type { Source } from "../source/source.js";
import { swabSource } from "../source/swab.js";
import { type ErrorCode, ImageError, UserError } from "../util/errors.js";
import { quote } from "../util/text.js";
import { bundled, isFile } from "./bundle.js";
import { chooseDriver, readEnds } from "./choose.js";
import { createFiles, type DiskFile, type Opening } from "./files.js";
import { createIndexStore } from "./index-store.js";
import { filesIn, findPart } from "./named-parts.js";
import type { OpenDiskOptions, OpenHooks } from "./options.js";
import { type Finding, findParent, missingLayer, oneOf } from "./parents.js";
import { identitiesOf, peek } from "./peek.js";
import { type Candidate, foldersOf } from "./places.js";
import { otherParts } from "./split.js";
import { createUnpacker, innerName, type Unpacked, type Unpacker } from "./unpack.js";
import { refuseEncrypted } from "./vbox.js";
import { createConfigurations } from "./vbox-files.js";

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
  const configurations = createConfigurations((file) => files.look(file));
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
    let packed = false;
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
        packed = inner.packings.length > 0;
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
      const name = packed ? innerName(source.name) : source.name;
      const driver = chooseDriver(source, ends, { format, name, regular, ...(root && hooks) });
      if (!files.again && options.format === undefined) {
        const beside = driver.identities ? configurations([...foldersOf(file.path), ...(options.allow ?? []), ...search]) : [];
        if (beside.length > 0) refuseEncrypted(file.path, driver.identities?.(source) ?? [], beside);
      }
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
          const found = files.known(role)?.path ?? findPart(files, image.path, name);
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

function windowOf(source: Source, { offset, size }: NonNullable<OpenDiskOptions["window"]>): Source {
  const rest = source.size - offset;
  if (rest <= 0) throw fail("TRUNCATED", source, `the image is to begin at ${offset}, the file has ${source.size} bytes`);
  if ((size ?? 0) > rest) throw fail("TRUNCATED", source, `the image is to have ${size} bytes, ${rest} are left behind byte ${offset}`);
  return sliceSource(source, offset, size ?? rest);
}

function fail(code: ErrorCode, source: Source, message: string): ImageError {
  return new ImageError(code, message, { file: source.name });
}
