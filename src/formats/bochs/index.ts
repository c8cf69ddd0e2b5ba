import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { bochsVariants } from "./variants.js";

export const bochs: FormatDriver = {
  name: "bochs",
  variants: bochsVariants,
  extensions: [".img"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
