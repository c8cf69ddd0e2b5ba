// A package in one file: a tar archive. Reference: DSP0243, "Distribution as a single file".
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerContext, ContainerDriver, Item } from "../container.js";
import { tar } from "../tar/index.js";
import { readMembers } from "../tar/members.js";
import { DESCRIPTOR_LIMIT, type Descriptor, parseDescriptor } from "./descriptor.js";
import { disksOf } from "./disks.js";
import { detailsOf } from "./facts.js";
import { type Located, locateFile } from "./located.js";
import { isDescriptorName, isOva } from "./ova-probe.js";
import { type OvfContainer, type OvfPackage, readableOf, readWhole } from "./package.js";
import { verifyPackage } from "./verify.js";

export const ova: ContainerDriver = { name: "ova", probe: isOva, open: openOva };

/** Folders at the top that are looked into for a descriptor. */
const FOLDER_LIMIT = 256;

/** The archive with its disks. If its descriptor cannot be understood, the archive alone, and a note. Throws `WRONG_FORMAT` if it has none. */
export function openOva(disk: Source, context: ContainerContext): OvfContainer {
  const archive = tar.open(disk, context);
  const [chosen, ...others] = descriptorsIn(archive);
  if (!chosen) throw new ImageError("WRONG_FORMAT", "it has no member that is a descriptor (.ovf)", { file: disk.name });
  const files = filesBelow(archive, chosen.folder, chosen.prefix);
  const notes = others.map(({ name, prefix }) => `${quote(`${prefix}${name}`)} is another descriptor: what it tells of is not shown.`);
  const { descriptor, failure } = descriptorOf(files, chosen.name);
  const located = (descriptor?.files ?? []).map((reference) => locateFile(reference, files));
  const { disks, notes: diskNotes } = descriptor ? disksOf(descriptor, located, chosen.prefix) : { disks: [], notes: [] };
  if (failure) notes.push(`${quote(chosen.name)}: ${failure.message}. Its disks are not known.`);
  const variant = [descriptor?.version ?? "OVF", ...(isVagrant(archive, chosen.name) ? ["Vagrant box"] : [])].join(", ");

  const ovf = packageOf(disk, files, { ...chosen, descriptor, failure, located });
  return {
    ...archive,
    format: "ova",
    disks,
    facts() {
      const { details, notes: archiveNotes } = archive.facts();
      const all = [...archiveNotes, ...notes, ...located.flatMap((each) => each.notes), ...diskNotes];
      return { variant, details: { ...(descriptor && detailsOf(descriptor)), ...details }, notes: all };
    },
    ovf,
    check: (progress) => verifyPackage(ovf, { progress }),
  };
}

interface Chosen {
  readonly name: string;
  readonly id: number;
  /** The directory it is in. */
  readonly folder: Item;
  /** Its path: empty, or with a slash behind it. */
  readonly prefix: string;
}

/** The descriptors of the archive: those at its top first, in the order in which they are stored. */
function descriptorsIn(archive: Container): readonly Chosen[] {
  const inFolder = (folder: Item, prefix: string): Chosen[] =>
    [...archive.list(folder.id)]
      .filter(([name, { kind }]) => kind === "file" && isDescriptorName(name))
      .map(([name, { id }]) => ({ name, id, folder, prefix }))
      .sort((a, b) => a.id - b.id);
  const folders = [...archive.list(archive.root.id)].filter(([, { kind }]) => kind === "directory").slice(0, FOLDER_LIMIT);
  return [...inFolder(archive.root, ""), ...folders.flatMap(([name, item]) => inFolder(item, `${name}/`))];
}

type ArchiveFiles = ReturnType<typeof filesBelow>;

function filesBelow(archive: Container, folder: Item, prefix: string) {
  const itemAt = (path: string): Item | undefined => {
    let item: Item | undefined = folder;
    for (const name of path.split("/")) item = item?.kind === "directory" ? archive.list(item.id).get(name) : undefined;
    return item?.kind === "file" ? item : undefined;
  };
  const open = (path: string) => {
    const item = itemAt(path);
    return item && readableOf(archive.content(item.id), `${prefix}${path}`);
  };
  return {
    size: (path: string) => itemAt(path)?.size,
    open,
    head(path: string, length: number) {
      const target = new Uint8Array(length);
      open(path)?.read(target, 0);
      return target;
    },
    names: () => [...archive.list(folder.id)].flatMap(([name, { kind }]) => (kind === "file" ? [name] : [])),
    all: () => pathsBelow(archive, folder, ""),
  };
}

function* pathsBelow(archive: Container, folder: Item, prefix: string): Generator<string> {
  for (const [name, item] of archive.list(folder.id)) {
    if (item.kind === "directory") yield* pathsBelow(archive, item, `${prefix}${name}/`);
    else if (item.kind === "file") yield `${prefix}${name}`;
  }
}

function descriptorOf(files: ArchiveFiles, name: string): { descriptor?: Descriptor; failure?: ImageError } {
  try {
    const file = files.open(name);
    return file ? { descriptor: parseDescriptor(readWhole(file, name, DESCRIPTOR_LIMIT), name) } : {};
  } catch (error) {
    if (error instanceof ImageError) return { failure: error };
    throw error;
  }
}

/** Vagrant's own index is beside the descriptor, whose name is always the same. */
function isVagrant(archive: Container, descriptor: string): boolean {
  const names = archive.list(archive.root.id);
  return descriptor === "box.ovf" && (names.has("metadata.json") || names.has("Vagrantfile"));
}

function packageOf(
  disk: Source,
  files: ArchiveFiles,
  {
    name,
    prefix,
    descriptor,
    failure,
    located,
  }: Chosen & Pick<OvfPackage, "descriptor" | "failure"> & { readonly located: readonly Located[] },
): OvfPackage {
  return {
    descriptorName: name,
    descriptor,
    failure,
    located,
    manifest: besideOf(files.names(), name, ".mf"),
    certificate: besideOf(files.names(), name, ".cert"),
    files: files.all,
    open: files.open,
    members: () => readMembers(disk).members.map((member) => withoutPrefix(member.name, prefix)),
  };
}

/** The file with the descriptor's name and another extension, else the only one that has that extension. */
function besideOf(names: readonly string[], descriptor: string, extension: string): string | undefined {
  const fitting = names.filter((name) => name.toLowerCase().endsWith(extension) && !name.startsWith("._"));
  const wanted = descriptor.slice(0, -".ovf".length) + extension;
  return fitting.find((name) => name === wanted) ?? (fitting.length === 1 ? fitting[0] : undefined);
}

/** The name of a member, relative to the descriptor's folder. */
function withoutPrefix(name: string, prefix: string): string {
  const clean = name.replace(/^(\.?\/)+/, "");
  return clean.startsWith(prefix) ? clean.slice(prefix.length) : clean;
}
