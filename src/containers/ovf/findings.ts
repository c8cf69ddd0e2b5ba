export type FindingKind =
  | "ok"
  | "digest differs"
  | "missing"
  | "unreadable"
  | "not listed"
  | "not checked"
  | "size differs"
  | "strange line"
  | "no manifest"
  | "signature ok"
  | "signature wrong"
  | "signature not checked"
  | "certificate expired"
  | "certificate not valid yet"
  | "wrong order"
  | "stored twice";

/** One thing that was found out about a file of the package. */
export interface Finding {
  readonly file: string;
  readonly kind: FindingKind;
  /** `error`: the package is not what it says. `warning`: others may refuse it, or something could not be told. */
  readonly severity: "ok" | "note" | "warning" | "error";
  /** What is the matter, to follow the file's name; no full stop. */
  readonly message: string;
}
