import type { Variant } from "../driver.js";
import { sparseVariants } from "./sparse/variants.js";

const frame = (title: string) => `formats/vmdk.test.ts: ${title}`;
const qemu = (title: string) => `formats/disks-matrix.ts: ${title}`;

export const vmdkVariants: readonly Variant[] = [
  { name: "monolithicSparse (embedded descriptor)", support: "read", proof: qemu("vmdk, monolithicSparse") },
  { name: "monolithicFlat", support: "read", proof: qemu("vmdk, monolithicFlat") },
  { name: "twoGbMaxExtentSparse", support: "read", proof: qemu("vmdk, twoGbMaxExtentSparse") },
  { name: "twoGbMaxExtentFlat", support: "read", proof: qemu("vmdk, twoGbMaxExtentFlat") },
  { name: "streamOptimized", support: "read", proof: qemu("vmdk, streamOptimized, mostly empty") },
  { name: "vmfs, vmfsThin, vmfsEagerZeroedThick, vmfsPreallocated", support: "read", proof: frame("createType %s over flat files") },
  { name: "custom, and sparse and flat extents mixed", support: "read", proof: frame("sparse and flat extents in one descriptor") },
  { name: "access RDONLY", support: "read", proof: frame("RDONLY extents keep their place (QEMU skips them, and shifts what follows)") },
  {
    name: "access NOACCESS",
    support: "read",
    proof: frame("NOACCESS extents keep their place, and reading them fails"),
    remark: "reading the extent fails",
  },
  { name: "type ZERO", support: "read", proof: frame("ZERO extents keep their place (QEMU and dissect drop them)") },
  { name: "FLAT with a start sector", support: "read", proof: frame("FLAT with a start sector (dissect ignores it)") },
  { name: "extent lines of up to seven fields", support: "read", proof: frame("up to seven fields: partition UUID and device identifier") },
  {
    name: "raw device mappings: vmfsRaw, vmfsRDM, vmfsRDMP",
    support: "refused",
    proof: frame("a raw device mapping (%s) is refused by name (dissect drops it)"),
    remark: "--degraded reads the other extents",
  },
  {
    name: "fullDevice, partitionedDevice",
    support: "refused",
    proof: frame("fullDevice and partitionedDevice: the device %s is not opened"),
    remark: "--degraded reads the other extents",
  },
  { name: "vsanSparse", support: "refused", proof: frame("vsanSparse is refused by name") },
  { name: "encrypted by Workstation", support: "refused", proof: frame("an encrypted disk is refused") },
  { name: "change tracking (changeTrackPath)", support: "read", proof: frame("change tracking is no matter") },
  { name: "delta links, CID checked", support: "read", proof: frame("a chain of deltas, each parent known by its CID") },
  {
    name: "ddb.uuid.image and ddb.uuid.parent (VirtualBox)",
    support: "read",
    proof: frame("VirtualBox' UUID where the CID tells nothing"),
  },
  { name: "descriptor encodings", support: "read", proof: frame("names in $encoding (QEMU takes the bytes as they are)") },
  { name: "first lines, four spellings", support: "read", proof: frame("that begin with %j") },
  { name: "renamed files", support: "read", proof: frame("%s, renamed") },
  { name: "an extent given instead of its descriptor", support: "read", proof: frame("%s: an extent given instead of the descriptor") },
  ...sparseVariants,
];
