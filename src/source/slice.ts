import { checkRange, type Source } from "./source.js";

/** `size` bytes of `inner` from `position` on, under its name; the caller has checked that they lie in it. Closing it closes `inner`. */
export function sliceSource(inner: Source, position: number, size: number): Source {
  const { file, run, modified } = inner;
  const source: Source = {
    name: inner.name,
    size,
    read(target, at) {
      checkRange(source, target.length, at);
      inner.read(target, position + at);
    },
    ...(modified !== undefined && { modified }),
    ...(file && { file: { fd: file.fd, offset: file.offset + position } }),
    ...(run && {
      run(at: number) {
        const { data, length } = run(position + at);
        return { data, length: Math.min(length, size - at) };
      },
    }),
    close: () => inner.close(),
  };
  return source;
}
