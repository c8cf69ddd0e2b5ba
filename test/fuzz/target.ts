import type { Input } from "./input.js";
import type { Run } from "./run.js";

/** Makes checksums right again in a changed input, so that what stands behind them is reached. `data` may be written to. */
export type Repair = (input: Input) => void;

export interface Target {
  readonly name: string;
  /** What its coverage is counted in: paths from the top of the repository; folders end in a slash. */
  readonly scope: readonly string[];
  /** Executions begin with these. */
  seeds(): readonly Input[];
  readonly repair?: Repair | undefined;
  /** What else may be put into inputs, besides the constants of the scope. */
  readonly words?: readonly string[] | undefined;
  /** Bytes that an execution may ask for in all. */
  readonly memory?: number | undefined;
  /** Throws a `Problem`, or whatever the code under test throws that it should not. */
  execute(run: Run): void;
}
