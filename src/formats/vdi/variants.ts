import type { Variant } from "../driver.js";

export const vdiVariants: readonly Variant[] = [
  { name: "header of version 0.x", support: "read", proof: "formats/vdi.test.ts: version 0.1 has its fields elsewhere" },
  { name: "header 1.0, 1.1, 1.1 plus (400 bytes, geometry of the BIOS)", support: "read", proof: "formats/vdi.test.ts: version %s" },
  { name: "type 1, dynamic; type 2, fixed", support: "read", proof: "formats/vdi.test.ts: type %i is %s" },
  {
    name: "type 3, undo; type 4, differencing; parents by UUID",
    support: "read",
    proof: "formats/vdi.test.ts: type %i: a free block is the parent's, never zeros",
    remark: "VDI records no file name: the parent is looked for in the image's folder, --search and --parent name others.",
  },
  {
    name: "parent changed after the image was made",
    support: "read",
    proof: "formats/vdi.test.ts: a parent that was changed since is told",
    remark: "Told by info, as VirtualBox shows such chains, too.",
  },
  { name: "blocks of any power of two from 512 bytes on", support: "read", proof: "formats/vdi.test.ts: blocks of %i bytes" },
  {
    name: "extra bytes before every block (blockExtra)",
    support: "read",
    proof: "formats/vdi.test.ts: %i bytes before every block are no data",
  },
  {
    name: "free blocks (0xFFFFFFFF) → parent, zero blocks (0xFFFFFFFE) → zeros",
    support: "read",
    proof: "formats/vdi.test.ts: a zero block is zeros, even over a parent that has data there",
  },
  { name: "block map and data at any position", support: "read", proof: "formats/vdi.test.ts: block map and data need no alignment" },
  { name: "disk size that is no multiple of a sector", support: "read", proof: "formats/vdi.test.ts: a disk of %i bytes" },
  { name: "any text before the signature", support: "read", proof: "formats/vdi.test.ts: any text before the signature" },
  { name: "several entries for one block", support: "read", proof: "formats/vdi.test.ts: two entries may name one block" },
  {
    name: "last block cut by the end of the file",
    support: "read",
    proof: "formats/vdi.test.ts: a last block that is short in the file is data up to there",
  },
  {
    name: "encrypted by VirtualBox, told by a .vbox beside it",
    support: "refused",
    proof: "disk/vbox.test.ts: is refused by name, for the configuration beside it knows its UUID",
    remark: "The image itself does not tell: without its machine's .vbox beside it, in --search or in --allow, the disk shown is noise.",
  },
  { name: "version 2 and later", support: "refused", proof: "formats/vdi.test.ts: refused: %s" },
];
