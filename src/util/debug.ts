import createDebug from "debug";

/** A diagnostic channel, off unless `DEBUG=flatmount:*` (or the daemon's log) asks for it. */
export function debug(area: string): createDebug.Debugger {
  return createDebug(`flatmount:${area}`);
}
