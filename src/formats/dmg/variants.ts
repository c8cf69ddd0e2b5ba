import type { Variant } from "../driver.js";

export const dmgVariants: readonly Variant[] = [];
