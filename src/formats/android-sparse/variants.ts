import type { Variant } from "../driver.js";

export const androidSparseVariants: readonly Variant[] = [];
