import { explain } from "../util/explain.js";

/** Errors that one teller tells. */
const TOLD_LIMIT = 1000;

/** A damaged image may fail a million times, page by page: the same error is told once, and all in all not for ever. */
export function errorTeller(tell: (text: string) => void): (error: unknown) => void {
  let last = "";
  let told = 0;
  return (error) => {
    const text = explain(error);
    if (text === last || told > TOLD_LIMIT) return;
    last = text;
    told += 1;
    tell(told > TOLD_LIMIT ? "further errors are not written down" : text);
  };
}
