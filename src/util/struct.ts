import { ImageError } from "./errors.js";

/** How one field is stored. `size` in bytes. */
export interface FieldType<T> {
  readonly size: number;
  get(view: DataView, at: number, little: boolean): T;
}

export const u8: FieldType<number> = { size: 1, get: (view, at) => view.getUint8(at) };
export const u16: FieldType<number> = { size: 2, get: (view, at, little) => view.getUint16(at, little) };
export const u32: FieldType<number> = { size: 4, get: (view, at, little) => view.getUint32(at, little) };

/** Refuses values over 2^53 - 1: no file is that large, and a Number could not hold it. */
export const u64: FieldType<number> = {
  size: 8,
  get(view, at, little) {
    const low = view.getUint32(little ? at : at + 4, little);
    const high = view.getUint32(little ? at + 4 : at, little);
    if (high > 0x1fffff) throw new RangeError(`the value 0x${high.toString(16)}${low.toString(16).padStart(8, "0")} is over 2^53`);
    return high * 2 ** 32 + low;
  },
};

/** For bit sets and values that may be all ones. */
export const big64: FieldType<bigint> = { size: 8, get: (view, at, little) => view.getBigUint64(at, little) };

/** A copy of `size` bytes. */
export function bytes(size: number): FieldType<Uint8Array> {
  return { size, get: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size).slice() };
}

/** Text padded with NUL bytes, taken as Latin-1 (signatures are ASCII). */
export function ascii(size: number): FieldType<string> {
  return {
    size,
    get(view, at) {
      const raw = Buffer.from(view.buffer, view.byteOffset + at, size);
      const end = raw.indexOf(0);
      return raw.toString("latin1", 0, end < 0 ? size : end);
    },
  };
}

type Fields = Readonly<Record<string, readonly [at: number, type: FieldType<unknown>]>>;
type Values<F extends Fields> = { readonly [K in keyof F]: F[K][1] extends FieldType<infer T> ? T : never };

/** A structure on disk: what `decode` gives has one property per field. */
export interface Struct<T> {
  readonly name: string;
  readonly size: number;
  /** Decodes the structure that starts at `at` of `data`; throws `TRUNCATED` if `data` ends inside it, `CORRUPT` if a value is out of any range. */
  decode(data: Uint8Array, at?: number): T;
}

/** Declares a structure field by field. Fails at once if fields overlap or leave the structure. */
export function struct<const F extends Fields>(name: string, endian: "little" | "big", size: number, fields: F): Struct<Values<F>> {
  const list = Object.entries(fields);
  checkLayout(name, size, fields);
  const little = endian === "little";
  return {
    name,
    size,
    decode(data, at = 0) {
      if (data.length < at + size) {
        throw new ImageError("TRUNCATED", `the ${name} needs ${size} bytes and ${Math.max(0, data.length - at)} are there`);
      }
      const view = new DataView(data.buffer, data.byteOffset + at, size);
      const values: Record<string, unknown> = {};
      for (const [key, [position, type]] of list) {
        try {
          values[key] = type.get(view, position, little);
        } catch (cause) {
          const reason = cause instanceof Error ? cause.message : String(cause);
          throw new ImageError("CORRUPT", `${name}, field ${key}: ${reason}`, { position, cause });
        }
      }
      return values as Values<F>;
    },
  };
}

function checkLayout(name: string, size: number, fields: Fields): void {
  let end = 0;
  for (const [key, [at, type]] of Object.entries(fields).toSorted(([, [a]], [, [b]]) => a - b)) {
    if (at < end) throw new Error(`${name}: field ${key} at ${at} overlaps the one before it`);
    end = at + type.size;
    if (end > size) throw new Error(`${name}: field ${key} leaves the structure of ${size} bytes`);
  }
}
