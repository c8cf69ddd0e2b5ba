import type { Variant } from "../driver.js";

export const vmaVariants: readonly Variant[] = [];
