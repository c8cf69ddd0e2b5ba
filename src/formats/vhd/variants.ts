import type { Variant } from "../driver.js";

export const vhdVariants: readonly Variant[] = [];
