import type { OpenOptions } from "../formats/driver.js";
import type { OpenedFile } from "../source/file.js";
import type { Source } from "../source/source.js";
import type { Progress } from "./unpack.js";

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
