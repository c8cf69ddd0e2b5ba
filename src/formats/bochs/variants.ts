import type { Variant } from "../driver.js";

export const bochsVariants: readonly Variant[] = [
  { name: "growing, versions 1 and 2", support: "read", proof: "formats/bochs.test.ts: version %i" },
  { name: "growing, as Bochs writes it", support: "read", proof: "formats/bochs.test.ts: growing, written by bximage" },
  {
    name: "undoable and volatile redologs over a base image",
    support: "read",
    proof: "formats/bochs.test.ts: %s: the base image is found by the name %s",
    remark: "The base image is not recorded: it is taken to be disk.img for disk.img.redolog; --parent names another.",
  },
  { name: "base image of another size", support: "refused", proof: "formats/bochs.test.ts: a file of another size is not its base image" },
];
