import type { Variant } from "../driver.js";

export const vdiVariants: readonly Variant[] = [];
