import type { Variant } from "../driver.js";

export const vmdkVariants: readonly Variant[] = [];
