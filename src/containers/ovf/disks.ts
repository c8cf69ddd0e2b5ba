// Which files of a package are disks: those of the DiskSection, and what its machines have in their drives.
import { formatSize } from "../../util/size.js";
import { printable, quote } from "../../util/text.js";
import type { MemberDisk } from "../container.js";
import type { Descriptor, DiskEntry } from "./descriptor.js";
import type { Located } from "./located.js";
import { diskNameOf, freeName, safeName } from "./names.js";
import type { Drive } from "./system.js";

export interface PackageDisks {
  readonly disks: readonly MemberDisk[];
  readonly notes: readonly string[];
}

interface Candidate {
  readonly entry: DiskEntry | undefined;
  readonly file: Located;
  readonly role: string | undefined;
}

/** Paths of disks are `prefix` and what follows the descriptor's folder. */
export function disksOf(descriptor: Descriptor, located: readonly Located[], prefix: string): PackageDisks {
  const byId = new Map<string, Located>();
  const byHref = new Map<string, Located>();
  // Of two with one id or name the first counts.
  for (const file of [...located].reverse()) {
    byId.set(file.reference.id, file);
    byHref.set(file.reference.href, file);
  }
  // Red Hat's first ones have names where others have ids.
  const fileOf = (ref: string) => byId.get(ref) ?? byHref.get(ref);
  const notes: string[] = [];
  const entries = new Map(descriptor.disks.map((entry) => [entry.id, entry]));
  const roles = rolesOf(descriptor, fileOf);
  const candidates: Candidate[] = [];
  const told = new Set<Located>();

  for (const entry of descriptor.disks) {
    const label = `The disk ${quote(entry.id)}`;
    if (entry.fileRef === undefined) {
      notes.push(`${label} is empty${entry.capacity === undefined ? "" : ` (${formatSize(entry.capacity)})`}: it has no file.`);
      continue;
    }
    const file = fileOf(entry.fileRef);
    if (!file) {
      notes.push(`${label} names the file ${quote(entry.fileRef)}, which the descriptor does not tell of.`);
      continue;
    }
    told.add(file);
    if (file.paths.length > 0) candidates.push({ entry, file, role: roles.get(file) ?? roleByFormat(entry, file) });
  }
  for (const [file, role] of roles) {
    if (!told.has(file) && file.paths.length > 0) candidates.push({ entry: undefined, file, role });
  }
  for (const file of located) {
    if (!told.has(file) && !roles.has(file) && file.paths.length > 0 && isDisc(file))
      candidates.push({ entry: undefined, file, role: "CD" });
  }
  const readable = unencrypted(descriptor.encrypted, candidates, notes);
  return { disks: named(whole(readable, entries, notes), entries, prefix), notes };
}

function unencrypted(names: readonly string[] | undefined, candidates: readonly Candidate[], notes: string[]): readonly Candidate[] {
  if (!names) return candidates;
  notes.push("The descriptor says that parts of the package are encrypted, which is not undone: they are shown as they are stored.");
  return candidates.filter(({ file: { reference } }) => {
    const plain = !names.includes(reference.id) && !names.includes(reference.href);
    if (!plain) notes.push(`${quote(reference.href)} is not opened: it is encrypted (EncryptionSection).`);
    return plain;
  });
}

/** What the machines' drives are told to hold, by file; hard disks have no role. */
function rolesOf({ disks, systems }: Descriptor, fileOf: (ref: string) => Located | undefined): ReadonlyMap<Located, string> {
  const roles = new Map<Located, string>();
  const files = new Map(disks.map(({ id, fileRef }) => [id, fileRef]));
  const fileIn = ({ target }: Drive) => fileOf(("disk" in target ? files.get(target.disk) : target.file) ?? "");
  for (const drive of systems.flatMap(({ drives }) => drives)) {
    const file = drive.kind === "disk" ? undefined : fileIn(drive);
    if (file) roles.set(file, drive.kind);
  }
  return roles;
}

function roleByFormat({ format = "" }: DiskEntry, file: Located): string | undefined {
  return /ecma-119|iso-?9660/i.test(format) || isDisc(file) ? "CD" : undefined;
}

function isDisc({ paths }: Located): boolean {
  return /\.iso(\.(gz|bz2|xz|zst|\d{9}))*$/i.test(paths[0] ?? "");
}

/** Those that have all they are a difference to: without it they would read as something else. */
function whole(candidates: readonly Candidate[], entries: ReadonlyMap<string, DiskEntry>, notes: string[]): readonly Candidate[] {
  const found = new Set(candidates.flatMap(({ entry }) => (entry ? [entry.id] : [])));
  return candidates.filter(({ entry, file }) => {
    const reason = entry && whyNot(entry, entries, found);
    if (reason !== undefined) notes.push(`${quote(file.reference.href)} is not opened: ${reason}.`);
    return reason === undefined;
  });
}

function whyNot(entry: DiskEntry, entries: ReadonlyMap<string, DiskEntry>, found: ReadonlySet<string>): string | undefined {
  const seen = new Set<string>();
  for (let each = entry; ; ) {
    if (seen.has(each.id)) return `the disk ${quote(each.id)} is its own ancestor`;
    seen.add(each.id);
    const parent = each.parentRef === undefined ? undefined : entries.get(each.parentRef);
    if (each.parentRef === undefined) return undefined;
    if (!parent) return `it is a difference to the disk ${quote(each.parentRef)}, which the descriptor does not tell of`;
    // Over an empty disk it stands alone.
    if (parent.fileRef !== undefined && !found.has(parent.id))
      return `it is a difference to the disk ${quote(parent.id)}, which is missing`;
    each = parent;
  }
}

function named(candidates: readonly Candidate[], entries: ReadonlyMap<string, DiskEntry>, prefix: string): readonly MemberDisk[] {
  const counts = new Map<string, number>();
  const wished = candidates.map(({ file }) => diskNameOf(file.paths[0] ?? ""));
  for (const name of wished) counts.set(name, (counts.get(name) ?? 0) + 1);
  const taken = new Set<string>();
  const names = candidates.map(({ entry }, index) => {
    const own = wished[index] ?? "disk";
    return freeName(counts.get(own) === 1 || !entry?.id ? own : safeName(printable(entry.id)), taken);
  });
  const nameOf = new Map(candidates.flatMap(({ entry }, index) => (entry ? [[entry.id, names[index] ?? ""] as const] : [])));
  return candidates.map(({ entry, file, role }, index) => {
    const [path = "", ...parts] = file.paths.map((each) => `${prefix}${each}`);
    const parentEntry = entry?.parentRef === undefined ? undefined : entries.get(entry.parentRef);
    const parent = parentEntry && nameOf.get(parentEntry.id);
    return {
      name: names[index] ?? "",
      path,
      ...(parts.length > 0 && { parts }),
      ...(parent !== undefined && { parent }),
      ...(role !== undefined && { role }),
    };
  });
}
