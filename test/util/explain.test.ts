import { expect, test } from "vitest";
import { ImageError } from "../../src/util/errors.js";
import { explain, explainIn } from "../../src/util/explain.js";

test("a file is not named twice", () => {
  const error = new ImageError("TRUNCATED", "it ends here", { file: "a\nb.tar", position: 512 });
  expect(explainIn("a\nb.tar", error)).toBe("it ends here (at byte 0x200)");
  expect(explainIn("other.tar", error)).toBe(explain(error));
  expect(explainIn("a\nb.tar", new ImageError("CORRUPT", "it is damaged"))).toBe("it is damaged");
});
