/**
 * A set of unique identifiers that keeps sixteen octets for each and not the text: a mailbox of 50,000 messages is
 * remembered for the length of a run, in little more than a megabyte. Two texts that look the same to it are one in
 * 2^64; the worst that comes of it is a message that is not looked at.
 */
export class UidSet {
  private cells = new Uint32Array(2 * 64);
  private count = 0;

  get size(): number {
    return this.count;
  }

  add(uid: string): void {
    if (this.count * 4 >= this.cells.length) this.grow();
    const [one, other] = prints(uid);
    const at = this.find(one, other);
    if (this.cells[at] !== 0 || this.cells[at + 1] !== 0) return;
    this.cells[at] = one;
    this.cells[at + 1] = other;
    this.count++;
  }

  has(uid: string): boolean {
    const [one, other] = prints(uid);
    const at = this.find(one, other);
    return this.cells[at] === one && this.cells[at + 1] === other;
  }

  /** Where that pair is, or the free cell where it belongs. */
  private find(one: number, other: number): number {
    const last = this.cells.length - 2;
    let at = (one * 2) & last;
    while (
      (this.cells[at] !== 0 || this.cells[at + 1] !== 0) &&
      (this.cells[at] !== one || this.cells[at + 1] !== other)
    )
      at = (at + 2) & last;
    return at;
  }

  private grow(): void {
    const before = this.cells;
    this.cells = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      const one = before[at] as number;
      const other = before[at + 1] as number;
      if (one === 0 && other === 0) continue;
      const free = this.find(one, other);
      this.cells[free] = one;
      this.cells[free + 1] = other;
    }
  }
}

/** Two hashes of 32 bits (FNV-1a, with two offsets and a last stir): good enough, and no waiting for the hash port. */
function prints(uid: string): readonly [number, number] {
  let one = 0x811c9dc5;
  let other = 0x01234567;
  for (let at = 0; at < uid.length; at++) {
    const code = uid.charCodeAt(at);
    one = Math.imul(one ^ code, 0x01000193);
    other = Math.imul(other ^ code, 0x85ebca6b);
  }
  one = stirred(one);
  other = stirred(other);
  // Nought and nought marks a free cell.
  return one === 0 && other === 0 ? [1, 0] : [one, other];
}

function stirred(hash: number): number {
  let stir = hash ^ (hash >>> 16);
  stir = Math.imul(stir, 0x7feb352d);
  stir ^= stir >>> 15;
  stir = Math.imul(stir, 0x846ca68b);
  return (stir ^ (stir >>> 16)) >>> 0;
}
