import { rmSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { createBlockCache } from "../disk/cache.js";
import type { OpenedDisk } from "../disk/open.js";
import { readPartitions } from "../disk/partitions/read.js";
import { readDisk } from "../disk/read.js";
import { readVolumes } from "../disk/volumes/read.js";
import { lanesOf } from "../picture/areas.js";
import type { Picture } from "../picture/picture.js";
import { surveyDisk } from "../picture/survey.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import { printable, quote } from "../util/text.js";
import type { Io } from "./io.js";
import { createProgressBar } from "./progress.js";

/** Memory for the few blocks that partition tables are in. */
const CACHE_LIMIT = 4 * 2 ** 20;

/** Looks through the whole map of the disk. */
export function pictureOf(io: Io, image: string, { layer, files, sectorSize, unpacked }: OpenedDisk): Picture {
  const cache = createBlockCache(CACHE_LIMIT);
  const disk = {
    size: layer.size,
    ...(sectorSize !== undefined && { sectorSize }),
    read: (target: Uint8Array, offset: number) => readDisk(layer, target, offset, cache),
  };
  const table = readPartitions(disk);
  const bar = createProgressBar(io, "mapping");
  try {
    const survey = surveyDisk(layer, { progress: (done) => bar.step({ file: image, done, size: layer.size }) });
    const { variant } = layer.facts();
    const words = [
      layer.format,
      ...(variant === undefined ? [] : [variant]),
      ...unpacked.packings.map((packing) => `${packing} compressed`),
    ];
    return {
      name: printable(basename(image)),
      format: printable(words.join(", ")),
      stored: files.reduce((sum, { allocated }) => sum + allocated, 0),
      survey,
      areas: lanesOf(layer.size, table, readVolumes(disk, table)),
    };
  } finally {
    bar.end();
  }
}

/** Writes `content` to `path`, or to standard output if that is `-`. What is there already is replaced with `force` only, and a file of the image never. */
export function writePicture(io: Io, path: string, content: string, { files }: Pick<OpenedDisk, "files">, force: boolean): void {
  if (path === "-") {
    io.out(content);
    return;
  }
  const there = statSync(path, { throwIfNoEntry: false });
  if (there && files.some((file) => isSame(file.path, there)))
    throw new UserError(`${quote(path)} belongs to the image: it is not replaced`);
  try {
    writeFileSync(path, content, { flag: force ? "w" : "wx" });
  } catch (error) {
    if (systemCode(error) === "EEXIST") throw new UserError(`${quote(path)} exists already`, "Add --force to replace it.", error);
    // What was begun here and could not be ended.
    if (!there) rmSync(path, { force: true });
    throw new UserError(`${quote(path)} cannot be written: ${reasonOf(error)}`, undefined, error);
  }
}

function isSame(path: string, { dev, ino }: { readonly dev: number; readonly ino: number }): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  return file?.dev === dev && file.ino === ino;
}

/** Whether the words of the locale are in UTF-8. */
export function isUtf8(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = [environment["LC_ALL"], environment["LC_CTYPE"], environment["LANG"]].find((value) => value);
  return /utf-?8/i.test(locale ?? "");
}
