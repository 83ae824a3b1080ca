// Encrypts a key as a page of Multicam does: node encrypt.js base64|hex PUBLIC_KEY, the key on standard input.
"use strict";
const { readFileSync } = require("node:fs");
const JSEncrypt = require("jsencrypt");

const [form, publicKey] = process.argv.slice(2);
const encrypt = new JSEncrypt();
encrypt.setPublicKey(publicKey);
const key = readFileSync(0, "utf8");
const sealed = form === "hex" ? encrypt.getKey().encrypt(key) : encrypt.encrypt(key);
if (!sealed) throw new Error("JSEncrypt does not encrypt this");
process.stdout.write(sealed);
