import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { qedVariants } from "./variants.js";

export const qed: FormatDriver = {
  name: "qed",
  variants: qedVariants,
  extensions: [".qed"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
