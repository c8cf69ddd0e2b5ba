// A thread that converts: started by src/convert/threads.ts.
import { launch } from "./launch.js";

launch("copier", __dirname);
