import { checkRange, type Source } from "./source.js";

/** A window over another source: `size` bytes from `start` on. Closing it leaves the other open. */
export function sliceSource(whole: Source, start: number, size: number, name = whole.name): Source {
  checkRange(whole, size, start);
  const window: Source = {
    name,
    size,
    read(target, position) {
      checkRange(window, target.length, position);
      whole.read(target, start + position);
    },
    ...(whole.file && { file: { fd: whole.file.fd, offset: whole.file.offset + start } }),
    ...(whole.run && { run: (position: number) => whole.run?.(start + position) ?? { data: true, length: size - position } }),
    close: () => undefined,
  };
  return window;
}
