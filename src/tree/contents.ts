import type { Container, Content, Item } from "../containers/container.js";
import { iso9660 } from "../containers/iso9660/index.js";
import { tar } from "../containers/tar/index.js";
import type { BlockCache } from "../disk/cache.js";
import { type Located, locate, type Mapped, readDisk } from "../disk/read.js";
import type { Layer } from "../formats/driver.js";
import type { Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import type { DirectoryNode, FlatFile, Node } from "./node.js";

/** What a disk may hold, whatever it is stored in. */
const diskDrivers = [iso9660];

/** What is a file and no disk: not looked for inside an image. */
const fileDrivers = [...diskDrivers, tar];

/** Numbers of nodes below it are the view's own. */
export const FIRST_ITEM = 2 ** 20;

/** What is on the disk, if it is something whose files can be shown. */
export interface Contents {
  readonly container: Container;
  /** The directory that holds all of it. */
  readonly root: DirectoryNode;
  node(id: number): Node | undefined;
}

interface Appearance {
  /** Permission bits of files, where the container records none. */
  readonly mode: number;
  readonly directoryMode: number;
  /** Milliseconds since 1970, where the container records none. */
  readonly modified: number;
}

/** What the disk, stored in the given format, holds, or why that cannot be opened; neither, for a disk that holds nothing that is known here. */
export function openContainer(
  disk: Source,
  { format }: Pick<Layer, "format">,
): { readonly container?: Container; readonly failure?: ImageError } {
  try {
    const drivers = format === "raw" ? fileDrivers : diskDrivers;
    const container = drivers.find((driver) => driver.probe(disk))?.open(disk);
    return container ? { container } : {};
  } catch (error) {
    if (error instanceof ImageError) return { failure: error };
    throw error;
  }
}

/** The nodes of a container on `disk`, which is mapped by `layer`. Made when they are asked for: there may be millions. */
export function contentsOf(container: Container, disk: Source, layer: Mapped, cache: BlockCache, appearance: Appearance): Contents {
  function nodeOf(item: Item): Node {
    const { kind, links, uid, gid } = item;
    const base = { id: FIRST_ITEM + item.id, modified: item.modified ?? appearance.modified, links, uid, gid };
    switch (kind) {
      case "directory":
        return directoryOf(item);
      case "file":
        return { ...base, kind, mode: item.mode ?? appearance.mode, file: fileOf(item) };
      case "symlink":
        return { ...base, kind, mode: 0o777, target: item.target ?? "" };
      default:
        return { ...base, kind, mode: item.mode ?? appearance.mode, device: item.device };
    }
  }

  function directoryOf(item: Item): DirectoryNode {
    return {
      kind: "directory",
      id: FIRST_ITEM + item.id,
      mode: item.mode ?? appearance.directoryMode,
      modified: item.modified ?? appearance.modified,
      // 1: find(1) must not conclude from 2 that there are no directories in it.
      links: item.links ?? 1,
      uid: item.uid,
      gid: item.gid,
      child(name) {
        const found = container.list(item.id).get(name);
        return found && nodeOf(found);
      },
      *entries() {
        for (const [name, found] of container.list(item.id)) yield { name, node: nodeOf(found) };
      },
    };
  }

  function fileOf({ id, size }: Item): FlatFile {
    let content: Content | undefined;
    const mapped = (): Mapped => onDisk((content ??= container.content(id)), disk, layer);
    return {
      size,
      read: (target, offset) => readDisk(mapped(), target, offset, cache),
      locate: (offset, length): Located => locate(mapped(), offset, length),
      allocated: () => size,
    };
  }

  return {
    container,
    root: directoryOf(container.root),
    node(id) {
      const item = container.item(id - FIRST_ITEM);
      return item && nodeOf(item);
    },
  };
}

/** What a container finds on its disk, followed down to where the image stores it: no detour over the disk, and its holes stay holes. */
function onDisk(content: Content, disk: Source, layer: Mapped): Mapped {
  return {
    size: content.size,
    map(offset, length) {
      const extent = content.map(offset, length);
      return extent.kind === "data" && extent.source === disk ? locate(layer, extent.position, extent.length).extent : extent;
    },
  };
}
