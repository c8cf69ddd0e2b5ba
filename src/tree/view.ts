import type { ContainerOptions } from "../containers/container.js";
import { createBlockCache, type DecodeCounter } from "../disk/cache.js";
import type { DiskDescription } from "../disk/describe.js";
import { type OpenedDisk, openDisk } from "../disk/open.js";
import type { OpenDiskOptions } from "../disk/options.js";
import type { Progress } from "../disk/unpack.js";
import { UserError } from "../util/errors.js";
import { holdsFiles } from "./contents.js";
import type { FileNode, Tree } from "./node.js";
import { type Shown, SPAN, show } from "./shown.js";

/** What a view is made from; plain data, so that it can be handed to a worker. */
export interface ViewRequest {
  readonly image: string;
  readonly options: OpenDiskOptions & ContainerOptions;
  /** The root of the view: a directory, or the flat disk itself. */
  readonly root: "directory" | "file";
  /** Permission bits of files; directories get the execute bits that match. */
  readonly mode: number;
  /** Bytes for decoded blocks. */
  readonly cacheLimit: number;
}

export interface View {
  readonly tree: Tree;
  readonly disk: OpenedDisk;
  /** What the tree was made from. */
  readonly shown: Shown;
  /** What `info --json` prints. */
  readonly description: DiskDescription;
  /** Closes every file. */
  close(): void;
}

/** Opens the image and lays out what a mount of it shows. `counter` is told of reads from then on. Throws what `openDisk` throws. */
export function openView(request: ViewRequest, progress?: Progress, counter?: DecodeCounter): View {
  const { image, options, mode, root } = request;
  const disk = openDisk(image, options, { progress, holdsFiles });
  const shown: Shown[] = [];
  // What is decoded to find partitions was asked for by nobody.
  let isOpen = false;
  const counting = counter && {
    hit: () => isOpen && counter.hit(),
    decoded: (bytes: number) => isOpen && counter.decoded(bytes),
  };
  try {
    const modified = Math.max(0, ...disk.files.map((file) => file.modified));
    const top = show(disk, { mode, modified, options, cache: createBlockCache(request.cacheLimit, counting), shown });
    const tree = root === "file" ? fileTree(top, { mode, modified }) : treeOf(shown);
    isOpen = true;
    return { tree, disk, shown: top, description: top.description, close: () => top.close() };
  } catch (error) {
    if (shown[0]) shown[0].close();
    else disk.close();
    throw error;
  }
}

function treeOf(shown: readonly Shown[]): Tree {
  const [top] = shown;
  if (!top) throw new Error("nothing is shown");
  return { root: top.root, node: (id) => shown[Math.floor(id / SPAN)]?.node(id % SPAN) };
}

/** The disk alone. */
function fileTree({ disk }: Shown, base: Pick<FileNode, "mode" | "modified">): Tree {
  if (!disk) {
    throw new UserError("it is no disk, but a package of files with none or several in it", "Mount it on a directory instead of a file.");
  }
  const root: FileNode = { kind: "file", id: 1, ...base, file: disk };
  return { root, node: (id) => (id === 1 ? root : undefined) };
}
