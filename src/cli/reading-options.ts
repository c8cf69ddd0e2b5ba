import { statSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { formatNames } from "../formats/names.js";
import { parseSize } from "../util/size.js";

// What every command takes that reads an image. The names are those of `OpenDiskOptions`.

export const formatOption = () => new Option("-f, --format <name>", "do not look at the bytes, open as this format").choices(formatNames);

export const snapshotOption = () => new Option("--snapshot <id>", "an internal snapshot, by id or name, instead of the current state");

export const allowOption = () =>
  new Option("--allow <dir>", "let the image name files below this folder too (repeatable)").argParser(collectFolder);

export const jsonOption = () => new Option("--json", "print JSON");

function collectFolder(folder: string, before: readonly string[] | undefined): readonly string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new InvalidArgumentError("There is no such folder.");
  return [...(before ?? []), resolve(folder)];
}

/** Bytes of a size such as `64M`, `0x200` or `512`. */
export function sizeArgument(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError("It is not a size such as 512, 0x200 or 64M.");
  return bytes;
}
