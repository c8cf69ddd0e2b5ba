import { checkRange, type Source } from "./source.js";

/** Bytes already in memory. */
export function memorySource(name: string, content: Uint8Array): Source {
  const source: Source = {
    name,
    size: content.length,
    read(target, position) {
      checkRange(source, target.length, position);
      target.set(content.subarray(position, position + target.length));
    },
    close: () => undefined,
  };
  return source;
}
