// A thread that serves: started by pool.ts.
import { launch } from "./launch.js";

launch("worker", __dirname);
