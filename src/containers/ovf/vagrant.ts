// Vagrant boxes without a descriptor: a tar archive with metadata.json. Reference: "Box File Format" in the manual of Vagrant, and the README of vagrant-libvirt.
// Those of VirtualBox have a descriptor: they are packages as any other.
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerContext, ContainerDriver, Item, MemberDisk } from "../container.js";
import { tar } from "../tar/index.js";
import { waysOf } from "./href.js";
import { diskNameOf, freeName } from "./names.js";
import { firstNames } from "./ova-probe.js";
import { readableOf, readWhole } from "./package.js";

export const vagrant: ContainerDriver = { name: "vagrant", probe: isBox, open: openVagrant };

const METADATA = "metadata.json";

/** Bytes. */
const METADATA_LIMIT = 2 ** 20;

const DISK_LIMIT = 1000;

/** Images, but for the parts of split ones: their descriptor stands for them. */
const imageName = /(?<!-(?:[sf]\d{3}|flat|delta|sesparse|ctk))\.(?:vmdk|vhdx?|vdi|qcow2?|img|raw)$/i;

function isBox(disk: Source): boolean {
  let hasMetadata = false;
  let hasImage = false;
  for (const name of firstNames(disk)) {
    hasMetadata ||= name.replace(/^\.\//, "") === METADATA;
    hasImage ||= imageName.test(name);
    if (hasMetadata && hasImage) return true;
  }
  return false;
}

/** The archive with its disks: those that the metadata tell of, else every image. */
export function openVagrant(disk: Source, context: ContainerContext): Container {
  const archive = tar.open(disk, context);
  const notes: string[] = [];
  const metadata = metadataOf(archive, notes);
  const disks = disksIn(archive, metadata, notes);
  const provider = memberOf(metadata, "provider");
  return {
    ...archive,
    format: "vagrant",
    disks,
    facts() {
      const facts = archive.facts();
      return {
        variant: "Vagrant box",
        details: { ...(typeof provider === "string" && { provider }), disks: disks.length, ...facts.details },
        notes: [...facts.notes, ...notes],
      };
    },
  };
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function metadataOf(archive: Container, notes: string[]): unknown {
  const item = archive.list(archive.root.id).get(METADATA);
  if (item?.kind !== "file") return undefined;
  try {
    return JSON.parse(readWhole(readableOf(archive.content(item.id), METADATA), METADATA, METADATA_LIMIT).toString()) as unknown;
  } catch (error) {
    if (!(error instanceof ImageError) && !(error instanceof SyntaxError)) throw error;
    notes.push(`${quote(METADATA)} cannot be understood: ${error.message}.`);
    return undefined;
  }
}

function disksIn(archive: Container, metadata: unknown, notes: string[]): readonly MemberDisk[] {
  const taken = new Set<string>();
  return toldOf(archive, metadata, notes).map((path) => ({ name: freeName(diskNameOf(path), taken), path }));
}

function toldOf(archive: Container, metadata: unknown, notes: string[]): readonly string[] {
  const list = memberOf(metadata, "disks");
  if (!Array.isArray(list) || list.length === 0) return [...images(archive, archive.root, "")].slice(0, DISK_LIMIT);
  return list.slice(0, DISK_LIMIT).flatMap((entry: unknown, index) => {
    const own = memberOf(entry, "path");
    const wanted = typeof own === "string" ? own : `box_${index + 1}.img`;
    const ways = waysOf(wanted);
    const found = "paths" in ways ? ways.paths.find((path) => hasFile(archive, path)) : undefined;
    if (found === undefined) notes.push(`The disk ${quote(wanted)} is missing in the box.`);
    return found ?? [];
  });
}

function* images(archive: Container, folder: Item, prefix: string): Generator<string> {
  for (const [name, item] of archive.list(folder.id)) {
    if (item.kind === "directory") yield* images(archive, item, `${prefix}${name}/`);
    else if (item.kind === "file" && imageName.test(name) && !name.startsWith("._")) yield `${prefix}${name}`;
  }
}

function hasFile(archive: Container, path: string): boolean {
  let item: Item | undefined = archive.root;
  for (const name of path.split("/")) item = item?.kind === "directory" ? archive.list(item.id).get(name) : undefined;
  return item?.kind === "file";
}
