// Completions in the shells themselves: each is asked what it would offer.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { completionCommand } from "../../src/cli/commands/completion.js";
import { commandNames } from "../../src/cli/command-names.js";
import { everyCommand } from "../../src/cli/program.js";
import { node, program } from "../support/mount.js";
import { createImage, qemuImg, requireProgram } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";
import { failureOf, fakeIo, outputOf, run } from "./fake-io.js";

const directory = tempDirectory();
const scripts = { bash: join(directory, "flatmount.bash"), zsh: join(directory, "_flatmount"), fish: join(directory, "flatmount.fish") };
const create = (io: Parameters<typeof completionCommand>[0]) => completionCommand(io, () => everyCommand(io));

/** The shells call the program by its name. */
const environment = {
  ...process.env,
  PATH: `${directory}/bin:${process.env["PATH"] ?? ""}`,
  HOME: directory,
  XDG_RUNTIME_DIR: directory,
  TERM: "dumb",
};

beforeAll(async () => {
  for (const shell of ["bash", "zsh", "fish"] as const) writeFileSync(scripts[shell], await outputOf(create, shell));
  mkdirSync(join(directory, "bin"));
  writeFileSync(join(directory, "bin/flatmount"), `#!/bin/sh\nexec ${node} ${program} "$@"\n`);
  chmodSync(join(directory, "bin/flatmount"), 0o755);
  mkdirSync(join(directory, "work/some folder"), { recursive: true });
  createImage(join(directory, "work/disk one.qcow2"), 2 ** 20);
  for (const name of ["before upgrade", "after"]) qemuImg("snapshot", "-c", name, join(directory, "work/disk one.qcow2"));
});

function ask(command: string, words: readonly string[]): readonly string[] {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: join(directory, "work"), env: environment, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return stdout.split("\n").filter((line) => line !== "");
}

const bash = (...words: readonly string[]) =>
  ask("bash", [
    "--norc",
    "-c",
    `. ${scripts.bash}; COMP_WORDS=(flatmount "$@"); COMP_CWORD=$#; _flatmount; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    ...words,
  ]);

/** What fish offers, without its descriptions. */
const fish = (line: string) =>
  ask("fish", ["--no-config", "-c", `source ${scripts.fish}; complete -C ${JSON.stringify(line)}`]).map((each) => each.split("\t")[0]);

describe.skipIf(!requireProgram("qemu-img"))("completions", () => {
  test("bash: commands, and images, for the first word", () => {
    expect(bash("ch")).toEqual(["check"]);
    expect(bash("un")).toEqual(["unmount"]);
    expect(bash("di")).toEqual(["diff", "disk one.qcow2"]);
    for (const name of commandNames) expect(bash(name)).toContain(name);
  });

  test("bash: options and their values", () => {
    expect(bash("check", "--deg")).toEqual(["--degraded"]);
    expect(bash("mount", "--transport", "dev")).toEqual(["devfuse"]);
    expect(bash("info", "--format", "qc").toSorted()).toEqual(["qcow", "qcow2"]);
    expect(bash("info", "--search", "so")).toEqual(["some folder"]);
    expect(bash("info", "--json", "di")).toEqual(["disk one.qcow2"]);
    expect(bash("completion", "z")).toEqual(["zsh"]);
  });

  test("bash: snapshots of the image on the line", () => {
    expect(bash("info", "disk one.qcow2", "--snapshot", "be")).toEqual(["before\\ upgrade"]);
    expect(bash("diff", "disk one.qcow2", "").toSorted()).toEqual(["after", "before\\ upgrade"]);
    expect(bash("diff", "nothing.qcow2", "")).toEqual([]);
  });

  test.skipIf(!requireProgram("fish"))("fish: commands, options, values, snapshots", () => {
    expect(fish("flatmount chec")).toEqual(["check"]);
    expect(fish("flatmount check --deg")).toEqual(["--degraded"]);
    expect(fish("flatmount mount --transport dev")).toContain("devfuse");
    expect(fish("flatmount diff 'disk one.qcow2' bef")).toContain("before upgrade");
  });

  test.skipIf(!requireProgram("zsh"))("zsh: commands, options, values, snapshots", () => {
    expect(zsh("flatmount chec")).toContain("flatmount check ");
    expect(zsh("flatmount check --degr")).toContain("flatmount check --degraded ");
    expect(zsh("flatmount mount --transport dev")).toContain("flatmount mount --transport devfuse ");
    expect(zsh("flatmount diff disk\\ one.qcow2 bef")).toContain("before\\ upgrade");
  });

  test("a shell that is not known, or none", async () => {
    expect(String(await failureOf(create, "tcsh"))).toContain('"tcsh" is no shell that is known');
    expect(String(await failureOf(create))).toContain("which shell?");
  });

  test("candidates: a word in each line, nothing for an image that is none", async () => {
    const io = fakeIo();
    await run(create(io), ["--candidates", "snapshot", join(directory, "work/disk one.qcow2")], io);
    expect(io.text()).toBe("before upgrade\nafter\n");
    expect(await outputOf(create, "--candidates", "snapshot", directory)).toBe("");
    expect(await outputOf(create, "--candidates", "command")).toBe(`${commandNames.join("\n")}\n`);
  });
});

/** What zsh's editor makes of a line when Tab is pressed: only there do its completions run. */
function zsh(line: string): string {
  const set = [
    `fpath=(${directory} $fpath); autoload -U compinit; compinit -u -D`,
    `show() { zle complete-word; print -r -- "<<$BUFFER>>"; }; zle -N show; bindkey '^I' show; echo rea''dy`,
  ].join("; ");
  const script = `
    zmodload zsh/zpty
    read_until() {
      out=
      for i in {1..200}; do
        while zpty -rt shell piece 2>/dev/null; do out+=$piece; done
        [[ $out == *$~1* ]] && return
        sleep 0.05
      done
    }
    zpty -b shell "zsh -f -i"
    zpty -w shell "$1"
    read_until ready
    zpty -wn shell "$2"$'\\t'
    read_until '<<*>>'
    print -r -- $out
    zpty -d shell`;
  return ask("zsh", ["-f", "-c", script, "zsh", set, line]).join("\n");
}
