import type { Variant } from "../driver.js";

export const vhdxVariants: readonly Variant[] = [];
