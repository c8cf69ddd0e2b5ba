import type { Variant } from "../driver.js";

export const qedVariants: readonly Variant[] = [];
