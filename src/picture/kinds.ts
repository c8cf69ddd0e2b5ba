/** How bytes of a disk are stored, as `map` calls it. In the order in which a legend has them. */
export const kinds = ["data", "compressed", "zero", "absent", "damaged"] as const;

export type Kind = (typeof kinds)[number];

/** What a kind means, for people. */
export const meanings: Readonly<Record<Kind, string>> = {
  data: "stored plainly",
  compressed: "stored encoded",
  zero: "zeros, because an image says so",
  absent: "zeros, because no image has it",
  damaged: "cannot be read",
};

export interface Palette {
  readonly paper: string;
  readonly panel: string;
  readonly ink: string;
  /** Text of less weight; like `ink` it has a contrast of more than 4.5 on `paper` and on `panel`. */
  readonly faint: string;
  readonly line: string;
  /** What marks the place that is pointed at. */
  readonly mark: string;
  readonly kinds: Readonly<Record<Kind, string>>;
}

/**
 * Blue, orange and red of the set of Okabe and Ito (2008), which people tell apart whatever kind of colour vision they have.
 * They differ in lightness, too, and every kind but plain data has a pattern.
 */
export const light: Palette = {
  paper: "#ffffff",
  panel: "#f4f6f8",
  ink: "#1b2027",
  faint: "#525c68",
  line: "#c3cbd4",
  mark: "#a3006d",
  kinds: { data: "#0072b2", compressed: "#e69f00", zero: "#b9c3cd", absent: "#edf0f3", damaged: "#c8321f" },
};

export const dark: Palette = {
  paper: "#10151b",
  panel: "#19212a",
  ink: "#e8edf2",
  faint: "#a5b0bc",
  line: "#3b4754",
  mark: "#ff8fd0",
  kinds: { data: "#3f9fdc", compressed: "#f0b53a", zero: "#586675", absent: "#1d2630", damaged: "#ff6a55" },
};
