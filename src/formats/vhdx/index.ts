import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { vhdxVariants } from "./variants.js";

export const vhdx: FormatDriver = {
  name: "vhdx",
  variants: vhdxVariants,
  extensions: [".vhdx", ".avhdx"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
