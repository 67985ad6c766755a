/** Four classes, of which each password has some: what a policy of complexity asks for. What quoting takes for its own is not among them. */
const CLASSES = ['ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz', '23456789', '!#%*+-.:=?@_~'] as const;
const LENGTH = 32;

/**
 * A new password: 32 characters of four classes, each as likely as any other, over 180 bits.
 *
 * @param random that many unguessable octets
 */
export function newPassword(random: (length: number) => Uint8Array): string {
  const all = CLASSES.join('');
  for (;;) {
    const password = Array.from({ length: LENGTH }, () => all[below(all.length, random)]).join('');
    // Drawn again rather than mended: a mended one has places that are easier to guess.
    if (CLASSES.every((each) => Array.from(each).some((character) => password.includes(character)))) return password;
  }
}

/** A number below another, none more likely: what would make the first ones so is drawn again. */
function below(limit: number, random: (length: number) => Uint8Array): number {
  const most = 256 - (256 % limit);
  for (;;) {
    const [drawn = 0] = random(1);
    if (drawn < most) return drawn % limit;
  }
}
