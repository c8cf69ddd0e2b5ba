import type { Variant } from "../driver.js";
import { sparseVariants } from "./sparse/variants.js";

const frame = (title: string) => `formats/vmdk.test.ts: ${title}`;
const descriptor = (title: string) => `formats/vmdk-descriptor.test.ts: ${title}`;
const chain = (title: string) => `formats/vmdk-chains.test.ts: ${title}`;
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
  { name: "FLAT and VMFS with a start sector, or without", support: "read", proof: frame("FLAT with a start sector (dissect ignores it)") },
  { name: "extent lines of up to seven fields", support: "read", proof: frame("up to seven fields: partition UUID and device identifier") },
  { name: "one file as several extents", support: "read", proof: frame("one file in several places, back to front") },
  { name: "extent types and lines that are not known", support: "refused", proof: descriptor("refused, never skipped: %s") },
  {
    name: "raw device mappings: vmfsRaw, vmfsRDM (vmfsRawDeviceMap), vmfsRDMP (vmfsPassthroughRawDeviceMap)",
    support: "refused",
    proof: descriptor("a disk of the type %s is refused, whatever its file holds"),
    remark: "--degraded reads the other extents",
  },
  {
    name: "fullDevice, partitionedDevice: devices",
    support: "refused",
    proof: descriptor("the device %s is refused by name, and with --degraded only its range fails"),
    remark: "--degraded reads the other extents",
  },
  { name: "fullDevice, partitionedDevice: files", support: "read", proof: descriptor("fullDevice over an image file is read") },
  { name: "vsanSparse", support: "refused", proof: frame("vsanSparse is refused by name") },
  { name: "encrypted by Workstation or vSphere", support: "refused", proof: descriptor("encrypted: %s") },
  { name: "change tracking (changeTrackPath)", support: "read", proof: frame("change tracking is no matter") },
  {
    name: "the file of change tracking itself (-ctk.vmdk)",
    support: "refused",
    proof: "disk/foreign.test.ts: the change tracking of a VMDK is no disk",
  },
  { name: "delta links, CID checked", support: "read", proof: frame("a chain of deltas, each parent known by its CID") },
  {
    name: "delta links to a disk that was never changed (CID fffffffe)",
    support: "read",
    proof: chain("a parent whose content was never changed: its CID says so, and tells when it was changed after all"),
    remark: "children do not record ddb.longContentID of the parent",
  },
  { name: "deltas of several extents", support: "read", proof: frame("two COWD extents over a flat disk") },
  {
    name: "differencing images of VirtualBox (ddb.uuid.parent), also over VDI",
    support: "read",
    proof: chain("VirtualBox' differencing image over a VMDK, though it says parentCID=ffffffff"),
  },
  { name: "descriptor encodings", support: "read", proof: frame("names in $encoding (QEMU takes the bytes as they are)") },
  {
    name: "names of Windows paths, with escapes of URLs, in another case",
    support: "read",
    proof: frame("a file called %j is found beside, where it is called %j"),
    remark: "If there is only one file that may be meant.",
  },
  { name: "names in another encoding than declared", support: "read", proof: descriptor("names of files in other encodings") },
  { name: "first lines, four spellings", support: "read", proof: frame("that begin with %j") },
  { name: "renamed files", support: "read", proof: frame("%s, renamed") },
  {
    name: "extents renamed together with their descriptor, or in other upper and lower case",
    support: "read",
    proof: frame("extents that were renamed together with their descriptor are found, and that is told"),
    remark: "told by info",
  },
  { name: "an extent given instead of its descriptor", support: "read", proof: frame("%s: an extent given instead of the descriptor") },
  {
    name: "a sparse extent without its descriptor",
    support: "read",
    proof: descriptor("an extent of twoGbMaxExtentSparse alone is read and noted; it is known as a part by its name"),
    remark: "as a disk of its own, with --format vmdk or under another name",
  },
  ...sparseVariants,
];
