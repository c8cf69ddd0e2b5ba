import { describeTransport } from "./conformance.js";

const always = { title: "every read answered by the server", options: ["--no-passthrough"] };

describeTransport({ transport: "devfuse", always, seeksHoles: true, mountsOnFiles: true, timeStep: 1 });
