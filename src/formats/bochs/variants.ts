import type { Variant } from "../driver.js";

export const bochsVariants: readonly Variant[] = [];
