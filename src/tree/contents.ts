import { LRUCache } from "lru-cache";
import type { Container, ContainerContext, ContainerDriver, Content, Item } from "../containers/container.js";
import { initramfs } from "../containers/cpio/index.js";
import { disc } from "../containers/disc.js";
import { ec2Bundle } from "../containers/ec2/index.js";
import { kernel } from "../containers/kernel/index.js";
import { ovf } from "../containers/ovf/discrete.js";
import { ova } from "../containers/ovf/ova.js";
import { vagrant } from "../containers/ovf/vagrant.js";
import { tar } from "../containers/tar/index.js";
import { zip } from "../containers/zip/index.js";
import type { BlockCache } from "../disk/cache.js";
import { type Located, locate, type Mapped, readDisk } from "../disk/read.js";
import type { Layer } from "../formats/driver.js";
import { sliceSource } from "../source/slice.js";
import { checkRange, type Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import type { DirectoryNode, Entry, FlatFile, Node } from "./node.js";

/** What a disk may hold, whatever it is stored in. */
const diskDrivers = [disc];

/** What is a file and no disk: not looked for inside an image. */
const fileDrivers: readonly ContainerDriver[] = [...diskDrivers, ova, vagrant, ovf, ec2Bundle, tar, zip, initramfs, kernel];

const RECENT_NODES = 512;

/** What is on the disk, if it is something whose files can be shown. */
export interface Contents {
  readonly container: Container;
  /** The directory that holds all of it. */
  readonly root: DirectoryNode;
  /** By its number among the container's items. */
  node(id: number): Node | undefined;
  /** The bytes of one of its files, as `path`. Closing it closes nothing. */
  source(item: Item, path: string): Source;
}

interface Appearance {
  /** The number of the node that stands for item 0. */
  readonly first: number;
  /** Permission bits of files, where the container records none. */
  readonly mode: number;
  readonly directoryMode: number;
  /** Milliseconds since 1970, where the container records none. */
  readonly modified: number;
}

/** Text that describes other files: no use as a disk. */
const sheets: readonly ContainerDriver[] = [ovf, ec2Bundle];

/**
 * What the disk, stored in the given format, holds, or why that cannot be opened; neither, for a disk that holds nothing that is known here.
 * Throws if there would be nothing else to show.
 */
export function openContainer(
  disk: Source,
  { format }: Pick<Layer, "format">,
  context: ContainerContext,
): { readonly container?: Container; readonly failure?: ImageError } {
  let driver: ContainerDriver | undefined;
  try {
    const drivers = format === "raw" ? fileDrivers : diskDrivers;
    driver = drivers.find((each) => each.probe(disk, context.sessions));
    const container = driver?.open(disk, context);
    return container ? { container } : {};
  } catch (error) {
    if (error instanceof ImageError && !(driver && sheets.includes(driver))) return { failure: error };
    throw error;
  }
}

/** Whether `source`, which is no disk, holds files that can be shown. */
export function holdsFiles(source: Source): boolean {
  return fileDrivers.some((driver) => driver.probe(source));
}

/** The nodes of a container on `disk`, which is mapped by `layer`. Made when they are asked for: there may be millions. */
export function contentsOf(container: Container, disk: Source, layer: Mapped, cache: BlockCache, appearance: Appearance): Contents {
  // A file is read in many requests: where its pieces are is looked up once.
  const recent = new LRUCache<number, Node>({ max: RECENT_NODES });

  // Written out: there may be hundreds of thousands, and objects of one shape made in one go cost least.
  function nodeOf(item: Item): Node {
    const { kind, links, uid, gid, device, nanoseconds } = item;
    if (kind === "directory") return directoryOf(item);
    const id = appearance.first + item.id;
    const modified = item.modified ?? appearance.modified;
    if (kind === "symlink") return { kind, id, mode: 0o777, modified, nanoseconds, uid, gid, links, target: item.target ?? "" };
    const mode = item.mode ?? appearance.mode;
    return kind === "file"
      ? { kind, id, mode, modified, nanoseconds, uid, gid, links, file: new ContainerFile(item) }
      : { kind, id, mode, modified, nanoseconds, uid, gid, links, device };
  }

  function directoryOf(item: Item): DirectoryNode {
    return {
      kind: "directory",
      id: appearance.first + item.id,
      mode: item.mode ?? appearance.directoryMode,
      modified: item.modified ?? appearance.modified,
      nanoseconds: item.nanoseconds,
      // 1: find(1) must not conclude from 2 that there are no directories in it.
      links: item.links ?? 1,
      uid: item.uid,
      gid: item.gid,
      child(name) {
        const found = container.list(item.id).get(name);
        return found && nodeOf(found);
      },
      entries: () => Array.from(container.list(item.id), ([name, found]) => new ItemEntry(name, found)),
    };
  }

  // Fields are only declared here: defining them first costs as much as all else, and a directory may have hundreds of thousands.
  class ItemEntry implements Entry {
    declare readonly name: string;
    declare private readonly item: Item;

    constructor(name: string, item: Item) {
      this.name = name;
      this.item = item;
    }

    get node(): Node {
      return nodeOf(this.item);
    }
  }

  /** Where the file lies is looked up when it is first read. */
  class ContainerFile implements FlatFile {
    declare readonly size: number;
    declare private readonly id: number;
    declare private mapped: Mapped | undefined;

    constructor({ id, size }: Item) {
      this.size = size;
      this.id = id;
      this.mapped = undefined;
    }

    read(target: Uint8Array, offset: number): void {
      readDisk(this.where(), target, offset, cache);
    }

    locate(offset: number, length: number): Located {
      return locate(this.where(), offset, length);
    }

    allocated(): number {
      return this.size;
    }

    private where(): Mapped {
      return (this.mapped ??= onDisk(container.content(this.id), disk, layer));
    }
  }

  return {
    container,
    root: directoryOf(container.root),
    node(id) {
      const known = recent.get(id);
      if (known) return known;
      const item = container.item(id);
      const node = item && nodeOf(item);
      if (node) recent.set(id, node);
      return node;
    },
    source: (item, path) => mappedSource(path, onDisk(container.content(item.id), disk, layer), cache),
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

/** What is mapped, as a source. What lies in one piece of a file keeps the way to that file. */
function mappedSource(name: string, mapped: Mapped, cache: BlockCache): Source {
  const { size } = mapped;
  const whole = size > 0 ? mapped.map(0, size) : undefined;
  if (whole?.kind === "data" && whole.length === size) {
    return { ...sliceSource(whole.source, whole.position, size), name, close: () => undefined };
  }
  const source: Source = {
    name,
    size,
    read(target, position) {
      checkRange(source, target.length, position);
      readDisk(mapped, target, position, cache);
    },
    run(position) {
      const extent = mapped.map(position, size - position);
      return { data: extent.kind !== "zero", length: extent.length };
    },
    close: () => undefined,
  };
  return source;
}
