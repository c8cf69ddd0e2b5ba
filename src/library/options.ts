import type { NameKind } from "../containers/container.js";
import type { Progress } from "../disk/unpack.js";
import type { FormatName } from "../formats/names.js";

/** How an image is to be opened. Each option is one of the command line's, with the same meaning. */
export interface OpenImageOptions {
  /** Do not look at the bytes, open as this format. */
  readonly format?: FormatName | undefined;
  /** An internal snapshot, by id or name, instead of the current state. */
  readonly snapshot?: string | undefined;
  /** One disk, by name, of an image that holds several. */
  readonly disk?: string | undefined;
  /** Passwords for encrypted images: each is tried. */
  readonly passwords?: readonly string[] | undefined;
  /** A private key in PEM, for bundles that are encrypted with one. */
  readonly privateKey?: string | undefined;
  /** Folders beside the image's own whose files the image may name. Others are refused with `PART_DENIED`. */
  readonly allow?: readonly string[] | undefined;
  /** Files to take as parents, whatever the images name: the first for the image itself, the next for that one, and so on. */
  readonly parents?: readonly string[] | undefined;
  /** Folders in which parents are looked for, too. */
  readonly search?: readonly string[] | undefined;
  /** The files that follow the image's own, for one that was split. Without them, parts are found by their numbers. */
  readonly parts?: readonly string[] | undefined;
  /** Go on without parents and parts that cannot be had: only reading what they hold fails. */
  readonly degraded?: boolean | undefined;
  /** Where in its file the image begins, in bytes. */
  readonly offset?: number | undefined;
  /** How much of its file is the image, in bytes; all that follows, if it is left out. */
  readonly size?: number | undefined;
  /** The bytes of each pair are the wrong way round: swap them first. */
  readonly swab?: boolean | undefined;
  /** Bytes of a sector, for the partition table: 512, 1024, 2048 or 4096. Without it, what the image says or what fits. */
  readonly sectorSize?: number | undefined;
  /** Of a disc with several kinds of names: which to show, instead of the best. */
  readonly names?: NameKind | undefined;
  /** Of a disc with several sessions: which to show, from 1 on; the last, if it is left out. */
  readonly session?: number | undefined;
  /** A folder for what is found out about compressed files by reading through them. Nothing is kept without it; the command line uses `~/.cache/flatmount`. */
  readonly cacheFolder?: string | undefined;
  /** Memory for decoded blocks, in bytes, for each worker; 32 MiB if it is left out. */
  readonly cacheSize?: number | undefined;
  /** Called while a compressed file is read through, which may take minutes. */
  readonly progress?: Progress | undefined;
}
