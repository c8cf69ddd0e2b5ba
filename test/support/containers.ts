import type { ContainerContext } from "../../src/containers/container.js";
import { createIndexStore } from "../../src/disk/index-store.js";
import { createUnpacker } from "../../src/disk/unpack.js";
import { ImageError } from "../../src/util/errors.js";

/** For a container that stands alone: nothing beside it, nothing compressed in it. */
export const alone: ContainerContext = {
  part(name) {
    throw new ImageError("PART_MISSING", `"${name}" is missing`);
  },
  unpack: () => undefined,
  options: {},
};

/** For one that holds compressed streams: nothing of them is kept. */
export function unpacking(): ContainerContext {
  const unpacker = createUnpacker(createIndexStore({}, undefined), { degraded: false });
  return {
    ...alone,
    unpack(source, label) {
      const { source: inner, packings } = unpacker.unpack(source, label);
      return packings.length > 0 ? inner : undefined;
    },
  };
}
