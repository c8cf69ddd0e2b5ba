/** Where a command's words go. Tests pass one that collects them. */
export interface Io {
  /** Writes all of `content` to standard output before it returns: bytes may be used again afterwards. Throws `OutputClosed` if nobody reads any more. */
  out(content: string | Uint8Array): void;
  /** The same to standard error. */
  err(text: string): void;
  /** Whether a person looks at standard output, rather than a program or a file. */
  readonly terminal: boolean;
  /** How it is told how far a long step is: with a bar for people, in lines of JSON for programs (`--json-progress`), or not at all. */
  progress: "bar" | "lines" | "none";
  /** Whether colours are welcome. */
  readonly color: boolean;
  /** Characters that fit into a line. */
  readonly columns: number;
}
