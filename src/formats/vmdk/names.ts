// What the files of a disk are called. Reference: VMware, "Virtual Disk Format 5.0", and libyal's documentation of VMDK.

/** Extents of the types twoGbMaxExtentSparse and twoGbMaxExtentFlat: `disk-s001.vmdk`, `disk-f001.vmdk`. */
const numbered = /^(.+)-([sf])\d{3,}\.vmdk$/i;

/** The only extent of a disk, or of a difference, on a host: sparse ones begin with a signature, the others with whatever the guest wrote. */
const sparseSuffix = /^(.+)-(?:delta|sesparse)\.vmdk$/i;
const anySuffix = /^(.+)-(?:flat|delta|sesparse|pt|rdm|rdmp)\.vmdk$/i;

/** What the descriptor of the disk may be called that has an extent of that name; none if the name does not tell. */
export function descriptorNames(name: string, sparse: boolean): readonly string[] {
  const [, stem, kind = ""] = numbered.exec(name) ?? (sparse ? sparseSuffix : anySuffix).exec(name) ?? [];
  // Sparse and flat extents do not stand in for each other.
  if (stem === undefined || (kind !== "" && sparse !== (kind.toLowerCase() === "s"))) return [];
  return [`${stem}.vmdk`];
}

/** What is behind the name of the machine in that of an extent. */
const suffix = /-(?:flat|delta|sesparse|pt|rdm|rdmp|[sf]\d{3,})\.vmdk$/i;

/** What the extent `name` is called where it was renamed together with its descriptor, which is called `descriptor` now; undefined if that cannot be told. */
export function renamedExtent(name: string, descriptor: string): string | undefined {
  const [found] = suffix.exec(name) ?? [];
  const stem = /^(.+)\.vmdk$/i.exec(descriptor)?.[1];
  return found === undefined || stem === undefined ? undefined : stem + found;
}
