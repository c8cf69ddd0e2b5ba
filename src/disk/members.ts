import { posix } from "node:path";
import type { Identity, Layer, Opener, ParentWish } from "../formats/driver.js";
import { detect } from "../formats/registry.js";
import { concatSource } from "../source/concat.js";
import type { Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";
import { chooseDriver, readEnds } from "./choose.js";
import type { Finding } from "./parents.js";
import { missingLayer, oneOf } from "./parents.js";
import { innerName, type Unpacked, type Unpacker } from "./unpack.js";
import { CONFIGURATIONS_LIMIT, isConfiguration, refuseEncrypted } from "./vbox.js";
import { textOf } from "./vbox-files.js";

/** The files among which an image lies that is itself stored in a container. Paths are names joined by `/`. */
export interface Members {
  /** The file at `path`; undefined if there is none. */
  open(path: string): Source | undefined;
  /** Paths of the files in the directory at `path`. */
  beside(path: string): Iterable<string>;
}

export interface MemberOptions {
  /** The files that follow it. */
  readonly parts?: readonly string[] | undefined;
  /** The path of what it is a difference to, where the container tells. */
  readonly parent?: string | undefined;
  readonly passwords?: readonly string[] | undefined;
  readonly degraded?: boolean | undefined;
  /** Whether what is no disk holds files that can be shown: then it opens as raw. */
  readonly holdsFiles?: (source: Source) => boolean;
}

export interface OpenedMember {
  readonly layer: Layer;
  readonly unpacked: Pick<Unpacked, "packings" | "notes">;
  readonly unpacker: Unpacker;
  /** Names it in its present state. */
  readonly key: string;
  readonly findings: ReadonlyMap<Layer, Finding>;
  part(name: string): Source;
}

const DEPTH_LIMIT = 64;
/** More files in a directory are not looked through for a parent. */
const SCAN_LIMIT = 256;

/** Opens the image at `path` and everything it is a difference to: all of it is in the same container. `key` names the container in its present state. */
export function openMember(members: Members, path: string, unpacker: Unpacker, key: string, options: MemberOptions): OpenedMember {
  const findings = new Map<Layer, Finding>();
  let unpacked: OpenedMember["unpacked"] = { packings: [], notes: [] };
  const layer = openLayer(path, options.parts ?? [], undefined, []);
  if (options.parent !== undefined && !layer.parent) {
    layer.close();
    const message = `it is said to be a difference to ${quote(options.parent)}, and the image itself knows of no parent`;
    throw new ImageError("PART_MISSING", message, { file: path });
  }
  return { layer, unpacked, unpacker, key: `${key} ${path}`, findings, part: (name) => partOf(path, name) };

  function openLayer(own: string, parts: readonly string[], format: string | undefined, ancestors: readonly string[]): Layer {
    if (ancestors.includes(own)) throw new ImageError("CORRUPT", "the chain of images loops: this one is its own ancestor", { file: own });
    if (ancestors.length >= DEPTH_LIMIT) {
      throw new ImageError("UNSUPPORTED", `the chain of images is longer than ${DEPTH_LIMIT}`, { file: own });
    }
    let source = sourceOf([own, ...parts]);
    try {
      // Disks of packages are compressed with a parent as well as without one.
      if (format === undefined) {
        const inner = unpacker.unpack(source, `${key} ${own}`);
        source = inner.source;
        if (ancestors.length === 0) unpacked = inner;
      }
      const driver = chooseDriver(source, readEnds(source), { format, name: innerName(own), regular: true, ...options });
      if (driver.identities) refuseEncrypted(own, driver.identities(source), configurationsBeside(own));
      return driver.open(source, openerOf(own, [...ancestors, own]), { passwords: options.passwords, keys: unpacker.keys });
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The configurations of VirtualBox machines in the image's directory. */
  function* configurationsBeside(own: string) {
    const found = Array.from(firstOf(members.beside(own), SCAN_LIMIT)).filter(isConfiguration);
    for (const path of found.slice(0, CONFIGURATIONS_LIMIT)) {
      const source = members.open(path);
      const text = source && textOf(source);
      source?.close();
      if (text !== undefined) yield { name: posix.basename(path), text };
    }
  }

  function sourceOf(paths: readonly string[]): Source {
    const sources = paths.map((each) => members.open(each) ?? fail(absent(each)));
    const [first] = sources;
    if (!first) throw absent(path);
    return sources.length === 1 ? first : concatSource(first.name, sources);
  }

  function openerOf(own: string, ancestors: readonly string[]): Opener {
    return {
      degraded: options.degraded ?? false,
      part: (name) => partOf(own, name),
      names(folder) {
        const names = Array.from(members.beside(posix.join(posix.dirname(own), folder, "any")), (each) => posix.basename(each));
        if (names.length > 0) return names;
        throw new ImageError("PART_MISSING", `the folder ${quote(folder)}, which belongs to it, is missing in the container`, {
          file: own,
        });
      },
      parent: (wish) => parentOf(own, wish, ancestors),
    };
  }

  function partOf(own: string, name: string): Source {
    for (const candidate of pathsFor(own, name)) {
      const source = members.open(candidate);
      if (source) return source;
    }
    throw new ImageError("PART_MISSING", `${quote(name)}, which belongs to it, is missing in the container`, { file: own });
  }

  function parentOf(own: string, wish: ParentWish, ancestors: readonly string[]): Layer {
    try {
      const { found, finding } = findParent(own, wish, ancestors);
      const layer = openLayer(found, [], wish.format, ancestors);
      findings.set(layer, finding);
      return layer;
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || error.code !== "PART_MISSING") throw error;
      return missingLayer(wish.names[0] ?? "its parent", error);
    }
  }

  function findParent(own: string, wish: ParentWish, ancestors: readonly string[]): { found: string; finding: Finding } {
    const { identities } = wish;
    if (options.parent !== undefined && ancestors.length === 1) return { found: options.parent, finding: { place: "declared" } };
    for (const candidate of wish.names.flatMap((name) => pathsFor(own, name))) {
      const written = identitiesOf(candidate);
      if (!written) continue;
      if (!identities) return { found: candidate, finding: { place: "declared" } };
      const identity = oneOf(identities, written);
      if (identity) return { found: candidate, finding: { place: "declared", identity, matches: true } };
    }
    for (const candidate of identities ? firstOf(members.beside(own), SCAN_LIMIT) : []) {
      const identity = candidate === own ? undefined : oneOf(identities ?? [], identitiesOf(candidate) ?? []);
      if (identity) return { found: candidate, finding: { place: "identity", identity, matches: true } };
    }
    const wanted = wish.names[0] ?? identities?.[0].value ?? "";
    throw new ImageError("PART_MISSING", `its parent ${quote(wanted)} is missing in the container`, { file: own });
  }

  /** What is written in a file; undefined if there is no such file. */
  function identitiesOf(candidate: string): readonly Identity[] | undefined {
    const source = members.open(candidate);
    if (!source) return undefined;
    try {
      return detect(readEnds(source)).identities?.(source) ?? [];
    } catch (error) {
      if (error instanceof ImageError) return [];
      throw error;
    } finally {
      source.close();
    }
  }
}

/** Where the file called `name` in the image at `own` may be: where the name says, then beside the image. Nothing leads out of the container. */
function pathsFor(own: string, name: string): readonly string[] {
  const portable = name.replaceAll("\\", "/");
  const folder = posix.dirname(own);
  const ways = [posix.join(folder, name), posix.join(folder, portable), posix.join(folder, posix.basename(portable))];
  return [...new Set(ways)].filter((way) => !way.startsWith("../") && !way.startsWith("/") && way !== ".");
}

function* firstOf<T>(all: Iterable<T>, limit: number): Generator<T> {
  let count = 0;
  for (const each of all) {
    if (count === limit) return;
    count += 1;
    yield each;
  }
}

function fail(error: ImageError): never {
  throw error;
}

function absent(path: string): ImageError {
  return new ImageError("PART_MISSING", `${quote(path)} is not in the container`, { file: path });
}
