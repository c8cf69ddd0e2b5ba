import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { vdiVariants } from "./variants.js";

export const vdi: FormatDriver = {
  name: "vdi",
  variants: vdiVariants,
  extensions: [".vdi"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
