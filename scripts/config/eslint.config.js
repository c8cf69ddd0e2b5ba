import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const root = new URL("../..", import.meta.url).pathname;

export default defineConfig(
  {
    basePath: root,
    files: ["src/**/*.ts", "test/**/*.ts", "scripts/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: `${root}tsconfig.json`, tsconfigRootDir: root } },
    rules: {
      "no-template-curly-in-string": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // Numbers are what our messages are made of.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `!` marks an index that the line before has bounded; `noUncheckedIndexedAccess` would cost a branch there.
      "@typescript-eslint/no-non-null-assertion": "off",
      // A handler in one line reads better without braces.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // TypeScript's own `noPropertyAccessFromIndexSignature` asks for the brackets.
      "@typescript-eslint/dot-notation": "off",
      // An errno or opcode of a table is compared with numbers from a file.
      "@typescript-eslint/no-unsafe-enum-comparison": "off",
    },
  },
  {
    basePath: root,
    files: ["src/formats/**/*.ts", "src/containers/**/*.ts", "src/source/**/*.ts", "src/disk/**/*.ts", "src/tree/**/*.ts"],
    rules: {
      "no-restricted-globals": ["error", ...["process", "console"].map((name) => ({ name, message: "Readers of images neither print nor look around." }))],
      "no-restricted-imports": ["error", { paths: ["process", "node:process", "console", "node:console"] }],
    },
  },
  {
    basePath: root,
    files: ["test/**/*.ts"],
    rules: {
      // Test data is built where it is used.
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
);
