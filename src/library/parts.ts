import { ImageError } from "../util/errors.js";
import type { FileRef, Shape } from "./shape.js";
import type { ImageParts } from "./types.js";

/** How the things of an image are made: here, or by a worker. */
export interface Maker<File extends object, Tree> {
  /** What reads the file; one without an id throws the error instead. */
  file(ref: FileRef): File;
  /** What stands for the disk of an image that has none. */
  noDisk(error: () => ImageError): File;
  /** The tree below the directory with that number. */
  tree(root: number): Tree;
}

/** Everything that an image holds, as both kinds of images show it. */
export function partsOf<File extends object, Tree>(shape: Shape, maker: Maker<File, Tree>): ImageParts<File, Tree> & File {
  const { description, root, partitions, volumes, tracks, disks } = shape;
  const disk = shape.disk && maker.file(shape.disk);
  return {
    ...(disk ?? maker.noDisk(() => noDiskIn(shape))),
    format: description.format,
    description,
    disk,
    partitions: partitions.map(({ info, file }) => ({ ...maker.file(file), number: info.number, info })),
    volumes: volumes.map(({ info, file }) => ({ ...maker.file(file), name: info.name, info })),
    tracks: tracks.map(({ name, file }) => ({ ...maker.file(file), name })),
    disks: disks.map(({ name, path, role, shape: inner }) => ({
      ...partsOf(inner, maker),
      name,
      path,
      ...(role !== undefined && { role }),
    })),
    tree: maker.tree(root),
  };
}

function noDiskIn({ description, disks }: Shape): ImageError {
  const what = disks.length === 0 ? "no disk in it" : `${disks.length} disks in it`;
  return new ImageError("WRONG_FORMAT", `it is no disk, but a package of files with ${what}`, {
    file: description.image,
    hint: disks.length === 0 ? "Its files are in `tree`." : "Read one of `disks`.",
  });
}
