import type { ContainerContext } from "../../src/containers/container.js";
import { ImageError } from "../../src/util/errors.js";

/** For a container that stands alone: nothing beside it, nothing compressed in it. */
export const alone: ContainerContext = {
  part(name) {
    throw new ImageError("PART_MISSING", `"${name}" is missing`);
  },
  unpack: () => undefined,
  options: {},
};
