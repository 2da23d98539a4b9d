// Tries numbers until the SHA-256 of salt and number is the challenge. Written out here, for a page that is shown over plain
// http has no crypto.subtle, and asking that for one hash at a time takes ten times as long.
"use strict";
const root = (n, power) => ((Math.pow(n, power) % 1) * 4294967296) | 0;
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const K = Int32Array.from(primes, (p) => root(p, 1 / 3));
const START = Int32Array.from(primes.slice(0, 8), (p) => root(p, 1 / 2));
const turn = (x, by) => (x >>> by) | (x << (32 - by));
const words = new Int32Array(64);

// The hash of an ASCII text as eight words.
function hash(text) {
  const state = START.slice();
  const blocks = Math.ceil((text.length + 9) / 64);
  for (let block = 0; block < blocks; block++) {
    words.fill(0, 0, 16);
    for (let at = 0; at < 64; at++) {
      const place = block * 64 + at;
      const code = place < text.length ? text.charCodeAt(place) : place === text.length ? 128 : 0;
      words[at >> 2] |= code << (24 - (at & 3) * 8);
    }
    if (block === blocks - 1) words[15] = text.length * 8;
    for (let at = 16; at < 64; at++) {
      const a = words[at - 15], b = words[at - 2];
      words[at] = (words[at - 16] + words[at - 7] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let at = 0; at < 64; at++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[at] + words[at]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((value, at) => { state[at] = (state[at] + value) | 0; });
  }
  return state;
}

onmessage = (event) => {
  const puzzle = JSON.parse(event.data);
  const wanted = Int32Array.from(puzzle.challenge.match(/.{8}/g), (part) => parseInt(part, 16) | 0);
  for (let number = 0; number <= puzzle.maxnumber; number++) {
    const found = hash(puzzle.salt + number);
    if (found[0] === wanted[0] && found.every((word, at) => word === wanted[at])) {
      const { algorithm, challenge, salt, signature } = puzzle;
      postMessage(btoa(JSON.stringify({ algorithm, challenge, number, salt, signature })));
      return;
    }
  }
  postMessage("");
};
