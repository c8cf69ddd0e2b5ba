/** How far a check is, in bytes of all that is to be read. */
export type CheckProgress = (step: { readonly file: string; readonly done: number; readonly size: number }) => void;

/** One thing that a check found out. */
export interface Finding {
  /** What it is about: a file of the container, or the image. */
  readonly file: string;
  /** Short and always the same for the same matter, such as `digest differs`. */
  readonly kind: string;
  /** `error`: it is damaged, or not what it says. `warning`: others may refuse it, or something could not be told. */
  readonly severity: "ok" | "note" | "warning" | "error";
  /** What is the matter, to follow the file's name; no full stop. */
  readonly message: string;
  /** Byte position in the file that is wrong, where there is one. */
  readonly position?: number | undefined;
  /** How many things of this kind it stands for; 1 where it is absent. */
  readonly count?: number | undefined;
  /** The bytes of the flat disk that it is about. */
  readonly range?: { readonly start: number; readonly length: number } | undefined;
}
