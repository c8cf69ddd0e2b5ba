import type { Variant } from "../driver.js";

export const vhdxVariants: readonly Variant[] = [
  {
    name: "dynamic, blocks of 1 MiB to 256 MiB, disks up to 64 TiB",
    support: "read",
    proof: "formats/vhdx.test.ts: blocks of %i MiB in any order",
  },
  {
    name: "fixed (leave blocks allocated)",
    support: "read",
    proof: "formats/vhdx.test.ts: a fixed disk is one whose blocks stay allocated",
  },
  {
    name: "differencing, parent locator (.avhdx)",
    support: "read",
    proof: "formats/vhdx.test.ts: the parent is asked for by all its names, best first, and its DataWriteGuid",
  },
  {
    name: "partially present blocks, sector bitmaps",
    support: "read",
    proof: "formats/vhdx.test.ts: sector bitmaps of all mixtures, sectors of %i bytes, blocks of %i MiB",
  },
  {
    name: "blocks not present, undefined, zero, unmapped (also that of format 0.95)",
    support: "read",
    proof: "formats/vhdx.test.ts: libvhdi#17: a block that is not here is the parent's, and one without content is zeros",
  },
  {
    name: "logical sectors of 512 and 4096 bytes",
    support: "read",
    proof: "formats/vhdx.test.ts: logical sectors of %i bytes, physical ones of %i",
  },
  {
    name: "not closed properly: log to be replayed",
    support: "read",
    proof: "formats/vhdx-log.test.ts: a log that changes the BAT is replayed, where libyal, dissect and 7-Zip show the stale disk",
    remark: "In memory; the file is not changed. Logs of up to 64 MiB.",
  },
  {
    name: "one of the two headers damaged, or both the same (Disk2vhd)",
    support: "read",
    proof: "formats/vhdx-damage.test.ts: twice the same header, as Disk2vhd writes it",
  },
  {
    name: "first region table damaged",
    support: "read",
    proof: "formats/vhdx-damage.test.ts: the second one is used, and that is told, where the first is damaged",
  },
  {
    name: "file that ends inside its last block (QEMU)",
    support: "read",
    proof: "formats/vhdx-damage.test.ts: a last block that the file holds as far as the disk needs it is not damaged",
  },
  {
    name: "unknown optional regions and metadata items",
    support: "read",
    proof: "formats/vhdx-damage.test.ts: unknown optional items, such as resilient change tracking, are ignored",
  },
  {
    name: "unknown required regions and metadata items",
    support: "refused",
    proof: "formats/vhdx-damage.test.ts: an unknown required item is refused by its GUID, a user's own one too",
  },
  { name: "parent that is no VHDX", support: "refused", proof: "formats/vhdx.test.ts: a locator of another type" },
  {
    name: "index of a VHD Set (.vhds)",
    support: "refused",
    proof: "formats/vhdx-tools.test.ts: whatever is in it, it is no raw disk",
    remark: "Its disks, the .avhdx files, are read.",
  },
];
