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
