import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { vmaVariants } from "./variants.js";

export const vma: FormatDriver = {
  name: "vma",
  variants: vmaVariants,
  extensions: [".vma"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
