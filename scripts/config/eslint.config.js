import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const root = new URL("../..", import.meta.url).pathname;

/** What asks for more types than `JSON.parse` gives. */
const typedOnly = [
  "no-unsafe-argument",
  "no-unsafe-assignment",
  "no-unsafe-call",
  "no-unsafe-member-access",
  "no-unsafe-return",
  "restrict-plus-operands",
];

/** What reads images depends on nothing but its arguments, and says nothing: any command, and any thread, can use it. */
const readers = ["formats", "containers", "source", "disk", "tree", "picture"].map((folder) => `src/${folder}/**/*.ts`);

export default defineConfig(
  {
    basePath: root,
    files: ["src/**/*.ts", "test/**/*.ts", "scripts/**/*.{ts,js,cjs,mjs}"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: ["tsconfig.json", "scripts/config/tsconfig.scripts.json"], tsconfigRootDir: root },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-template-curly-in-string": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // Numbers are what our messages are made of.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `!` marks an index that the lines before have bounded; a branch there could never be taken.
      "@typescript-eslint/no-non-null-assertion": "off",
      // A handler in one line reads better without braces.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Objects here are made by functions and hold no `this`, so their methods can be taken out of them.
      "@typescript-eslint/unbound-method": "off",
      // An `async` function that waits for nothing still turns what it throws into a rejection.
      "@typescript-eslint/require-await": "off",
      // A callback names what it gets, also what it does not need, so that the next argument is the right one.
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", destructuredArrayIgnorePattern: "^_" }],
    },
  },
  {
    // What `JSON.parse` gives is taken apart where it is used. A wrong guess fails the test, or the script, at once.
    basePath: root,
    files: ["test/**/*.ts", "scripts/**/*.{js,cjs,mjs}"],
    rules: Object.fromEntries(typedOnly.map((name) => [`@typescript-eslint/${name}`, /** @type {const} */ ("off")])),
  },
  {
    basePath: root,
    files: ["src/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "A thing has one name everywhere: export it by its name." },
        { selector: "ExportAllDeclaration", message: "No barrel files: import from where it is." },
      ],
    },
  },
  {
    basePath: root,
    files: readers,
    rules: {
      "no-restricted-globals": [
        "error",
        ...["process", "console"].map((name) => ({ name, message: "Readers of images neither print nor look around." })),
      ],
      "no-restricted-properties": [
        "error",
        ...["process", "console"].map((property) => ({
          object: "globalThis",
          property,
          message: "Readers of images neither print nor look around.",
        })),
      ],
      "no-restricted-imports": ["error", { paths: ["process", "node:process", "console", "node:console"] }],
    },
  },
);
