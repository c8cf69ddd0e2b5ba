import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { dmgVariants } from "./variants.js";

export const dmg: FormatDriver = {
  name: "dmg",
  variants: dmgVariants,
  extensions: [".dmg"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
