/** Where a command's words go. Tests pass one that collects them. */
export interface Io {
  /** Writes all of `content` to standard output before it returns: bytes may be used again afterwards. Throws `OutputClosed` if nobody reads any more. */
  out(content: string | Uint8Array): void;
  /** The same to standard error. */
  err(text: string): void;
  /** Whether a person looks at standard output, rather than a program or a file. */
  readonly terminal: boolean;
  /** The same of standard error. */
  readonly errTerminal: boolean;
  /** Whether colours are welcome. */
  readonly color: boolean;
  /** Characters that fit into a line. */
  readonly columns: number;
}
