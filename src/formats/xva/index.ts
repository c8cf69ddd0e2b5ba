import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { xvaVariants } from "./variants.js";

export const xva: FormatDriver = {
  name: "xva",
  variants: xvaVariants,
  extensions: [".xva"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
