import { checkRange, type Source } from "./source.js";

/** The bytes of `parts`, one behind the other, under `name`. Closing it closes them. Nothing in it has a descriptor of its own. */
export function concatSource(name: string, parts: readonly Source[]): Source {
  const filled = parts.filter((part) => part.size > 0);
  const starts: number[] = [];
  let size = 0;
  for (const part of filled) {
    starts.push(size);
    size += part.size;
  }
  /** The part that holds `position`, which is below `size`, and where in it that is. */
  const find = (position: number): { part: Source; at: number } => {
    let low = 0;
    let high = filled.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return { part: filled[low] as Source, at: position - (starts[low] ?? 0) };
  };
  const source: Source = {
    name,
    size,
    read(target, position) {
      checkRange(source, target.length, position);
      for (let done = 0; done < target.length; ) {
        const { part, at } = find(position + done);
        const length = Math.min(target.length - done, part.size - at);
        part.read(target.subarray(done, done + length), at);
        done += length;
      }
    },
    ...(filled.some((part) => part.run) && {
      run(position: number) {
        const { part, at } = find(position);
        return part.run?.(at) ?? { data: true, length: part.size - at };
      },
    }),
    close() {
      for (const part of parts) part.close();
    },
  };
  return source;
}
