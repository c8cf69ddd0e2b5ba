import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { androidSparseVariants } from "./variants.js";

export const androidSparse: FormatDriver = {
  name: "android-sparse",
  variants: androidSparseVariants,
  extensions: [".simg", ".img"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
