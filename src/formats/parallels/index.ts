import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { parallelsVariants } from "./variants.js";

export const parallels: FormatDriver = {
  name: "parallels",
  variants: parallelsVariants,
  extensions: [".hdd", ".hds"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
