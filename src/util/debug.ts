import { createRequire } from "node:module";
import type createDebug from "debug";

/** A diagnostic channel, silent unless `DEBUG=flatmount:*` asks for it. The package is loaded only then: every command would wait for it. */
export function debug(area: string): (format: string, ...values: readonly unknown[]) => void {
  if (!process.env["DEBUG"]) return () => undefined;
  const create = createRequire(import.meta.url)("debug") as typeof createDebug;
  return create(`flatmount:${area}`);
}
