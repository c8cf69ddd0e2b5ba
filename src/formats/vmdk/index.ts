import { ImageError } from "../../util/errors.js";
import type { FormatDriver } from "../driver.js";
import { vmdkVariants } from "./variants.js";

export const vmdk: FormatDriver = {
  name: "vmdk",
  variants: vmdkVariants,
  extensions: [".vmdk"],
  probe: () => false,
  open(source) {
    throw new ImageError("UNSUPPORTED", "not read yet", { file: source.name });
  },
};
