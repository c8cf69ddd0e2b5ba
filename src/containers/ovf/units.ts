// Units of sizes. Reference: DMTF DSP0004, annex "Programmatic Units"; the names are those of OVF 0.9 and of programs that kept them.

const powers: Readonly<Record<string, number>> = {
  "": 0,
  k: 1,
  kilo: 1,
  kibi: 1,
  ki: 1,
  m: 2,
  mega: 2,
  mebi: 2,
  mi: 2,
  g: 3,
  giga: 3,
  gibi: 3,
  gi: 3,
  t: 4,
  tera: 4,
  tebi: 4,
  ti: 4,
};

/** Bytes in one unit, such as `byte * 2^30` or `MegaBytes` (2^20); undefined for what is no unit of sizes. */
export function bytesPerUnit(unit: string): number | undefined {
  const text = unit.toLowerCase().replace(/\s+/g, "");
  const named = /^([a-z]*?)b(?:ytes?)?$/.exec(text)?.[1];
  if (named !== undefined && powers[named] !== undefined) return 1024 ** powers[named];
  const factors = /^bytes?((?:\*\d{1,16}(?:\^\d{1,2})?){1,4})$/.exec(text)?.[1];
  if (factors === undefined) return undefined;
  const product = factors
    .slice(1)
    .split("*")
    .reduce((value, factor) => {
      const [base, exponent = "1"] = factor.split("^");
      return value * Number(base) ** Number(exponent);
    }, 1);
  return Number.isSafeInteger(product) && product > 0 ? product : undefined;
}

/** `quantity` units in bytes; undefined if that is no whole number below 2^53. */
export function inBytes(quantity: string | undefined, unit: number | undefined): number | undefined {
  if (quantity === undefined || unit === undefined || !/^\d{1,17}(\.\d{1,9})?$/.test(quantity)) return undefined;
  const bytes = Math.round(Number(quantity) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
