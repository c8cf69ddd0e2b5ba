import { inflateZlib } from "../../native/unpack.js";
import { unpackXz } from "../xz.js";
import { unpackAdc } from "./adc.js";
import { unpackBzip2 } from "../bzip2.js";
import { entryTypes } from "./layout.js";
import { unpackLzfse } from "./lzfse.js";

export interface Decoder {
  /** As people know it. */
  readonly name: string;
  /** What Apple's tools call an image of such chunks. */
  readonly imageFormat: string;
  /** Fills `target`: true if `packed` gives as many bytes. */
  unpack(packed: Buffer, target: Uint8Array): boolean;
}

const decoders: ReadonlyMap<number, Decoder> = new Map([
  [entryTypes.adc, { name: "ADC", imageFormat: "UDCO", unpack: unpackAdc }],
  [entryTypes.zlib, { name: "zlib", imageFormat: "UDZO", unpack: inflateZlib }],
  [entryTypes.bzip2, { name: "bzip2", imageFormat: "UDBZ", unpack: unpackBzip2 }],
  [entryTypes.lzfse, { name: "LZFSE", imageFormat: "ULFO", unpack: unpackLzfse }],
  [entryTypes.lzma, { name: "LZMA", imageFormat: "ULMO", unpack: unpackXz }],
]);

/** The decoder for entries of `type`; undefined for those that are not compressed, or not known. */
export function decoderOf(type: number): Decoder | undefined {
  return decoders.get(type);
}
