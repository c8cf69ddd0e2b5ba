import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { vhdVariants } from "./variants.js";

export const vhd: FormatDriver = {
  name: "vhd",
  variants: vhdVariants,
  extensions: [".vhd", ".avhd", ".vpc", ".vud"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
