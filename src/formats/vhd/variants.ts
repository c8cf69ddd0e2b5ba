import type { Variant } from "../driver.js";

export const vhdVariants: readonly Variant[] = [
  { name: "fixed (type 2)", support: "read", proof: "formats/vhd.test.ts: fixed: the bytes as they are, then the footer" },
  {
    name: "dynamic (type 3)",
    support: "read",
    proof: "formats/vhd.test.ts: a block is one extent behind its bitmap, and blocks that are not stored are one",
  },
  {
    name: "differencing (type 4): what is absent is the parent's, never zeros",
    support: "read",
    proof:
      "formats/vhd-parents.test.ts: QEMU opens it as dynamic and gives zeros: here a block that is absent is the parent's, never zeros",
  },
  {
    name: "differencing over differencing, to any depth",
    support: "read",
    proof: "formats/vhd-parents.test.ts: dosbox-x#4545: absent in the child and in its parent is asked of the ancestors",
  },
  { name: "parent locator W2ru (relative)", support: "read", proof: "formats/vhd-parents.test.ts: W2ru, relative, UTF-16" },
  {
    name: "parent locator W2ku (absolute)",
    support: "read",
    proof: "formats/vhd-parents.test.ts: W2ku, absolute, UTF-16: found beside the image",
  },
  {
    name: "parent locators Wi2r, Wi2k (deprecated)",
    support: "read",
    proof: "formats/vhd-parents.test.ts: Wi2r and Wi2k, deprecated: bytes or UTF-16",
  },
  {
    name: "parent locators MacX (file URL), Mac (alias)",
    support: "read",
    proof: "formats/vhd-parents.test.ts: MacX: %s",
    remark: "An alias holds no path; such a parent is found by the other names or by its UUID.",
  },
  {
    name: "parent known by its UUID, whatever its name",
    support: "read",
    proof: "formats/vhd-parents.test.ts: a file of the right name with another UUID is not the parent",
  },
  {
    name: "time stamp of the parent",
    support: "read",
    proof: "formats/vhd-parents.test.ts: a parent whose file has another date than was noted is told",
    remark: "Told by info only: a copy has another date, too.",
  },
  {
    name: "raw parent of Xen (no UUID)",
    support: "read",
    proof: "formats/vhd-parents.test.ts: no UUID: Xen's way of naming a raw parent, which is not looked into",
  },
  {
    name: "sector bitmaps of differencing disks",
    support: "read",
    proof: "formats/vhd-parents.test.ts: a sector that is not marked is the parent's, and runs of sectors are extents",
  },
  {
    name: "sector bitmaps of dynamic disks",
    support: "read",
    proof: "formats/vhd.test.ts: a bit that is clear: what is stored is given all the same",
    remark: "Only tapdisk's are obeyed: it leaves old data in sectors that are not marked, other programs leave bitmaps empty.",
  },
  {
    name: "bitmaps of tapdisk 0.1 (low bit first), tdbatmap, hidden",
    support: "read",
    proof: "formats/vhd-parents.test.ts: bitmaps have the high bit first, and those of tapdisk 0.1 the low one",
  },
  {
    name: "footer missing or damaged, copy at the beginning",
    support: "read",
    proof: "formats/vhd.test.ts: at the end is %s: the copy at the beginning is used",
  },
  {
    name: "footer of 511 bytes (before Virtual PC 2004)",
    support: "read",
    proof: "formats/vhd.test.ts: of 511 bytes, as before Virtual PC 2004",
  },
  {
    name: "checksums of footer and dynamic disk header",
    support: "read",
    proof: "formats/vhd.test.ts: both have a wrong checksum, and make sense: read, and told",
    remark: "A wrong one is told by info, if all else makes sense.",
  },
  {
    name: "size by geometry (Virtual PC, old QEMU) or current size (all others)",
    support: "read",
    proof: "formats/vhd.test.ts: %s: that of the geometry, and told",
  },
  { name: "blocks of any power of two from 512 bytes on", support: "read", proof: "formats/vhd.test.ts: blocks of %i bytes" },
  {
    name: "block allocation table longer than needed",
    support: "read",
    proof: "formats/vhd.test.ts: more entries than the disk needs: the view ends with the current size",
  },
  { name: "disks up to 2040 GiB", support: "read", proof: "formats/vhd.test.ts: a disk of 2040 GiB takes no memory until it is read" },
  {
    name: "undo disk (.vud), saved state",
    support: "read",
    proof: "formats/vhd-parents.test.ts: undo disks (.vud) are differencing disks",
  },
  {
    name: "fixed disk with bytes before its footer, or too short",
    support: "read",
    proof: "formats/vhd.test.ts: a fixed disk that is shorter than it says is damaged behind its end, and the footer is no data",
  },
  {
    name: "cut file: the blocks that are left",
    support: "read",
    proof: "formats/vhd.test.ts: a file that is cut: the blocks that are there are read",
  },
  {
    name: "fixed disk with zeros behind its footer (2 MiB at most)",
    support: "read",
    proof: "formats/vhd-padded.test.ts: with %i zeros: the footer is no data",
    remark: "Only if the checksum fits, and the footer is where the size it tells puts it.",
  },
  {
    name: "split (.vhd, .v01, …), with --part",
    support: "read",
    proof: "formats/vhd.test.ts: into several files, joined with --part",
  },
  {
    name: "image marked by vhd-util (v_poison), other versions and types",
    support: "refused",
    proof: "formats/vhd.test.ts: an image that vhd-util has marked",
  },
];
