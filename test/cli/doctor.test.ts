import { release } from "node:os";
import { describe, expect, test } from "vitest";
import { doctorCommand } from "../../src/cli/commands/doctor.js";
import { type Diagnosis, diagnose } from "../../src/cli/doctor/checks.js";
import { lookAround, type Machine } from "../../src/cli/doctor/machine.js";
import { fusermountProgram } from "../../src/fuse/fusermount.js";
import { binding } from "../../src/native/binding.js";
import { UserError } from "../../src/util/errors.js";
import { fakeIo, run } from "./fake-io.js";

/** An ordinary user's well-kept Linux. */
const good: Machine = {
  platform: "linux",
  node: "20.19.0",
  kernel: "6.12.9-amd64",
  addon: "loaded",
  fuseNative: true,
  root: false,
  mayMount: true,
  noNewPrivileges: false,
  fuse: "usable",
  loopControl: "usable",
  fusermount3: { path: "/usr/bin/fusermount3", setuid: true },
  fusermount: { path: "/usr/bin/fusermount", setuid: true },
  userAllowOther: true,
  erofs: true,
  landlock: 7,
  macFuse: false,
};

const noHelper = { fusermount3: undefined, fusermount: undefined };
const notSetuid = { path: "/usr/bin/fusermount3", setuid: false };

/** `what` of every check with this status. */
function having(status: "missing" | "note", { checks }: Diagnosis): string[] {
  // These have tests of their own.
  const others = ["passthrough", "confinement"];
  return checks.filter((check) => check.status === status && !others.includes(check.what)).map(({ what }) => what);
}

interface Case {
  readonly name: string;
  readonly machine: Partial<Machine>;
  readonly transports: readonly string[];
  readonly missing?: readonly string[];
  readonly notes?: readonly string[];
}

const cases: readonly Case[] = [
  { name: "all is there", machine: {}, transports: ["devfuse", "libfuse"] },
  { name: "root needs no helper", machine: { root: true, ...noHelper }, transports: ["devfuse", "libfuse"], notes: ["fusermount3"] },
  { name: "no /dev/fuse", machine: { fuse: "ENOENT" }, transports: [], missing: ["/dev/fuse"] },
  { name: "no FUSE in the kernel", machine: { root: true, fuse: "ENODEV" }, transports: [], missing: ["/dev/fuse"] },
  { name: "a container without the device", machine: { root: true, fuse: "EPERM" }, transports: [], missing: ["/dev/fuse"] },
  { name: "a container that may not mount", machine: { root: true, mayMount: false }, transports: [], missing: ["right to mount"] },
  { name: "a user in such a container", machine: { mayMount: false }, transports: [], missing: ["right to mount"] },
  { name: "a device for root only", machine: { fuse: "EACCES" }, transports: [], missing: ["/dev/fuse"] },
  { name: "no helper", machine: noHelper, transports: [], missing: ["fusermount3"], notes: ["libfuse"] },
  {
    name: "a helper without setuid",
    machine: { ...noHelper, fusermount3: notSetuid },
    transports: [],
    missing: ["fusermount3"],
    notes: ["libfuse"],
  },
  { name: "only fusermount3", machine: { fusermount: undefined }, transports: ["devfuse"], notes: ["libfuse"] },
  { name: "only libfuse 2's helper", machine: { fusermount3: undefined }, transports: ["devfuse", "libfuse"] },
  { name: "a sandbox without new privileges", machine: { noNewPrivileges: true }, transports: [], missing: ["right to mount"] },
  { name: "root in such a sandbox", machine: { root: true, noNewPrivileges: true }, transports: ["devfuse", "libfuse"] },
  { name: "no addon", machine: { addon: "missing" }, transports: ["libfuse"], missing: ["native addon"] },
  { name: "a broken addon", machine: { addon: { failure: "wrong ELF class" } }, transports: ["libfuse"], missing: ["native addon"] },
  {
    name: "no addon and no fuse-native",
    machine: { addon: "missing", fuseNative: false },
    transports: [],
    missing: ["native addon"],
    notes: ["libfuse"],
  },
  { name: "no fuse-native", machine: { fuseNative: false }, transports: ["devfuse"], notes: ["libfuse"] },
  { name: "no user_allow_other", machine: { userAllowOther: false }, transports: ["devfuse", "libfuse"], notes: ["user_allow_other"] },
  { name: "no loop devices", machine: { loopControl: "ENOENT" }, transports: ["devfuse", "libfuse"], notes: ["loop devices"] },
  { name: "an old Node", machine: { node: "20.18.3" }, transports: ["devfuse", "libfuse"], missing: ["Node.js"] },
  { name: "a newer Node", machine: { node: "24.0.0" }, transports: ["devfuse", "libfuse"] },
  { name: "an old kernel", machine: { kernel: "4.19.0-27-amd64" }, transports: ["devfuse", "libfuse"], notes: ["kernel"] },
  { name: "macOS with macFUSE", machine: { platform: "darwin", addon: "missing", macFuse: true }, transports: ["libfuse"] },
  { name: "macOS without", machine: { platform: "darwin", addon: "missing" }, transports: [], missing: ["macFUSE"] },
];

describe("passthrough", () => {
  const root = { root: true, kernel: "6.18.1" };
  test.each([
    ["an ordinary user", {}, "note", /for root only/],
    ["root", root, "ok", /by the kernel alone/],
    ["no addon", { ...root, addon: "missing" }, "note", /without the addon/],
    ["a kernel without it", { ...root, kernel: "6.1.0" }, "note", /it takes Linux 6.9/],
    ["a kernel with half of it", { ...root, kernel: "6.12.9" }, "note", /raw images only: others take Linux 6.18/],
    ["no EROFS", { ...root, erofs: false }, "note", /unless the kernel has EROFS/],
  ] as const)("%s", (_, machine, status, detail) => {
    const check = diagnose({ ...good, ...machine }).checks.find(({ what }) => what === "passthrough");
    expect(check).toMatchObject({ status, detail: expect.stringMatching(detail) as string });
  });
});

describe("doctor", () => {
  test.each(cases)("$name", ({ machine, transports, missing = [], notes = [] }) => {
    const diagnosis = diagnose({ ...good, ...machine });
    expect(diagnosis.transports).toEqual(transports);
    expect(having("missing", diagnosis)).toEqual(missing);
    expect(having("note", diagnosis)).toEqual(notes);
    for (const { status, what, hint } of diagnosis.checks) if (status === "missing") expect(hint, what).toBeDefined();
  });

  test("as text", async () => {
    const io = fakeIo();
    await run(
      doctorCommand(io, () => Promise.resolve({ ...good, userAllowOther: false })),
      [],
    );
    const lines = io.text().split("\n");
    expect(lines[0]).toBe("ok       Node.js           20.19.0");
    expect(lines).toContain("note     user_allow_other  not set in /etc/fuse.conf; only root can use --allow-other");
    expect(lines).toContain('         hint: Run "echo user_allow_other >> /etc/fuse.conf" as root.');
    expect(lines.at(-2)).toBe("Images can be mounted here (devfuse, libfuse).");
  });

  test("in colour, where that is welcome", async () => {
    const io = fakeIo({ color: true });
    await run(
      doctorCommand(io, () => Promise.resolve(good)),
      [],
    );
    expect(io.text()).toContain("\x1b[32mok     \x1b[39m  Node.js");
  });

  test("fails where nothing can be mounted, after it has told why", async () => {
    const io = fakeIo();
    const machine = { ...good, fuse: "ENOENT" };
    await expect(
      run(
        doctorCommand(io, () => Promise.resolve(machine)),
        [],
      ),
    ).rejects.toBeInstanceOf(UserError);
    expect(io.text()).toMatch(
      /^missing {2}\/dev\/fuse +it does not exist\n +hint: Run "modprobe fuse" as root\. In a container: .*--device \/dev\/fuse/m,
    );
    expect(io.text()).not.toContain("Images can be mounted");
    const json = fakeIo();
    await expect(
      run(
        doctorCommand(json, () => Promise.resolve(machine)),
        ["--json"],
      ),
    ).rejects.toBeInstanceOf(UserError);
    expect(JSON.parse(json.text())).toMatchObject({ transports: [] });
  });

  test("what makes an addon fail cannot steer the terminal", async () => {
    const io = fakeIo();
    await run(
      doctorCommand(io, () => Promise.resolve({ ...good, addon: { failure: "\x1b[2J\nbroken" } })),
      [],
    );
    expect(io.text()).toContain("cannot be loaded: \\x1b[2J\\x0abroken");
  });

  test("--json", async () => {
    const io = fakeIo();
    await run(
      doctorCommand(io, () => Promise.resolve(good)),
      ["--json"],
    );
    const found = JSON.parse(io.text()) as Diagnosis;
    expect(found).toEqual(diagnose(good));
    expect(found.checks[0]).toEqual({ status: "ok", what: "Node.js", detail: "20.19.0" });
  });
});

test.each([
  { machine: {}, status: "ok", detail: /other than the image's, and the network \(Landlock 7\)$/ },
  { machine: { landlock: 1 }, status: "ok", detail: /other than the image's \(Landlock 1\)$/ },
  { machine: { landlock: 0 }, status: "note", detail: /the kernel has no Landlock/ },
  { machine: { landlock: 0, addon: "missing" as const }, status: "note", detail: /without the addon$/ },
])("what a daemon gives up: $machine", ({ machine, status, detail }) => {
  const check = diagnose({ ...good, ...machine }).checks.find(({ what }) => what === "confinement");
  expect(check).toMatchObject({ status, detail: expect.stringMatching(detail) });
});

test.runIf(process.platform === "linux")("this machine is looked at", async () => {
  const machine = await lookAround();
  expect(machine).toMatchObject({
    platform: "linux",
    node: process.versions.node,
    kernel: release(),
    addon: binding ? "loaded" : "missing",
    root: process.geteuid?.() === 0,
  });
  expect((machine.fusermount3 ?? machine.fusermount)?.path).toBe(fusermountProgram());
  expect(machine.fuse).toMatch(/^(usable|E[A-Z]+)$/);
  expect(diagnose(machine).checks).toHaveLength(11);
});
