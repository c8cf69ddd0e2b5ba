import { closeSync } from "node:fs";
import { dirname } from "node:path";
import { fileSource, type OpenedFile, openFile, openFound } from "../source/file.js";
import type { Source } from "../source/source.js";
import { type ErrorCode, ImageError, reasonOf, systemCode } from "../util/errors.js";
import { quote } from "../util/text.js";
import { type Confinement, confine } from "./confine.js";
import type { SharedIndexes } from "./index-store.js";
import type { Finding } from "./parents.js";

/** What a disk asked for and could not have. */
interface Lack {
  readonly code: ErrorCode;
  readonly message: string;
  readonly file: string | undefined;
  readonly hint: string | undefined;
}

/** A file of a disk. Plain data: with all of a disk's, another thread opens the same disk without a look at any path, which may have changed since. */
export interface DiskFile extends OpenedFile {
  /** What it was opened for; no two open files of a disk have the same. */
  readonly role: string;
  /** Of a parent. */
  readonly finding?: Finding | undefined;
  /** By role. The same object in every file of a disk. */
  readonly lacks: Record<string, Lack>;
  /** What was found out about the files by reading all of them. The same object in every file of a disk. */
  readonly indexes: SharedIndexes;
}

export interface Opening {
  readonly path: string;
  readonly role: string;
  /** The user named it, not an image. */
  readonly trusted: boolean;
  /** What the user named, if that is why this file is opened: it may lie in the folder of that one, too. */
  readonly beside?: string | undefined;
  readonly finding?: Finding;
}

/** The files that are open for one disk. */
export interface DiskFiles {
  /** Those that are open now, in the order in which they were opened. */
  list(): readonly DiskFile[];
  /** Opens a file to look at it, as one that is not trusted; it is not listed. Throws like `open`. */
  look(path: string, beside?: string): OpenedFile;
  /** Opens a file. Throws if it cannot be read, or may not be. */
  open(opening: Opening): { readonly file: DiskFile; readonly source: Source };
  /** What another thread found out about them, or an empty object. */
  readonly indexes: SharedIndexes;
  /** Whether another thread has opened everything already. Then `known` tells all there is, and no path must be looked at. */
  readonly again: boolean;
  known(role: string): DiskFile | undefined;
  /** All that another thread opened files for, or could not. */
  roles(): readonly string[];
  /** Does what is to be done for `role`; what it fails with, another thread will be told, too. */
  attempt<T>(role: string, action: () => T): T;
  /** Whether the file that `image` names is there and may be opened; an error if it may not, or that cannot be told. */
  reach(path: string, image: string): boolean | ImageError;
}

/** `image`: what the user named. It may name files of its own folder and of `allow`. `opened`: by another thread. */
export function createFiles(image: string, allow: readonly string[], opened: readonly OpenedFile[] | undefined): DiskFiles {
  const files = new Set<DiskFile>();
  const others = opened?.filter(isDiskFile);
  const byRole = new Map(others?.map((file) => [file.role, file]));
  const lacks: Record<string, Lack> = others?.[0]?.lacks ?? {};
  const indexes = others?.[0]?.indexes ?? {};
  let confinement: Confinement | undefined;
  const confined = () => (confinement ??= confine(image, allow));

  /** A file that an image names, or that was found. */
  function look(path: string, beside?: string): OpenedFile {
    return openFound(path, () => {
      const found = confined().find(path) ?? (beside === undefined ? undefined : confine(beside, []).find(path));
      if (found === undefined) throw denied(path);
      return found;
    });
  }

  /** Opened here, and so closed here. */
  function openHere({ path, trusted, beside }: Opening): OpenedFile {
    return trusted ? openFile(path, { devices: true }) : look(path, beside);
  }

  return {
    list: () => [...files],
    indexes,
    again: opened !== undefined,
    known: (role) => byRole.get(role),
    roles: () => [...byRole.keys(), ...Object.keys(lacks)],
    look,
    open(opening) {
      const { path, role, finding } = opening;
      const there = byRole.get(role);
      if (opened && !there) throw new ImageError("UNREADABLE", "it was not opened when the disk was", { file: path });
      const file: DiskFile = { ...(there ?? openHere(opening)), role, finding, lacks, indexes };
      files.add(file);
      const source = fileSource(file, () => {
        files.delete(file);
        if (!there) closeSync(file.fd);
      });
      return { file, source };
    },
    attempt(role, action) {
      const lack = lacks[role];
      if (lack) throw new ImageError(lack.code, lack.message, lack);
      try {
        return action();
      } catch (error) {
        if (error instanceof ImageError) lacks[role] = { code: error.code, message: error.message, file: error.file, hint: error.hint };
        throw error;
      }
    },
    reach(path, from) {
      const { allows } = confined();
      try {
        return allows(path) ? true : denied(path, from);
      } catch (error) {
        return isAbsent(error) ? false : hidden(path, from, error);
      }
    },
  };
}

function isDiskFile(file: OpenedFile): file is DiskFile {
  return "role" in file;
}

/** Whether there can be no such file. Names that no file can have come with other codes than the system's. */
function isAbsent(error: unknown): boolean {
  const code = systemCode(error);
  return code === undefined || ["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"].includes(code);
}

function denied(path: string, image = path): ImageError {
  const named = image === path ? "this file" : quote(path);
  return new ImageError("PART_DENIED", `${named}, which the image names, is outside the folder of the image, so it was not opened`, {
    file: image,
    hint: `If you trust the image, add --allow ${dirname(path)}`,
  });
}

function hidden(path: string, image: string, cause: unknown): ImageError {
  return new ImageError("PART_DENIED", `${quote(path)}, which the image names, cannot be looked at: ${reasonOf(cause)}`, {
    file: image,
    hint: "If it is another file, choose it with --parent FILE.",
    cause,
  });
}
