import type { Variant } from "../driver.js";

export const cloopVariants: readonly Variant[] = [];
