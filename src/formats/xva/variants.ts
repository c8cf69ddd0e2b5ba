import type { Variant } from "../driver.js";

export const xvaVariants: readonly Variant[] = [];
