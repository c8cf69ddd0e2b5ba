import type { DiskDescription } from "../disk/describe.js";
import type { Shown } from "../tree/shown.js";
import { nodeAtPath } from "./paths.js";

/** What stands for a file of the tree on both sides of a worker. */
export interface FileRef {
  /** Its node's number, which is the same in every thread. */
  readonly id: number;
  /** Bytes. */
  readonly size: number;
}

/** Everything about an opened image but its bytes: plain data, so that a worker can tell it. */
export interface Shape {
  readonly description: DiskDescription;
  /** The number of the directory that holds everything of this image. */
  readonly root: number;
  readonly disk: FileRef | undefined;
  readonly partitions: readonly { readonly info: DiskDescription["partitions"][number]; readonly file: FileRef }[];
  readonly volumes: readonly { readonly info: NonNullable<DiskDescription["volumes"]>[number]; readonly file: FileRef }[];
  readonly tracks: readonly { readonly name: string; readonly file: FileRef }[];
  readonly disks: readonly { readonly name: string; readonly path: string; readonly role: string | undefined; readonly shape: Shape }[];
}

export function shapeOf({ root, disk, description, disks }: Shown): Shape {
  const refOf = (path: string): FileRef | undefined => {
    const node = nodeAtPath(root, path, true);
    return node.kind === "file" ? { id: node.id, size: node.file.size } : undefined;
  };
  // What begins behind the end of the disk is told of, but there is no file of it.
  const shown = new Set([...entriesOf(root, "partitions"), ...entriesOf(root, "volumes"), ...entriesOf(root, "tracks")]);
  const filesOf = <T extends { readonly file: string }>(infos: readonly T[]) =>
    infos.flatMap((info) => {
      const file = shown.has(info.file) ? refOf(info.file) : undefined;
      return file ? [{ info, file }] : [];
    });
  return {
    description,
    root: root.id,
    disk: disk && refOf("disk.raw"),
    partitions: filesOf(description.partitions),
    volumes: filesOf(description.volumes ?? []),
    tracks: filesOf(description.tracks ?? []).map(({ info, file }) => ({ name: info.file.slice("tracks/".length), file })),
    disks: disks.map(({ member: { name, path, role }, shown: inner }) => ({ name, path, role, shape: shapeOf(inner) })),
  };
}

function entriesOf(root: Shown["root"], name: string): readonly string[] {
  const folder = root.child(name);
  return folder?.kind === "directory" ? Array.from(folder.entries(), (entry) => `${name}/${entry.name}`) : [];
}
