// Reads an AsyncAPI document as the makers of the format do, and prints what they say of it.
//
// Called in the folder where the parser is installed, with the document's file.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Parser } = createRequire(`${process.cwd()}/`)("@asyncapi/parser");
const { diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const told = diagnostics.map(({ code, message, path }) => ({ code, message, path }));
console.log(JSON.stringify(told));
