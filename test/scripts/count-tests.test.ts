// The closing line of scripts/test, and the status it ends with.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inTempDirectory } from "../support/temp.js";

type Status = "passed" | "failed" | "pending" | "todo";

const root = new URL("../../", import.meta.url).pathname;

/** A file of the report; one that could not be loaded has no tests. */
function file(name: string, ...statuses: Status[]): object {
  const loaded = statuses.length > 0;
  return {
    name: join(root, name),
    status: !loaded || statuses.includes("failed") ? "failed" : "passed",
    assertionResults: statuses.map((status, index) => ({ fullName: `test ${index}`, status })),
  };
}

function count(files: readonly object[] | undefined, { ci = false, steps = [] as string[] } = {}) {
  return inTempDirectory((directory) => {
    const report = join(directory, "report.json");
    writeFileSync(report, files ? JSON.stringify({ testResults: files }) : "");
    const env = { ...process.env, CI: ci ? "true" : "" };
    const { status, stdout, stderr } = spawnSync("node", ["scripts/count-tests.mjs", report, ...steps], {
      cwd: root,
      env,
      encoding: "utf8",
    });
    return { status, line: stdout, complaints: stderr };
  });
}

const passing = file("test/a.test.ts", "passed", "passed");

test("all passed", () => {
  expect(count([passing])).toEqual({ status: 0, line: "2 passed, 0 failed\n", complaints: "" });
});

test("skipped ones are told, and are no failure", () => {
  expect(count([passing, file("test/b.test.ts", "pending", "todo")])).toMatchObject({ status: 0, line: "2 passed, 0 failed, 2 skipped\n" });
});

test("a failed one fails the run", () => {
  expect(count([passing, file("test/b.test.ts", "failed", "passed")])).toMatchObject({ status: 1, line: "3 passed, 1 failed\n" });
});

test("a file that cannot be loaded counts as a failed test", () => {
  const result = count([passing, file("test/b.test.ts")]);
  expect(result).toMatchObject({ status: 1, line: "2 passed, 1 failed\n" });
  expect(result.complaints).toContain("test/b.test.ts could not be run");
});

test.each([
  ["no test ran", [file("test/b.test.ts", "pending")], "0 passed, 0 failed, 1 skipped\n"],
  ["the report cannot be read", undefined, "0 passed, 0 failed\n"],
])("%s: the run failed", (complaint, files, line) => {
  const result = count(files);
  expect(result).toMatchObject({ status: 1, line });
  expect(result.complaints).toContain(complaint);
});

test("a step that failed before fails the run", () => {
  const result = count([passing], { steps: ["check"] });
  expect(result).toMatchObject({ status: 1, line: "2 passed, 0 failed\n" });
  expect(result.complaints).toContain("failed: check");
});

test("in CI a run that mounted nothing failed", () => {
  expect(count([passing], { ci: true })).toMatchObject({ status: 1, line: "2 passed, 0 failed\n" });
  expect(count([passing, file("test/mount/m.test.ts", "passed")], { ci: true })).toMatchObject({ status: 0 });
});

test("in CI a skipped mount is a failure", () => {
  const files = [file("test/mount/m.test.ts", "passed", "pending")];
  expect(count(files, { ci: true })).toMatchObject({ status: 1, line: "1 passed, 0 failed, 1 skipped\n" });
  expect(count(files)).toMatchObject({ status: 0 });
});
