import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { cloopVariants } from "./variants.js";

export const cloop: FormatDriver = {
  name: "cloop",
  variants: cloopVariants,
  extensions: [".cloop"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
