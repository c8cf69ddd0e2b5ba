import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";

/**
 * A fresh directory for the tests of one file or `describe`; it and all below it go when they are done.
 * It is there once tests run, not before: a `describe` whose tests are all skipped would never remove it.
 */
export function tempDirectory(): string {
  const directory = join(tmpdir(), `flatmount-test-${randomUUID()}`);
  beforeAll(() => {
    mkdirSync(directory, { mode: 0o700 });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A fresh directory below `parent`. */
export function subdirectory(parent: string): string {
  return mkdtempSync(join(parent, "d-"));
}

/** Calls `use` with a fresh directory that is gone when it returns. */
export function inTempDirectory<T>(use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "flatmount-test-"));
  try {
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
