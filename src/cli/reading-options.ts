import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option, type OptionValues } from "@commander-js/extra-typings";
import { type NameKind, nameKinds } from "../containers/container.js";
import type { ViewRequest } from "../tree/view.js";
import { formatNames } from "../formats/names.js";
import { parseSize } from "../util/size.js";

// What every command takes that reads an image.

/** As the command line gives them (a type, not an interface: commander wants an index signature); `openOptionsOf` makes `OpenDiskOptions` of them. */
export type ReadingOptions = {
  readonly format?: string | undefined;
  readonly snapshot?: string | undefined;
  readonly disk?: string | undefined;
  readonly allow?: readonly string[] | undefined;
  readonly parent?: readonly string[] | undefined;
  readonly search?: readonly string[] | undefined;
  readonly part?: readonly string[] | undefined;
  readonly degraded?: boolean | undefined;
  readonly swab?: boolean | undefined;
  readonly offset?: number | undefined;
  readonly size?: number | undefined;
  /** The same two, where `--offset` means something else. */
  readonly imageOffset?: number | undefined;
  readonly imageSize?: number | undefined;
  readonly sectorSize?: number | undefined;
  readonly passwordFile?: readonly string[] | undefined;
  readonly keyFile?: string | undefined;
  readonly names?: NameKind | undefined;
  readonly session?: number | undefined;
  readonly jsonProgress?: boolean | undefined;
};

const readingOptions = (window: "" | "image-") => [
  new Option("--password-file <file>", "a password for encrypted images: the file\'s first line (repeatable)").argParser(collectFile),
  new Option("--key-file <file>", "a private key in PEM, for bundles that are encrypted with one").argParser(oneFile),
  new Option("--names <kind>", "of a disc with several kinds of names: which to show").choices(nameKinds),
  new Option("--session <number>", "of a disc with several sessions: which to show (default: the last)").argParser(countArgument),
  new Option("-f, --format <name>", "do not look at the bytes, open as this format").choices(formatNames),
  new Option("--snapshot <id>", "an internal snapshot, by id or name, instead of the current state"),
  new Option("--disk <name>", "one disk of an image that holds several"),
  new Option("--allow <dir>", "let the image name files below this folder too (repeatable)").argParser(collectFolder),
  new Option("--parent <file>", "what the image is a difference to, whatever it names (repeatable: the next is the parent's)").argParser(
    collectFile,
  ),
  new Option("--search <dir>", "look for parents in this folder too (repeatable)").argParser(collectFolder),
  new Option("--part <file>", "what follows the image's file, for one that was split (repeatable)").argParser(collectFile),
  new Option("--degraded", "go on without missing parents and parts: only reading what they hold fails"),
  new Option(`--${window}offset <size>`, "where in its file the image begins").argParser(sizeArgument),
  new Option(`--${window}size <size>`, "how much of its file is the image").argParser(sizeArgument),
  new Option("--swab", "swap the bytes of each pair first"),
  new Option("--sector-size <size>", "bytes of a sector, for the partition table (default: what the image says, or what fits)").argParser(
    sectorArgument,
  ),
  // The program sees to it, whichever command it is (program.ts).
  new Option("--json-progress", "tell how far long steps are, as lines of JSON on standard error"),
];

/** Adds the options to `command`. `window` stands before the names of the two for a part of a file, where `--offset` means something else. */
export function withReadingOptions<Arguments extends unknown[], Options extends OptionValues>(
  command: Command<Arguments, Options>,
  window: "" | "image-" = "",
): Command<Arguments, Options & ReadingOptions> {
  for (const option of readingOptions(window)) command.addOption(option);
  return command;
}

/** What `openView` takes. Paths become absolute: the daemon works elsewhere. */
export function openOptionsOf({
  parent,
  part,
  offset,
  size,
  allow,
  search,
  passwordFile,
  keyFile,
  ...plain
}: ReadingOptions): ViewRequest["options"] {
  const absolute = (paths: readonly string[] | undefined) => paths?.map((path) => resolve(path));
  const { format, snapshot, disk, degraded, swab, sectorSize, names, session } = plain;
  return {
    ...{ format, snapshot, disk, degraded, swab, sectorSize, names, session },
    ...(passwordFile && { passwords: passwordFile.map(firstLine) }),
    ...(keyFile !== undefined && { privateKey: readFileSync(keyFile, "utf8") }),
    cacheFolder: cacheFolder(),
    allow: absolute(allow),
    search: absolute(search),
    parents: absolute(parent),
    parts: absolute(part),
    ...((offset !== undefined || size !== undefined) && { window: { offset: offset ?? 0, size } }),
  };
}

export const jsonOption = () => new Option("--json", "print JSON");

function oneFile(file: string): string {
  const [only = file] = collectFile(file, undefined);
  return only;
}

export function countArgument(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 99) throw new InvalidArgumentError("It is not a number from 1 to 99.");
  return count;
}

export function namesArgument(text: string): NameKind {
  const kind = nameKinds.find((each) => each === text);
  if (kind) return kind;
  throw new InvalidArgumentError(`There are ${nameKinds.join(", ")}.`);
}

/** Where the user's caches are, by the XDG Base Directory Specification. */
function cacheFolder(): string {
  const chosen = process.env["XDG_CACHE_HOME"];
  return join(chosen?.startsWith("/") ? chosen : join(homedir(), ".cache"), "flatmount");
}

/** The first line of a file, without its end. */
function firstLine(path: string): string {
  return readFileSync(path, "utf8").split(/\r?\n/, 1)[0] ?? "";
}

function collectFolder(folder: string, before: readonly string[] | undefined): readonly string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new InvalidArgumentError("There is no such folder.");
  return [...(before ?? []), folder];
}

function collectFile(file: string, before: readonly string[] | undefined): readonly string[] {
  if (!statSync(file, { throwIfNoEntry: false })) throw new InvalidArgumentError("There is no such file.");
  return [...(before ?? []), file];
}

/** Bytes of a size such as `64M`, `0x200` or `512`. */
export function sizeArgument(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError("It is not a size such as 512, 0x200 or 64M.");
  return bytes;
}

/** Sectors have 512 to 4096 bytes, a power of two. */
export function sectorArgument(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && [512, 1024, 2048, 4096].includes(bytes)) return bytes;
  throw new InvalidArgumentError("Sectors have 512, 1024, 2048 or 4096 bytes.");
}
