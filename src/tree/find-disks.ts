import { posix } from "node:path";
import type { Container, Item, MemberDisk } from "../containers/container.js";
import type { Members } from "../disk/members.js";
import { innerName } from "../disk/unpack.js";
import { readEnds } from "../disk/choose.js";
import type { FileEnds } from "../formats/driver.js";
import { raw } from "../formats/raw/index.js";
import { detect, drivers } from "../formats/registry.js";
import type { Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";

/** Archives are looked through this far: what comes behind is found under files/ all the same. */
const FILES_LIMIT = 20_000;
/** Disks that one container may show. */
export const DISKS_LIMIT = 64;
/** Files whose names tell nothing are looked into from this size on. */
const WORTH_A_LOOK = 2 ** 20;
const LOOKS_LIMIT = 256;

/** Files that hold no disk whatever they begin with, and are many in archives. */
const otherFiles =
  /\.(?:txt|md|xml|ovf|mf|cert|json|sh|conf|log|vmx|nvram|sha\d+|asc|sig|html?|pdf|png|jpe?g|c|h|js|py|so|deb|rpm|vmem|vmsn|vmss)$/i;
/** May hold disks: where they are few, they are looked into. */
const archiveName = /\.(?:tar|tgz|txz|tbz2?|tzst|box|zip)$/i;
const ARCHIVES_LIMIT = 8;
/** Less is firmware or a boot sector, unless it is compressed. */
const SMALLEST_RAW = 16 * 1024;
const kernelName = /^(?:.*[-_.])?(?:vmlinu[xz]|bzimage|aki)(?:[-_.].*)?$|\.aki$/i;
const ramdiskName = /^(?:.*[-_.])?(?:initrd|initramfs|ramdisk|ari)(?:[-_.].*)?$|\.ari$/i;

interface Found {
  readonly path: string;
  readonly size: number;
  readonly id: number;
}

/** The disk images among the files of an archive, by their names or by what they begin with. */
export function findDisks(container: Container, members: Members): readonly MemberDisk[] {
  const found: Found[] = [];
  const others: Found[] = [];
  const archives: Found[] = [];
  for (const file of filesIn(container)) {
    if (hasImageName(file) || roleByName(file.path) !== undefined) found.push(file);
    else if (archiveName.test(innerName(file.path)) || archiveName.test(file.path)) archives.push(file);
    else if (isWorthALook(file) && others.length < LOOKS_LIMIT && (container.isQuick?.(file.id) ?? true)) others.push(file);
  }
  if (archives.length <= ARCHIVES_LIMIT) found.push(...archives);
  for (const file of others) if (looksLikeImage(members, file.path)) found.push(file);
  const parts = new Set(found.filter(({ path }) => isPart(members, path)).map(({ path }) => path));
  const disks = found.filter(({ path }) => !parts.has(path)).slice(0, DISKS_LIMIT);
  return withNames(disks.map(({ path }) => path)).map((disk) => ({ ...disk, ...roleOf(disk.path, disks) }));
}

function isWorthALook({ path, size }: Found): boolean {
  return size >= WORTH_A_LOOK && !otherFiles.test(path);
}

function* filesIn(container: Container): Generator<Found> {
  const waiting: { readonly path: string; readonly item: Item }[] = [{ path: "", item: container.root }];
  let count = 0;
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    for (const [name, item] of container.list(next.item.id)) {
      const path = posix.join(next.path, name);
      if (item.kind === "directory") waiting.push({ path, item });
      else if (item.kind === "file" && item.size > 0) yield { path, size: item.size, id: item.id };
      count += 1;
      if (count === FILES_LIMIT) return;
    }
  }
}

function hasImageName({ path, size }: Found): boolean {
  const base = posix.basename(path);
  const name = innerName(base).toLowerCase();
  const endsWithOne = (extensions: readonly string[]) => extensions.some((extension) => name.endsWith(extension));
  return endsWithOne(ownExtensions) || (endsWithOne(rawExtensions) && (size >= SMALLEST_RAW || name.length < base.length));
}

const rawExtensions = [...raw.extensions.filter((extension) => extension !== ".bin"), ".ami"];
const ownExtensions = [
  ...drivers
    .flatMap((driver) => (driver === raw ? [] : driver.extensions))
    .filter((extension) => !(raw.extensions as readonly string[]).includes(extension)),
  ".ova",
  ".ovf",
];

function looksLikeImage(members: Members, path: string): boolean {
  const ends = endsOf(members, path);
  return ends !== undefined && detect({ ...ends, tail: new Uint8Array() }) !== raw;
}

/** Whether it is only a part of an image that is there as well. */
function isPart(members: Members, path: string): boolean {
  const name = posix.basename(path);
  const ends = endsOf(members, path);
  const names = ends ? drivers.flatMap(({ partOf }) => partOf?.(name, ends) ?? []) : [];
  return names.some((whole) => {
    const other = whole === name ? undefined : openedOr(members, posix.join(posix.dirname(path), whole));
    other?.close();
    return other !== undefined;
  });
}

/** What formats are told apart by; undefined for a file that is damaged there. */
function endsOf(members: Members, path: string): FileEnds | undefined {
  const source = openedOr(members, path);
  if (!source) return undefined;
  try {
    return readEnds(source);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  } finally {
    source.close();
  }
}

/** Undefined for one that is not there, or cannot be opened: then it tells why itself, if it is a disk. */
function openedOr(members: Members, path: string): Source | undefined {
  try {
    return members.open(path);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** Names for directories: the file's own without its extensions where that is unique, else with them, else with its folders. */
function withNames(paths: readonly string[]): readonly { readonly name: string; readonly path: string }[] {
  const short = (path: string) => innerName(posix.basename(path)).replace(/(?<=.)\.[A-Za-z0-9]{1,6}$/, "");
  const ways = [short, (path: string) => posix.basename(path), (path: string) => path.replaceAll("/", "_")];
  const taken = new Set<string>();
  return paths.map((path, index) => {
    const unique = ways.find((way) => paths.every((other, at) => at === index || way(other) !== way(path)) && !taken.has(way(path)));
    const name = unique?.(path) ?? `${posix.basename(path)}-${index + 1}`;
    taken.add(name);
    return { name, path };
  });
}

/** Of what cloud images are made of (see the README of Ubuntu's UEC tarballs): the largest file system is the machine's. */
function roleOf(path: string, disks: readonly Found[]): Pick<MemberDisk, "role"> {
  const role = roleByName(path);
  if (role !== undefined) return { role };
  const images = disks.filter((disk) => /\.(?:img|ami)$/i.test(innerName(disk.path)) && roleByName(disk.path) === undefined);
  const largest = images.reduce<Found | undefined>((best, disk) => (best && best.size >= disk.size ? best : disk), undefined);
  const isCloud = disks.some((disk) => roleByName(disk.path) !== undefined);
  return isCloud && largest?.path === path ? { role: "AMI" } : {};
}

function roleByName(path: string): "AKI" | "ARI" | undefined {
  const name = posix.basename(path);
  if (ramdiskName.test(name)) return "ARI";
  return kernelName.test(name) ? "AKI" : undefined;
}
