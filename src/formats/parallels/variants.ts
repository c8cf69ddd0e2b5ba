import type { Variant } from "../driver.js";

export const parallelsVariants: readonly Variant[] = [];
