// Pure: a safety number as a QR code (ISO/IEC 18004), so that a camera can read it.
//
// Sixty digits always fit version 2 with error correction level M, so that is all this makes.

/** Modules on each side of version 2. */
export const SIDE = 25;
/** Data and error correction codewords of 2-M, all in one block. */
const DATA = 28;
const CHECK = 16;
/** The most digits that fit: a mode and a count of 14 bits, and ten bits for three digits. */
export const DIGITS_MAX = 63;
/** Level M and mask 0 with their BCH code, as table C.1 has them. */
const FORMAT = 0b101010000010010;

/** Mode, count, and groups of three digits; then padding to the end. */
function codewords(digits) {
  const bits = [];
  const put = (value, length) => {
    for (let i = length - 1; i >= 0; i -= 1) bits.push((value >> i) & 1);
  };
  put(0b0001, 4);
  put(digits.length, 10);
  for (const group of digits.match(/.{1,3}/gu)) put(Number(group), [4, 7, 10][group.length - 1]);
  put(0, Math.min(4, DATA * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const words = [];
  for (let i = 0; i < bits.length; i += 8) words.push(Number.parseInt(bits.slice(i, i + 8).join(""), 2));
  for (let i = 0; words.length < DATA; i += 1) words.push(i % 2 ? 0x11 : 0xec);
  return words;
}

/** Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function times(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i -= 1) {
    product = (product << 1) ^ (product >> 7 ? 0x11d : 0);
    if ((b >> i) & 1) product ^= a;
  }
  return product;
}

/** What is left of the data after division by the generator polynomial: Reed-Solomon. */
function check(words) {
  let generator = [1];
  for (let i = 0, root = 1; i < CHECK; i += 1, root = times(root, 2)) {
    const shifted = [...generator, 0];
    generator = shifted.map((value, at) => value ^ (at ? times(generator[at - 1], root) : 0));
  }
  const rest = [...words, ...Array(CHECK).fill(0)];
  for (let i = 0; i < words.length; i += 1) {
    const factor = rest[i];
    generator.forEach((value, at) => { rest[i + at] ^= times(value, factor); });
  }
  return rest.slice(words.length);
}

/** Rows of modules, dark ones true, of up to [`DIGITS_MAX`] digits. */
export function qr(digits) {
  const grid = Array.from({ length: SIDE }, () => Array(SIDE).fill(null));
  const set = (x, y, dark) => { grid[y][x] = Boolean(dark); };
  const square = (cx, cy, rings, from) => {
    for (let dy = -rings; dy <= rings; dy += 1) {
      for (let dx = -rings; dx <= rings; dx += 1) {
        const [x, y] = [cx + dx, cy + dy];
        if (x >= 0 && y >= 0 && x < SIDE && y < SIDE) set(x, y, !from.includes(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  };
  for (let i = 0; i < SIDE; i += 1) {
    set(i, 6, i % 2 === 0);
    set(6, i, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [SIDE - 4, 3], [3, SIDE - 4]]) square(x, y, 4, [2, 4]);
  square(18, 18, 2, [1]);
  for (let i = 0; i < 15; i += 1) {
    const dark = (FORMAT >> i) & 1;
    // Once around the first corner, leaving out the timing lines, and once beside the others.
    if (i < 8) set(8, i < 6 ? i : i + 1, dark);
    else set(i === 8 ? 7 : 14 - i, 8, dark);
    if (i < 8) set(SIDE - 1 - i, 8, dark);
    else set(8, SIDE - 15 + i, dark);
  }
  set(8, SIDE - 8, true);
  const words = codewords(digits);
  const bits = [...words, ...check(words)].flatMap((word) => [7, 6, 5, 4, 3, 2, 1, 0].map((i) => (word >> i) & 1));
  let next = 0;
  for (let right = SIDE - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right -= 1;
    for (let i = 0; i < SIDE; i += 1) {
      const y = up ? SIDE - 1 - i : i;
      for (const x of [right, right - 1]) {
        if (grid[y][x] === null) {
          // Mask 0 inverts a chessboard.
          set(x, y, (bits[next] ?? 0) ^ Number((x + y) % 2 === 0));
          next += 1;
        }
      }
    }
  }
  return grid;
}

/** The dark modules as the path of an SVG whose units are modules. */
export const qrPath = (digits) => qr(digits).flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
